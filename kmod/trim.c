// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dropping copies of sessions that encode: smaller caches, flushes, and a
 * smaller limit of the host's. Which copy goes first is cache.c's.
 *
 * A queue's lock is held while guest memory is read, so its process can hold it
 * for as long as it likes (userfaultfd, or a file system of its own). Nobody
 * from outside may wait for it. So who wants copies dropped says so in the queue
 * and tries the lock. If somebody else has it, that one looks, once it has given
 * the lock back, whether something was said meanwhile:
 *
 *   who wants                           who has the lock
 *       store the limit, or drop            unlock
 *   (A) smp_mb()                        (B) smp_mb()
 *       try the lock                        load the limit, and drop
 *
 * A pairs with B: if the lock could not be had, what was said is seen.
 */
#include "trim.h"
#include "memory.h"
#include "queue.h"
#include "registry.h"
#include "session.h"
#include "trace.h"

#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/xbzrle.h>

/* Copies that are dropped before an ENCODE gets its turn. */
#define XBZ_TRIM_PIECE 256UL

static bool xbz_trim_wanted(struct xbz_queue *q)
{
	return xbz_cache_excess(&q->cache) || atomic_long_read(&q->drop);
}

/* The queue's lock is held. */
static unsigned long xbz_trim_piece(struct xbz_queue *q)
{
	unsigned long drop = atomic_long_xchg(&q->drop, 0);
	unsigned long n = max(drop, xbz_cache_excess(&q->cache));

	n = xbz_cache_drop(&q->cache, min(n, XBZ_TRIM_PIECE));
	if (q->cache.nr && n < drop)
		atomic_long_add(drop - n, &q->drop);
	return n;
}

/* Copies dropped here; what remains is dropped by whoever has the lock. */
static unsigned long xbz_trim_queue(struct xbz_queue *q)
{
	unsigned long dropped = 0;

	for (;;) {
		smp_mb(); /* (A) and (B) */
		if (!xbz_trim_wanted(q) || !mutex_trylock(&q->lock))
			return dropped;
		dropped += xbz_trim_piece(q);
		mutex_unlock(&q->lock);
		cond_resched();
	}
}

/**
 * xbz_queue_unlock() - give a queue's lock back
 * @q: the queue
 *
 * For everybody who has it: then they drop what others wanted to be dropped.
 *
 * Context: may sleep.
 */
void xbz_queue_unlock(struct xbz_queue *q)
{
	mutex_unlock(&q->lock);
	xbz_trim_queue(q);
}

static u64 xbz_trim_session(struct xbz_session *s)
{
	unsigned long dropped = 0;
	unsigned int i;

	for (i = 0; i < s->nr_queues; i++)
		dropped += xbz_trim_queue(&s->queues[i]);
	return (u64)dropped << XBZRLE_PAGE_SHIFT;
}

/**
 * xbz_trim_resize() - change the size of a session's cache
 * @s: the session
 * @bytes: what its copies may take
 *
 * Context: may sleep; a reference or the session's lock is held, no queue's.
 * Return: the size before.
 */
u64 xbz_trim_resize(struct xbz_session *s, u64 bytes)
{
	u64 old, dropped;
	unsigned int i;

	mutex_lock(&s->map_lock);
	old = s->cache_bytes;
	WRITE_ONCE(s->cache_bytes, bytes);
	for (i = 0; i < s->nr_queues; i++)
		WRITE_ONCE(s->queues[i].cache.limit,
			   xbz_shard_pages(bytes, s->nr_queues));
	mutex_unlock(&s->map_lock);
	dropped = xbz_trim_session(s);
	trace_xbz_resize(s->id, old, bytes, dropped);
	return old;
}

/**
 * xbz_trim_flush() - drop all copies of a session
 * @s: the session
 *
 * Those that it makes meanwhile may stay.
 *
 * Context: may sleep; a reference or the session's lock is held, no queue's.
 * Return: bytes of copies that were dropped here and now.
 */
u64 xbz_trim_flush(struct xbz_session *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_queues; i++)
		atomic_long_set(&s->queues[i].drop,
				READ_ONCE(s->queues[i].cache.nr));
	return xbz_trim_session(s);
}

/* Copies of all sessions. */
static u64 xbz_trim_host_copies(void)
{
	struct xbz_session *s;
	unsigned long id = 0;
	u64 copies = 0;

	for (; (s = xbz_registry_next(&id)); id++) {
		copies += xbz_session_copies(s);
		xbz_registry_put(s);
	}
	return copies;
}

/**
 * xbz_trim_host() - make all sessions keep to a smaller limit of the host's
 *
 * Each session drops the same part of its copies. What is no copy stays, so it
 * may not be enough.
 *
 * Context: may sleep; no queue's lock is held.
 */
void xbz_trim_host(void)
{
	u64 used = xbz_mem_used(), limit = xbz_mem_limit();
	u64 copies, excess, part;
	struct xbz_session *s;
	unsigned long id = 0;
	unsigned int i;

	copies = xbz_trim_host_copies();
	if (used <= limit || !copies)
		return;
	excess = min((used - limit) >> XBZRLE_PAGE_SHIFT, copies);
	part = (excess << 16) / copies;
	for (; (s = xbz_registry_next(&id)); id++) {
		for (i = 0; i < s->nr_queues; i++) {
			struct xbz_queue *q = &s->queues[i];

			/* Copies are fewer than 2^40. */
			atomic_long_set(&q->drop,
					(READ_ONCE(q->cache.nr) * part >> 16) +
						1);
		}
		xbz_trim_session(s);
		xbz_registry_put(s);
	}
}
