/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_CACHE_H
#define _XBZ_CACHE_H

#include "counter.h"
#include "region.h"

#include "core/policy.h"
#include "core/record.h"

#include <linux/minmax.h>
#include <linux/types.h>
#include <linux/xbzrle.h>

/* Most cached pages of a shard, 63 GiB: the policy counts in 32 bits. */
#define XBZ_CACHE_PAGES_MAX (XBZ_POLICY_LIMIT_MAX / XBZ_POLICY_WHOLE)

struct list_head;
struct xbz_account;
struct xbz_packed;

/**
 * struct xbz_cache - a queue's shard of the session's cache
 * @policy: which pages it keeps; has the entries of the cached pages
 * @account: the account to charge for its memory
 * @counters: the queue's, of which this has cache_pages, cache_zero, cache_limit,
 *	cache_refused, evictions, cache_packed and packed_pages
 * @regions: the session's table, by which the policy's keys are resolved
 * @blocks: blocks for which @policy has a table
 * @credit: for xbz_mem_may_grow()
 * @pass_bytes: bytes of records before this pass
 * @packed: the packed copies; NULL while nothing can be packed
 * @spare: a page that eviction has left, during a commit
 *
 * Context: all under the queue's lock but cache_limit, which may change at any
 * time.
 */
struct xbz_cache {
	struct xbz_policy policy;
	struct xbz_account *account;
	struct xbzrle_counters *counters;
	struct xbz_region **regions;
	unsigned long blocks;
	int credit;
	u64 pass_bytes;
	struct xbz_packed *packed;
	void *spare;
};

void *xbz_cache_page_alloc(struct xbz_account *a, bool optional);
void xbz_cache_page_free(struct xbz_account *a, void *copy);
void xbz_cache_pages_free(struct xbz_account *a, struct list_head *pages);
void xbz_cache_init(struct xbz_cache *cache, struct xbz_account *a,
		    struct xbzrle_counters *counters, struct xbz_region **regions,
		    unsigned long limit);
void xbz_cache_destroy(struct xbz_cache *cache);
void *xbz_cache_unpack(struct xbz_cache *cache, u32 entry);
void xbz_cache_pass(struct xbz_cache *cache);
void xbz_cache_link(struct xbz_cache *cache, u64 ns, unsigned int queues);
void xbz_cache_commit(struct xbz_cache *cache, struct xbz_region *region,
		      unsigned long page, struct xbz_policy_page *sent,
		      void **snapshot);
void xbz_cache_forget(struct xbz_cache *cache, u64 *word,
		      struct list_head *pages);
unsigned long xbz_cache_excess(const struct xbz_cache *cache);
unsigned long xbz_cache_take(struct xbz_cache *cache, unsigned long nr,
			     unsigned long max, struct list_head *pages);

/**
 * xbz_cache_bound() - say what a page takes at most without a copy
 * @cache: the shard
 * @max_delta: payload of the longest delta, as XBZRLE_ENCODE has it; 0 for a page's
 *
 * A page whose delta is longer goes another way that takes no more. So what a copy
 * saves is counted against that.
 *
 * Context: the queue's lock is held.
 */
static inline void xbz_cache_bound(struct xbz_cache *cache, u32 max_delta)
{
	cache->policy.other_max = XBZ_HEAD_CONT +
		min_t(u32, max_delta ?: XBZRLE_PAGE_SIZE, XBZRLE_PAGE_SIZE);
}

/**
 * xbz_cache_lookup() - say what is known of a page at the destination
 * @cache: the shard of the page's queue
 * @region: the page's region
 * @page: its number in the region
 * @copy: set to the cached page, unpacked, or NULL
 *
 * The record made from this brings the copy up to date; xbz_cache_commit() stores
 * afterwards what is known then.
 *
 * Context: the lock of the page's queue is held.
 * Return: what is known.
 */
static inline enum xbz_known xbz_cache_lookup(struct xbz_cache *cache,
					      const struct xbz_region *region,
					      unsigned long page, void **copy)
{
	const u64 *leaf = region->leaf[page / XBZRLE_CHUNK_PAGES];
	enum xbz_grade grade;
	u32 entry;

	*copy = NULL;
	if (!leaf)
		return XBZ_KNOWN_NOTHING;
	grade = xbz_policy_lookup(&cache->policy, &leaf[page % XBZRLE_CHUNK_PAGES],
				  &entry);
	if (grade == XBZ_GRADE_WHOLE)
		*copy = (void *)xbz_policy_cold(&cache->policy, entry)->copy;
	else if (grade == XBZ_GRADE_PACKED)
		*copy = xbz_cache_unpack(cache, entry);
	if (*copy)
		return XBZ_KNOWN_COPY;
	return grade == XBZ_GRADE_ZERO ? XBZ_KNOWN_ZERO : XBZ_KNOWN_NOTHING;
}

#endif /* _XBZ_CACHE_H */
