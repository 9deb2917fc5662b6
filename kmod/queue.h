/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_QUEUE_H
#define _XBZ_QUEUE_H

#include "cache.h"
#include "counter.h"
#include "ring.h"

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct xbz_region;
struct xbz_session;

/* Cached pages that are dropped before an ENCODE gets the lock, at most. */
#define XBZ_TRIM_PAGES 256UL

/**
 * struct xbz_queue - encodes the chunks that belong to it, in order
 * @lock: one ENCODE at a time; inside the session's lock
 * @index: its number in the session
 * @broken: its consumer's position was invalid; it encodes nothing any more
 * @region: cursor: the region to continue in
 * @page: cursor: the page to continue with
 * @ring: its ring
 * @cache: its shard of the cache
 * @snapshot: the page being encoded, read from the guest once
 * @counters: its counters
 * @drop: cached pages that requesters want dropped
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
	struct xbzrle_counters counters;
	atomic_long_t drop;
} ____cacheline_aligned_in_smp;

/**
 * struct xbz_place - a dirty page that was found
 * @region: its region
 * @page: its number in the region
 */
struct xbz_place {
	struct xbz_region *region;
	unsigned long page;
};

/**
 * struct xbz_scan - one round over a queue's pages
 * @s: the session
 * @q: the queue; its cursor moves
 * @regions: regions still to be searched
 * @end: where it began, in the last of them
 */
struct xbz_scan {
	struct xbz_session *s;
	struct xbz_queue *q;
	unsigned int regions;
	unsigned long end;
};

int xbz_queue_init(struct xbz_queue *q, unsigned int index,
		   struct xbz_session *s, u64 ring_bytes,
		   unsigned long cache_pages);
void xbz_queue_destroy(struct xbz_queue *q);
struct xbz_queue *xbz_queue_of(struct xbz_session *s,
			       const struct xbz_region *region,
			       unsigned long page);
void xbz_scan_begin(struct xbz_scan *scan, struct xbz_session *s,
		    struct xbz_queue *q);
bool xbz_scan_next(struct xbz_scan *scan, struct xbz_place *place);
void xbz_queue_unlock(struct xbz_session *s, struct xbz_queue *q);
void xbz_queue_trim(struct xbz_queue *q, unsigned long drop);
unsigned long xbz_queue_reap(struct xbz_queue *q);
unsigned long xbz_queue_reclaim(struct xbz_session *s, struct xbz_queue *q,
				unsigned long nr);

/**
 * xbz_scan_advance() - move the cursor past the page that was found
 * @scan: after xbz_scan_next()
 *
 * A page whose batch ends before it keeps the cursor.
 */
static inline void xbz_scan_advance(struct xbz_scan *scan)
{
	scan->q->page++;
}

#endif /* _XBZ_QUEUE_H */
