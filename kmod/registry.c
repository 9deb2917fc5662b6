// SPDX-License-Identifier: GPL-2.0-only
/*
 * All sessions of this host by their numbers, for those who look at them from
 * outside; and what the sessions have done that are no longer there. What is
 * told of a session, and to whom, is not known here.
 *
 * Who looks holds a reference, and the end of a session waits for it. So nobody
 * who holds one may wait for anything that a session's process can hold up,
 * which is everything under its lock or a queue's.
 */
#include "registry.h"
#include "session.h"

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/xarray.h>

/*
 * Numbers go up and are not used again until they wrap, so that a number that
 * was read somewhere does not soon mean another session.
 */
static DEFINE_XARRAY_ALLOC1(xbz_sessions);
static u32 xbz_next_id = 1;

/* Guards who is in xbz_sessions, and what follows. Nothing is waited for in it. */
static DEFINE_MUTEX(xbz_registry_lock);
static struct xbzrle_counters xbz_past;
static u64 xbz_started;
static u64 xbz_ended;

/**
 * xbz_registry_add() - let a session be seen
 * @s: the session, complete but for its number, which is set
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int xbz_registry_add(struct xbz_session *s)
{
	int ret;

	refcount_set(&s->users, 1);
	init_completion(&s->unused);

	mutex_lock(&xbz_registry_lock);
	ret = xa_alloc_cyclic(&xbz_sessions, &s->id, s, XA_LIMIT(1, INT_MAX),
			      &xbz_next_id, GFP_KERNEL);
	if (ret >= 0)
		xbz_started++;
	mutex_unlock(&xbz_registry_lock);
	return ret < 0 ? ret : 0;
}

/**
 * xbz_registry_del() - let a session be seen no more
 * @s: a session after xbz_registry_add(), which does nothing any more
 *
 * Waits for those who look at it. What it has done is added to the past.
 *
 * Context: may sleep.
 */
void xbz_registry_del(struct xbz_session *s)
{
	mutex_lock(&xbz_registry_lock);
	xa_erase(&xbz_sessions, s->id);
	xbz_session_sum(s, &xbz_past);
	/* What it holds goes with it. */
	xbz_past.cache_pages = 0;
	xbz_past.cache_zero = 0;
	xbz_past.cache_limit = 0;
	xbz_ended++;
	mutex_unlock(&xbz_registry_lock);

	xbz_registry_put(s);
	wait_for_completion(&s->unused);
}

/**
 * xbz_registry_get() - look a session up
 * @id: its number
 *
 * Context: any that may take a spinlock.
 * Return: the session, to be given back with xbz_registry_put(), or NULL.
 */
struct xbz_session *xbz_registry_get(u32 id)
{
	struct xbz_session *s;

	/* While it is in there, the registry's own reference is. */
	xa_lock(&xbz_sessions);
	s = xa_load(&xbz_sessions, id);
	if (s)
		refcount_inc(&s->users);
	xa_unlock(&xbz_sessions);
	return s;
}

/**
 * xbz_registry_next() - find the next session
 * @id: the least number it may have; set to the one that it has
 *
 * Going on behind the number shows each session once that is there from the
 * first call to the last one, whatever others come and go.
 *
 * Context: any that may take a spinlock.
 * Return: the session, to be given back with xbz_registry_put(), or NULL.
 */
struct xbz_session *xbz_registry_next(unsigned long *id)
{
	struct xbz_session *s;

	xa_lock(&xbz_sessions);
	s = xa_find(&xbz_sessions, id, ULONG_MAX, XA_PRESENT);
	if (s)
		refcount_inc(&s->users);
	xa_unlock(&xbz_sessions);
	return s;
}

/**
 * xbz_registry_put() - give a session back
 * @s: from xbz_registry_get() or xbz_registry_next()
 */
void xbz_registry_put(struct xbz_session *s)
{
	if (refcount_dec_and_test(&s->users))
		complete(&s->unused);
}

/**
 * xbz_registry_nr() - how many sessions there are
 */
unsigned int xbz_registry_nr(void)
{
	unsigned int nr;

	mutex_lock(&xbz_registry_lock);
	nr = xbz_started - xbz_ended;
	mutex_unlock(&xbz_registry_lock);
	return nr;
}

/**
 * xbz_registry_totals() - what all sessions did since the module was loaded
 * @sum: zeroed; set to the sum
 * @started: set to how many there have been
 * @ended: set to how many have ended
 *
 * A counter never goes back from one call to the next.
 *
 * Context: may sleep.
 */
void xbz_registry_totals(struct xbzrle_counters *sum, u64 *started, u64 *ended)
{
	struct xbz_session *s;
	unsigned long id;

	/* Nobody leaves meanwhile, to be counted here and in the past or nowhere. */
	mutex_lock(&xbz_registry_lock);
	*sum = xbz_past;
	*started = xbz_started;
	*ended = xbz_ended;
	xa_for_each(&xbz_sessions, id, s)
		xbz_session_sum(s, sum);
	mutex_unlock(&xbz_registry_lock);
}

/**
 * xbz_registry_exit() - the module goes
 */
void xbz_registry_exit(void)
{
	xa_destroy(&xbz_sessions);
}
