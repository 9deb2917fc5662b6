// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/xbz_fakevm, and the module's coming and going.
 */
#include "vm.h"

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

static long xbz_fakevm_ioctl(struct file *file, unsigned int cmd,
			     unsigned long uaddr)
{
	void __user *uarg = (void __user *)uaddr;
	struct xbz_fakevm_create create;
	struct xbz_fakevm_scan scan;
	int ret;

	switch (cmd) {
	case XBZ_FAKEVM_CREATE:
		if (copy_from_user(&create, uarg, sizeof(create)))
			return -EFAULT;
		return xbz_fakevm_create(&create);
	case XBZ_FAKEVM_SCAN:
		if (copy_from_user(&scan, uarg, sizeof(scan)))
			return -EFAULT;
		ret = xbz_fakevm_scan(&scan);
		if (!ret && copy_to_user(uarg, &scan, sizeof(scan)))
			ret = -EFAULT;
		return ret;
	default:
		return -ENOTTY;
	}
}

static const struct file_operations xbz_fakevm_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = xbz_fakevm_ioctl,
};

/* For root alone: it reads all of memory. */
static struct miscdevice xbz_fakevm_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xbz_fakevm",
	.fops = &xbz_fakevm_fops,
	.mode = 0600,
};

module_misc_device(xbz_fakevm_misc);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A KVM VM without a guest, for the tests of xbzrle");
