// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/xbzrle: the file operations, and how every ioctl's argument is checked
 * before anybody acts on it. What the ioctls do is elsewhere.
 */
#include "device.h"
#include "encode.h"
#include "fdinfo.h"
#include "harvest.h"
#include "memory.h"
#include "region.h"
#include "session.h"
#include "slot.h"

#include <xbzrle/codec.h>

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/xbzrle.h>

/* Which way an ioctl takes the session's lock. */
enum xbz_access {
	XBZ_FREE, /* not at all, and works before SETUP and for everybody */
	XBZ_BIND, /* for writing, and works before SETUP */
	XBZ_READ,
	XBZ_WRITE,
};

/**
 * struct xbz_ioctl - how to call an ioctl
 * @size: of the kernel's struct
 * @min: of the struct in the first version of the ABI
 * @flags: those that are known
 * @access: how the session is locked
 * @call: does it; the struct is in kernel memory
 */
struct xbz_ioctl {
	u16 size;
	u16 min;
	u32 flags;
	enum xbz_access access;
	int (*call)(struct xbz_session *s, void *arg);
};

/* What all argument structs begin with. */
struct xbz_head {
	u32 size;
	u32 flags;
};

/* No struct of a newer ABI will be as long as this. */
#define XBZ_ARG_MAX PAGE_SIZE

union xbz_arg {
	struct xbz_head head;
	struct xbzrle_info info;
	struct xbzrle_setup setup;
	struct xbzrle_region region;
	struct xbzrle_region_del region_del;
	struct xbzrle_slot slot;
	struct xbzrle_slot_del slot_del;
	struct xbzrle_sync sync;
	struct xbzrle_clear clear;
	struct xbzrle_encode encode;
	struct xbzrle_invalidate invalidate;
	struct xbzrle_cache cache;
	struct xbzrle_counters counters;
};

static int xbz_call_info(struct xbz_session *s, void *p)
{
	struct xbzrle_info *arg = p;

	*arg = (struct xbzrle_info){
		.size = arg->size,
		.abi_version = XBZRLE_ABI_VERSION,
		.page_shift = XBZRLE_PAGE_SHIFT,
		.features = XBZRLE_FEATURE_KVM_LOG | XBZRLE_FEATURE_ZERO_BASE |
			    XBZRLE_FEATURE_DEFAULTS,
		.max_queues = XBZRLE_MAX_QUEUES,
		.max_regions = XBZRLE_MAX_REGIONS,
		.max_slots = XBZRLE_MAX_SLOTS,
		.scratch_min = XBZRLE_SCRATCH_MIN,
		.ring_bytes_min = XBZ_RING_MIN,
		.ring_bytes_max = XBZ_RING_MAX,
		.memory_max = xbz_mem_limit(),
		.memory_used = xbz_mem_used(),
	};
	strscpy(arg->codec, xbz_codec_name(), sizeof(arg->codec));
	return 0;
}

static int xbz_call_setup(struct xbz_session *s, void *p)
{
	return xbz_session_setup(s, p);
}

static int xbz_call_region_set(struct xbz_session *s, void *p)
{
	return xbz_region_add(s, p);
}

static int xbz_call_region_del(struct xbz_session *s, void *p)
{
	const struct xbzrle_region_del *arg = p;

	return arg->reserved ? -EINVAL : xbz_region_del(s, arg->region);
}

static int xbz_call_slot_set(struct xbz_session *s, void *p)
{
	return xbz_slot_add(s, p);
}

static int xbz_call_slot_del(struct xbz_session *s, void *p)
{
	const struct xbzrle_slot_del *arg = p;

	return arg->reserved ? -EINVAL : xbz_slot_del(s, arg->slot);
}

static int xbz_call_sync(struct xbz_session *s, void *p)
{
	return xbz_harvest_sync(s, p);
}

static int xbz_call_clear(struct xbz_session *s, void *p)
{
	return xbz_harvest_clear_range(s, p);
}

static int xbz_call_encode(struct xbz_session *s, void *p)
{
	return xbz_encode_batch(s, p);
}

static int xbz_call_invalidate(struct xbz_session *s, void *p)
{
	return xbz_session_invalidate(s, p);
}

static int xbz_call_cache(struct xbz_session *s, void *p)
{
	return xbz_session_cache(s, p);
}

static int xbz_call_counters(struct xbz_session *s, void *p)
{
	return xbz_session_counters(s, p);
}

#define XBZ_IOCTL(_nr, _type, _flags, _access, _call) \
	[_IOC_NR(_nr)] = { \
		.size = sizeof(_type), \
		.min = sizeof(_type), \
		.flags = (_flags), \
		.access = (_access), \
		.call = (_call), \
	}

static const struct xbz_ioctl xbz_ioctls[] = {
	XBZ_IOCTL(XBZRLE_INFO, struct xbzrle_info, 0, XBZ_FREE, xbz_call_info),
	XBZ_IOCTL(XBZRLE_SETUP, struct xbzrle_setup,
		  XBZRLE_SETUP_MANUAL_PROTECT | XBZRLE_SETUP_DEFAULT_CACHE |
		  XBZRLE_SETUP_DEFAULT_QUEUES, XBZ_BIND, xbz_call_setup),
	XBZ_IOCTL(XBZRLE_REGION_SET, struct xbzrle_region, 0, XBZ_WRITE,
		  xbz_call_region_set),
	XBZ_IOCTL(XBZRLE_REGION_DEL, struct xbzrle_region_del, 0, XBZ_WRITE,
		  xbz_call_region_del),
	XBZ_IOCTL(XBZRLE_SLOT_SET, struct xbzrle_slot, 0, XBZ_WRITE,
		  xbz_call_slot_set),
	XBZ_IOCTL(XBZRLE_SLOT_DEL, struct xbzrle_slot_del, 0, XBZ_WRITE,
		  xbz_call_slot_del),
	XBZ_IOCTL(XBZRLE_SYNC, struct xbzrle_sync, 0, XBZ_WRITE, xbz_call_sync),
	XBZ_IOCTL(XBZRLE_CLEAR, struct xbzrle_clear, 0, XBZ_READ,
		  xbz_call_clear),
	XBZ_IOCTL(XBZRLE_ENCODE, struct xbzrle_encode, XBZRLE_ENCODE_LAST_STAGE,
		  XBZ_READ, xbz_call_encode),
	XBZ_IOCTL(XBZRLE_INVALIDATE, struct xbzrle_invalidate, 0, XBZ_WRITE,
		  xbz_call_invalidate),
	XBZ_IOCTL(XBZRLE_CACHE, struct xbzrle_cache, 0, XBZ_WRITE,
		  xbz_call_cache),
	XBZ_IOCTL(XBZRLE_COUNTERS, struct xbzrle_counters, 0, XBZ_READ,
		  xbz_call_counters),
};

static const struct xbz_ioctl *xbz_ioctl_find(unsigned int cmd)
{
	unsigned int nr = _IOC_NR(cmd);

	if (cmd != _IO(XBZRLE_IOC_TYPE, nr) || nr >= ARRAY_SIZE(xbz_ioctls))
		return NULL;
	return &xbz_ioctls[array_index_nospec(nr, ARRAY_SIZE(xbz_ioctls))];
}

static int xbz_arg_read(const struct xbz_ioctl *ioc, union xbz_arg *arg,
			void __user *uarg, u32 *usize)
{
	int ret;

	if (get_user(*usize, (u32 __user *)uarg))
		return -EFAULT;
	if (*usize < ioc->min)
		return -EINVAL;
	if (*usize > XBZ_ARG_MAX)
		return -E2BIG;
	ret = copy_struct_from_user(arg, ioc->size, uarg, *usize);
	if (ret)
		return ret;
	/* It may have changed since; it is what bounds the answer. */
	arg->head.size = *usize;
	if (arg->head.flags & ~ioc->flags)
		return -EOPNOTSUPP;
	/* Learn now that the answer cannot be written, not after the work. */
	return copy_to_user(uarg, arg, min_t(u32, *usize, ioc->size)) ?
		       -EFAULT : 0;
}

static bool xbz_foreign(const struct xbz_session *s)
{
	return s->mm && s->mm != current->mm;
}

static int xbz_call_locked(const struct xbz_ioctl *ioc, struct xbz_session *s,
			   union xbz_arg *arg)
{
	bool write = ioc->access != XBZ_READ;
	int ret;

	if (ioc->access == XBZ_FREE)
		return ioc->call(s, arg);

	ret = write ? down_write_killable(&s->lock) :
		      down_read_killable(&s->lock);
	if (ret)
		return -EINTR;
	if (xbz_foreign(s))
		ret = -EPERM;
	else if (!s->mm && ioc->access != XBZ_BIND)
		ret = -ENOTCONN;
	else
		ret = ioc->call(s, arg);
	if (write)
		up_write(&s->lock);
	else
		up_read(&s->lock);
	return ret;
}

static long xbz_ioctl(struct file *file, unsigned int cmd, unsigned long uaddr)
{
	const struct xbz_ioctl *ioc = xbz_ioctl_find(cmd);
	void __user *uarg = (void __user *)uaddr;
	union xbz_arg arg;
	u32 usize;
	int ret;

	if (!ioc)
		return -ENOTTY;
	ret = xbz_arg_read(ioc, &arg, uarg, &usize);
	if (ret)
		return ret;
	ret = xbz_call_locked(ioc, file->private_data, &arg);
	if (ret)
		return ret;
	return copy_to_user(uarg, &arg, min_t(u32, usize, ioc->size)) ?
		       -EFAULT : 0;
}

static int xbz_open(struct inode *inode, struct file *file)
{
	struct xbz_session *s = xbz_session_new();

	if (!s)
		return -ENOMEM;
	file->private_data = s;
	return nonseekable_open(inode, file);
}

static int xbz_release(struct inode *inode, struct file *file)
{
	xbz_session_free(file->private_data);
	return 0;
}

static int xbz_mmap(struct file *file, struct vm_area_struct *vma)
{
	return xbz_session_mmap(file->private_data, vma);
}

static void xbz_show_fdinfo(struct seq_file *m, struct file *file)
{
	xbz_fdinfo_show(m, file->private_data);
}

static const struct file_operations xbz_fops = {
	.owner = THIS_MODULE,
	.open = xbz_open,
	.release = xbz_release,
	.unlocked_ioctl = xbz_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = xbz_mmap,
	.show_fdinfo = xbz_show_fdinfo,
};

static struct miscdevice xbz_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xbzrle",
	.fops = &xbz_fops,
	/* Whoever may use KVM may migrate; the group is udev's business. */
	.mode = 0660,
};

/**
 * xbz_device_init() - make /dev/xbzrle appear
 *
 * Return: 0, or what the kernel says.
 */
int xbz_device_init(void)
{
	return misc_register(&xbz_misc);
}

/**
 * xbz_device_exit() - make it go
 */
void xbz_device_exit(void)
{
	misc_deregister(&xbz_misc);
}
