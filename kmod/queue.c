// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues: which pages belong to one, and how it goes around them. What happens
 * to a dirty page that is found is encode.c's.
 */
#include "queue.h"
#include "region.h"
#include "session.h"

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/xbzrle.h>

/**
 * xbz_queue_init() - make a queue
 * @q: zeroed
 * @index: which one of the session's it is
 * @ring_bytes: its ring's size, checked
 * @cache_pages: its shard's limit
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int xbz_queue_init(struct xbz_queue *q, unsigned int index, u64 ring_bytes,
		   unsigned long cache_pages)
{
	int ret;

	mutex_init(&q->lock);
	q->index = index;
	q->snapshot = xbz_cache_page_alloc();
	if (!q->snapshot)
		return -ENOMEM;
	ret = xbz_ring_init(&q->ring, ring_bytes);
	if (ret)
		goto err_snapshot;
	xbz_cache_init(&q->cache, cache_pages);
	q->cache.queue = index;
	return 0;

err_snapshot:
	xbz_cache_page_free(q->snapshot);
	return ret;
}

/**
 * xbz_queue_destroy() - free a queue
 * @q: a queue after xbz_queue_init()
 *
 * Context: may sleep; the regions, and so all cached pages, are gone.
 */
void xbz_queue_destroy(struct xbz_queue *q)
{
	xbz_ring_destroy(&q->ring);
	xbz_cache_page_free(q->snapshot);
	mutex_destroy(&q->lock);
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
 * @page: its number
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
	/*
	 * Others may write to the bitmap while it is searched: a bit more or
	 * less is found, but none behind the end.
	 */
	return data_race(find_next_bit(bitmap, end, from));
}

static unsigned long xbz_find_dirty(struct xbz_scan *scan,
				    const struct xbz_region *r,
				    unsigned long page, unsigned long end)
{
	const unsigned long *bitmap = (const unsigned long *)r->bitmap;

	if (scan->s->nr_queues == 1)
		return xbz_find_bit(bitmap, end, page);

	while (page < end) {
		unsigned long chunk = page / XBZRLE_CHUNK_PAGES;
		unsigned long next = min((chunk + 1) * XBZRLE_CHUNK_PAGES, end);

		if (xbz_chunk_queue(scan->s, r, chunk) == scan->q->index) {
			page = xbz_find_bit(bitmap, next, page);
			if (page < next)
				return page;
		}
		page = next;
	}
	return end;
}

/**
 * xbz_scan_begin() - go once around a queue's pages from its cursor on
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
	/* The region where it begins is looked at twice: its end, its start. */
	scan->regions = s->regions_end ? s->regions_end + 1 : 0;
	scan->end = q->page;
}

/**
 * xbz_scan_next() - find the next dirty page
 * @scan: from xbz_scan_begin()
 * @place: set to the page, whose bit is left as it is
 *
 * The queue's cursor is left on the page: who has dealt with it moves on.
 *
 * Context: as for xbz_scan_begin().
 * Return: false once it has been around.
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
