// SPDX-License-Identifier: GPL-2.0-only
/*
 * Harvests KVM's dirty log: fetches it into the regions' bitmaps, and clears
 * it, late and in large pieces, before pages are read.
 *
 * Why no write of the guest's is lost with manual protect:
 *
 *  - SYNC sets, for each bit that it fetches, first the slot's own bit and the
 *    piece's stale bit, then the bit in the region's bitmap. KVM's bit stays.
 *  - A page whose bit is taken from the region's bitmap is read only after its
 *    piece of the log is no longer stale.
 *  - Clearing a piece clears in KVM's log just the bits that were fetched and
 *    that are still set in the region's bitmap, so each such page will be read
 *    later than this. A bit that somebody took out of the region's bitmap in
 *    between stays in KVM's log, and the next SYNC brings it again.
 *
 * Without manual protect fetching clears, and all pages are read later.
 *
 * KVM reads and writes user memory; the caller lends some. What comes back from
 * there is taken for bits, and nothing but bits.
 */
#include "harvest.h"
#include "counter.h"
#include "event.h"
#include "region.h"
#include "session.h"
#include "slot.h"
#include "trace.h"
#include "vm.h"

#include "core/bitmap.h"

#include <linux/err.h>
#include <linux/kvm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/xbzrle.h>
#include <linux/xbzrle_netlink.h>

/* A piece of the log, widened to whole words at both ends, fits the buffer. */
static_assert(XBZ_LOG_CHUNK_PAGES / 8 + 2 * sizeof(u64) <= XBZ_LOG_BUF_BYTES);

static void __user *xbz_scratch_head(const struct xbz_scratch *scratch)
{
	return u64_to_user_ptr(scratch->addr);
}

static void __user *xbz_scratch_bits(const struct xbz_scratch *scratch)
{
	return u64_to_user_ptr(scratch->addr + XBZRLE_SCRATCH_HEAD);
}

/**
 * xbz_scratch_ok() - whether scratch memory will do
 * @scratch: what the caller gave
 * @need: bytes
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

/* Takes one word of a slot's log into the bitmaps. */
static u64 xbz_take_word(struct xbz_slot *slot, unsigned long bit, u64 word)
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
		__set_bit((page + __ffs64(word)) >> XBZ_LOG_CHUNK_SHIFT,
			  r->stale);
		__set_bit((page + __fls(word)) >> XBZ_LOG_CHUNK_SHIFT,
			  r->stale);
	}
	return xbz_bitmap_or(r->bitmap, page, word);
}

/* All of a slot's pages, when its log may have been cleared and lost. */
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
	u64 bytes = xbz_slot_log_bytes(slot), done, i;
	long ret;

	if (copy_to_user(xbz_scratch_head(scratch), &log, sizeof(log)))
		return -EFAULT;
	ret = xbz_vm_ioctl(s->vm, KVM_GET_DIRTY_LOG, scratch->addr);
	if (ret < 0)
		return ret;

	for (done = 0; done < bytes; done += XBZ_LOG_BUF_BYTES) {
		u64 len = min_t(u64, bytes - done, XBZ_LOG_BUF_BYTES);

		if (copy_from_user(s->log_buf, log.dirty_bitmap + done, len))
			return -EFAULT;
		for (i = 0; i < len / sizeof(u64); i++)
			if (s->log_buf[i])
				*fresh += xbz_take_word(slot, done * 8 + i * 64,
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
		if (!xbz_scratch_ok(&scratch, XBZRLE_SCRATCH_HEAD +
					      xbz_slot_log_bytes(slot)))
			return -EINVAL;

	arg->slots_failed = 0;
	arg->failed_slot = 0;
	arg->failed_errno = 0;
	xa_for_each(&s->slots, id, slot) {
		long ret = xbz_slot_fetch(s, slot, &scratch, &fresh);

		if (!ret)
			continue;
		if (!slot->fetched)
			fresh += xbz_take_all(slot);
		if (!arg->slots_failed++) {
			arg->failed_slot = slot->id;
			arg->failed_errno = -ret;
		}
	}
	xbz_counter_add(&s->log_dirty, fresh);
	arg->new_dirty = fresh;
	arg->pass = xbz_session_next_pass(s, fresh);
	trace_xbz_sync(s->id, arg);
	xbz_event_pass(s);
	if (arg->slots_failed)
		xbz_event_warning(s, XBZRLE_WARNING_LOG, 0);
	return 0;
}

/* Bits [lo, hi) of a slot, in whole words: clear what was fetched and is due. */
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
		atomic64_inc(&s->log_clears);
	}
	memset(fetched, 0, words * sizeof(u64));
	return 0;
}

static long xbz_chunk_clear(struct xbz_session *s, struct xbz_region *r,
			    unsigned long chunk,
			    const struct xbz_scratch *scratch)
{
	unsigned long start = chunk << XBZ_LOG_CHUNK_SHIFT;
	unsigned long end = start + XBZ_LOG_CHUNK_PAGES;
	struct xbz_slot *slot;
	unsigned long id;
	long ret;

	xa_for_each(&s->slots, id, slot) {
		unsigned long lo = max(start, slot->first);
		unsigned long hi = min(end, slot->first + slot->nr_pages);

		if (slot->region != r || lo >= hi)
			continue;
		/* KVM wants whole words, but for the slot's end. */
		lo = round_down(lo - slot->first, 64);
		hi = min(round_up(hi - slot->first, 64), slot->nr_pages);
		ret = xbz_slot_clear(s, slot, lo, hi, scratch);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * xbz_harvest_clear() - clear KVM's log where a page is going to be read
 * @s: the session
 * @r: the page's region
 * @page: the page; its bit in the region's bitmap is still set
 * @scratch: checked scratch memory of XBZRLE_SCRATCH_MIN
 *
 * Who comes first clears the page's piece of the log, others wait for it.
 *
 * Context: the session's lock is held for reading, perhaps a queue's lock. May
 * sleep.
 * Return: 0, or KVM's error; the piece stays stale then.
 */
int xbz_harvest_clear(struct xbz_session *s, struct xbz_region *r,
		      unsigned long page, const struct xbz_scratch *scratch)
{
	unsigned long chunk = page >> XBZ_LOG_CHUNK_SHIFT;
	long ret = 0;

	/* Pairs with the release below: then KVM has cleared its log. */
	if (!test_bit_acquire(chunk, r->stale))
		return 0;

	mutex_lock(&s->log_lock);
	if (test_bit(chunk, r->stale)) {
		ret = xbz_chunk_clear(s, r, chunk, scratch);
		if (!ret)
			clear_bit_unlock(chunk, r->stale);
	}
	mutex_unlock(&s->log_lock);
	return ret;
}

/**
 * xbz_harvest_clear_range() - clear KVM's log for pages that are not sent
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
	     page = round_down(page, XBZ_LOG_CHUNK_PAGES) +
		    XBZ_LOG_CHUNK_PAGES) {
		if (xbz_harvest_clear(s, r, page, &scratch))
			return -EIO;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
