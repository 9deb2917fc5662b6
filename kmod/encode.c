// SPDX-License-Identifier: GPL-2.0-only
/*
 * ENCODE: from dirty bits to a batch of records in a queue's ring. For a page,
 * in this order and no other:
 *
 *   1. room for its longest record is in the ring,
 *   2. its piece of KVM's log is clear,
 *   3. its bit is taken from the region's bitmap,
 *   4. it is read, once, into the queue's own page,
 *   5. the record is made and the cache brought up to date from that snapshot.
 *
 * A write of the guest's after 2 sets KVM's bit again, so a snapshot that
 * misses it is sent again. Nothing after 4 can fail; before that, the bit is
 * put back.
 */
#include "encode.h"
#include "counter.h"
#include "event.h"
#include "harvest.h"
#include "region.h"
#include "session.h"
#include "trace.h"
#include "trim.h"

#include "core/record.h"

#include <linux/bitops.h>
#include <linux/cache.h>
#include <linux/nospec.h>
#include <linux/prefetch.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/xbzrle.h>
#include <linux/xbzrle_netlink.h>

/* Bytes that are read while as many of the copy are fetched. */
#define XBZ_PIECE 1024

/**
 * struct xbz_batch - one ENCODE
 * @s: the session
 * @q: the queue
 * @arg: the caller's struct; its outputs grow with the batch
 * @scratch: memory for talking to KVM
 * @room: free bytes of the ring when it began
 * @last: the region of the record before, NULL at the start
 * @insert: whether pages may be remembered that are not yet
 */
struct xbz_batch {
	struct xbz_session *s;
	struct xbz_queue *q;
	struct xbzrle_encode *arg;
	struct xbz_scratch scratch;
	u64 room;
	struct xbz_region *last;
	bool insert;
};

static void xbz_count(struct xbz_batch *b, enum xbz_kind kind, size_t bytes)
{
	struct xbz_queue_stats *st = &b->q->stats;
	struct xbzrle_encode *arg = b->arg;

	arg->bytes += bytes;
	arg->pages++;
	xbz_counter_add(&st->bytes, bytes);
	switch (kind) {
	case XBZ_SENT_SAME:
		arg->pages_same++;
		xbz_counter_inc(&st->pages_same);
		break;
	case XBZ_SENT_ZERO:
		arg->pages_zero++;
		xbz_counter_inc(&st->pages_zero);
		break;
	case XBZ_SENT_ZERO_BASED:
		xbz_counter_inc(&st->zero_based);
		fallthrough;
	case XBZ_SENT_DELTA:
		arg->pages_delta++;
		xbz_counter_inc(&st->pages_delta);
		xbz_counter_add(&st->bytes_delta, bytes);
		break;
	case XBZ_SENT_RAW:
		arg->pages_raw++;
		xbz_counter_inc(&st->pages_raw);
		break;
	}
}

/*
 * Step 4. The codec is going to compare with the copy, which seldom is in the
 * CPU's cache: it is fetched while the page is read, piece by piece, so that
 * neither has to wait for all of the other.
 */
static int xbz_read_page(void *snapshot, const void __user *from,
			 const void *copy)
{
	unsigned int at, i;

	if (!copy)
		return copy_from_user(snapshot, from, XBZRLE_PAGE_SIZE) ?
		       -EFAULT : 0;
	for (at = 0; at < XBZRLE_PAGE_SIZE; at += XBZ_PIECE) {
		for (i = 0; i < XBZ_PIECE; i += SMP_CACHE_BYTES)
			prefetch(copy + at + i);
		if (copy_from_user(snapshot + at, from + at, XBZ_PIECE))
			return -EFAULT;
	}
	return 0;
}

/* Steps 4 and 5. */
static int xbz_encode_page(struct xbz_batch *b, const struct xbz_place *place)
{
	u64 offset = (u64)place->page << XBZRLE_PAGE_SHIFT;
	struct xbz_region *r = place->region;
	struct xbz_queue *q = b->q;
	struct xbz_page_state state;
	enum xbz_known before;
	enum xbz_kind kind;
	size_t bytes;

	xbz_cache_get(&q->cache, r, place->page, &state);
	before = state.known;
	if (xbz_read_page(q->snapshot, u64_to_user_ptr(r->addr + offset),
			  state.copy))
		return -EFAULT;

	bytes = xbz_record_page(xbz_ring_at(&q->ring, b->arg->bytes), &r->block,
				offset, b->last == r, q->snapshot, &state,
				&kind);
	xbz_cache_put(&q->cache, r, place->page, state.known);
	if (state.known == XBZ_KNOWN_NOTHING && b->insert)
		xbz_cache_store(&q->cache, r, place->page, &q->snapshot);

	if (before == XBZ_KNOWN_NOTHING) {
		xbz_counter_inc(&q->stats.cache_misses);
	} else {
		xbz_counter_inc(&q->stats.cache_hits);
		if (kind == XBZ_SENT_RAW)
			xbz_counter_inc(&q->stats.overflows);
	}
	if (bytes)
		b->last = r;
	xbz_count(b, kind, bytes);
	return 0;
}

/* Steps 1 and 2, and the ends that do not depend on a page: 0 to go on. */
static u32 xbz_batch_stop(struct xbz_batch *b, const struct xbz_place *place)
{
	const struct xbzrle_encode *arg = b->arg;

	if (arg->budget && arg->bytes >= arg->budget)
		return XBZRLE_STATUS_BUDGET;
	if (arg->max_pages && arg->pages >= arg->max_pages)
		return XBZRLE_STATUS_BUDGET;
	if (b->room - arg->bytes < XBZRLE_RECORD_MAX)
		return XBZRLE_STATUS_FULL;
	if (signal_pending(current))
		return XBZRLE_STATUS_SIGNAL;
	if (xbz_harvest_clear(b->s, place->region, place->page, &b->scratch))
		return XBZRLE_STATUS_LOG;
	return 0;
}

static void xbz_batch_run(struct xbz_batch *b)
{
	struct xbzrle_encode *arg = b->arg;
	struct xbz_place place;
	struct xbz_scan scan;

	xbz_scan_begin(&scan, b->s, b->q);
	while (xbz_scan_next(&scan, &place)) {
		arg->status = xbz_batch_stop(b, &place);
		if (arg->status && arg->status != XBZRLE_STATUS_LOG)
			return;

		/* Behind it also if it fails: others shall not wait for it. */
		b->q->page++;
		if (arg->status)
			goto out_place;
		if (!test_and_clear_bit(place.page,
					(unsigned long *)place.region->bitmap))
			continue;
		if (xbz_encode_page(b, &place)) {
			set_bit(place.page,
				(unsigned long *)place.region->bitmap);
			arg->status = XBZRLE_STATUS_FAULT;
			xbz_counter_inc(&b->q->stats.faults);
			goto out_place;
		}
		cond_resched();
	}
	arg->status = XBZRLE_STATUS_IDLE;
	return;

out_place:
	arg->fault_region = place.region->id;
	arg->fault_page = place.page;
}

static void xbz_batch_end(struct xbz_batch *b)
{
	const struct xbzrle_encode *arg = b->arg;
	struct xbz_queue *q = b->q;

	if (arg->bytes) {
		xbz_ring_publish(&q->ring, arg->bytes);
		xbz_counter_inc(&q->stats.batches);
	}
	if (arg->status & XBZRLE_STATUS_FULL)
		xbz_counter_inc(&q->stats.ring_full);
	trace_xbz_batch(b->s->id, arg);
	if (arg->status & (XBZRLE_STATUS_FULL | XBZRLE_STATUS_FAULT |
			   XBZRLE_STATUS_LOG))
		trace_xbz_stall(b->s->id, arg, arg->status,
				b->room - arg->bytes);
}

static void xbz_encode_reset(struct xbzrle_encode *arg, u64 pos)
{
	arg->pos = pos;
	arg->bytes = 0;
	arg->pages = 0;
	arg->pages_same = 0;
	arg->pages_zero = 0;
	arg->pages_delta = 0;
	arg->pages_raw = 0;
	arg->status = 0;
	arg->fault_region = 0;
	arg->fault_page = 0;
}

/**
 * xbz_encode_batch() - encode a queue's dirty pages
 * @s: the session
 * @arg: as XBZRLE_ENCODE has it; the outputs are filled in
 *
 * Context: the session's lock is held for reading, by a thread of its process.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists; no bit was taken then.
 */
int xbz_encode_batch(struct xbz_session *s, struct xbzrle_encode *arg)
{
	struct xbz_batch b = {
		.s = s,
		.arg = arg,
		.scratch = { arg->scratch, arg->scratch_bytes },
		.insert = !(arg->flags & XBZRLE_ENCODE_LAST_STAGE),
	};
	struct xbz_queue *q;
	int ret = 0;

	if (arg->queue >= s->nr_queues)
		return -ENOENT;
	if (s->nr_slots && !xbz_scratch_ok(&b.scratch, XBZRLE_SCRATCH_MIN))
		return -EINVAL;
	q = &s->queues[array_index_nospec(arg->queue, s->nr_queues)];
	b.q = q;

	if (mutex_lock_killable(&q->lock))
		return -EINTR;
	xbz_encode_reset(arg, q->ring.pos);
	if (q->broken || xbz_ring_reserve(&q->ring, &b.room)) {
		if (!q->broken)
			xbz_event_warning(s, XBZRLE_WARNING_CONSUMER, q->index);
		trace_xbz_stall(s->id, arg, XBZ_STALL_CONSUMER, 0);
		WRITE_ONCE(q->broken, true);
		ret = -EPIPE;
		goto out_unlock;
	}
	xbz_batch_run(&b);
	xbz_batch_end(&b);

out_unlock:
	xbz_queue_unlock(q);
	return ret;
}
