// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues: the pages that belong to one, the scan for dirty pages among them, and
 * the queue's lock.
 *
 * A requester wants cached pages dropped: for a smaller cache, a flush, a smaller
 * limit of the host's, or a region that was removed. The lock may be held while guest
 * memory is read, which takes as long as the session's process likes (userfaultfd,
 * FUSE); so neither a requester nor the reaper waits for it. Requesters set the limit,
 * q->drop or s->dead and kick the reaper, which tries the lock. On contention the
 * holder rechecks all three after unlocking, and kicks the reaper again:
 *
 *   reaper                              holder
 *       sees cache_limit, q->drop           unlock
 *   (A) smp_mb()                        (B) smp_mb()
 *       trylock                             read cache_limit, q->drop, s->dead
 *
 * (A) pairs with (B): if the trylock fails, the holder sees what was set.
 */
#include "queue.h"
#include "region.h"
#include "session.h"

#include <linux/bitmap.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/xbzrle.h>

/* Pages that are searched without a point to reschedule. */
#define XBZ_FIND_PAGES BIT(20)

/**
 * xbz_queue_init() - create a queue
 * @q: zeroed
 * @index: its number in the session
 * @s: the session, whose table of regions exists
 * @ring_bytes: its ring's size, checked
 * @cache_pages: its shard's limit
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int xbz_queue_init(struct xbz_queue *q, unsigned int index,
		   struct xbz_session *s, u64 ring_bytes,
		   unsigned long cache_pages)
{
	int ret;

	mutex_init(&q->lock);
	q->index = index;
	q->snapshot = xbz_cache_page_alloc(s->account, false);
	if (!q->snapshot)
		return -ENOMEM;
	ret = xbz_ring_init(&q->ring, s->account, ring_bytes);
	if (ret)
		goto err_snapshot;
	xbz_cache_init(&q->cache, s->account, &q->counters, s->regions, cache_pages);
	return 0;

err_snapshot:
	xbz_cache_page_free(s->account, q->snapshot);
	return ret;
}

/**
 * xbz_queue_destroy() - free what a queue holds
 * @q: a queue after xbz_queue_init()
 *
 * Observers may still read its counters, and reclaim finds nothing to drop.
 *
 * Context: may sleep; nothing is cached any more.
 */
void xbz_queue_destroy(struct xbz_queue *q)
{
	/* Reclaim may be looking. */
	mutex_lock(&q->lock);
	xbz_cache_destroy(&q->cache);
	mutex_unlock(&q->lock);
	xbz_ring_destroy(&q->ring);
	xbz_cache_page_free(q->cache.account, q->snapshot);
}

static unsigned int xbz_chunk_queue(const struct xbz_session *s,
				    const struct xbz_region *r,
				    unsigned long chunk)
{
	return (chunk + r->id) % s->nr_queues;
}

/**
 * xbz_queue_of() - the queue that a page belongs to
 * @s: the session
 * @region: the page's region
 * @page: its number in the region
 */
struct xbz_queue *xbz_queue_of(struct xbz_session *s,
			       const struct xbz_region *region,
			       unsigned long page)
{
	return &s->queues[xbz_chunk_queue(s, region,
					  page / XBZRLE_CHUNK_PAGES)];
}

static unsigned long xbz_find_bit(const unsigned long *bitmap, unsigned long end,
				  unsigned long from)
{
	unsigned long next, found;

	for (; from < end; from = next) {
		next = min(from + XBZ_FIND_PAGES, end);
		/*
		 * The bitmap may be written to while it is searched: a bit more
		 * or less is found, but none behind the end.
		 */
		found = data_race(find_next_bit(bitmap, next, from));
		if (found < next)
			return found;
		cond_resched();
	}
	return end;
}

/* A queue has every nr_queues-th chunk of a region: it visits no others. */
static unsigned long xbz_find_dirty(struct xbz_scan *scan,
				    const struct xbz_region *r,
				    unsigned long page, unsigned long end)
{
	const unsigned long *bitmap = (const unsigned long *)r->bitmap;
	unsigned long chunk = page / XBZRLE_CHUNK_PAGES, skip;
	unsigned int nr = scan->s->nr_queues;

	if (nr == 1)
		return xbz_find_bit(bitmap, end, page);

	skip = (scan->q->index + nr - xbz_chunk_queue(scan->s, r, chunk)) % nr;
	if (skip)
		page = (chunk + skip) * XBZRLE_CHUNK_PAGES;
	while (page < end) {
		unsigned long next = round_down(page, XBZRLE_CHUNK_PAGES) +
				     XBZRLE_CHUNK_PAGES;

		page = xbz_find_bit(bitmap, min(next, end), page);
		if (page < min(next, end))
			return page;
		page = next + (nr - 1) * XBZRLE_CHUNK_PAGES;
	}
	return end;
}

/**
 * xbz_scan_begin() - begin a round over a queue's pages from its cursor on
 * @scan: to be filled
 * @s: the session
 * @q: the queue
 *
 * Context: the session's lock is held for reading, the queue's lock is held.
 */
void xbz_scan_begin(struct xbz_scan *scan, struct xbz_session *s,
		    struct xbz_queue *q)
{
	scan->s = s;
	scan->q = q;
	if (q->region >= s->regions_end) {
		q->region = 0;
		q->page = 0;
	}
	/* The first region is searched twice: first its end, last its start. */
	scan->regions = s->regions_end ? s->regions_end + 1 : 0;
	scan->end = q->page;
}

/**
 * xbz_scan_next() - find the next dirty page
 * @scan: from xbz_scan_begin()
 * @place: set to the page, whose bit stays set
 *
 * The queue's cursor is on the page until xbz_scan_advance().
 *
 * Context: as for xbz_scan_begin().
 * Return: false at the end of the round.
 */
bool xbz_scan_next(struct xbz_scan *scan, struct xbz_place *place)
{
	struct xbz_session *s = scan->s;
	struct xbz_queue *q = scan->q;

	while (scan->regions) {
		struct xbz_region *r = s->regions[q->region];
		unsigned long end = r ? r->nr_pages : 0;

		if (scan->regions == 1)
			end = min(end, scan->end);
		if (r && q->page < end) {
			q->page = xbz_find_dirty(scan, r, q->page, end);
			if (q->page < end) {
				place->region = r;
				place->page = q->page;
				return true;
			}
		}
		if (!--scan->regions)
			break;
		q->region = (q->region + 1) % s->regions_end;
		q->page = 0;
	}
	return false;
}

/* Requests do not add up, and none makes another one smaller. */
static void xbz_drop_raise(struct xbz_queue *q, long drop)
{
	long old = atomic_long_read(&q->drop);

	while (old < drop && !atomic_long_try_cmpxchg(&q->drop, &old, drop))
		;
}

/* Pages that went in another way are not asked for any more; the lock is held. */
static void xbz_drop_lower(struct xbz_queue *q)
{
	long old = atomic_long_read(&q->drop), pages = q->counters.cache_pages;

	while (old > pages && !atomic_long_try_cmpxchg(&q->drop, &old, pages))
		;
}

/* Cached pages that are to be dropped. */
static unsigned long xbz_queue_due(struct xbz_queue *q)
{
	unsigned long drop = atomic_long_read(&q->drop);

	return min_t(unsigned long, max(drop, xbz_cache_excess(&q->cache)),
		     READ_ONCE(q->counters.cache_pages));
}

/**
 * xbz_queue_reap() - drop some of the cached pages that are to be dropped
 * @q: the queue
 *
 * Context: the reaper, or reclaim: the queue's lock is tried.
 * Return: number of pages dropped; 0 if there is no more to do, or if the lock is held:
 * then its holder kicks the reaper after unlocking.
 */
unsigned long xbz_queue_reap(struct xbz_queue *q)
{
	unsigned long drop, n;
	LIST_HEAD(pages);

	smp_mb(); /* (A) */
	if (!xbz_queue_due(q) || !mutex_trylock(&q->lock))
		return 0;
	drop = atomic_long_xchg(&q->drop, 0);
	n = max(drop, xbz_cache_excess(&q->cache));
	n = xbz_cache_take(&q->cache, n, XBZ_TRIM_PAGES, &pages);
	if (n < drop)
		xbz_drop_raise(q, drop - n);
	xbz_drop_lower(q);
	mutex_unlock(&q->lock);
	/* Wiping needs no lock. */
	xbz_cache_pages_free(q->cache.account, &pages);
	return n;
}

static void xbz_queue_recheck(struct xbz_session *s, struct xbz_queue *q)
{
	smp_mb(); /* (B) */
	if (xbz_queue_due(q) || !list_empty(&s->dead))
		xbz_session_kick(s);
}

/**
 * xbz_queue_unlock() - unlock a queue
 * @s: the session
 * @q: the queue
 *
 * Every holder but xbz_queue_reap() unlocks by this, and kicks the reaper if it is due.
 *
 * Context: any.
 */
void xbz_queue_unlock(struct xbz_session *s, struct xbz_queue *q)
{
	xbz_drop_lower(q);
	mutex_unlock(&q->lock);
	xbz_queue_recheck(s, q);
}

/**
 * xbz_queue_trim() - request that cached pages are dropped
 * @q: the queue
 * @drop: number of pages; those above the limit are dropped in any case
 *
 * The caller kicks the reaper afterwards.
 *
 * Context: any.
 */
void xbz_queue_trim(struct xbz_queue *q, unsigned long drop)
{
	xbz_drop_raise(q, drop);
}

/**
 * xbz_queue_reclaim() - drop cached pages now, if the queue's lock is free
 * @s: the session
 * @q: the queue
 * @nr: number of pages; the reaper drops the rest
 *
 * Context: reclaim.
 * Return: number of pages dropped here.
 */
unsigned long xbz_queue_reclaim(struct xbz_session *s, struct xbz_queue *q,
				unsigned long nr)
{
	unsigned long dropped = 0, n;

	xbz_drop_raise(q, nr);
	while (dropped < nr && (n = xbz_queue_reap(q))) {
		dropped += n;
		cond_resched();
	}
	xbz_queue_recheck(s, q);
	return dropped;
}
