/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_CACHE_H
#define _XBZ_CACHE_H

#include "counter.h"
#include "region.h"

#include "core/record.h"

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/types.h>
#include <linux/xbzrle.h>

/*
 * An entry: 0, XBZ_ENTRY_ZERO, or the address of the cached page, which is page
 * aligned, with XBZ_ENTRY_USED if it was used since the clock's hand passed.
 */
#define XBZ_ENTRY_ZERO 1UL
#define XBZ_ENTRY_USED 2UL

/**
 * struct xbz_cache - a queue's shard of the session's cache
 * @lru: the cached pages in the order of the clock's hand
 * @counters: the queue's, of which this has cache_pages, cache_zero, cache_limit
 *	and evictions
 * @credit: for xbz_mem_may_grow()
 *
 * Context: all under the queue's lock but cache_limit, which may change at any
 * time.
 */
struct xbz_cache {
	struct list_head lru;
	struct xbzrle_counters *counters;
	int credit;
};

void *xbz_cache_page_alloc(bool optional);
void xbz_cache_page_free(void *copy);
void xbz_cache_init(struct xbz_cache *cache, struct xbzrle_counters *counters,
		    unsigned long limit);
void xbz_cache_commit(struct xbz_cache *cache, struct xbz_region *region,
		      unsigned long page, enum xbz_known known,
		      void **snapshot);
unsigned long xbz_cache_excess(const struct xbz_cache *cache);
unsigned long xbz_cache_drop(struct xbz_cache *cache, unsigned long nr);

/**
 * xbz_cache_lookup() - say what is known of a page at the destination
 * @region: the page's region
 * @page: its number in the region
 * @copy: set to the cached page, or NULL
 *
 * The record made from this brings the copy up to date; xbz_cache_commit() says
 * afterwards what is known then.
 *
 * Context: the lock of the page's queue is held.
 * Return: what is known.
 */
static inline enum xbz_known xbz_cache_lookup(const struct xbz_region *region,
					      unsigned long page, void **copy)
{
	const unsigned long *leaf = region->leaf[page / XBZRLE_CHUNK_PAGES];
	unsigned long entry = leaf ? leaf[page % XBZRLE_CHUNK_PAGES] : 0;

	*copy = (void *)(entry & PAGE_MASK);
	if (*copy)
		return XBZ_KNOWN_COPY;
	return entry ? XBZ_KNOWN_ZERO : XBZ_KNOWN_NOTHING;
}

#endif /* _XBZ_CACHE_H */
