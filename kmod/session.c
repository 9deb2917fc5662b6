// SPDX-License-Identifier: GPL-2.0-only
/*
 * A session's life: made by open, bound to a process by SETUP, gone with the
 * last reference to the file. Also what concerns all of its queues at once.
 */
#include "session.h"
#include "event.h"
#include "memory.h"
#include "region.h"
#include "registry.h"
#include "settings.h"
#include "slot.h"
#include "trim.h"
#include "vm.h"

#include "core/ring.h"

#include <linux/cred.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

/**
 * xbz_session_new() - make an unbound session
 *
 * Context: may sleep.
 * Return: the session, or NULL without memory.
 */
struct xbz_session *xbz_session_new(void)
{
	struct xbz_session *s;

	s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	if (!s)
		return NULL;
	init_rwsem(&s->lock);
	mutex_init(&s->map_lock);
	mutex_init(&s->log_lock);
	xa_init_flags(&s->slots, XA_FLAGS_ACCOUNT);
	return s;
}

static void xbz_queues_free(struct xbz_queue *queues, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		xbz_queue_destroy(&queues[i]);
	kvfree(queues);
}

/**
 * xbz_session_free() - end a session
 * @s: the session; nobody else can reach it
 *
 * Context: may sleep; any process, also when the session's own is gone.
 */
void xbz_session_free(struct xbz_session *s)
{
	/* Before anything goes that can be seen from outside. */
	if (s->mm) {
		xbz_event_end(s);
		xbz_registry_del(s);
	}
	xbz_slot_del_all(s);
	xa_destroy(&s->slots);
	xbz_region_del_all(s);
	kfree(s->regions);
	xbz_queues_free(s->queues, s->nr_queues);
	kfree(s->log_buf);
	if (s->vm)
		fput(s->vm);
	if (s->mm) {
		put_pid(s->pid);
		mmdrop(s->mm);
	}
	kfree(s);
}

static int xbz_setup_check(const struct xbzrle_setup *arg)
{
	if (arg->reserved ||
	    strnlen(arg->name, sizeof(arg->name)) == sizeof(arg->name))
		return -EINVAL;
	if (arg->page_shift != XBZRLE_PAGE_SHIFT)
		return -EDOM;
	if (!arg->nr_queues || arg->nr_queues > XBZRLE_MAX_QUEUES ||
	    !xbz_ring_size_ok(arg->ring_bytes, XBZ_RING_MIN, XBZ_RING_MAX))
		return -ERANGE;
	if (arg->vm_fd == -1 && arg->flags & XBZRLE_SETUP_MANUAL_PROTECT)
		return -EINVAL;
	return 0;
}

/**
 * xbz_shard_pages() - a shard's part of a session's cache
 * @bytes: what the session's copies may take
 * @nr_queues: its queues
 *
 * Return: pages.
 */
unsigned long xbz_shard_pages(u64 bytes, unsigned int nr_queues)
{
	return min_t(u64, bytes >> XBZRLE_PAGE_SHIFT, ULONG_MAX) / nr_queues;
}

static struct xbz_queue *xbz_queues_new(const struct xbzrle_setup *arg)
{
	unsigned long pages = xbz_shard_pages(arg->cache_bytes, arg->nr_queues);
	struct xbz_queue *queues;
	unsigned int i;
	int ret;

	queues = kvcalloc(arg->nr_queues, sizeof(*queues),
			  GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!queues)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < arg->nr_queues; i++) {
		ret = xbz_queue_init(&queues[i], i, arg->ring_bytes, pages);
		if (ret)
			goto err_free;
	}
	return queues;

err_free:
	xbz_queues_free(queues, i);
	return ERR_PTR(ret);
}

/**
 * xbz_session_setup() - bind a session to the calling process
 * @s: the session
 * @arg: as XBZRLE_SETUP has it; the outputs are filled in
 *
 * Context: the session's lock is held for writing.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists.
 */
int xbz_session_setup(struct xbz_session *s, struct xbzrle_setup *arg)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	struct xbz_region **regions;
	struct xbz_queue *queues;
	struct file *vm = NULL;
	unsigned int i;
	u64 *log_buf;
	int ret;

	if (s->mm)
		return -EBUSY;
	ret = xbz_settings_apply(arg);
	if (ret)
		return ret;
	ret = xbz_setup_check(arg);
	if (ret)
		return ret;
	if (arg->vm_fd != -1) {
		vm = xbz_vm_get(arg->vm_fd);
		if (IS_ERR(vm))
			return PTR_ERR(vm);
	}
	ret = -ENOMEM;
	regions = kcalloc(XBZRLE_MAX_REGIONS, sizeof(*regions), gfp);
	if (!regions)
		goto err_vm;
	log_buf = kmalloc(XBZ_LOG_BUF_BYTES, gfp);
	if (!log_buf)
		goto err_regions;
	queues = xbz_queues_new(arg);
	if (IS_ERR(queues)) {
		ret = PTR_ERR(queues);
		goto err_log_buf;
	}

	s->vm = vm;
	s->manual_protect = arg->flags & XBZRLE_SETUP_MANUAL_PROTECT;
	s->owner = current_uid();
	s->pid = get_task_pid(current, PIDTYPE_TGID);
	s->born = ktime_get_ns();
	s->refused = xbz_mem_refused();
	s->now.begin = s->born;
	s->log_buf = log_buf;
	strscpy(s->name, arg->name, sizeof(s->name));

	mutex_lock(&s->map_lock);
	s->regions = regions;
	s->queues = queues;
	s->nr_queues = arg->nr_queues;
	s->cache_bytes = arg->cache_bytes;
	/* Not mm_users: our file is part of what keeps that alive. */
	mmgrab(current->mm);
	s->mm = current->mm;
	mutex_unlock(&s->map_lock);

	/* From here on it is seen, so it has all that one can see. */
	ret = xbz_registry_add(s);
	if (ret)
		goto err_undo;
	for (i = 0; i < s->nr_queues; i++)
		queues[i].cache.session = s->id;
	xbz_event_start(s);

	arg->session = s->id;
	arg->ring_offset = XBZ_MMAP_RINGS;
	arg->ring_stride = XBZ_MMAP_WINDOW;
	return 0;

err_undo:
	mutex_lock(&s->map_lock);
	mmdrop(s->mm);
	s->mm = NULL;
	s->nr_queues = 0;
	s->queues = NULL;
	s->regions = NULL;
	mutex_unlock(&s->map_lock);
	put_pid(s->pid);
	s->log_buf = NULL;
	s->vm = NULL;
	xbz_queues_free(queues, arg->nr_queues);
err_log_buf:
	kfree(log_buf);
err_regions:
	kfree(regions);
err_vm:
	if (vm)
		fput(vm);
	return ret;
}

static int xbz_mmap_locked(struct xbz_session *s, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	unsigned long pgoff = (offset % XBZ_MMAP_WINDOW) >> PAGE_SHIFT;
	struct xbz_region *r;
	u64 i;

	if (!s->mm)
		return -ENOTCONN;
	if (s->mm != current->mm)
		return -EPERM;

	if (offset >= XBZ_MMAP_BITMAPS) {
		i = (offset - XBZ_MMAP_BITMAPS) / XBZ_MMAP_WINDOW;
		r = i < XBZRLE_MAX_REGIONS ? xbz_region_find(s, i) : NULL;
		if (!r || pgoff)
			return -EINVAL;
		return xbz_pages_mmap(&r->bitmap_pages, vma, true);
	}
	if (offset < XBZ_MMAP_RINGS)
		return -EINVAL;
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
 * Return: 0; -ENOTCONN before SETUP, -EPERM for a foreign process, -EINVAL for
 * an offset or size where nothing is, else see xbz_pages_mmap().
 */
int xbz_session_mmap(struct xbz_session *s, struct vm_area_struct *vma)
{
	int ret;

	mutex_lock(&s->map_lock);
	ret = xbz_mmap_locked(s, vma);
	mutex_unlock(&s->map_lock);
	return ret;
}

/**
 * xbz_session_invalidate() - forget pages that others have sent
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

	arg->old_bytes = xbz_trim_resize(s, arg->cache_bytes);
	arg->used_bytes = 0;
	for (i = 0; i < s->nr_queues; i++) {
		struct xbz_queue *q = &s->queues[i];

		/* What somebody else was just dropping is not left to him. */
		mutex_lock(&q->lock);
		xbz_cache_drop(&q->cache, xbz_cache_excess(&q->cache));
		arg->used_bytes += (u64)q->cache.nr << XBZRLE_PAGE_SHIFT;
		xbz_queue_unlock(q);
	}
	return 0;
}

/**
 * xbz_queue_sum() - add what a queue did
 * @q: the queue
 * @c: what to add it to
 *
 * Single words, read while they change: each is right, their sums nearly.
 *
 * Context: any; no lock is needed.
 */
void xbz_queue_sum(const struct xbz_queue *q, struct xbzrle_counters *c)
{
	const struct xbz_queue_stats *st = &q->stats;

	c->pages_same += READ_ONCE(st->pages_same);
	c->pages_zero += READ_ONCE(st->pages_zero);
	c->pages_delta += READ_ONCE(st->pages_delta);
	c->pages_raw += READ_ONCE(st->pages_raw);
	c->zero_based += READ_ONCE(st->zero_based);
	c->bytes += READ_ONCE(st->bytes);
	c->bytes_delta += READ_ONCE(st->bytes_delta);
	c->cache_hits += READ_ONCE(st->cache_hits);
	c->cache_misses += READ_ONCE(st->cache_misses);
	c->overflows += READ_ONCE(st->overflows);
	c->cache_pages += READ_ONCE(q->cache.nr);
	c->cache_zero += READ_ONCE(q->cache.nr_zero);
	c->cache_limit += READ_ONCE(q->cache.limit);
	c->evictions += READ_ONCE(q->cache.evictions);
	c->batches += READ_ONCE(st->batches);
	c->ring_full += READ_ONCE(st->ring_full);
	c->faults += READ_ONCE(st->faults);
}

/**
 * xbz_session_counters() - what was done so far
 * @s: the session
 * @arg: as XBZRLE_COUNTERS has it; the outputs are filled in
 *
 * Context: the session's lock is held for reading.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists.
 */
int xbz_session_counters(struct xbz_session *s, struct xbzrle_counters *arg)
{
	u32 size = arg->size, queue = arg->queue;
	unsigned int i;

	if (arg->reserved)
		return -EINVAL;
	if (queue != XBZRLE_ALL_QUEUES && queue >= s->nr_queues)
		return -ENOENT;

	*arg = (struct xbzrle_counters){ .size = size, .queue = queue };
	if (queue != XBZRLE_ALL_QUEUES)
		xbz_queue_sum(&s->queues[array_index_nospec(queue, s->nr_queues)],
			      arg);
	else
		for (i = 0; i < s->nr_queues; i++)
			xbz_queue_sum(&s->queues[i], arg);
	arg->syncs = s->now.number;
	arg->log_dirty = s->log_dirty;
	arg->log_clears = atomic64_read(&s->log_clears);
	return 0;
}

/**
 * xbz_session_sum() - add what all queues of a session did, and its SYNCs
 * @s: the session
 * @sum: what to add it to
 *
 * Context: any; a reference or the session's lock is held.
 */
void xbz_session_sum(struct xbz_session *s, struct xbzrle_counters *sum)
{
	unsigned int i;

	for (i = 0; i < s->nr_queues; i++)
		xbz_queue_sum(&s->queues[i], sum);
	sum->syncs += READ_ONCE(s->now.number);
	sum->log_dirty += READ_ONCE(s->log_dirty);
	sum->log_clears += atomic64_read(&s->log_clears);
}

/**
 * xbz_session_copies() - copies that a session holds
 * @s: the session
 *
 * Context: any; a reference or the session's lock is held.
 */
unsigned long xbz_session_copies(const struct xbz_session *s)
{
	unsigned long copies = 0;
	unsigned int i;

	for (i = 0; i < s->nr_queues; i++)
		copies += READ_ONCE(s->queues[i].cache.nr);
	return copies;
}

/**
 * xbz_session_next_pass() - a pass ends and another one begins
 * @s: the session
 * @dirty: bits that are newly set for it
 *
 * Context: the session's lock is held for writing, so no queue encodes.
 * Return: the number of the pass that begins.
 */
u64 xbz_session_next_pass(struct xbz_session *s, u64 dirty)
{
	struct xbzrle_counters sum = { };
	u64 now = ktime_get_ns(), pages;

	xbz_session_sum(s, &sum);
	pages = sum.pages_same + sum.pages_zero + sum.pages_delta +
		sum.pages_raw;

	mutex_lock(&s->map_lock);
	s->last = s->now;
	s->last.time = now - s->now.begin;
	s->last.pages = pages - s->now.pages;
	s->last.bytes = sum.bytes - s->now.bytes;
	s->now = (struct xbz_pass){
		.number = s->last.number + 1,
		.begin = now,
		.dirty = dirty,
		.pages = pages,
		.bytes = sum.bytes,
	};
	mutex_unlock(&s->map_lock);
	return s->now.number;
}
