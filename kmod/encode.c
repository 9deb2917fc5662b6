// SPDX-License-Identifier: GPL-2.0-only
/*
 * ENCODE: from dirty bits to a batch of records in a queue's ring. For a page,
 * in this order and no other:
 *
 *   1. the scan finds it,
 *   2. room for its longest record is in the ring,
 *   3. its log block is clear,
 *   4. its bit is taken from the region's bitmap,
 *   5. the cache says what is known of it,
 *   6. it is read, once, into the queue's snapshot,
 *   7. the record is made from the snapshot,
 *   8. the cache is told what is known of it now.
 *
 * A write of the guest's after 3 sets KVM's bit again, so a snapshot that misses
 * it is sent again. Nothing after 6 can fail; if 6 fails, the bit is put back.
 */
#include "encode.h"
#include "counter.h"
#include "harvest.h"
#include "netlink.h"
#include "session.h"
#include "snapshot.h"

#include "core/record.h"

#include <linux/bitops.h>
#include <linux/ktime.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/xbzrle.h>
#include <linux/xbzrle_netlink.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

/**
 * struct xbz_batch - one ENCODE
 * @s: the session
 * @q: the queue
 * @arg: the caller's struct; its outputs grow with the batch
 * @scratch: memory for calling KVM
 * @room: free bytes of the ring at its start
 * @last: the region of the previous record, NULL at the start
 * @last_whole: that of the previous whole record; @last unless these are apart
 * @insert: whether pages may be added to the cache
 */
struct xbz_batch {
	struct xbz_session *s;
	struct xbz_queue *q;
	struct xbzrle_encode *arg;
	struct xbz_scratch scratch;
	u64 room;
	struct xbz_region *last;
	struct xbz_region *last_whole;
	bool insert;
};

static void xbz_count(struct xbz_batch *b, enum xbz_kind kind, size_t bytes)
{
	struct xbzrle_counters *c = &b->q->counters;
	struct xbzrle_encode *arg = b->arg;

	arg->bytes += bytes;
	arg->pages++;
	xbz_counter_add(&c->bytes, bytes);
	switch (kind) {
	case XBZ_SENT_SAME:
		arg->pages_same++;
		xbz_counter_inc(&c->pages_same);
		break;
	case XBZ_SENT_ZERO:
		arg->pages_zero++;
		xbz_counter_inc(&c->pages_zero);
		break;
	case XBZ_SENT_ZERO_BASED:
		xbz_counter_inc(&c->zero_based);
		fallthrough;
	case XBZ_SENT_DELTA:
		arg->pages_delta++;
		xbz_counter_inc(&c->pages_delta);
		xbz_counter_add(&c->bytes_delta, bytes);
		break;
	case XBZ_SENT_RAW:
		arg->pages_raw++;
		xbz_counter_inc(&c->pages_raw);
		break;
	}
}

static void xbz_count_hit(struct xbz_batch *b, enum xbz_known before,
			  enum xbz_kind kind)
{
	struct xbzrle_counters *c = &b->q->counters;

	if (before == XBZ_KNOWN_NOTHING) {
		xbz_counter_inc(&c->cache_misses);
		return;
	}
	xbz_counter_inc(&c->cache_hits);
	if (kind == XBZ_SENT_RAW)
		xbz_counter_inc(&c->overflows);
}

static void xbz_note_block(struct xbz_batch *b, enum xbz_kind kind,
			   struct xbz_region *r)
{
	bool apart = b->arg->flags & XBZRLE_ENCODE_WHOLE_APART;

	if (!apart || kind == XBZ_SENT_RAW)
		b->last_whole = r;
	if (!apart || kind != XBZ_SENT_RAW)
		b->last = r;
}

/* Steps 5 to 8. */
static int xbz_encode_page(struct xbz_batch *b, const struct xbz_place *place)
{
	struct xbz_region *r = place->region;
	struct xbz_queue *q = b->q;
	struct xbz_record rec = {
		.block = &r->block,
		.offset = (u64)place->page << XBZRLE_PAGE_SHIFT,
		.cont = b->last == r,
		.cont_whole = b->last_whole == r,
		.max_delta = b->arg->max_delta,
		.snapshot = q->snapshot,
	};
	struct xbz_policy_page sent = { };
	size_t bytes;

	sent.known = xbz_cache_lookup(&q->cache, r, place->page, &rec.copy);
	rec.known = sent.known;
	if (xbz_snapshot_read(q->snapshot, r->addr + rec.offset, rec.copy))
		return -EFAULT;
	bytes = xbz_record_page(xbz_ring_at(&q->ring, b->arg->bytes), &rec);
	sent.kind = rec.kind;
	sent.bytes = bytes;
	xbz_cache_commit(&q->cache, r, place->page, &sent,
			 b->insert ? &q->snapshot : NULL);

	if (bytes)
		xbz_note_block(b, rec.kind, r);
	xbz_count(b, rec.kind, bytes);
	xbz_count_hit(b, sent.known, rec.kind);
	return 0;
}

/* Steps 2 and 3, and the ends that do not depend on a page: 0 to continue. */
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
		unsigned long *bitmap = (unsigned long *)place.region->bitmap;

		cond_resched();
		arg->status = xbz_batch_stop(b, &place);
		if (arg->status && arg->status != XBZRLE_STATUS_LOG)
			return;

		/*
		 * Advance even on failure, so that one bad page cannot stall the
		 * queue.
		 */
		xbz_scan_advance(&scan);
		if (arg->status)
			goto out_place;
		if (!test_and_clear_bit(place.page, bitmap))
			continue;
		if (xbz_encode_page(b, &place)) {
			set_bit(place.page, bitmap);
			arg->status = XBZRLE_STATUS_FAULT;
			xbz_counter_inc(&b->q->counters.faults);
			goto out_place;
		}
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
		xbz_counter_inc(&q->counters.batches);
	}
	if (arg->status & XBZRLE_STATUS_FULL)
		xbz_counter_inc(&q->counters.ring_full);
	trace_xbz_batch(b->s->id, arg, b->room - arg->bytes);
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

	if (arg->reserved)
		return -EINVAL;
	if (arg->queue >= s->nr_queues)
		return -ENOENT;
	if (s->nr_slots && !xbz_scratch_ok(&b.scratch, XBZRLE_SCRATCH_MIN))
		return -EINVAL;
	q = &s->queues[array_index_nospec(arg->queue, s->nr_queues)];
	b.q = q;

	if (mutex_lock_killable(&q->lock))
		return -EINTR;
	xbz_encode_reset(arg, q->ring.pos);
	arg->pass = s->now.number;
	if (!q->broken && xbz_ring_reserve(&q->ring, &b.room)) {
		WRITE_ONCE(q->broken, true);
		xbz_event_warning(s, XBZRLE_WARNING_CONSUMER, q->index);
	}
	if (q->broken) {
		ret = -EPIPE;
		goto out_unlock;
	}
	xbz_cache_bound(&q->cache, arg->max_delta);
	if (READ_ONCE(s->max_delta) != arg->max_delta)
		WRITE_ONCE(s->max_delta, arg->max_delta);
	xbz_cache_link(&q->cache, ktime_get_ns() - s->now.begin, s->nr_queues);
	xbz_batch_run(&b);
	xbz_batch_end(&b);

out_unlock:
	xbz_queue_unlock(s, q);
	return ret;
}
