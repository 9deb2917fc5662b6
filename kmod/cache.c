// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of pages at the destination: nothing, zero, or a copy. A page is
 * found by its number without hashing: each chunk of a region has a leaf of
 * entries, allocated when the first of its pages is known.
 *
 * Dropping a copy costs bytes and never correctness. So every failure here ends
 * in "nothing is known".
 *
 * Eviction is CLOCK: the oldest copy that was not used since the hand passed it.
 */
#include "cache.h"
#include "memory.h"

#include <linux/sched.h>

/* Steps of the clock's hand for one eviction. */
#define XBZ_CLOCK_STEPS 16

static unsigned long *xbz_entry(struct xbz_cache *cache,
				struct xbz_region *region, unsigned long page,
				bool make)
{
	unsigned long **leaf = &region->leaf[page / XBZRLE_CHUNK_PAGES];

	if (!*leaf && make && xbz_mem_may_grow(&cache->credit))
		*leaf = xbz_mem_leaf();
	return *leaf ? &(*leaf)[page % XBZRLE_CHUNK_PAGES] : NULL;
}

/**
 * xbz_cache_page_alloc() - allocate a page for guest data, not zeroed
 * @optional: the caller works without it
 *
 * Context: may sleep.
 * Return: the page, or NULL.
 */
void *xbz_cache_page_alloc(bool optional)
{
	struct page *page = xbz_mem_page(optional);

	return page ? page_address(page) : NULL;
}

/**
 * xbz_cache_page_free() - wipe a page and free it
 * @copy: from xbz_cache_page_alloc()
 */
void xbz_cache_page_free(void *copy)
{
	xbz_mem_page_free(virt_to_page(copy));
}

/* Sets an entry to nothing; a copy is handed to the caller. */
static void *xbz_entry_take(struct xbz_cache *cache, unsigned long *entry)
{
	void *copy = (void *)(*entry & PAGE_MASK);

	if (copy) {
		list_del(&virt_to_page(copy)->lru);
		xbz_counter_dec(&cache->counters->cache_pages);
	} else if (*entry == XBZ_ENTRY_ZERO) {
		xbz_counter_dec(&cache->counters->cache_zero);
	}
	*entry = 0;
	return copy;
}

/* Takes the next copy out of the cache; NULL if the hand found all of them used. */
static void *xbz_cache_evict(struct xbz_cache *cache, bool force)
{
	unsigned int steps;

	for (steps = 0; steps < XBZ_CLOCK_STEPS; steps++) {
		struct page *page =
			list_first_entry_or_null(&cache->lru, struct page, lru);
		unsigned long *entry;

		if (!page)
			return NULL;
		entry = (unsigned long *)page_private(page);
		if (!force && *entry & XBZ_ENTRY_USED) {
			*entry &= ~XBZ_ENTRY_USED;
			list_move_tail(&page->lru, &cache->lru);
			continue;
		}
		xbz_counter_inc(&cache->counters->evictions);
		return xbz_entry_take(cache, entry);
	}
	return NULL;
}

/**
 * xbz_cache_init() - initialize an empty shard
 * @cache: the shard
 * @counters: the queue's counters
 * @limit: limit on cached pages
 */
void xbz_cache_init(struct xbz_cache *cache, struct xbzrle_counters *counters,
		    unsigned long limit)
{
	INIT_LIST_HEAD(&cache->lru);
	cache->counters = counters;
	counters->cache_limit = limit;
}

/*
 * The snapshot becomes the cached page, and another page takes its place: a new
 * one while there is room, else that of an evicted page. The page is not cached if
 * all cached pages were used lately.
 */
static void xbz_cache_insert(struct xbz_cache *cache, struct xbz_region *region,
			     unsigned long page, void **snapshot)
{
	/* If it shrinks after this, trimming drops the page again. */
	u64 limit = READ_ONCE(cache->counters->cache_limit);
	void *copy = *snapshot, *spare = NULL;
	unsigned long *entry;
	struct page *p;

	if (!limit)
		return;
	entry = xbz_entry(cache, region, page, true);
	if (entry && cache->counters->cache_pages < limit &&
	    xbz_mem_may_grow(&cache->credit))
		spare = xbz_cache_page_alloc(true);
	if (!spare && (!entry || cache->counters->cache_pages < limit))
		xbz_counter_inc(&cache->counters->cache_refused);
	/* Without memory to grow, the cache goes on with what it has. */
	if (entry && !spare)
		spare = xbz_cache_evict(cache, false);
	if (!spare)
		return;

	*snapshot = spare;
	p = virt_to_page(copy);
	set_page_private(p, (unsigned long)entry);
	list_add_tail(&p->lru, &cache->lru);
	*entry = (unsigned long)copy;
	xbz_counter_inc(&cache->counters->cache_pages);
}

/**
 * xbz_cache_commit() - store what is known of a page now
 * @cache: the shard of the page's queue
 * @region: the page's region
 * @page: its number in the region
 * @known: what is known; %XBZ_KNOWN_COPY only if xbz_cache_lookup() returned it
 *	and the copy is up to date
 * @snapshot: with %XBZ_KNOWN_NOTHING the page's content at the destination, from
 *	xbz_cache_page_alloc(), to be cached if there is room: it is replaced by
 *	another page then. NULL to cache nothing
 *
 * The one place where what is known of a page changes, but for eviction.
 *
 * Context: may sleep; the queue's lock is held.
 */
void xbz_cache_commit(struct xbz_cache *cache, struct xbz_region *region,
		      unsigned long page, enum xbz_known known, void **snapshot)
{
	unsigned long *entry = xbz_entry(cache, region, page,
					 known == XBZ_KNOWN_ZERO);
	void *copy;

	if (entry && known == XBZ_KNOWN_COPY) {
		*entry |= XBZ_ENTRY_USED;
		return;
	}
	if (entry && *entry) {
		copy = xbz_entry_take(cache, entry);
		if (copy)
			xbz_cache_page_free(copy);
	}
	if (entry && known == XBZ_KNOWN_ZERO) {
		*entry = XBZ_ENTRY_ZERO;
		xbz_counter_inc(&cache->counters->cache_zero);
	} else if (known == XBZ_KNOWN_NOTHING && snapshot) {
		xbz_cache_insert(cache, region, page, snapshot);
	}
}

/**
 * xbz_cache_excess() - number of cached pages above the limit
 * @cache: the shard
 *
 * Context: any; without the queue's lock the result may be stale.
 */
unsigned long xbz_cache_excess(const struct xbz_cache *cache)
{
	u64 nr = READ_ONCE(cache->counters->cache_pages);
	u64 limit = READ_ONCE(cache->counters->cache_limit);

	return nr > limit ? nr - limit : 0;
}

/**
 * xbz_cache_drop() - drop cached pages in the order of eviction
 * @cache: the shard
 * @nr: number of pages
 *
 * Context: may sleep.
 * Return: number of pages dropped, less than @nr if there were no more.
 */
unsigned long xbz_cache_drop(struct xbz_cache *cache, unsigned long nr)
{
	unsigned long done;

	for (done = 0; done < nr && cache->counters->cache_pages; done++) {
		xbz_cache_page_free(xbz_cache_evict(cache, true));
		cond_resched();
	}
	return done;
}
