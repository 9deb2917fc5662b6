/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Generic netlink, where kernels differ. For netlink.c only.
 */
#ifndef _XBZ_COMPAT_NETLINK_H
#define _XBZ_COMPAT_NETLINK_H

#include <linux/version.h>
#include <net/genetlink.h>

/**
 * xbz_dump_attrs() - attributes of the request for a dump
 * @cb: the dump
 */
static inline struct nlattr **xbz_dump_attrs(struct netlink_callback *cb)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

#endif /* _XBZ_COMPAT_NETLINK_H */
