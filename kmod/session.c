// SPDX-License-Identifier: GPL-2.0-only
/*
 * A session's life, from SETUP to the last reference; the table of all sessions,
 * by which observers find them; and what concerns all of its queues at once.
 *
 * The session's file holds a reference, and so does each observer. At the end of the
 * file the reaper frees all memory but the struct and the queues, and waits for no
 * reader. So an observer uses those only, and may be descheduled with its reference.
 */
#include "session.h"
#include "harvest.h"
#include "memory.h"
#include "netlink.h"
#include "reap.h"
#include "region.h"
#include "shrink.h"

#include <linux/cred.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xbzrle_netlink.h>

/*
 * All sessions by number. Numbers increase and are not reused until they wrap,
 * so that a number that was read does not soon mean another session. The lock of
 * the table protects the totals, too: of sessions that have ended, and what observers
 * were told of all.
 */
static DEFINE_XARRAY_ALLOC1(xbz_sessions);
static u32 xbz_next_id = 1;
static struct xbzrle_counters xbz_past;
static struct xbzrle_counters xbz_told;
static u64 xbz_started;
static u64 xbz_ended;

static int xbz_setup_check(const struct xbzrle_setup *arg)
{
	if (strnlen(arg->name, sizeof(arg->name)) == sizeof(arg->name))
		return -EINVAL;
	if (arg->page_shift != XBZRLE_PAGE_SHIFT)
		return -EDOM;
	if (!arg->nr_queues || arg->nr_queues > XBZRLE_MAX_QUEUES ||
	    !xbz_ring_size_ok(arg->ring_bytes, XBZ_RING_MIN, XBZ_RING_MAX))
		return -ERANGE;
	if (arg->log_block_pages &&
	    (!is_power_of_2(arg->log_block_pages) ||
	     arg->log_block_pages < BIT(XBZ_LOG_SHIFT_MIN) ||
	     arg->log_block_pages > BIT(XBZ_LOG_SHIFT_MAX)))
		return -ERANGE;
	if (arg->vm_fd == -1 && arg->flags & XBZRLE_SETUP_MANUAL_PROTECT)
		return -EINVAL;
	return 0;
}

/* A shard's part of a session's cache, in pages. */
static unsigned long xbz_shard_pages(u64 bytes, unsigned int nr_queues)
{
	return min_t(u64, (bytes >> XBZRLE_PAGE_SHIFT) / nr_queues,
		     XBZ_CACHE_PAGES_MAX);
}

static void xbz_queues_destroy(struct xbz_session *s, unsigned int nr)
{
	while (nr--)
		xbz_queue_destroy(&s->queues[nr]);
}

static int xbz_queues_init(struct xbz_session *s,
			   const struct xbzrle_setup *arg)
{
	unsigned long pages = xbz_shard_pages(arg->cache_bytes, arg->nr_queues);
	unsigned int i;
	int ret;

	ret = xbz_mem_fits(s->account, arg->nr_queues * (arg->ring_bytes >> PAGE_SHIFT));
	if (ret)
		return ret;
	s->queues = kvcalloc(arg->nr_queues, sizeof(*s->queues),
			     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!s->queues)
		return -ENOMEM;
	for (i = 0; i < arg->nr_queues; i++) {
		ret = xbz_queue_init(&s->queues[i], i, s, arg->ring_bytes,
				     pages);
		if (ret) {
			ret = s->account->error;
			goto err_queues;
		}
	}
	s->nr_queues = arg->nr_queues;
	return 0;

err_queues:
	xbz_queues_destroy(s, i);
	kvfree(s->queues);
	return ret;
}

static int xbz_session_publish(struct xbz_session *s)
{
	int ret;

	xa_lock(&xbz_sessions);
	ret = __xa_alloc_cyclic(&xbz_sessions, &s->id, s, XA_LIMIT(1, INT_MAX),
				&xbz_next_id, GFP_KERNEL);
	if (ret >= 0)
		xbz_started++;
	xa_unlock(&xbz_sessions);
	return ret < 0 ? ret : 0;
}

/* What may decrease, unlike all other counters. */
static void xbz_gauges_copy(struct xbzrle_counters *to, const struct xbzrle_counters *from)
{
	to->cache_pages = from->cache_pages;
	to->cache_zero = from->cache_zero;
	to->cache_limit = from->cache_limit;
	to->cache_packed = from->cache_packed;
	to->packed_pages = from->packed_pages;
}

/* No observer finds it any more; what it did is added to the totals. */
static void xbz_session_unpublish(struct xbz_session *s)
{
	static const struct xbzrle_counters none;

	xa_lock(&xbz_sessions);
	__xa_erase(&xbz_sessions, s->id);
	xbz_session_sum(s, &xbz_past);
	/* Its cache is not in the past, it is gone. */
	xbz_gauges_copy(&xbz_past, &none);
	xbz_ended++;
	xa_unlock(&xbz_sessions);
}

static bool xbz_session_empty(const struct xbz_session *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_queues; i++)
		if (READ_ONCE(s->queues[i].counters.cache_pages))
			return false;
	return list_empty(&s->dead);
}

/*
 * What requesters want dropped, some of it; and the rest of a session that has ended.
 * If a queue's lock is held, its holder kicks the reaper again.
 */
static void xbz_session_reap(struct work_struct *work)
{
	struct xbz_session *s = container_of(work, struct xbz_session, reap);
	bool more = false, ended = READ_ONCE(s->ended);
	unsigned int i;

	if (ended) {
		xbz_slot_del_all(s);
		xbz_region_del_all(s);
	}
	for (i = 0; i < s->nr_queues; i++) {
		struct xbz_queue *q = &s->queues[i];

		if (ended)
			xbz_queue_trim(q, READ_ONCE(q->counters.cache_pages));
		more |= xbz_queue_reap(q);
	}
	more |= xbz_region_reap(s);
	if (more) {
		xbz_session_kick(s);
	} else if (ended && s->regions && xbz_session_empty(s)) {
		/* Until here, reclaim could have what is still charged. */
		xbz_shrink_del(s);
		xa_destroy(&s->slots);
		xbz_queues_destroy(s, s->nr_queues);
		kfree(s->log_buf);
		kfree(s->regions);
		s->regions = NULL;
		xbz_reap_owes(s->account, -1);
		/* The file's. */
		xbz_session_put(s);
	}
	xbz_session_put(s);
}

/**
 * xbz_session_kick() - have the reaper drop what is to be dropped
 * @s: the session
 *
 * Context: any; a reference or the session's lock is held.
 */
void xbz_session_kick(struct xbz_session *s)
{
	refcount_inc(&s->refs);
	if (!xbz_reap(&s->reap))
		refcount_dec(&s->refs);
}

/**
 * xbz_session_new() - create a session of the calling process
 * @arg: as XBZRLE_SETUP has it, defaults applied; the outputs are filled in
 *
 * Context: may sleep.
 * Return: the session, to be ended with xbz_session_end(), or an error that
 * uapi/linux/xbzrle.h lists.
 */
struct xbz_session *xbz_session_new(struct xbzrle_setup *arg)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	struct xbz_session *s;
	int ret;

	ret = xbz_setup_check(arg);
	if (ret)
		return ERR_PTR(ret);
	s = kzalloc(sizeof(*s), gfp);
	if (!s)
		return ERR_PTR(-ENOMEM);
	ret = -ENOMEM;
	s->account = xbz_account_new();
	if (!s->account)
		goto err_free;
	if (arg->vm_fd != -1) {
		s->vm = xbz_vm_get(arg->vm_fd);
		if (IS_ERR(s->vm)) {
			ret = PTR_ERR(s->vm);
			goto err_account;
		}
	}
	ret = -ENOMEM;
	s->regions = kcalloc(XBZRLE_MAX_REGIONS, sizeof(*s->regions), gfp);
	if (!s->regions)
		goto err_vm;
	s->log_buf = kmalloc(XBZ_LOG_BUF_BYTES, gfp);
	if (!s->log_buf)
		goto err_regions;
	ret = xbz_queues_init(s, arg);
	if (ret)
		goto err_log_buf;

	INIT_LIST_HEAD(&s->dead);
	INIT_WORK(&s->reap, xbz_session_reap);
	init_rwsem(&s->lock);
	mutex_init(&s->map_lock);
	mutex_init(&s->log_lock);
	spin_lock_init(&s->stat_lock);
	refcount_set(&s->refs, 1);
	xa_init_flags(&s->slots, XA_FLAGS_ACCOUNT);
	strscpy(s->name, arg->name, sizeof(s->name));
	s->manual_protect = arg->flags & XBZRLE_SETUP_MANUAL_PROTECT;
	s->log_shift = arg->log_block_pages ? ilog2(arg->log_block_pages) :
					      XBZ_LOG_SHIFT_MAX;
	s->cache_bytes = arg->cache_bytes;
	s->owner = current_uid();
	s->born = ktime_get_ns();
	s->now.begin = s->born;
	s->pid = get_task_pid(current, PIDTYPE_TGID);
	/* Not mm_users: our file is part of what keeps that alive. */
	mmgrab(current->mm);
	s->mm = current->mm;

	/* Requesters and observers find it from here on: it is complete. */
	ret = xbz_shrink_add(s);
	if (ret)
		goto err_mm;
	ret = xbz_session_publish(s);
	if (ret)
		goto err_shrink;
	xbz_event(s, XBZRLE_CMD_SESSION_START);

	arg->session = s->id;
	arg->ring_offset = XBZ_MMAP_RINGS;
	arg->ring_stride = XBZ_MMAP_WINDOW;
	return s;

err_shrink:
	xbz_shrink_del(s);
err_mm:
	mmdrop(s->mm);
	xbz_queues_destroy(s, s->nr_queues);
	kfree(s->log_buf);
	kfree(s->regions);
	if (s->vm)
		fput(s->vm);
	/* Reclaim may have a reference. */
	xbz_session_put(s);
	return ERR_PTR(ret);

err_log_buf:
	kfree(s->log_buf);
err_regions:
	kfree(s->regions);
err_vm:
	if (s->vm)
		fput(s->vm);
err_account:
	xbz_account_put(s->account);
err_free:
	kfree(s);
	return ERR_PTR(ret);
}

/**
 * xbz_session_end() - end a session with its file
 * @s: the session; the reaper releases it
 *
 * Context: may sleep; in any process, also after the session's own has exited.
 */
void xbz_session_end(struct xbz_session *s)
{
	xbz_session_unpublish(s);
	xbz_event(s, XBZRLE_CMD_SESSION_END);

	if (s->vm)
		fput(s->vm);
	mmdrop(s->mm);
	xbz_reap_owes(s->account, 1);
	/* From then on, the reaper may put the file's reference at any time. */
	refcount_inc(&s->refs);
	WRITE_ONCE(s->ended, true);
	xbz_session_kick(s);
	xbz_session_put(s);
}

static int xbz_mmap_locked(struct xbz_session *s, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	unsigned long pgoff = (offset % XBZ_MMAP_WINDOW) >> PAGE_SHIFT;
	struct xbz_region *r;
	u64 i;

	if (offset >= XBZ_MMAP_BITMAPS) {
		i = (offset - XBZ_MMAP_BITMAPS) / XBZ_MMAP_WINDOW;
		r = i < XBZRLE_MAX_REGIONS ? xbz_region_find(s, i) : NULL;
		if (!r || pgoff)
			return -EINVAL;
		return xbz_pages_mmap(r->bitmap_pages, vma, true);
	}
	i = (offset - XBZ_MMAP_RINGS) / XBZ_MMAP_WINDOW;
	if (i >= s->nr_queues)
		return -EINVAL;
	i = array_index_nospec(i, s->nr_queues);
	return xbz_ring_mmap(&s->queues[i].ring, vma, pgoff);
}

/**
 * xbz_session_mmap() - map a ring or a bitmap
 * @s: the session
 * @vma: the new VMA
 *
 * Context: from .mmap: the mmap lock is held, so the session's lock is not
 * taken.
 * Return: 0; -EPERM for another process, -EINVAL for an offset or size of nothing
 * that exists, else see xbz_pages_mmap().
 */
int xbz_session_mmap(struct xbz_session *s, struct vm_area_struct *vma)
{
	int ret;

	if (s->mm != current->mm)
		return -EPERM;
	mutex_lock(&s->map_lock);
	ret = xbz_mmap_locked(s, vma);
	mutex_unlock(&s->map_lock);
	return ret;
}

/**
 * xbz_session_invalidate() - drop what is known of pages sent past the session
 * @s: the session
 * @arg: as XBZRLE_INVALIDATE has it
 *
 * Context: the session's lock is held for writing.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists.
 */
int xbz_session_invalidate(struct xbz_session *s,
			   const struct xbzrle_invalidate *arg)
{
	struct xbz_region *r;

	if (arg->reserved)
		return -EINVAL;
	r = xbz_region_range(s, arg->region, arg->first_page, arg->nr_pages);
	if (IS_ERR(r))
		return PTR_ERR(r);
	xbz_region_forget(s, r, arg->first_page,
			  arg->first_page + arg->nr_pages);
	return 0;
}

/**
 * xbz_session_cache() - resize the cache
 * @s: the session
 * @arg: as XBZRLE_CACHE has it; the outputs are filled in
 *
 * Context: the session's lock is held for writing.
 * Return: 0.
 */
int xbz_session_cache(struct xbz_session *s, struct xbzrle_cache *arg)
{
	unsigned int i;

	arg->old_bytes = xbz_session_resize(s, arg->cache_bytes);
	arg->used_bytes = 0;
	for (i = 0; i < s->nr_queues; i++)
		arg->used_bytes += READ_ONCE(s->queues[i].counters.cache_pages)
				   << XBZRLE_PAGE_SHIFT;
	return 0;
}

/**
 * xbz_session_counters() - read the counters
 * @s: the session
 * @arg: as XBZRLE_COUNTERS has it; the outputs are filled in
 *
 * Context: the session's lock is held for reading.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists.
 */
int xbz_session_counters(struct xbz_session *s, struct xbzrle_counters *arg)
{
	struct xbzrle_counters sum = { .size = arg->size, .queue = arg->queue };
	u32 queue = arg->queue;

	if (arg->reserved)
		return -EINVAL;
	if (queue == XBZRLE_ALL_QUEUES) {
		xbz_session_sum(s, &sum);
	} else if (queue < s->nr_queues) {
		queue = array_index_nospec(queue, s->nr_queues);
		xbz_counters_sum(&sum, &s->counters);
		xbz_counters_sum(&sum, &s->queues[queue].counters);
	} else {
		return -ENOENT;
	}
	*arg = sum;
	return 0;
}

/* Pages that were dealt with, in whatever way. */
static u64 xbz_pages_done(const struct xbzrle_counters *c)
{
	return c->pages_same + c->pages_zero + c->pages_delta + c->pages_raw;
}

/**
 * xbz_session_next_pass() - end a pass and begin another one
 * @s: the session
 * @dirty: bits newly set for it
 *
 * Context: the session's lock is held for writing, so no queue encodes.
 * Return: the number of the new pass.
 */
u64 xbz_session_next_pass(struct xbz_session *s, u64 dirty)
{
	struct xbzrle_counters sum = { };
	struct xbz_pass next = {
		.number = s->now.number + 1,
		.dirty = dirty,
	};
	unsigned int i;

	xbz_session_sum(s, &sum);
	for (i = 0; i < s->regions_end; i++)
		if (s->regions[i])
			next.remaining += xbz_region_dirty(s->regions[i]);
	next.begin = ktime_get_ns();
	next.pages = xbz_pages_done(&sum);
	next.bytes = sum.bytes;
	/* The policy learns from passes in which something was sent. */
	for (i = 0; next.pages != s->now.pages && i < s->nr_queues; i++) {
		mutex_lock(&s->queues[i].lock);
		xbz_cache_pass(&s->queues[i].cache);
		xbz_queue_unlock(s, &s->queues[i]);
	}

	spin_lock(&s->stat_lock);
	s->last = s->now;
	s->last.time = next.begin - s->now.begin;
	s->last.pages = next.pages - s->now.pages;
	s->last.bytes = next.bytes - s->now.bytes;
	s->now = next;
	spin_unlock(&s->stat_lock);

	if (sum.cache_refused != s->refused)
		xbz_event_warning(s, XBZRLE_WARNING_MEMORY, 0);
	s->refused = sum.cache_refused;
	xbz_event(s, XBZRLE_CMD_SESSION_PASS);
	return next.number;
}

/**
 * xbz_session_get() - look up a session
 * @id: its number
 *
 * Context: any that may take a spinlock.
 * Return: the session, to be released with xbz_session_put(), or NULL.
 */
struct xbz_session *xbz_session_get(u32 id)
{
	unsigned long at = id;
	struct xbz_session *s = xbz_session_get_next(&at);

	if (!s || at == id)
		return s;
	xbz_session_put(s);
	return NULL;
}

/**
 * xbz_session_get_next() - find the next session
 * @id: the lowest number that it may have; set to the one that it has
 *
 * A walk by numbers returns each session once that exists from the first call to
 * the last one, whatever others start and end.
 *
 * Context: any that may take a spinlock.
 * Return: the session, to be released with xbz_session_put(), or NULL.
 */
struct xbz_session *xbz_session_get_next(unsigned long *id)
{
	struct xbz_session *s;

	/* Its file's reference exists while it is in the table. */
	xa_lock(&xbz_sessions);
	s = xa_find(&xbz_sessions, id, ULONG_MAX, XA_PRESENT);
	if (s)
		refcount_inc(&s->refs);
	xa_unlock(&xbz_sessions);
	return s;
}

/**
 * xbz_session_put() - release a session
 * @s: the session; the last reference frees it
 *
 * Context: may sleep.
 */
void xbz_session_put(struct xbz_session *s)
{
	if (!refcount_dec_and_test(&s->refs))
		return;
	put_pid(s->pid);
	kvfree(s->queues);
	xbz_account_put(s->account);
	kfree(s);
}

/**
 * xbz_session_sum() - add a session's counters to a sum
 * @s: the session
 * @sum: the sum
 *
 * Context: any.
 */
void xbz_session_sum(struct xbz_session *s, struct xbzrle_counters *sum)
{
	unsigned int i;

	xbz_counters_sum(sum, &s->counters);
	for (i = 0; i < s->nr_queues; i++)
		xbz_counters_sum(sum, &s->queues[i].counters);
}

/**
 * xbz_session_passes() - read the current and the previous pass
 * @s: the session
 * @now: set to the current pass, with its time, pages and bytes so far
 * @last: set to the previous pass
 *
 * Context: any.
 */
void xbz_session_passes(struct xbz_session *s, struct xbz_pass *now,
			struct xbz_pass *last)
{
	struct xbzrle_counters sum = { };

	spin_lock(&s->stat_lock);
	*now = s->now;
	*last = s->last;
	spin_unlock(&s->stat_lock);

	xbz_session_sum(s, &sum);
	now->time = ktime_get_ns() - now->begin;
	now->pages = xbz_pages_done(&sum) - now->pages;
	now->bytes = sum.bytes - now->bytes;
}

/**
 * xbz_session_resize() - change the limit of a session's cache
 * @s: the session
 * @bytes: the new limit; the reaper drops what is above it
 *
 * Context: any; a reference or the session's lock is held.
 * Return: the previous limit.
 */
u64 xbz_session_resize(struct xbz_session *s, u64 bytes)
{
	unsigned int i;
	u64 old;

	spin_lock(&s->stat_lock);
	old = s->cache_bytes;
	WRITE_ONCE(s->cache_bytes, bytes);
	for (i = 0; i < s->nr_queues; i++)
		WRITE_ONCE(s->queues[i].counters.cache_limit,
			   xbz_shard_pages(bytes, s->nr_queues));
	spin_unlock(&s->stat_lock);
	xbz_session_kick(s);
	return old;
}

/**
 * xbz_session_flush() - have as many pages dropped as a session has cached
 * @s: the session
 *
 * Context: any; a reference or the session's lock is held.
 * Return: bytes of the cached pages. The reaper drops so many; while the session
 * encodes, some of them may be newer ones.
 */
u64 xbz_session_flush(struct xbz_session *s)
{
	unsigned int i;
	u64 pages = 0;

	for (i = 0; i < s->nr_queues; i++) {
		u64 nr = READ_ONCE(s->queues[i].counters.cache_pages);

		xbz_queue_trim(&s->queues[i], nr);
		pages += nr;
	}
	xbz_session_kick(s);
	return pages << XBZRLE_PAGE_SHIFT;
}

/**
 * xbz_sessions_totals() - sum of all sessions since the module was loaded
 * @sum: zeroed; set to the sum
 * @started: set to the number of sessions created
 * @ended: set to the number of sessions that have ended
 *
 * Counters never decrease from one call to the next; gauges, such as cache_pages,
 * do. A session that ends at this moment may be missing, and is there in the next call.
 *
 * Context: may sleep. Takes a lock for a moment at a time, however many sessions there
 * are: their starts and ends wait for it.
 */
void xbz_sessions_totals(struct xbzrle_counters *sum, u64 *started, u64 *ended)
{
	struct xbzrle_counters now, one;
	struct xbz_session *s;
	unsigned long id = 0;

	/* The past first, so that a session that ends meanwhile is not counted twice. */
	xa_lock(&xbz_sessions);
	now = xbz_past;
	*started = xbz_started;
	*ended = xbz_ended;
	xa_unlock(&xbz_sessions);
	for (; (s = xbz_session_get_next(&id)); id++) {
		memset(&one, 0, sizeof(one));
		xbz_session_sum(s, &one);
		/* What the reaper drops of a session that has ended is not in the past. */
		smp_rmb();
		if (!READ_ONCE(s->ended))
			xbz_counters_sum(&now, &one);
		xbz_session_put(s);
		cond_resched();
	}
	xa_lock(&xbz_sessions);
	xbz_counters_max(&xbz_told, &now);
	*sum = xbz_told;
	xa_unlock(&xbz_sessions);
	xbz_gauges_copy(sum, &now);
}

/**
 * xbz_sessions_trim() - make all sessions keep to a smaller limit of the host's
 *
 * Each session drops the same share of its cached pages. Other memory stays, so
 * this may not be enough.
 *
 * Context: may sleep.
 */
void xbz_sessions_trim(void)
{
	u64 used = xbz_mem_used(), limit = xbz_mem_limit(), started, ended;
	struct xbzrle_counters sum = { };
	struct xbz_session *s;
	unsigned long id = 0;
	unsigned int i;
	u64 share;

	xbz_sessions_totals(&sum, &started, &ended);
	if (used <= limit || !sum.cache_pages)
		return;
	share = min((used - limit) >> XBZRLE_PAGE_SHIFT, sum.cache_pages);
	/* In 65536ths; cached pages are fewer than 2^40. */
	share = (share << 16) / sum.cache_pages;
	for (; (s = xbz_session_get_next(&id)); id++) {
		for (i = 0; i < s->nr_queues; i++) {
			struct xbz_queue *q = &s->queues[i];
			u64 nr = READ_ONCE(q->counters.cache_pages);

			xbz_queue_trim(q, (nr * share >> 16) + 1);
		}
		xbz_session_kick(s);
		xbz_session_put(s);
	}
}

/**
 * xbz_sessions_exit() - free the table when the module is unloaded
 */
void xbz_sessions_exit(void)
{
	xa_destroy(&xbz_sessions);
}
