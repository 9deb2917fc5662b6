/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_CACHE_H
#define _XBZ_CACHE_H

#include "core/record.h"

#include <linux/list.h>
#include <linux/types.h>

struct xbz_region;

/**
 * struct xbz_cache - one queue's shard of a session's cache
 * @lru: its copies, the next to go first
 * @nr: how many
 * @limit: how many it may have
 * @nr_zero: pages known as zero, which need no copy
 * @evictions: copies dropped for want of room
 * @session: whose shard it is, for who traces
 * @queue: the same
 *
 * Context: everything here is under the queue's lock, but for the limit, which
 * trim.c changes at any time.
 */
struct xbz_cache {
	struct list_head lru;
	unsigned long nr;
	unsigned long limit;
	unsigned long nr_zero;
	u64 evictions;
	u32 session;
	u32 queue;
};

void *xbz_cache_page_alloc(void);
void xbz_cache_page_free(void *copy);
void xbz_cache_init(struct xbz_cache *cache, unsigned long limit);
void xbz_cache_destroy(struct xbz_cache *cache);
void xbz_cache_get(struct xbz_cache *cache, struct xbz_region *region,
		   unsigned long page, struct xbz_page_state *state);
void xbz_cache_put(struct xbz_cache *cache, struct xbz_region *region,
		   unsigned long page, enum xbz_known known);
void xbz_cache_store(struct xbz_cache *cache, struct xbz_region *region,
		     unsigned long page, void **snapshot);
unsigned long xbz_cache_excess(const struct xbz_cache *cache);
unsigned long xbz_cache_drop(struct xbz_cache *cache, unsigned long nr);
void xbz_cache_resize(struct xbz_cache *cache, unsigned long limit);

#endif /* _XBZ_CACHE_H */
