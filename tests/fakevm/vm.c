// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM's file: KVM's ioctls, as far as they are imitated, and the test's. The
 * dirty log's own rules are in log.c.
 */
#include "vm.h"

#include <linux/anon_inodes.h>
#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/* 64 GiB a slot is what the bench of large regions takes, and more than any test. */
#define XBZ_FAKEVM_SLOT_PAGES BIT(24)

static void xbz_fakevm_memslot_free(struct xbz_fakevm_memslot *slot)
{
	if (!slot)
		return;
	kvfree(slot->dirty);
	kvfree(slot->given);
	kvfree(slot->buffer);
	kvfree(slot->writer[0].pages);
	kvfree(slot->writer[1].pages);
	kfree(slot);
}

static unsigned long *xbz_fakevm_bitmap_new(unsigned long nr)
{
	return kvcalloc(BITS_TO_LONGS(nr), sizeof(long), GFP_KERNEL);
}

static struct xbz_fakevm_memslot *
xbz_fakevm_memslot_new(const struct xbz_fakevm_slot *arg)
{
	struct xbz_fakevm_memslot *slot = kzalloc(sizeof(*slot), GFP_KERNEL);

	if (!slot)
		return NULL;
	slot->addr = arg->addr;
	slot->nr_pages = arg->nr_pages;
	slot->dirty = xbz_fakevm_bitmap_new(arg->nr_pages);
	slot->given = xbz_fakevm_bitmap_new(arg->nr_pages);
	slot->buffer = xbz_fakevm_bitmap_new(arg->nr_pages);
	slot->writer[0].pages = xbz_fakevm_bitmap_new(arg->nr_pages);
	slot->writer[1].pages = xbz_fakevm_bitmap_new(arg->nr_pages);
	if (slot->dirty && slot->given && slot->buffer &&
	    slot->writer[0].pages && slot->writer[1].pages)
		return slot;
	xbz_fakevm_memslot_free(slot);
	return NULL;
}

static int xbz_fakevm_slot_set(struct xbz_fakevm *vm,
			       const struct xbz_fakevm_slot *arg)
{
	struct xbz_fakevm_memslot *slot, *old;

	if (!arg->nr_pages) {
		slot = xa_erase(&vm->slots, arg->slot);
		xbz_fakevm_memslot_free(slot);
		return slot ? 0 : -ENOENT;
	}
	if (arg->nr_pages > XBZ_FAKEVM_SLOT_PAGES)
		return -EINVAL;
	slot = xbz_fakevm_memslot_new(arg);
	if (!slot)
		return -ENOMEM;
	old = xa_store(&vm->slots, arg->slot, slot, GFP_KERNEL);
	if (xa_is_err(old)) {
		xbz_fakevm_memslot_free(slot);
		return xa_err(old);
	}
	xbz_fakevm_memslot_free(old);
	return 0;
}

/* Reads a bitmap of the test's into the slot's buffer, no bit behind its end. */
static int xbz_fakevm_read_bitmap(struct xbz_fakevm_memslot *slot, u64 addr)
{
	unsigned long bytes = xbz_fakevm_bitmap_bytes(slot);

	if (copy_from_user(slot->buffer, u64_to_user_ptr(addr), bytes))
		return -EFAULT;
	bitmap_clear(slot->buffer, slot->nr_pages,
		     bytes * BITS_PER_BYTE - slot->nr_pages);
	return 0;
}

static int xbz_fakevm_bits(struct xbz_fakevm *vm,
			   const struct xbz_fakevm_bits *arg)
{
	struct xbz_fakevm_memslot *slot = xa_load(&vm->slots, arg->slot);

	if (!slot)
		return -ENOENT;
	if (arg->what == XBZ_FAKEVM_BITS_READ)
		return copy_to_user(u64_to_user_ptr(arg->bitmap), slot->dirty,
				    xbz_fakevm_bitmap_bytes(slot)) ?
			       -EFAULT : 0;
	if (xbz_fakevm_read_bitmap(slot, arg->bitmap))
		return -EFAULT;
	bitmap_or(slot->dirty, slot->dirty, slot->buffer, slot->nr_pages);
	/* A bit that is set once more has been given out all the same. */
	return 0;
}

static int xbz_fakevm_write(struct xbz_fakevm *vm,
			    const struct xbz_fakevm_write *arg)
{
	struct xbz_fakevm_memslot *slot = xa_load(&vm->slots, arg->slot);
	struct xbz_fakevm_writer *writer;

	if (!slot)
		return -ENOENT;
	if (arg->when > XBZ_FAKEVM_WRITE_AFTER ||
	    arg->offset > PAGE_SIZE - sizeof(arg->value))
		return -EINVAL;
	if (xbz_fakevm_read_bitmap(slot, arg->bitmap))
		return -EFAULT;
	writer = &slot->writer[arg->when];
	bitmap_copy(writer->pages, slot->buffer, slot->nr_pages);
	writer->offset = arg->offset;
	writer->value = arg->value;
	return 0;
}

static int xbz_fakevm_inject(struct xbz_fakevm *vm,
			     const struct xbz_fakevm_inject *arg)
{
	if (arg->call > XBZ_FAKEVM_CLEAR || arg->error > MAX_ERRNO)
		return -EINVAL;
	vm->inject[arg->call] = *arg;
	return 0;
}

static int xbz_fakevm_hold(struct xbz_fakevm *vm,
			   const struct xbz_fakevm_hold *arg)
{
	WRITE_ONCE(vm->hold, arg->hold);
	wake_up_all(&vm->released);
	return 0;
}

/* Without the lock: whoever releases it needs that. */
static int xbz_fakevm_wait(struct xbz_fakevm *vm)
{
	if (!READ_ONCE(vm->hold))
		return 0;
	mutex_lock(&vm->lock);
	vm->count.held++;
	mutex_unlock(&vm->lock);
	return wait_event_killable(vm->released, !READ_ONCE(vm->hold)) ?
		       -EINTR : 0;
}

static int xbz_fakevm_count(struct xbz_fakevm *vm,
			    struct xbz_fakevm_counters *arg)
{
	struct xbz_fakevm_memslot *slot = xa_load(&vm->slots, arg->slot);
	u32 id = arg->slot;

	if (id != XBZ_FAKEVM_ALL_SLOTS && !slot)
		return -ENOENT;
	*arg = id == XBZ_FAKEVM_ALL_SLOTS ? vm->count : slot->count;
	arg->slot = id;
	return 0;
}

union xbz_fakevm_arg {
	struct xbz_fakevm_slot slot;
	struct xbz_fakevm_bits bits;
	struct xbz_fakevm_write write;
	struct xbz_fakevm_inject inject;
	struct xbz_fakevm_counters counters;
	struct xbz_fakevm_hold hold;
	struct kvm_dirty_log get;
	struct kvm_clear_dirty_log clear;
};

static int xbz_fakevm_call(struct xbz_fakevm *vm, unsigned int cmd,
			   union xbz_fakevm_arg *arg)
{
	switch (cmd) {
	case KVM_GET_DIRTY_LOG:
		return xbz_fakevm_get_log(vm, &arg->get);
	case KVM_CLEAR_DIRTY_LOG:
		return xbz_fakevm_clear_log(vm, &arg->clear);
	case XBZ_FAKEVM_SLOT:
		return xbz_fakevm_slot_set(vm, &arg->slot);
	case XBZ_FAKEVM_BITS:
		return xbz_fakevm_bits(vm, &arg->bits);
	case XBZ_FAKEVM_WRITE:
		return xbz_fakevm_write(vm, &arg->write);
	case XBZ_FAKEVM_INJECT:
		return xbz_fakevm_inject(vm, &arg->inject);
	case XBZ_FAKEVM_COUNTERS:
		return xbz_fakevm_count(vm, &arg->counters);
	case XBZ_FAKEVM_HOLD:
		return xbz_fakevm_hold(vm, &arg->hold);
	default:
		vm->count.others++;
		return -ENOTTY;
	}
}

static long xbz_fakevm_ioctl(struct file *file, unsigned int cmd,
			     unsigned long uaddr)
{
	struct xbz_fakevm *vm = file->private_data;
	void __user *uarg = (void __user *)uaddr;
	union xbz_fakevm_arg arg;
	int ret;

	/* As KVM does, before anything else. */
	if (vm->mm != current->mm) {
		mutex_lock(&vm->lock);
		vm->count.foreign++;
		mutex_unlock(&vm->lock);
		return -EIO;
	}
	/* All there is to know: it is a VM. */
	if (cmd == KVM_CHECK_EXTENSION)
		return 1;
	if (_IOC_SIZE(cmd) > sizeof(arg))
		return -ENOTTY;
	if (copy_from_user(&arg, uarg, _IOC_SIZE(cmd)))
		return -EFAULT;

	if (cmd == KVM_GET_DIRTY_LOG) {
		ret = xbz_fakevm_wait(vm);
		if (ret)
			return ret;
	}
	mutex_lock(&vm->lock);
	ret = xbz_fakevm_call(vm, cmd, &arg);
	mutex_unlock(&vm->lock);

	if (!ret && cmd == XBZ_FAKEVM_COUNTERS &&
	    copy_to_user(uarg, &arg, sizeof(arg.counters)))
		ret = -EFAULT;
	return ret;
}

static void xbz_fakevm_free(struct xbz_fakevm *vm)
{
	struct xbz_fakevm_memslot *slot;
	unsigned long id;

	xa_for_each(&vm->slots, id, slot)
		xbz_fakevm_memslot_free(slot);
	xa_destroy(&vm->slots);
	mmdrop(vm->mm);
	kfree(vm);
}

static int xbz_fakevm_release(struct inode *inode, struct file *file)
{
	xbz_fakevm_free(file->private_data);
	return 0;
}

static const struct file_operations xbz_fakevm_vm_fops = {
	.owner = THIS_MODULE,
	.release = xbz_fakevm_release,
	.unlocked_ioctl = xbz_fakevm_ioctl,
	.llseek = noop_llseek,
};

/**
 * xbz_fakevm_create() - make a VM of the calling process
 * @arg: as XBZ_FAKEVM_CREATE has it
 *
 * Return: its file descriptor, or an error.
 */
int xbz_fakevm_create(const struct xbz_fakevm_create *arg)
{
	char name[sizeof(arg->name)];
	struct xbz_fakevm *vm;
	int fd;

	if (strscpy(name, *arg->name ? arg->name : "kvm-vm", sizeof(name)) < 0)
		return -EINVAL;
	vm = kzalloc(sizeof(*vm), GFP_KERNEL);
	if (!vm)
		return -ENOMEM;
	mutex_init(&vm->lock);
	xa_init(&vm->slots);
	init_waitqueue_head(&vm->released);
	vm->manual_protect = arg->flags & XBZ_FAKEVM_MANUAL_PROTECT;
	mmgrab(current->mm);
	vm->mm = current->mm;

	fd = anon_inode_getfd(name, &xbz_fakevm_vm_fops, vm,
			      O_RDWR | O_CLOEXEC);
	if (fd < 0)
		xbz_fakevm_free(vm);
	return fd;
}
