// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module, /dev/xbzrle and the files of sessions: the ioctl tables, where each
 * argument is checked before it is used, and the host's defaults, which are
 * module parameters.
 */
#include "codec.h"
#include "encode.h"
#include "harvest.h"
#include "memory.h"
#include "netlink.h"
#include "reap.h"
#include "region.h"
#include "session.h"
#include "shrink.h"

#include <xbzrle/codec.h>

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/xbzrle.h>

static unsigned long long default_cache_bytes = 64ULL << 20;
module_param(default_cache_bytes, ullong, 0644);
MODULE_PARM_DESC(default_cache_bytes,
		 "cache of a session that requests the default (default 64 MiB)");

static unsigned int default_queues = 1;

static int xbz_default_queues_set(const char *val,
				  const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 1, XBZRLE_MAX_QUEUES);
}

static const struct kernel_param_ops xbz_default_queues_ops = {
	.set = xbz_default_queues_set,
	.get = param_get_uint,
};

module_param_cb(default_queues, &xbz_default_queues_ops, &default_queues, 0644);
__MODULE_PARM_TYPE(default_queues, "uint");
MODULE_PARM_DESC(default_queues,
		 "queues of a session that requests the default, 1 to 64 (default 1)");

static unsigned int memory_limit_mib;

static int xbz_memory_limit_set(const char *val, const struct kernel_param *kp)
{
	int ret = param_set_uint(val, kp);

	if (ret)
		return ret;
	xbz_mem_set_limit(memory_limit_mib);
	xbz_sessions_trim();
	return 0;
}

static const struct kernel_param_ops xbz_memory_limit_ops = {
	.set = xbz_memory_limit_set,
	.get = param_get_uint,
};

module_param_cb(memory_limit_mib, &xbz_memory_limit_ops, &memory_limit_mib, 0644);
__MODULE_PARM_TYPE(memory_limit_mib, "uint");
MODULE_PARM_DESC(memory_limit_mib,
		 "limit on the memory of all sessions together, in MiB; 0 is a quarter of the host's memory without pools of huge pages (default 0)");

static unsigned int share_percent = XBZ_SHARE_DEFAULT;

static int xbz_share_set(const char *val, const struct kernel_param *kp)
{
	int ret = param_set_uint_minmax(val, kp, 1, 100);

	if (!ret)
		xbz_mem_set_share(share_percent);
	return ret;
}

static const struct kernel_param_ops xbz_share_ops = {
	.set = xbz_share_set,
	.get = param_get_uint,
};

module_param_cb(share_percent, &xbz_share_ops, &share_percent, 0644);
__MODULE_PARM_TYPE(share_percent, "uint");
MODULE_PARM_DESC(share_percent,
		 "what a user's sessions may have of the limit, and one session of what its user may have, in percent, 1 to 100 (default 75)");

/**
 * struct xbz_ioctl - an ioctl and its argument
 * @size: size of the kernel's struct
 * @min: size of the struct in the first version of the ABI
 * @flags: known flags
 * @write: the session's lock is held for writing, else for reading
 */
struct xbz_ioctl {
	u16 size;
	u16 min;
	u32 flags;
	bool write;
};

/* All argument structs begin with this. */
struct xbz_head {
	u32 size;
	u32 flags;
};

/* No struct of a newer ABI is longer than this. */
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

#define XBZ_IOCTL(_nr, _type, _min, _flags, _write) \
	[_IOC_NR(_nr)] = { \
		.size = sizeof(struct _type), \
		.min = (_min), \
		.flags = (_flags), \
		.write = (_write), \
	}

static const struct xbz_ioctl xbz_device_ioctls[] = {
	XBZ_IOCTL(XBZRLE_INFO, xbzrle_info, XBZRLE_INFO_SIZE_VER0, 0, false),
	XBZ_IOCTL(XBZRLE_SETUP, xbzrle_setup, XBZRLE_SETUP_SIZE_VER0,
		  XBZRLE_SETUP_MANUAL_PROTECT | XBZRLE_SETUP_DEFAULT_CACHE |
		  XBZRLE_SETUP_DEFAULT_QUEUES, false),
};

static const struct xbz_ioctl xbz_session_ioctls[] = {
	XBZ_IOCTL(XBZRLE_REGION_SET, xbzrle_region, XBZRLE_REGION_SIZE_VER0, 0,
		  true),
	XBZ_IOCTL(XBZRLE_REGION_DEL, xbzrle_region_del,
		  XBZRLE_REGION_DEL_SIZE_VER0, 0, true),
	XBZ_IOCTL(XBZRLE_SLOT_SET, xbzrle_slot, XBZRLE_SLOT_SIZE_VER0, 0, true),
	XBZ_IOCTL(XBZRLE_SLOT_DEL, xbzrle_slot_del, XBZRLE_SLOT_DEL_SIZE_VER0,
		  0, true),
	XBZ_IOCTL(XBZRLE_SYNC, xbzrle_sync, XBZRLE_SYNC_SIZE_VER0, 0, true),
	XBZ_IOCTL(XBZRLE_CLEAR, xbzrle_clear, XBZRLE_CLEAR_SIZE_VER0, 0, false),
	XBZ_IOCTL(XBZRLE_ENCODE, xbzrle_encode, XBZRLE_ENCODE_SIZE_VER0,
		  XBZRLE_ENCODE_LAST_STAGE | XBZRLE_ENCODE_WHOLE_APART, false),
	XBZ_IOCTL(XBZRLE_INVALIDATE, xbzrle_invalidate,
		  XBZRLE_INVALIDATE_SIZE_VER0, 0, true),
	XBZ_IOCTL(XBZRLE_CACHE, xbzrle_cache, XBZRLE_CACHE_SIZE_VER0, 0, true),
	XBZ_IOCTL(XBZRLE_COUNTERS, xbzrle_counters, XBZRLE_COUNTERS_SIZE_VER0,
		  0, false),
};

static const struct xbz_ioctl *xbz_ioctl_find(const struct xbz_ioctl *table,
					      unsigned int nr_ioctls,
					      unsigned int cmd)
{
	unsigned int nr = _IOC_NR(cmd);

	if (cmd != _IO(XBZRLE_IOC_TYPE, nr) || nr >= nr_ioctls)
		return NULL;
	table += array_index_nospec(nr, nr_ioctls);
	return table->size ? table : NULL;
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
	/* It may have changed since it was read; it bounds the answer. */
	arg->head.size = *usize;
	if (arg->head.flags & ~ioc->flags)
		return -EOPNOTSUPP;
	/* Fail now if the answer cannot be written, not after the work. */
	return copy_to_user(uarg, arg, min_t(u32, *usize, ioc->size)) ?
		       -EFAULT : 0;
}

static int xbz_arg_write(const struct xbz_ioctl *ioc, const union xbz_arg *arg,
			 void __user *uarg, u32 usize)
{
	return copy_to_user(uarg, arg, min_t(u32, usize, ioc->size)) ?
		       -EFAULT : 0;
}

static int xbz_call(struct xbz_session *s, unsigned int cmd, union xbz_arg *arg)
{
	switch (cmd) {
	case XBZRLE_REGION_SET:
		return xbz_region_add(s, &arg->region);
	case XBZRLE_REGION_DEL:
		return arg->region_del.reserved ?
			       -EINVAL :
			       xbz_region_del(s, arg->region_del.region);
	case XBZRLE_SLOT_SET:
		return xbz_slot_add(s, &arg->slot);
	case XBZRLE_SLOT_DEL:
		return arg->slot_del.reserved ?
			       -EINVAL :
			       xbz_slot_del(s, arg->slot_del.slot);
	case XBZRLE_SYNC:
		return xbz_harvest_sync(s, &arg->sync);
	case XBZRLE_CLEAR:
		return xbz_harvest_clear_range(s, &arg->clear);
	case XBZRLE_ENCODE:
		return xbz_encode_batch(s, &arg->encode);
	case XBZRLE_INVALIDATE:
		return xbz_session_invalidate(s, &arg->invalidate);
	case XBZRLE_CACHE:
		return xbz_session_cache(s, &arg->cache);
	case XBZRLE_COUNTERS:
		return xbz_session_counters(s, &arg->counters);
	default:
		return -ENOTTY;
	}
}

static long xbz_session_ioctl(struct file *file, unsigned int cmd,
			      unsigned long uaddr)
{
	const struct xbz_ioctl *ioc =
		xbz_ioctl_find(xbz_session_ioctls,
			       ARRAY_SIZE(xbz_session_ioctls), cmd);
	struct xbz_session *s = file->private_data;
	void __user *uarg = (void __user *)uaddr;
	union xbz_arg arg;
	u32 usize;
	int ret;

	if (!ioc)
		return -ENOTTY;
	ret = xbz_arg_read(ioc, &arg, uarg, &usize);
	if (ret)
		return ret;
	if (s->mm != current->mm)
		return -EPERM;
	ret = ioc->write ? down_write_killable(&s->lock) :
			   down_read_killable(&s->lock);
	if (ret)
		return -EINTR;
	ret = xbz_call(s, cmd, &arg);
	if (ioc->write)
		up_write(&s->lock);
	else
		up_read(&s->lock);
	return ret ?: xbz_arg_write(ioc, &arg, uarg, usize);
}

static int xbz_session_release(struct inode *inode, struct file *file)
{
	xbz_session_end(file->private_data);
	return 0;
}

static int xbz_session_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	return xbz_session_mmap(file->private_data, vma);
}

/* The netlink family has the rest. */
static void xbz_session_fdinfo(struct seq_file *m, struct file *file)
{
	const struct xbz_session *s = file->private_data;

	seq_printf(m, "xbzrle-session:\t%u\n", s->id);
}

static const struct file_operations xbz_session_fops = {
	.owner = THIS_MODULE,
	.release = xbz_session_release,
	.unlocked_ioctl = xbz_session_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = xbz_session_file_mmap,
	.show_fdinfo = xbz_session_fdinfo,
	.llseek = noop_llseek,
};

static void xbz_info(struct xbzrle_info *arg)
{
	*arg = (struct xbzrle_info){
		.size = arg->size,
		.abi_version = XBZRLE_ABI_VERSION,
		.page_shift = XBZRLE_PAGE_SHIFT,
		.features = XBZRLE_FEATURE_KVM_LOG | XBZRLE_FEATURE_ZERO_BASE |
			    XBZRLE_FEATURE_DEFAULTS |
			    XBZRLE_FEATURE_WHOLE_APART,
		.max_queues = XBZRLE_MAX_QUEUES,
		.max_regions = XBZRLE_MAX_REGIONS,
		.max_slots = XBZRLE_MAX_SLOTS,
		.scratch_min = XBZRLE_SCRATCH_MIN,
		.ring_bytes_min = XBZ_RING_MIN,
		.ring_bytes_max = XBZ_RING_MAX,
		.memory_max = xbz_mem_limit(),
		.memory_used = xbz_mem_used(),
		.log_block_pages_min = BIT(XBZ_LOG_SHIFT_MIN),
		.log_block_pages_max = BIT(XBZ_LOG_SHIFT_MAX),
	};
	strscpy(arg->codec, xbz_codec_name(), sizeof(arg->codec));
}

static int xbz_setup_defaults(struct xbzrle_setup *arg)
{
	if (arg->flags & XBZRLE_SETUP_DEFAULT_CACHE) {
		if (arg->cache_bytes)
			return -EINVAL;
		arg->cache_bytes = READ_ONCE(default_cache_bytes);
	}
	if (arg->flags & XBZRLE_SETUP_DEFAULT_QUEUES) {
		if (arg->nr_queues)
			return -EINVAL;
		arg->nr_queues = READ_ONCE(default_queues);
	}
	return 0;
}

static struct file *xbz_session_file(struct xbzrle_setup *arg)
{
	struct xbz_session *s;
	struct file *file;
	int ret;

	ret = xbz_setup_defaults(arg);
	if (ret)
		return ERR_PTR(ret);
	s = xbz_session_new(arg);
	if (IS_ERR(s))
		return ERR_CAST(s);
	file = anon_inode_getfile("[xbzrle]", &xbz_session_fops, s, O_RDWR);
	if (IS_ERR(file))
		xbz_session_end(s);
	return file;
}

/* The new file is installed when nothing can fail any more. */
static int xbz_setup(const struct xbz_ioctl *ioc, union xbz_arg *arg,
		     void __user *uarg, u32 usize)
{
	struct file *file;
	int fd, ret;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = xbz_session_file(&arg->setup);
	if (IS_ERR(file)) {
		ret = PTR_ERR(file);
		goto err_fd;
	}
	ret = xbz_arg_write(ioc, arg, uarg, usize);
	if (ret)
		goto err_file;
	fd_install(fd, file);
	return fd;

err_file:
	fput(file);
err_fd:
	put_unused_fd(fd);
	return ret;
}

static long xbz_ioctl(struct file *file, unsigned int cmd, unsigned long uaddr)
{
	const struct xbz_ioctl *ioc =
		xbz_ioctl_find(xbz_device_ioctls, ARRAY_SIZE(xbz_device_ioctls),
			       cmd);
	void __user *uarg = (void __user *)uaddr;
	union xbz_arg arg;
	u32 usize;
	int ret;

	if (!ioc)
		return -ENOTTY;
	ret = xbz_arg_read(ioc, &arg, uarg, &usize);
	if (ret)
		return ret;
	if (cmd == XBZRLE_SETUP)
		return xbz_setup(ioc, &arg, uarg, usize);
	xbz_info(&arg.info);
	return xbz_arg_write(ioc, &arg, uarg, usize);
}

static const struct file_operations xbz_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = xbz_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice xbz_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xbzrle",
	.fops = &xbz_fops,
	/* A user of KVM may migrate; udev sets the group. */
	.mode = 0660,
};

/* The first version of the ABI is frozen: structs grow, these do not. */
static_assert(offsetofend(struct xbzrle_info, log_block_pages_max) ==
	      XBZRLE_INFO_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_setup, ring_stride) ==
	      XBZRLE_SETUP_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_region, name) ==
	      XBZRLE_REGION_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_region_del, reserved) ==
	      XBZRLE_REGION_DEL_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_slot, nr_pages) ==
	      XBZRLE_SLOT_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_slot_del, reserved) ==
	      XBZRLE_SLOT_DEL_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_sync, reserved) ==
	      XBZRLE_SYNC_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_clear, scratch_bytes) ==
	      XBZRLE_CLEAR_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_encode, fault_page) ==
	      XBZRLE_ENCODE_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_invalidate, nr_pages) ==
	      XBZRLE_INVALIDATE_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_cache, used_bytes) ==
	      XBZRLE_CACHE_SIZE_VER0);
static_assert(offsetofend(struct xbzrle_counters, cache_refused) ==
	      XBZRLE_COUNTERS_SIZE_VER0);

static int __init xbz_init(void)
{
	int ret = xbz_codec_init();

	if (ret)
		return ret;
	ret = xbz_reap_init();
	if (ret)
		return ret;
	ret = xbz_shrink_init();
	if (ret)
		goto err_reap;
	ret = xbz_netlink_init();
	if (ret)
		goto err_shrink;
	ret = misc_register(&xbz_misc);
	if (ret)
		goto err_netlink;
	return 0;

err_netlink:
	xbz_netlink_exit();
err_shrink:
	xbz_shrink_exit();
err_reap:
	xbz_reap_exit();
	return ret;
}

static void __exit xbz_exit(void)
{
	misc_deregister(&xbz_misc);
	xbz_netlink_exit();
	/* Sessions that have ended are reclaim's until they are freed. */
	xbz_reap_settle();
	xbz_shrink_exit();
	xbz_reap_exit();
	xbz_sessions_exit();
}

module_init(xbz_init);
module_exit(xbz_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Delta encoding of dirty pages for live migration");
MODULE_VERSION(XBZ_VERSION);
