// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is remembered of pages that were sent: nothing, "zero at the
 * destination", or a copy. Found by page number without hashing: a region has a
 * leaf of entries for each chunk, made when the chunk is first remembered.
 *
 * Dropping a copy is always right, it costs bytes and nothing else; so whatever
 * goes wrong here ends in "nothing is known".
 *
 * What goes first: the oldest copy that has not been used since it was last
 * looked at (CLOCK).
 */
#include "cache.h"
#include "counter.h"
#include "memory.h"
#include "region.h"
#include "trace.h"

#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/xbzrle.h>

/*
 * An entry: 0, XBZ_ENTRY_ZERO, or the address of a copy, which is page aligned,
 * with XBZ_ENTRY_USED for one that was used since the clock's hand passed.
 */
#define XBZ_ENTRY_ZERO 1UL
#define XBZ_ENTRY_USED 2UL

/* How far the clock's hand moves for one copy. */
#define XBZ_CLOCK_STEPS 16

static bool xbz_is_copy(unsigned long entry)
{
	return entry & PAGE_MASK;
}

static void *xbz_copy_of(unsigned long entry)
{
	return (void *)(entry & PAGE_MASK);
}

static unsigned long *xbz_entry(struct xbz_region *region, unsigned long page)
{
	unsigned long *leaf = region->leaf[page / XBZRLE_CHUNK_PAGES];

	return leaf ? &leaf[page % XBZRLE_CHUNK_PAGES] : NULL;
}

static unsigned long *xbz_entry_make(struct xbz_region *region,
				     unsigned long page)
{
	unsigned long **leaf = &region->leaf[page / XBZRLE_CHUNK_PAGES];

	if (!*leaf)
		*leaf = xbz_mem_zalloc(XBZRLE_CHUNK_PAGES, sizeof(**leaf));
	return *leaf ? &(*leaf)[page % XBZRLE_CHUNK_PAGES] : NULL;
}

/**
 * xbz_cache_page_alloc() - allocate a page for a guest's page, not zeroed
 *
 * Context: may sleep.
 * Return: the page, or NULL.
 */
void *xbz_cache_page_alloc(void)
{
	struct page *page = xbz_mem_page();

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

/* Forgets what an entry says; a copy is handed to the caller. */
static void *xbz_entry_take(struct xbz_cache *cache, unsigned long *entry)
{
	void *copy = NULL;

	if (*entry == XBZ_ENTRY_ZERO) {
		xbz_counter_dec(&cache->nr_zero);
	} else if (xbz_is_copy(*entry)) {
		copy = xbz_copy_of(*entry);
		list_del(&virt_to_page(copy)->lru);
		xbz_counter_dec(&cache->nr);
	}
	*entry = 0;
	return copy;
}

/* Takes the copy that is worth least out of the cache, NULL if all are used. */
static void *xbz_cache_evict(struct xbz_cache *cache, bool force)
{
	unsigned int steps;

	for (steps = 0; steps < XBZ_CLOCK_STEPS; steps++) {
		struct page *page =
			list_first_entry_or_null(&cache->lru, struct page, lru);
		unsigned long *entry;
		void *copy;

		if (!page)
			return NULL;
		entry = (unsigned long *)page_private(page);
		if (!force && *entry & XBZ_ENTRY_USED) {
			*entry &= ~XBZ_ENTRY_USED;
			list_move_tail(&page->lru, &cache->lru);
			continue;
		}
		xbz_counter_inc(&cache->evictions);
		copy = xbz_entry_take(cache, entry);
		trace_xbz_evict(cache, force);
		return copy;
	}
	return NULL;
}

/**
 * xbz_cache_init() - make an empty shard
 * @cache: the shard
 * @limit: pages it may hold
 */
void xbz_cache_init(struct xbz_cache *cache, unsigned long limit)
{
	INIT_LIST_HEAD(&cache->lru);
	cache->limit = limit;
}

/**
 * xbz_cache_destroy() - drop all copies
 * @cache: a shard after xbz_cache_init()
 *
 * Context: may sleep; the regions whose pages are cached still exist.
 */
void xbz_cache_destroy(struct xbz_cache *cache)
{
	xbz_cache_resize(cache, 0);
}

/**
 * xbz_cache_get() - what is known of a page
 * @cache: the shard of the page's queue
 * @region: the page's region
 * @page: its number, inside the region
 * @state: set to what is known
 *
 * Whoever then sends the page says with xbz_cache_put() what is known now.
 */
void xbz_cache_get(struct xbz_cache *cache, struct xbz_region *region,
		   unsigned long page, struct xbz_page_state *state)
{
	unsigned long *entry = xbz_entry(region, page);

	state->known = XBZ_KNOWN_NOTHING;
	state->copy = NULL;
	if (!entry)
		return;
	if (xbz_is_copy(*entry)) {
		*entry |= XBZ_ENTRY_USED;
		state->known = XBZ_KNOWN_COPY;
		state->copy = xbz_copy_of(*entry);
	} else if (*entry == XBZ_ENTRY_ZERO) {
		state->known = XBZ_KNOWN_ZERO;
	}
}

/**
 * xbz_cache_put() - say what is known of a page now
 * @cache: the shard
 * @region: the page's region
 * @page: its number
 * @known: what; %XBZ_KNOWN_COPY only if xbz_cache_get() gave a copy, which the
 *	caller has brought up to date
 *
 * Context: may sleep.
 */
void xbz_cache_put(struct xbz_cache *cache, struct xbz_region *region,
		   unsigned long page, enum xbz_known known)
{
	unsigned long *entry;
	void *copy;

	if (known == XBZ_KNOWN_COPY)
		return;
	entry = known == XBZ_KNOWN_ZERO ? xbz_entry_make(region, page) :
					  xbz_entry(region, page);
	if (!entry)
		return;
	copy = xbz_entry_take(cache, entry);
	if (copy)
		xbz_cache_page_free(copy);
	if (known == XBZ_KNOWN_ZERO) {
		*entry = XBZ_ENTRY_ZERO;
		xbz_counter_inc(&cache->nr_zero);
	}
}

/**
 * xbz_cache_store() - remember a page of which nothing is known
 * @cache: the shard
 * @region: the page's region
 * @page: its number
 * @snapshot: what the destination holds, from xbz_cache_page_alloc(); where it is
 *	remembered, the cache keeps it and gives another page for it
 *
 * Without memory, or where all that is cached was used lately, the page is not
 * remembered.
 *
 * Context: may sleep.
 */
void xbz_cache_store(struct xbz_cache *cache, struct xbz_region *region,
		     unsigned long page, void **snapshot)
{
	/* It may become smaller meanwhile: then the copy is dropped again. */
	unsigned long limit = READ_ONCE(cache->limit);
	void *copy = *snapshot, *spare;
	unsigned long *entry;
	struct page *p;

	if (!limit)
		return;
	entry = xbz_entry_make(region, page);
	if (!entry)
		return;
	spare = cache->nr < limit ? xbz_cache_page_alloc() :
				    xbz_cache_evict(cache, false);
	if (!spare)
		return;

	*snapshot = spare;
	p = virt_to_page(copy);
	set_page_private(p, (unsigned long)entry);
	list_add_tail(&p->lru, &cache->lru);
	*entry = (unsigned long)copy;
	xbz_counter_inc(&cache->nr);
}

/**
 * xbz_cache_excess() - how many copies are more than the limit allows
 * @cache: the shard
 *
 * Context: any; without the queue's lock it may have changed already.
 */
unsigned long xbz_cache_excess(const struct xbz_cache *cache)
{
	unsigned long nr = READ_ONCE(cache->nr);
	unsigned long limit = READ_ONCE(cache->limit);

	return nr > limit ? nr - limit : 0;
}

/**
 * xbz_cache_drop() - drop the copies that are worth least
 * @cache: the shard
 * @nr: how many
 *
 * Context: may sleep.
 * Return: how many were dropped, less than @nr if there were no more.
 */
unsigned long xbz_cache_drop(struct xbz_cache *cache, unsigned long nr)
{
	unsigned long done;

	for (done = 0; done < nr && cache->nr; done++) {
		xbz_cache_page_free(xbz_cache_evict(cache, true));
		cond_resched();
	}
	return done;
}

/**
 * xbz_cache_resize() - change the limit, drop what no longer fits
 * @cache: the shard
 * @limit: the new limit in pages
 *
 * Context: may sleep.
 */
void xbz_cache_resize(struct xbz_cache *cache, unsigned long limit)
{
	WRITE_ONCE(cache->limit, limit);
	xbz_cache_drop(cache, xbz_cache_excess(cache));
}
