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
#include "packed.h"

#include <linux/bitops.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/time64.h>

/* Cached pages that are dropped for one newcomer, at most. */
#define XBZ_EVICT_MAX 8
/* Copies that are taken for each page of memory, on average, at most. */
#define XBZ_TAKE_COPIES 4
/* Blocks of the first table: a page of them. */
#define XBZ_BLOCKS_MIN (PAGE_SIZE / sizeof(struct xbz_policy_block *))
/*
 * Time to pack a page and to unpack it. An eighth counts: other queues use the link in that
 * time.
 */
#define XBZ_PACK_NS 5000
#define XBZ_PACK_SHARE 8
/* Bytes that a link of 1 Gbit/s carries in that, as long as this one is not known. */
#define XBZ_PACK_COST 64
/* A pass tells what the link carries when it is so old. */
#define XBZ_LINK_NS (100 * NSEC_PER_MSEC)

/* The policy's name for a page: the numbers of region and page. */
static u64 xbz_key(const struct xbz_region *region, unsigned long page)
{
	return (u64)region->id << 32 | page;
}

/*
 * The bit of a page that would be evicted. A region that was deleted has none, or
 * another one's: the policy allows errors. A page that was forgotten has no entry, or
 * another one: what is left of the old one is worth nothing.
 */
static bool xbz_cache_pending(void *opaque, u64 key)
{
	const struct xbz_cache *cache = opaque;
	const struct xbz_region *r = cache->regions[key >> 32];
	unsigned long page = (u32)key;
	const u64 *leaf;

	if (!r || page >= r->nr_pages)
		return false;
	leaf = r->leaf[page / XBZRLE_CHUNK_PAGES];
	if (!leaf || (leaf[page % XBZRLE_CHUNK_PAGES] & XBZ_WORD_STATE) != XBZ_WORD_ENTRY)
		return false;
	return test_bit(page, (const unsigned long *)r->bitmap);
}

static u64 *xbz_word(struct xbz_cache *cache, struct xbz_region *region,
		     unsigned long page, bool make)
{
	u64 **leaf = &region->leaf[page / XBZRLE_CHUNK_PAGES];

	if (!*leaf && make && xbz_mem_may_grow(&cache->credit))
		*leaf = xbz_mem_table(cache->account);
	return *leaf ? &(*leaf)[page % XBZRLE_CHUNK_PAGES] : NULL;
}

/**
 * xbz_cache_page_alloc() - allocate a page for guest data, not zeroed
 * @a: the account to charge
 * @optional: the caller works without it
 *
 * Context: may sleep.
 * Return: the page, or NULL.
 */
void *xbz_cache_page_alloc(struct xbz_account *a, bool optional)
{
	struct page *page = xbz_mem_page(a, optional);

	return page ? page_address(page) : NULL;
}

/**
 * xbz_cache_page_free() - wipe a page and free it
 * @a: the account that was charged
 * @copy: from xbz_cache_page_alloc()
 */
void xbz_cache_page_free(struct xbz_account *a, void *copy)
{
	xbz_mem_page_free(a, virt_to_page(copy));
}

/**
 * xbz_cache_pages_free() - wipe and free pages
 * @a: the account that was charged
 * @pages: what xbz_cache_forget() and xbz_cache_take() have collected
 *
 * Context: may sleep; no lock is needed.
 */
void xbz_cache_pages_free(struct xbz_account *a, struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		xbz_mem_page_free(a, page);
		cond_resched();
	}
}

/*
 * Sets a page with an entry to nothing. Returns a page that is the caller's then: the
 * copy, or the last one of packed copies; or NULL.
 */
static void *xbz_entry_take(struct xbz_cache *cache, u32 entry)
{
	struct xbz_hot hot = *xbz_policy_hot(&cache->policy, entry);
	unsigned long copy = xbz_policy_remove(&cache->policy, entry);
	void *page = (void *)copy;

	if (hot.flags & XBZ_HOT_PACKED) {
		page = xbz_packed_remove(cache->packed, &cache->policy, copy, hot.units);
		xbz_counter_dec(&cache->counters->cache_packed);
		if (page)
			xbz_counter_dec(&cache->counters->packed_pages);
	}
	if (page)
		xbz_counter_dec(&cache->counters->cache_pages);
	return page;
}

/* A page of cached pages is not needed any more: one is kept for the newcomer. */
static void xbz_cache_spare_page(struct xbz_cache *cache, void *page)
{
	if (cache->spare)
		xbz_cache_page_free(cache->account, page);
	else
		cache->spare = page;
}

/*
 * A shard of one block packs nothing: what packing takes would be a good part of its
 * memory.
 */
static void xbz_cache_begin_to_pack(struct xbz_cache *cache)
{
	if (cache->packed)
		return;
	cache->packed = xbz_packed_new(cache->account);
	if (cache->packed)
		cache->policy.pack_cost = XBZ_PACK_COST;
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

		blocks = xbz_mem_zalloc(cache->account, more, sizeof(*blocks), true);
		if (!blocks)
			return false;
		if (nr)
			memcpy(blocks, p->blocks, nr * sizeof(*blocks));
		xbz_mem_free(cache->account, p->blocks, cache->blocks,
			     sizeof(*blocks));
		p->blocks = blocks;
		cache->blocks = more;
	}
	block = xbz_mem_table(cache->account);
	if (!block)
		return false;
	xbz_policy_add(p, block);
	if (nr)
		xbz_cache_begin_to_pack(cache);
	return true;
}

/* Gives back what no entry needs. */
static void xbz_cache_spare(struct xbz_cache *cache)
{
	struct xbz_policy_block *block;

	while ((block = xbz_policy_spare(&cache->policy)))
		xbz_mem_free(cache->account, block, 1, sizeof(*block));
	if (!cache->policy.nr) {
		xbz_packed_free(cache->account, cache->packed);
		cache->packed = NULL;
		cache->policy.pack_cost = XBZ_POLICY_NO_PACK;
	}
}

/**
 * xbz_cache_init() - initialize an empty shard
 * @cache: the shard
 * @a: the account to charge
 * @counters: the queue's counters
 * @regions: the session's table of regions
 * @limit: limit on cached pages
 */
void xbz_cache_init(struct xbz_cache *cache, struct xbz_account *a,
		    struct xbzrle_counters *counters, struct xbz_region **regions,
		    unsigned long limit)
{
	xbz_policy_init(&cache->policy, get_random_u64());
	cache->policy.pending = xbz_cache_pending;
	cache->policy.opaque = cache;
	cache->account = a;
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
	xbz_mem_free(cache->account, cache->policy.blocks, cache->blocks,
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
	cache->pass_bytes = cache->counters->bytes;
}

/**
 * xbz_cache_link() - learn what it costs to pack, from what the link carries
 * @cache: the shard
 * @ns: age of the pass
 * @queues: number of the session's queues, which use the link as this one does
 *
 * Nothing is encoded for long that is not sent: so what was encoded in the pass is what
 * the link has carried; or more than was encoded it need not carry.
 *
 * Context: the queue's lock is held.
 */
void xbz_cache_link(struct xbz_cache *cache, u64 ns, unsigned int queues)
{
	u64 bytes = (cache->counters->bytes - cache->pass_bytes) * queues;

	if (!cache->packed || ns < XBZ_LINK_NS)
		return;
	bytes = bytes / XBZ_PACK_SHARE * XBZ_PACK_NS / ns;
	cache->policy.pack_cost = min_t(u64, bytes, XBZ_POLICY_NO_PACK);
}

/**
 * xbz_cache_unpack() - get a page's content from its packed copy
 * @cache: the shard
 * @entry: its entry
 *
 * Context: the queue's lock is held; some microseconds.
 * Return: the content, in a page of the shard's that is valid up to the next call; or
 * NULL, and nothing is known.
 */
void *xbz_cache_unpack(struct xbz_cache *cache, u32 entry)
{
	return xbz_unpack(cache->packed, xbz_policy_cold(&cache->policy, entry)->copy,
			  xbz_policy_hot(&cache->policy, entry)->units);
}

/* The limit in the policy's units. */
static u32 xbz_cache_units(const struct xbz_cache *cache)
{
	u64 limit = READ_ONCE(cache->counters->cache_limit);

	return min_t(u64, limit, XBZ_CACHE_PAGES_MAX) * XBZ_POLICY_WHOLE;
}

/* A copy of that grade takes a page more. */
static bool xbz_cache_wants_page(const struct xbz_cache *cache, enum xbz_grade grade,
				 u32 units)
{
	return grade == XBZ_GRADE_WHOLE || xbz_packed_wants_page(cache->packed, units);
}

/* What such a copy takes, besides units, is there: its page and its entry. */
static bool xbz_cache_has(const struct xbz_cache *cache, enum xbz_grade grade, u32 units)
{
	return (cache->spare || !xbz_cache_wants_page(cache, grade, units)) &&
	       cache->policy.nr < cache->policy.room;
}

/* The same, or it could be got. */
static bool xbz_cache_grow(struct xbz_cache *cache, enum xbz_grade grade, u32 units)
{
	if (xbz_cache_has(cache, grade, units))
		return true;
	if (!xbz_mem_may_grow(&cache->credit) || !xbz_cache_entry_room(cache))
		return false;
	if (!cache->spare && xbz_cache_wants_page(cache, grade, units))
		cache->spare = xbz_cache_page_alloc(cache->account, true);
	return xbz_cache_has(cache, grade, units);
}

/*
 * What the policy may use: not what pages of packed copies have left at their ends. So
 * if it has room for a copy, there is a page of the limit for it. Without memory to
 * grow, it is to evict until there is a page.
 */
static void xbz_cache_set_room(struct xbz_cache *cache, enum xbz_grade grade, u32 units,
			       bool refused)
{
	u32 limit = xbz_cache_units(cache), slack = cache->packed ? cache->packed->slack : 0;
	struct xbz_policy *p = &cache->policy;

	p->limit = limit > slack ? limit - slack : 0;
	/* A copy that fits into such an end takes its entry alone. */
	if (!xbz_cache_wants_page(cache, grade, units))
		p->limit += units - 1;
	if (refused && !xbz_cache_has(cache, grade, units))
		p->limit = min(p->limit, p->used + units - 1);
}

/* Packed copies: added to, with the spare page if it takes one. */
static unsigned long xbz_cache_add_packed(struct xbz_cache *cache, u32 units,
					  const struct xbz_packing *from, u64 *word)
{
	void *page = NULL;

	if (xbz_packed_wants_page(cache->packed, units)) {
		swap(page, cache->spare);
		xbz_counter_inc(&cache->counters->cache_pages);
		xbz_counter_inc(&cache->counters->packed_pages);
	}
	xbz_counter_inc(&cache->counters->cache_packed);
	return xbz_packed_add(cache->packed, units, from, word, page);
}

/* Packs a whole copy, whose page is spare then, or has packed copies. */
static void xbz_cache_pack(struct xbz_cache *cache, u32 entry)
{
	struct xbz_policy *p = &cache->policy;
	struct xbz_packed *packed = cache->packed;
	struct xbz_cold *cold = xbz_policy_cold(p, entry);
	u32 units = xbz_pack(packed, &packed->victim, (void *)cold->copy);

	if (!units) {
		xbz_policy_hard(p, entry);
		return;
	}
	xbz_counter_dec(&cache->counters->cache_pages);
	xbz_cache_spare_page(cache, (void *)cold->copy);
	xbz_policy_resize(p, entry, XBZ_GRADE_PACKED, units,
			  xbz_cache_add_packed(cache, units, &packed->victim,
					       cold->word));
}

static void xbz_cache_evict(struct xbz_cache *cache, u32 entry)
{
	void *page = xbz_entry_take(cache, entry);

	xbz_counter_inc(&cache->counters->evictions);
	if (page)
		xbz_cache_spare_page(cache, page);
}

/* The snapshot is packed, or becomes the cached page and the spare one takes its place. */
static void xbz_cache_store(struct xbz_cache *cache, struct xbz_policy_page *sent,
			    enum xbz_grade grade, u32 units, void **snapshot)
{
	unsigned long copy;

	if (grade == XBZ_GRADE_PACKED) {
		copy = xbz_cache_add_packed(cache, units, &cache->packed->newcomer,
					    sent->word);
	} else {
		copy = (unsigned long)*snapshot;
		*snapshot = cache->spare;
		cache->spare = NULL;
		xbz_counter_inc(&cache->counters->cache_pages);
	}
	xbz_policy_insert(&cache->policy, sent, grade, units, copy);
}

/*
 * Caches the snapshot of a page without an entry, whole or packed, as the policy wishes:
 * in a new page while there is room, else in the place of others.
 */
static void xbz_cache_insert(struct xbz_cache *cache,
			     struct xbz_policy_page *sent, void **snapshot)
{
	struct xbz_policy *p = &cache->policy;
	enum xbz_grade grade = sent->wish;
	u32 units = XBZ_POLICY_WHOLE, victim;
	bool refused = false;
	unsigned int i;

	/* If it shrinks after this, trimming drops the page again. */
	if (!xbz_cache_units(cache) || xbz_cache_excess(cache))
		return;
	if (grade == XBZ_GRADE_PACKED) {
		/* It is not packed for nothing. What packed copies take is odd. */
		units = p->packed_units / 256 | 1;
		xbz_cache_set_room(cache, grade, units, false);
		if (xbz_policy_make_room(p, sent, grade, units, &victim) ==
		    XBZ_ACTION_REFUSE)
			return;
		units = xbz_pack(cache->packed, &cache->packed->newcomer, *snapshot);
		if (!units) {
			xbz_policy_hard_page(p, sent);
			grade = XBZ_GRADE_WHOLE;
			units = XBZ_POLICY_WHOLE;
		}
	}
	for (i = 0; i < XBZ_EVICT_MAX; i++) {
		enum xbz_action action;

		xbz_cache_set_room(cache, grade, units, refused);
		action = xbz_policy_make_room(p, sent, grade, units, &victim);
		if (action == XBZ_ACTION_REFUSE)
			break;
		if (action == XBZ_ACTION_PACK) {
			xbz_cache_pack(cache, victim);
		} else if (action == XBZ_ACTION_EVICT) {
			xbz_cache_evict(cache, victim);
		} else if (xbz_cache_grow(cache, grade, units)) {
			xbz_cache_store(cache, sent, grade, units, snapshot);
			break;
		} else if (!refused) {
			/* Without memory to grow, the cache goes on with what it has. */
			xbz_counter_inc(&cache->counters->cache_refused);
			refused = true;
		}
	}
	/* Memory is short for the next page, too. */
	if (refused)
		p->limit = min(p->limit, p->used);
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
 * as zero; if it was unpacked, the packed copy is not, and goes. With
 * xbz_cache_forget() and eviction, the one place where what is known of a page changes.
 *
 * Context: may sleep; the session's lock and the queue's are held.
 */
void xbz_cache_commit(struct xbz_cache *cache, struct xbz_region *region,
		      unsigned long page, struct xbz_policy_page *sent,
		      void **snapshot)
{
	struct xbz_policy *p = &cache->policy;
	bool wanted = snapshot && READ_ONCE(cache->counters->cache_limit);
	enum xbz_grade grade;
	void *left;
	u32 entry;

	sent->word = xbz_word(cache, region, page,
			      wanted || sent->kind == XBZ_SENT_ZERO);
	if (!sent->word && wanted)
		xbz_counter_inc(&cache->counters->cache_refused);
	sent->key = xbz_key(region, page);
	grade = xbz_policy_lookup(p, sent->word, &entry);
	xbz_policy_sent(p, sent);
	if (sent->known == XBZ_KNOWN_ZERO)
		xbz_counter_dec(&cache->counters->cache_zero);

	if (sent->wish == XBZ_GRADE_WHOLE && grade == XBZ_GRADE_WHOLE)
		return;
	/* It is up to date, and nothing is to be cached instead. */
	if (grade == XBZ_GRADE_PACKED && sent->kind == XBZ_SENT_SAME &&
	    (sent->wish == XBZ_GRADE_PACKED || !snapshot))
		return;
	if (entry != XBZ_POLICY_NONE) {
		left = xbz_entry_take(cache, entry);
		if (left)
			xbz_cache_spare_page(cache, left);
	}
	if (sent->wish == XBZ_GRADE_ZERO && sent->word) {
		xbz_policy_set_zero(sent->word);
		xbz_counter_inc(&cache->counters->cache_zero);
	}
	if (snapshot && (sent->wish == XBZ_GRADE_WHOLE ||
			 sent->wish == XBZ_GRADE_PACKED))
		xbz_cache_insert(cache, sent, snapshot);
	if (cache->spare) {
		xbz_cache_page_free(cache->account, cache->spare);
		cache->spare = NULL;
	}
}

/**
 * xbz_cache_forget() - drop what is known of a page, but for its history
 * @cache: the shard of the page's queue
 * @word: the page's word
 * @pages: a page that is not needed any more is added here, to be freed by
 *	xbz_cache_pages_free()
 *
 * Context: the queue's lock is held.
 */
void xbz_cache_forget(struct xbz_cache *cache, u64 *word, struct list_head *pages)
{
	void *left;
	u32 entry;

	switch (xbz_policy_lookup(&cache->policy, word, &entry)) {
	case XBZ_GRADE_NOTHING:
		break;
	case XBZ_GRADE_ZERO:
		xbz_policy_set_nothing(word);
		xbz_counter_dec(&cache->counters->cache_zero);
		break;
	default:
		left = xbz_entry_take(cache, entry);
		if (left)
			list_add(&virt_to_page(left)->lru, pages);
	}
}

/**
 * xbz_cache_excess() - memory of cached pages above the limit
 * @cache: the shard
 *
 * Context: any; without the queue's lock the result may be stale.
 * Return: pages.
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
 * @nr: pages of memory that are to be freed
 * @max: pages that are to be freed now, at most
 * @pages: they are added here, to be freed by xbz_cache_pages_free()
 *
 * Context: may sleep; the queue's lock is held.
 * Return: number of those pages; 0 if nothing is cached any more.
 */
unsigned long xbz_cache_take(struct xbz_cache *cache, unsigned long nr,
			     unsigned long max, struct list_head *pages)
{
	struct xbz_policy *p = &cache->policy;
	bool all = nr >= cache->counters->cache_pages;
	unsigned long done = 0, taken = 0;

	while (done < min(nr, max) && p->nr) {
		/* In order: so they are freed, and allocated again. */
		u32 victim = p->nr - 1;
		void *left;

		if (!all)
			xbz_policy_shrink(p, &victim);
		left = xbz_entry_take(cache, victim);
		xbz_counter_inc(&cache->counters->evictions);
		if (left) {
			list_add(&virt_to_page(left)->lru, pages);
			done++;
		}
		/* Many packed copies may be in a page. */
		if (done && ++taken / XBZ_TAKE_COPIES >= max)
			break;
		cond_resched();
	}
	xbz_cache_spare(cache);
	return done;
}
