// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shrinker: cached pages are given back when the host or the memory cgroup
 * of a session's process is short of memory. A session has one item in a
 * list_lru, which knows the cgroup that the item was allocated in: so reclaim of
 * a cgroup finds the sessions whose pages are charged to it.
 *
 * Reclaim is a requester: it takes no lock that it would have to wait for.
 */
#include "shrink.h"
#include "session.h"

#include "compat/shrinker.h"

#include <linux/err.h>
#include <linux/slab.h>

/**
 * struct xbz_shrink_item - a session in the list
 * @lru: its place
 * @s: the session
 */
struct xbz_shrink_item {
	struct list_head lru;
	struct xbz_session *s;
};

static struct list_lru xbz_lru;
static struct shrinker *xbz_shrinker;
static struct kmem_cache *xbz_shrink_items;
/* The list is initialized. */
static bool xbz_shrink_ready;

static u64 xbz_shrink_pages(const struct xbz_session *s)
{
	unsigned int i;
	u64 pages = 0;

	for (i = 0; i < s->nr_queues; i++)
		pages += READ_ONCE(s->queues[i].counters.cache_pages);
	return pages;
}

static XBZ_LRU_CALLBACK(xbz_shrink_count_one)
{
	*(unsigned long *)data +=
		xbz_shrink_pages(container_of(item, struct xbz_shrink_item,
					      lru)->s);
	return LRU_SKIP;
}

static unsigned long xbz_shrink_count(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	unsigned long pages = 0, walk = ULONG_MAX;

	if (READ_ONCE(xbz_shrink_ready))
		list_lru_walk_one(&xbz_lru, sc->nid, sc->memcg,
				  xbz_shrink_count_one, &pages, &walk);
	/* Not SHRINK_EMPTY: an item stays in the list, whatever it counts. */
	return pages;
}

/* References a session and moves it behind the others. */
static XBZ_LRU_CALLBACK(xbz_shrink_take_one)
{
	struct xbz_session *s =
		container_of(item, struct xbz_shrink_item, lru)->s;

	refcount_inc(&s->refs);
	*(struct xbz_session **)data = s;
	return LRU_ROTATE;
}

static unsigned long xbz_shrink_session(struct xbz_session *s, unsigned long nr)
{
	u64 pages = xbz_shrink_pages(s);
	unsigned long dropped = 0;
	unsigned int i;

	for (i = 0; pages && i < s->nr_queues; i++) {
		struct xbz_queue *q = &s->queues[i];
		u64 copies = READ_ONCE(q->counters.cache_pages);

		if (copies)
			dropped += xbz_queue_reclaim(s, q,
						     copies * nr / pages + 1);
	}
	return dropped;
}

static unsigned long xbz_shrink_scan(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	unsigned long sessions, dropped = 0;

	if (!READ_ONCE(xbz_shrink_ready))
		return SHRINK_STOP;
	sessions = list_lru_count_one(&xbz_lru, sc->nid, sc->memcg);
	while (sessions-- && dropped < sc->nr_to_scan) {
		struct xbz_session *s = NULL;
		unsigned long walk = 1;

		list_lru_walk_one(&xbz_lru, sc->nid, sc->memcg,
				  xbz_shrink_take_one, &s, &walk);
		if (!s)
			break;
		dropped += xbz_shrink_session(s, min(sc->nr_to_scan - dropped,
						     ULONG_MAX >> 40));
		xbz_session_put(s);
	}
	return dropped ?: SHRINK_STOP;
}

/**
 * xbz_shrink_add() - offer a session's cached pages to reclaim
 * @s: the session, of the calling process
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int xbz_shrink_add(struct xbz_session *s)
{
	struct xbz_shrink_item *item;

	item = kmem_cache_alloc_lru(xbz_shrink_items, &xbz_lru,
				    GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!item)
		return -ENOMEM;
	INIT_LIST_HEAD(&item->lru);
	item->s = s;
	s->shrink_item = item;
	xbz_lru_add(&xbz_lru, &item->lru);
	return 0;
}

/**
 * xbz_shrink_del() - end what xbz_shrink_add() began
 * @s: the session; reclaim may still have a reference
 *
 * Context: may sleep.
 */
void xbz_shrink_del(struct xbz_session *s)
{
	xbz_lru_del(&xbz_lru, &s->shrink_item->lru);
	kmem_cache_free(xbz_shrink_items, s->shrink_item);
}

/**
 * xbz_shrink_init() - register the shrinker
 *
 * Return: 0, or an error.
 */
int __init xbz_shrink_init(void)
{
	xbz_shrink_items = KMEM_CACHE(xbz_shrink_item, SLAB_ACCOUNT);
	if (!xbz_shrink_items)
		return -ENOMEM;
	xbz_shrinker = xbz_shrinker_init(&xbz_lru, xbz_shrink_count,
					 xbz_shrink_scan);
	if (IS_ERR(xbz_shrinker)) {
		kmem_cache_destroy(xbz_shrink_items);
		return PTR_ERR(xbz_shrinker);
	}
	WRITE_ONCE(xbz_shrink_ready, true);
	return 0;
}

/**
 * xbz_shrink_exit() - unregister the shrinker
 *
 * Context: there is no session any more.
 */
void xbz_shrink_exit(void)
{
	xbz_shrinker_exit(xbz_shrinker, &xbz_lru);
	kmem_cache_destroy(xbz_shrink_items);
}
