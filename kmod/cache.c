// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of pages at the destination: nothing, zero, or a copy. A page is
 * found by its number without hashing: each chunk of a region has a leaf of words,
 * allocated when the first of its pages is sent. A word has the page's history, or
 * the number of its entry.
 *
 * Which pages are kept is decided by lib/core/policy.c; here are the copies, the
 * memory of the entries, and every change of what is known.
 *
 * Dropping a copy costs bytes and never correctness. So every failure here ends
 * in "nothing is known".
 */
#include "cache.h"
#include "memory.h"

#include <linux/bitops.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>

/* Cached pages that are dropped for one newcomer, at most. */
#define XBZ_EVICT_MAX 8
/* Blocks of the first table: a page of them. */
#define XBZ_BLOCKS_MIN (PAGE_SIZE / sizeof(struct xbz_policy_block *))

/* The policy's name for a page: the numbers of region and page. */
static u64 xbz_key(const struct xbz_region *region, unsigned long page)
{
	return (u64)region->id << 32 | page;
}

/*
 * The bit of a page that would be evicted. A region that was deleted has none, or
 * another one's: the policy allows errors.
 */
static bool xbz_cache_pending(void *opaque, u64 key)
{
	const struct xbz_cache *cache = opaque;
	const struct xbz_region *r = cache->regions[key >> 32];
	unsigned long page = (u32)key;

	return r && page < r->nr_pages &&
	       test_bit(page, (const unsigned long *)r->bitmap);
}

static u64 *xbz_word(struct xbz_cache *cache, struct xbz_region *region,
		     unsigned long page, bool make)
{
	u64 **leaf = &region->leaf[page / XBZRLE_CHUNK_PAGES];

	if (!*leaf && make && xbz_mem_may_grow(&cache->credit))
		*leaf = xbz_mem_table();
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

/**
 * xbz_cache_pages_free() - wipe and free pages
 * @pages: what xbz_cache_forget() and xbz_cache_take() have collected
 *
 * Context: may sleep; no lock is needed.
 */
void xbz_cache_pages_free(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		xbz_mem_page_free(page);
		cond_resched();
	}
}

/* Sets a page with an entry to nothing; the copy is the caller's. */
static void *xbz_entry_take(struct xbz_cache *cache, u32 entry)
{
	xbz_counter_dec(&cache->counters->cache_pages);
	return (void *)xbz_policy_remove(&cache->policy, entry);
}

/* One entry more fits, or could be made to fit. */
static bool xbz_cache_entry_room(struct xbz_cache *cache)
{
	struct xbz_policy *p = &cache->policy;
	unsigned long nr = p->room / XBZ_POLICY_BLOCK;
	struct xbz_policy_block *block, **blocks;

	BUILD_BUG_ON(sizeof(*block) != PAGE_SIZE);
	if (p->nr < p->room)
		return true;
	if (nr == cache->blocks) {
		unsigned long more = max(2 * nr, XBZ_BLOCKS_MIN);

		blocks = xbz_mem_zalloc(more, sizeof(*blocks), true);
		if (!blocks)
			return false;
		if (nr)
			memcpy(blocks, p->blocks, nr * sizeof(*blocks));
		xbz_mem_free(p->blocks, cache->blocks, sizeof(*blocks));
		p->blocks = blocks;
		cache->blocks = more;
	}
	block = xbz_mem_table();
	if (block)
		xbz_policy_add(p, block);
	return block;
}

static void xbz_cache_spare(struct xbz_cache *cache)
{
	struct xbz_policy_block *block;

	while ((block = xbz_policy_spare(&cache->policy)))
		xbz_mem_free(block, 1, sizeof(*block));
}

/**
 * xbz_cache_init() - initialize an empty shard
 * @cache: the shard
 * @counters: the queue's counters
 * @regions: the session's table of regions
 * @limit: limit on cached pages
 */
void xbz_cache_init(struct xbz_cache *cache, struct xbzrle_counters *counters,
		    struct xbz_region **regions, unsigned long limit)
{
	xbz_policy_init(&cache->policy, get_random_u64());
	cache->policy.pending = xbz_cache_pending;
	cache->policy.opaque = cache;
	cache->counters = counters;
	cache->regions = regions;
	counters->cache_limit = limit;
}

/**
 * xbz_cache_destroy() - free the memory of the entries
 * @cache: an empty shard
 *
 * Context: may sleep.
 */
void xbz_cache_destroy(struct xbz_cache *cache)
{
	xbz_cache_spare(cache);
	xbz_mem_free(cache->policy.blocks, cache->blocks,
		     sizeof(*cache->policy.blocks));
	cache->policy.blocks = NULL;
	cache->blocks = 0;
}

/**
 * xbz_cache_pass() - begin a pass
 * @cache: the shard
 *
 * Context: the queue's lock is held; a few microseconds.
 */
void xbz_cache_pass(struct xbz_cache *cache)
{
	xbz_policy_pass(&cache->policy);
}

/* A page more for the cache, with room for its entry; or NULL. */
static void *xbz_cache_grow(struct xbz_cache *cache)
{
	if (!xbz_mem_may_grow(&cache->credit) || !xbz_cache_entry_room(cache))
		return NULL;
	return xbz_cache_page_alloc(true);
}

/* The limit in the policy's units. */
static u32 xbz_cache_units(const struct xbz_cache *cache)
{
	u64 limit = READ_ONCE(cache->counters->cache_limit);

	return min_t(u64, limit, XBZ_CACHE_PAGES_MAX) * XBZ_POLICY_WHOLE;
}

/*
 * The snapshot becomes the cached page, and another page takes its place: a new
 * one while there is room, else that of an evicted page.
 */
static void xbz_cache_insert(struct xbz_cache *cache,
			     struct xbz_policy_page *sent, void **snapshot)
{
	struct xbz_policy *p = &cache->policy;
	void *copy = *snapshot, *spare = NULL;
	enum xbz_action action;
	unsigned int i;
	u32 victim;

	/* If it shrinks after this, trimming drops the page again. */
	p->limit = xbz_cache_units(cache);
	if (!p->limit || p->used > p->limit)
		return;
	if (p->limit - p->used >= XBZ_POLICY_WHOLE) {
		spare = xbz_cache_grow(cache);
		/* Without memory to grow, the cache goes on with what it has. */
		if (!spare) {
			xbz_counter_inc(&cache->counters->cache_refused);
			p->limit = p->used;
		}
	}
	for (i = 0; i < XBZ_EVICT_MAX; i++) {
		void *evicted;

		action = xbz_policy_make_room(p, sent, XBZ_GRADE_WHOLE,
					      XBZ_POLICY_WHOLE, &victim);
		if (action != XBZ_ACTION_EVICT)
			break;
		evicted = xbz_entry_take(cache, victim);
		xbz_counter_inc(&cache->counters->evictions);
		if (spare)
			xbz_cache_page_free(evicted);
		else
			spare = evicted;
	}
	if (action == XBZ_ACTION_DONE && spare) {
		*snapshot = spare;
		xbz_policy_insert(p, sent, XBZ_GRADE_WHOLE, XBZ_POLICY_WHOLE,
				  (unsigned long)copy);
		xbz_counter_inc(&cache->counters->cache_pages);
	} else if (spare) {
		xbz_cache_page_free(spare);
	}
}

/**
 * xbz_cache_commit() - store what is known of a page that was sent
 * @cache: the shard of the page's queue
 * @region: the page's region
 * @page: its number in the region
 * @sent: how it was sent: kind, bytes, and what xbz_cache_lookup() returned; the
 *	rest is filled in
 * @snapshot: the page's content at the destination, from xbz_cache_page_alloc(), to
 *	be cached if the policy wishes it: it is replaced by another page then. NULL
 *	to cache nothing
 *
 * The copy that xbz_cache_lookup() returned is up to date, unless the page was sent
 * as zero. With xbz_cache_forget() and eviction, the one place where what is known
 * of a page changes.
 *
 * Context: may sleep; the session's lock and the queue's are held.
 */
void xbz_cache_commit(struct xbz_cache *cache, struct xbz_region *region,
		      unsigned long page, struct xbz_policy_page *sent,
		      void **snapshot)
{
	struct xbz_policy *p = &cache->policy;
	bool wanted = snapshot && READ_ONCE(cache->counters->cache_limit);
	u32 entry;

	sent->word = xbz_word(cache, region, page,
			      wanted || sent->kind == XBZ_SENT_ZERO);
	if (!sent->word && wanted)
		xbz_counter_inc(&cache->counters->cache_refused);
	sent->key = xbz_key(region, page);
	xbz_policy_lookup(p, sent->word, &entry);
	xbz_policy_sent(p, sent);
	if (sent->known == XBZ_KNOWN_ZERO)
		xbz_counter_dec(&cache->counters->cache_zero);

	if (sent->wish == XBZ_GRADE_WHOLE) {
		if (entry == XBZ_POLICY_NONE && snapshot)
			xbz_cache_insert(cache, sent, snapshot);
		return;
	}
	if (entry != XBZ_POLICY_NONE)
		xbz_cache_page_free(xbz_entry_take(cache, entry));
	if (sent->wish == XBZ_GRADE_ZERO && sent->word) {
		xbz_policy_set_zero(sent->word);
		xbz_counter_inc(&cache->counters->cache_zero);
	}
}

/**
 * xbz_cache_forget() - drop what is known of a page, but for its history
 * @cache: the shard of the page's queue
 * @word: the page's word
 * @pages: its copy is added here, to be freed by xbz_cache_pages_free()
 *
 * Context: the queue's lock is held.
 */
void xbz_cache_forget(struct xbz_cache *cache, u64 *word, struct list_head *pages)
{
	u32 entry;

	switch (xbz_policy_lookup(&cache->policy, word, &entry)) {
	case XBZ_GRADE_NOTHING:
		break;
	case XBZ_GRADE_ZERO:
		xbz_policy_set_nothing(word);
		xbz_counter_dec(&cache->counters->cache_zero);
		break;
	default:
		list_add(&virt_to_page(xbz_entry_take(cache, entry))->lru, pages);
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
 * xbz_cache_take() - take cached pages out of the cache, the least worth first
 * @cache: the shard
 * @nr: number of pages that are to go
 * @max: number of pages that go now, at most
 * @pages: the copies are added here, to be freed by xbz_cache_pages_free()
 *
 * Context: may sleep; the queue's lock is held.
 * Return: number of pages taken, less than both if there were no more.
 */
unsigned long xbz_cache_take(struct xbz_cache *cache, unsigned long nr,
			     unsigned long max, struct list_head *pages)
{
	struct xbz_policy *p = &cache->policy;
	bool all = nr >= p->nr;
	unsigned long done;
	u32 victim;

	for (done = 0; done < min(nr, max) && p->nr; done++) {
		/* In order: so they are freed, and allocated again. */
		victim = p->nr - 1;
		if (!all)
			xbz_policy_shrink(p, &victim);
		list_add(&virt_to_page(xbz_entry_take(cache, victim))->lru, pages);
		xbz_counter_inc(&cache->counters->evictions);
		cond_resched();
	}
	xbz_cache_spare(cache);
	return done;
}
