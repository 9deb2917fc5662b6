/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_QUEUE_H
#define _XBZ_QUEUE_H

#include "cache.h"
#include "ring.h"

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct xbz_region;
struct xbz_session;
struct xbzrle_counters;

/* What a queue did; struct xbzrle_counters says what each of them counts. */
struct xbz_queue_stats {
	u64 pages_same;
	u64 pages_zero;
	u64 pages_delta;
	u64 pages_raw;
	u64 zero_based;
	u64 bytes;
	u64 bytes_delta;
	u64 cache_hits;
	u64 cache_misses;
	u64 overflows;
	u64 batches;
	u64 ring_full;
	u64 faults;
};

/**
 * struct xbz_queue - encodes the chunks that belong to it, in order
 * @lock: one ENCODE at a time; inside the session's lock
 * @index: which one it is
 * @broken: its consumer lied, nothing is encoded any more
 * @region: cursor: the region to go on in
 * @page: cursor: the page to go on with
 * @ring: its ring
 * @cache: its shard of the cache
 * @snapshot: the page being encoded, read from the guest once
 * @stats: its counters
 * @drop: copies that somebody wants to be dropped, see trim.c
 *
 * A page always belongs to the same queue, so everything about it but the
 * shared bitmap is under one queue's lock.
 */
struct xbz_queue {
	struct mutex lock;
	unsigned int index;
	bool broken;
	unsigned int region;
	unsigned long page;
	struct xbz_ring ring;
	struct xbz_cache cache;
	void *snapshot;
	struct xbz_queue_stats stats;
	atomic_long_t drop;
} ____cacheline_aligned_in_smp;

/**
 * struct xbz_place - a dirty page that was found
 * @region: its region
 * @page: its number
 */
struct xbz_place {
	struct xbz_region *region;
	unsigned long page;
};

/**
 * struct xbz_scan - one time around a queue's pages
 * @s: the session
 * @q: the queue; its cursor moves
 * @regions: regions still to look at
 * @end: where it began, in the last of them
 */
struct xbz_scan {
	struct xbz_session *s;
	struct xbz_queue *q;
	unsigned int regions;
	unsigned long end;
};

int xbz_queue_init(struct xbz_queue *q, unsigned int index, u64 ring_bytes,
		   unsigned long cache_pages);
void xbz_queue_destroy(struct xbz_queue *q);
struct xbz_queue *xbz_queue_of(struct xbz_session *s,
			       const struct xbz_region *region,
			       unsigned long page);
void xbz_scan_begin(struct xbz_scan *scan, struct xbz_session *s,
		    struct xbz_queue *q);
void xbz_queue_sum(const struct xbz_queue *q, struct xbzrle_counters *c);
bool xbz_scan_next(struct xbz_scan *scan, struct xbz_place *place);

#endif /* _XBZ_QUEUE_H */
