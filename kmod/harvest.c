// SPDX-License-Identifier: GPL-2.0-only
/*
 * Harvests KVM's dirty log: fetches it into the regions' bitmaps, and clears it,
 * late and in large blocks, before pages are read.
 *
 * Why no write of the guest's is lost with manual protect:
 *
 *  - For each fetched bit, SYNC sets first the slot's own bit and the log block's
 *    needs_clear, then the bit in the region's bitmap. KVM's bit stays set.
 *  - A page whose bit is taken from the region's bitmap is read only when its log
 *    block does not need clearing.
 *  - Clearing a log block clears in KVM's log just the bits that were fetched and
 *    are still set in the region's bitmap, so each such page is read after this.
 *    A bit that the process took out of the region's bitmap stays set in KVM's
 *    log, and the next SYNC sets it again.
 *
 * Without manual protect fetching clears, and all pages are read later.
 *
 * KVM's ioctls are called through the VM's own file, which the process lent: so
 * no symbol of KVM's is used. They read and write user memory, the caller's
 * scratch. What comes back from there is untrusted: nothing but bits is used.
 */
#include "harvest.h"
#include "counter.h"
#include "netlink.h"
#include "region.h"

#include "core/bitmap.h"

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/xbzrle.h>
#include <linux/xbzrle_netlink.h>

/* The largest log block, widened to whole words at both ends, fits the buffer. */
static_assert(BIT(XBZ_LOG_SHIFT_MAX) / 8 + 2 * sizeof(u64) <= XBZ_LOG_BUF_BYTES);

/* The name that KVM gives to a VM's file; only kernel code can set it. */
#define XBZ_VM_FILE_NAME "kvm-vm"

/*
 * Calls an ioctl of the VM, in a thread of the process that owns it; the mmap
 * lock is not held.
 */
static long xbz_vm_ioctl(struct file *vm, unsigned int cmd, u64 arg)
{
	long ret = security_file_ioctl(vm, cmd, arg);

	return ret ?: vm->f_op->unlocked_ioctl(vm, cmd, arg);
}

static bool xbz_file_is_vm(const struct file *file)
{
	return file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       !strcmp(file->f_path.dentry->d_name.name, XBZ_VM_FILE_NAME) &&
	       file->f_op->unlocked_ioctl;
}

/**
 * xbz_vm_get() - get a VM's file
 * @fd: a file descriptor of the caller
 *
 * Context: may sleep.
 * Return: the file, to be released with fput(); -EBADF if there is none, -EBADFD
 * if it is not a VM, -EXDEV if the VM belongs to another process, or the error of
 * a security module.
 */
struct file *xbz_vm_get(int fd)
{
	struct file *file = fget(fd);
	long ret;

	if (!file)
		return ERR_PTR(-EBADF);
	if (!xbz_file_is_vm(file)) {
		ret = -EBADFD;
		goto err_fput;
	}
	/* KVM fails every call from another address space with -EIO. */
	ret = xbz_vm_ioctl(file, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY);
	if (ret < 0) {
		ret = ret == -EIO ? -EXDEV : ret;
		goto err_fput;
	}
	return file;

err_fput:
	fput(file);
	return ERR_PTR(ret);
}

static void __user *xbz_scratch_head(const struct xbz_scratch *scratch)
{
	return u64_to_user_ptr(scratch->addr);
}

static void __user *xbz_scratch_bits(const struct xbz_scratch *scratch)
{
	return u64_to_user_ptr(scratch->addr + XBZRLE_SCRATCH_HEAD);
}

/**
 * xbz_scratch_ok() - check scratch memory
 * @scratch: as the caller gave it
 * @need: bytes
 *
 * Return: whether it is aligned and large enough.
 */
bool xbz_scratch_ok(const struct xbz_scratch *scratch, u64 need)
{
	return scratch->addr && IS_ALIGNED(scratch->addr, sizeof(u64)) &&
	       scratch->bytes >= need;
}

static u64 xbz_slot_log_bytes(const struct xbz_slot *slot)
{
	return BITS_TO_U64(slot->nr_pages) * sizeof(u64);
}

/*
 * KVM writes as many words as its own slot has, whatever size SLOT_SET was told.
 * A random guard in the last word of ours and in the word behind it shows a slot
 * that is smaller or larger.
 */
static int xbz_guard_put(u64 __user *bits, u64 words, u64 guard)
{
	return put_user(guard, bits + words - 1) || put_user(guard, bits + words) ?
		       -EFAULT : 0;
}

static int xbz_guard_check(u64 __user *bits, const struct xbz_slot *slot,
			   u64 guard)
{
	unsigned long words = BITS_TO_U64(slot->nr_pages);
	u64 last, behind;

	if (get_user(last, bits + words - 1) || get_user(behind, bits + words))
		return -EFAULT;
	/* KVM sets no bit behind the end of its own slot. */
	if (slot->nr_pages % 64 && last >> slot->nr_pages % 64)
		return -EOVERFLOW;
	return last == guard || behind != guard ? -EOVERFLOW : 0;
}

/* Takes one word of a slot's log into the bitmaps. */
static u64 xbz_take_word(struct xbz_session *s, struct xbz_slot *slot,
			 unsigned long bit, u64 word)
{
	struct xbz_region *r = slot->region;
	unsigned long left = slot->nr_pages - bit;
	unsigned long page = slot->first + bit;

	if (left < 64)
		word &= (1ULL << left) - 1;
	if (!word)
		return 0;
	if (slot->fetched) {
		slot->fetched[bit / 64] |= word;
		__set_bit((page + __ffs64(word)) >> s->log_shift,
			  r->needs_clear);
		__set_bit((page + __fls(word)) >> s->log_shift,
			  r->needs_clear);
	}
	return xbz_bitmap_or(r->bitmap, page, word);
}

/* Sets all of a slot's pages, when its log may have been cleared and lost. */
static u64 xbz_take_all(struct xbz_slot *slot)
{
	unsigned long bit;
	u64 fresh = 0;

	for (bit = 0; bit < slot->nr_pages; bit += 64) {
		unsigned long left = min(slot->nr_pages - bit, 64UL);

		fresh += xbz_bitmap_or(slot->region->bitmap, slot->first + bit,
				       ~0ULL >> (64 - left));
		cond_resched();
	}
	return fresh;
}

static long xbz_slot_fetch(struct xbz_session *s, struct xbz_slot *slot,
			   const struct xbz_scratch *scratch, u64 *fresh)
{
	struct kvm_dirty_log log = {
		.slot = slot->id,
		.dirty_bitmap = xbz_scratch_bits(scratch),
	};
	u64 bytes = xbz_slot_log_bytes(slot), guard = get_random_u64(), done, i;
	u64 __user *bits = log.dirty_bitmap;
	long ret;

	if (copy_to_user(xbz_scratch_head(scratch), &log, sizeof(log)) ||
	    xbz_guard_put(bits, bytes / sizeof(u64), guard))
		return -EFAULT;
	ret = xbz_vm_ioctl(s->vm, KVM_GET_DIRTY_LOG, scratch->addr);
	if (ret < 0)
		return ret;
	ret = xbz_guard_check(bits, slot, guard);
	if (ret)
		return ret;

	for (done = 0; done < bytes; done += XBZ_LOG_BUF_BYTES) {
		u64 len = min_t(u64, bytes - done, XBZ_LOG_BUF_BYTES);

		if (copy_from_user(s->log_buf, log.dirty_bitmap + done, len))
			return -EFAULT;
		for (i = 0; i < len / sizeof(u64); i++)
			if (s->log_buf[i])
				*fresh += xbz_take_word(s, slot,
							done * 8 + i * 64,
							s->log_buf[i]);
		cond_resched();
	}
	return 0;
}

/**
 * xbz_harvest_sync() - fetch the logs of all slots
 * @s: the session
 * @arg: as XBZRLE_SYNC has it; the outputs are filled in
 *
 * Context: the session's lock is held for writing.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists.
 */
int xbz_harvest_sync(struct xbz_session *s, struct xbzrle_sync *arg)
{
	const struct xbz_scratch scratch = { arg->scratch, arg->scratch_bytes };
	struct xbz_slot *slot;
	unsigned long id;
	u64 fresh = 0;

	if (arg->reserved)
		return -EINVAL;
	xa_for_each(&s->slots, id, slot)
		if (!xbz_scratch_ok(&scratch, XBZRLE_SCRATCH_SYNC(slot->nr_pages)))
			return -EINVAL;

	arg->slots_failed = 0;
	arg->failed_slot = 0;
	arg->failed_errno = 0;
	xa_for_each(&s->slots, id, slot) {
		long ret = xbz_slot_fetch(s, slot, &scratch, &fresh);

		if (!ret)
			continue;
		/*
		 * Where fetching clears, or memory was missing behind the fetch:
		 * the process may be wrong about manual protect.
		 */
		if (!slot->fetched || ret == -EFAULT)
			fresh += xbz_take_all(slot);
		if (!arg->slots_failed++) {
			arg->failed_slot = slot->id;
			arg->failed_errno = -ret;
		}
	}
	xbz_counter_inc(&s->counters.syncs);
	xbz_counter_add(&s->counters.log_dirty, fresh);
	arg->new_dirty = fresh;
	arg->pass = xbz_session_next_pass(s, fresh);
	if (arg->slots_failed)
		xbz_event_warning(s, XBZRLE_WARNING_LOG, 0);
	return 0;
}

/*
 * Clears the bits [lo, hi) of a slot, in whole words, that were fetched and are
 * still set in the region's bitmap.
 */
static long xbz_slot_clear(struct xbz_session *s, struct xbz_slot *slot,
			   unsigned long lo, unsigned long hi,
			   const struct xbz_scratch *scratch)
{
	struct kvm_clear_dirty_log log = {
		.slot = slot->id,
		.first_page = lo,
		.num_pages = hi - lo,
		.dirty_bitmap = xbz_scratch_bits(scratch),
	};
	unsigned long words = BITS_TO_U64(hi - lo), i;
	u64 *fetched = slot->fetched + lo / 64;
	u64 any = 0;
	long ret;

	for (i = 0; i < words; i++) {
		unsigned long bit = lo + i * 64;

		s->log_buf[i] = 0;
		if (!fetched[i])
			continue;
		s->log_buf[i] = fetched[i] &
				xbz_bitmap_fetch(slot->region->bitmap,
						 slot->first + bit,
						 min(hi - bit, 64UL));
		any |= s->log_buf[i];
	}
	if (any) {
		if (copy_to_user(log.dirty_bitmap, s->log_buf, words * 8) ||
		    copy_to_user(xbz_scratch_head(scratch), &log, sizeof(log)))
			return -EFAULT;
		ret = xbz_vm_ioctl(s->vm, KVM_CLEAR_DIRTY_LOG, scratch->addr);
		if (ret < 0)
			return ret;
		xbz_counter_inc(&s->counters.log_clears);
	}
	memset(fetched, 0, words * sizeof(u64));
	return 0;
}

static long xbz_block_clear(struct xbz_session *s, struct xbz_region *r,
			    unsigned long block,
			    const struct xbz_scratch *scratch)
{
	unsigned long start = block << s->log_shift;
	unsigned long end = start + BIT(s->log_shift);
	struct xbz_slot *slot;
	unsigned long id;
	long ret;

	xa_for_each(&s->slots, id, slot) {
		unsigned long lo = max(start, slot->first);
		unsigned long hi = min(end, slot->first + slot->nr_pages);

		if (slot->region != r || lo >= hi)
			continue;
		/* KVM takes whole words only, but for the slot's end. */
		lo = round_down(lo - slot->first, 64);
		hi = min(round_up(hi - slot->first, 64), slot->nr_pages);
		ret = xbz_slot_clear(s, slot, lo, hi, scratch);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * xbz_harvest_clear_block() - clear KVM's log of a log block
 * @s: the session
 * @r: the region
 * @block: the log block
 * @scratch: checked scratch memory of XBZRLE_SCRATCH_MIN
 *
 * The first caller clears the block, others wait for it.
 *
 * Context: the session's lock is held for reading, perhaps a queue's lock. May
 * sleep.
 * Return: 0, or KVM's error; the block still needs clearing then.
 */
int xbz_harvest_clear_block(struct xbz_session *s, struct xbz_region *r,
			    unsigned long block,
			    const struct xbz_scratch *scratch)
{
	long ret = 0;

	mutex_lock(&s->log_lock);
	if (test_bit(block, r->needs_clear)) {
		ret = xbz_block_clear(s, r, block, scratch);
		/* Released after KVM has cleared its log. */
		if (!ret)
			clear_bit_unlock(block, r->needs_clear);
	}
	mutex_unlock(&s->log_lock);
	return ret;
}

/**
 * xbz_harvest_clear_range() - clear KVM's log of pages that are not sent
 * @s: the session
 * @arg: as XBZRLE_CLEAR has it
 *
 * Context: the session's lock is held for reading.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists.
 */
int xbz_harvest_clear_range(struct xbz_session *s,
			    const struct xbzrle_clear *arg)
{
	const struct xbz_scratch scratch = { arg->scratch, arg->scratch_bytes };
	unsigned long page, end;
	struct xbz_region *r;

	if (arg->reserved || !xbz_scratch_ok(&scratch, XBZRLE_SCRATCH_MIN))
		return -EINVAL;
	r = xbz_region_range(s, arg->region, arg->first_page, arg->nr_pages);
	if (IS_ERR(r))
		return PTR_ERR(r);

	end = arg->first_page + arg->nr_pages;
	for (page = arg->first_page; page < end;
	     page = round_down(page, BIT(s->log_shift)) + BIT(s->log_shift)) {
		if (xbz_harvest_clear(s, r, page, &scratch))
			return -EIO;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
