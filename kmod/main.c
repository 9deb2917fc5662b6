// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module comes and goes.
 */
#include "codec.h"
#include "device.h"
#include "netlink.h"
#include "registry.h"

#include <linux/init.h>
#include <linux/module.h>

static int __init xbz_init(void)
{
	int ret = xbz_codec_init();

	if (ret)
		return ret;
	ret = xbz_netlink_init();
	if (ret)
		return ret;
	ret = xbz_device_init();
	if (ret)
		xbz_netlink_exit();
	return ret;
}

static void __exit xbz_exit(void)
{
	xbz_device_exit();
	xbz_netlink_exit();
	xbz_registry_exit();
}

module_init(xbz_init);
module_exit(xbz_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Delta encoding of dirty pages for live migration");
MODULE_VERSION(XBZ_VERSION);
