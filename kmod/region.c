// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory as a session sees it: regions, blocks of memory with the bitmap
 * that the process shares; and KVM's memslots, each of which maps a part of a
 * region. Fetching and clearing KVM's log is harvest.c's.
 */
#include "region.h"
#include "memory.h"
#include "reap.h"
#include "session.h"

#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/xbzrle.h>

/* Pages that are counted without a point to reschedule. */
#define XBZ_WEIGHT_PAGES BIT(20)
/* Pages that the reaper forgets at a time. */
#define XBZ_REAP_PAGES 4096
/* Chunks that are handed over to it at a time: their leaves are a page of pointers. */
#define XBZ_FORGET_CHUNKS (PAGE_SIZE / sizeof(u64 *))

/* The whole range is mapped now; later faults are reported by ENCODE. */
static int xbz_range_mapped(struct mm_struct *mm, unsigned long start,
			    unsigned long end)
{
	struct vm_area_struct *vma;
	int ret = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	while (start < end) {
		vma = find_vma(mm, start);
		if (!vma || vma->vm_start > start) {
			ret = -ENXIO;
			break;
		}
		start = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return ret;
}

static int xbz_region_check(struct xbz_session *s, struct xbzrle_region *arg)
{
	size_t len = strnlen(arg->name, sizeof(arg->name));
	unsigned int i;
	u64 end;

	if (arg->reserved || !arg->nr_pages || !PAGE_ALIGNED(arg->addr) ||
	    !len || len == sizeof(arg->name))
		return -EINVAL;
	if (arg->nr_pages > XBZ_SESSION_PAGES_MAX - s->pages)
		return -ENOSPC;
	if (check_add_overflow(arg->addr, arg->nr_pages << PAGE_SHIFT, &end) ||
	    !access_ok((void __user *)(unsigned long)arg->addr,
		       arg->nr_pages << PAGE_SHIFT))
		return -ENXIO;

	for (i = 0; i < s->regions_end; i++) {
		const struct xbz_region *r = s->regions[i];

		if (!r)
			continue;
		if (arg->addr < r->addr + (r->nr_pages << PAGE_SHIFT) &&
		    r->addr < end)
			return -EEXIST;
		if (r->block.len == len && !memcmp(r->name, arg->name, len))
			return -EEXIST;
	}
	return xbz_range_mapped(s->mm, arg->addr, end);
}

static unsigned long xbz_nr_leaves(const struct xbz_region *r)
{
	return DIV_ROUND_UP(r->nr_pages, XBZRLE_CHUNK_PAGES);
}

/* Words of a bit for each log block, of whatever size SETUP allows. */
static unsigned long xbz_nr_needs_clear(const struct xbz_region *r)
{
	return BITS_TO_LONGS(DIV_ROUND_UP(r->nr_pages, BIT(XBZ_LOG_SHIFT_MIN)));
}

static void xbz_region_free(struct xbz_account *a, struct xbz_region *r)
{
	xbz_mem_free(a, r->leaf, xbz_nr_leaves(r), sizeof(*r->leaf));
	xbz_mem_free(a, r->needs_clear, xbz_nr_needs_clear(r),
		     sizeof(*r->needs_clear));
	xbz_pages_put(r->bitmap_pages);
	kfree(r);
}

/* Memory of a region, besides what the cache adds, in pages. */
static unsigned long xbz_region_charge(const struct xbz_region *r, unsigned long bitmap)
{
	return bitmap + ((bitmap * sizeof(struct page *) +
			  xbz_nr_needs_clear(r) * sizeof(*r->needs_clear) +
			  xbz_nr_leaves(r) * sizeof(*r->leaf)) >> PAGE_SHIFT);
}

static struct xbz_region *xbz_region_new(struct xbz_account *a,
					 const struct xbzrle_region *arg)
{
	unsigned long bitmap = DIV_ROUND_UP(BITS_TO_LONGS(arg->nr_pages) * sizeof(long),
					    PAGE_SIZE);
	struct xbz_region *r;

	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!r)
		return NULL;
	r->addr = arg->addr;
	r->nr_pages = arg->nr_pages;
	strscpy(r->name, arg->name, sizeof(r->name));
	r->block.len = strlen(r->name);
	r->block.name = r->name;

	if (xbz_mem_fits(a, xbz_region_charge(r, bitmap)))
		goto err_free;
	r->bitmap_pages = xbz_pages_new(a, bitmap, 0);
	if (!r->bitmap_pages)
		goto err_free;
	r->bitmap = r->bitmap_pages->vaddr;
	r->needs_clear = xbz_mem_zalloc(a, xbz_nr_needs_clear(r),
					sizeof(*r->needs_clear), false);
	if (!r->needs_clear)
		goto err_free;
	r->leaf = xbz_mem_zalloc(a, xbz_nr_leaves(r), sizeof(*r->leaf), false);
	if (!r->leaf)
		goto err_free;
	return r;

err_free:
	xbz_region_free(a, r);
	return NULL;
}

/**
 * xbz_region_add() - add a region
 * @s: the session
 * @arg: as XBZRLE_REGION_SET has it; the outputs are filled in
 *
 * Context: the session's lock is held for writing.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists.
 */
int xbz_region_add(struct xbz_session *s, struct xbzrle_region *arg)
{
	struct xbz_region *r;
	unsigned int id;
	int ret;

	ret = xbz_region_check(s, arg);
	if (ret)
		return ret;
	for (id = 0; id < s->regions_end && s->regions[id]; id++)
		;
	if (id == XBZRLE_MAX_REGIONS)
		return -ENOSPC;
	s->account->error = -ENOMEM;
	r = xbz_region_new(s->account, arg);
	if (!r)
		return s->account->error;
	r->id = id;

	mutex_lock(&s->map_lock);
	s->regions[id] = r;
	s->regions_end = max(s->regions_end, id + 1);
	mutex_unlock(&s->map_lock);
	WRITE_ONCE(s->nr_regions, s->nr_regions + 1);
	WRITE_ONCE(s->pages, s->pages + r->nr_pages);

	arg->region = id;
	arg->bitmap_offset = XBZ_MMAP_BITMAPS + id * XBZ_MMAP_WINDOW;
	arg->bitmap_bytes = (u64)r->bitmap_pages->nr << PAGE_SHIFT;
	return 0;
}

/* What is known of the pages of a chunk, from @page up to @end, is dropped here. */
static void xbz_chunk_forget(struct xbz_session *s, struct xbz_region *r,
			     unsigned long page, unsigned long end)
{
	u64 *leaf = r->leaf[page / XBZRLE_CHUNK_PAGES];
	struct xbz_queue *q = xbz_queue_of(s, r, page);
	LIST_HEAD(pages);

	if (!leaf)
		return;
	/* No ENCODE holds it, but the reaper or reclaim may. */
	mutex_lock(&q->lock);
	for (; page < end; page++)
		xbz_cache_forget(&q->cache, &leaf[page % XBZRLE_CHUNK_PAGES], &pages);
	xbz_queue_unlock(s, q);
	xbz_cache_pages_free(s->account, &pages);
}

/* The reaper frees it, when its pages are forgotten. */
static void xbz_region_hand_over(struct xbz_session *s, struct xbz_region *r)
{
	xbz_reap_owes(s->account, 1);
	spin_lock(&s->stat_lock);
	list_add_tail(&r->dead, &s->dead);
	spin_unlock(&s->stat_lock);
	xbz_session_kick(s);
}

/*
 * Whole chunks begin again without words, and the reaper gets the old ones as those of
 * a region that was removed. False if there is no memory for that.
 */
static bool xbz_chunks_forget(struct xbz_session *s, struct xbz_region *r,
			      unsigned long chunk, unsigned long end)
{
	unsigned long nr = end - chunk;
	struct xbz_region *gone;

	if (!memchr_inv(r->leaf + chunk, 0, nr * sizeof(*r->leaf)))
		return true;
	gone = kzalloc(sizeof(*gone), GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY);
	if (!gone)
		return false;
	gone->leaf = xbz_mem_zalloc(s->account, nr, sizeof(*gone->leaf), true);
	if (!gone->leaf) {
		kfree(gone);
		return false;
	}
	gone->nr_pages = nr * XBZRLE_CHUNK_PAGES;
	/* For xbz_queue_of(): they were those queues' and still are. */
	gone->id = r->id + chunk;
	memcpy(gone->leaf, r->leaf + chunk, nr * sizeof(*r->leaf));
	memset(r->leaf + chunk, 0, nr * sizeof(*r->leaf));
	xbz_region_hand_over(s, gone);
	return true;
}

/**
 * xbz_region_forget() - drop what is known of pages
 * @s: the session
 * @r: the region
 * @page: the first page
 * @end: one behind the last page
 *
 * Costs the caller a few microseconds and a pointer for each chunk: cached pages of
 * whole chunks are dropped by the reaper, and the history of their pages with them.
 *
 * Context: the session's lock is held for writing. May sleep.
 */
void xbz_region_forget(struct xbz_session *s, struct xbz_region *r,
		       unsigned long page, unsigned long end)
{
	unsigned long last = end == r->nr_pages ? xbz_nr_leaves(r) :
						  end / XBZRLE_CHUNK_PAGES;

	for (; page < end; cond_resched()) {
		unsigned long chunk = page / XBZRLE_CHUNK_PAGES;
		unsigned long next = min(chunk + XBZ_FORGET_CHUNKS, last);

		if (page % XBZRLE_CHUNK_PAGES || chunk >= last ||
		    !xbz_chunks_forget(s, r, chunk, next)) {
			/* That frees pages: there may be memory for the next ones. */
			next = chunk + 1;
			xbz_chunk_forget(s, r, page, min(next * XBZRLE_CHUNK_PAGES, end));
		}
		page = next * XBZRLE_CHUNK_PAGES;
	}
}

/* Forgets as many pages of a dead region as an ENCODE may have to wait for. */
static bool xbz_words_reap(struct xbz_session *s, struct xbz_region *r, u64 *words)
{
	struct xbz_queue *q = xbz_queue_of(s, r, r->reaped * XBZRLE_CHUNK_PAGES);
	LIST_HEAD(pages);
	unsigned int i;

	smp_mb(); /* (A) of queue.c */
	if (!mutex_trylock(&q->lock))
		return false;
	for (i = 0; i < XBZ_TRIM_PAGES; i++)
		xbz_cache_forget(&q->cache, &words[i], &pages);
	xbz_queue_unlock(s, q);
	xbz_cache_pages_free(s->account, &pages);
	return true;
}

/*
 * Forgets the pages of a dead region, some at a time. It stops at a chunk whose queue is
 * encoding: that queue's holder kicks the reaper.
 */
static unsigned long xbz_region_reap_some(struct xbz_session *s,
					  struct xbz_region *r)
{
	unsigned long done = 0;
	unsigned int i;

	for (; r->reaped < xbz_nr_leaves(r); r->reaped++) {
		u64 *leaf = r->leaf[r->reaped];

		cond_resched();
		if (!leaf)
			continue;
		if (done >= XBZ_REAP_PAGES)
			break;
		/* What was forgotten before a trylock failed is forgotten again: nothing. */
		for (i = 0; i < XBZRLE_CHUNK_PAGES; i += XBZ_TRIM_PAGES)
			if (!xbz_words_reap(s, r, leaf + i))
				return done;
		xbz_mem_free(s->account, leaf, XBZRLE_CHUNK_PAGES, sizeof(*leaf));
		r->leaf[r->reaped] = NULL;
		done += XBZRLE_CHUNK_PAGES;
	}
	return done;
}

/**
 * xbz_region_reap() - free the regions that were removed, some pages at a time
 * @s: the session
 *
 * Context: the reaper.
 * Return: false if nothing is left to do, or the rest waits for a holder of a queue.
 */
bool xbz_region_reap(struct xbz_session *s)
{
	struct xbz_region *r;
	unsigned long done;

	spin_lock(&s->stat_lock);
	r = list_first_entry_or_null(&s->dead, struct xbz_region, dead);
	spin_unlock(&s->stat_lock);
	if (!r)
		return false;
	done = xbz_region_reap_some(s, r);
	if (r->reaped < xbz_nr_leaves(r))
		return done;
	spin_lock(&s->stat_lock);
	list_del(&r->dead);
	spin_unlock(&s->stat_lock);
	xbz_region_free(s->account, r);
	xbz_reap_owes(s->account, -1);
	return true;
}

/* Nothing finds it any more; the reaper frees it. */
static void xbz_region_remove(struct xbz_session *s, struct xbz_region *r)
{
	mutex_lock(&s->map_lock);
	s->regions[r->id] = NULL;
	while (s->regions_end && !s->regions[s->regions_end - 1])
		s->regions_end--;
	mutex_unlock(&s->map_lock);
	WRITE_ONCE(s->nr_regions, s->nr_regions - 1);
	WRITE_ONCE(s->pages, s->pages - r->nr_pages);
	xbz_region_hand_over(s, r);
}

/**
 * xbz_region_del() - remove a region; its memory and cached pages are freed later
 * @s: the session
 * @id: the region
 *
 * Context: the session's lock is held for writing.
 * Return: 0, -ENOENT if there is none, -EBUSY while a slot lies in it.
 */
int xbz_region_del(struct xbz_session *s, u32 id)
{
	struct xbz_region *r = xbz_region_find(s, id);

	if (!r)
		return -ENOENT;
	if (r->nr_slots)
		return -EBUSY;
	xbz_region_remove(s, r);
	return 0;
}

/**
 * xbz_region_del_all() - remove all regions at the end of a session
 * @s: the session; it has no slots
 *
 * Context: no file refers to the session any more.
 */
void xbz_region_del_all(struct xbz_session *s)
{
	while (s->regions_end)
		xbz_region_remove(s, s->regions[s->regions_end - 1]);
}

/**
 * xbz_region_dirty() - count a region's dirty pages
 * @r: the region
 *
 * Context: may sleep; the process may change the bitmap at the same time.
 * Return: pages.
 */
u64 xbz_region_dirty(const struct xbz_region *r)
{
	const unsigned long *bitmap = (const unsigned long *)r->bitmap;
	unsigned long at;
	u64 dirty = 0;

	for (at = 0; at < r->nr_pages; at += XBZ_WEIGHT_PAGES) {
		/* Written to while it is counted: a few bits more or less. */
		dirty += data_race(bitmap_weight(bitmap + at / BITS_PER_LONG,
						 min(r->nr_pages - at,
						     XBZ_WEIGHT_PAGES)));
		cond_resched();
	}
	return dirty;
}

/**
 * xbz_region_find() - look up a region
 * @s: the session
 * @id: a number from the caller
 *
 * Context: the session's lock or its map_lock is held.
 * Return: the region, or NULL.
 */
struct xbz_region *xbz_region_find(struct xbz_session *s, u32 id)
{
	if (id >= s->regions_end)
		return NULL;
	return s->regions[array_index_nospec(id, s->regions_end)];
}

/**
 * xbz_region_range() - look up a range of a region
 * @s: the session
 * @id: a number from the caller
 * @first: first page, from the caller
 * @nr: number of pages, from the caller
 *
 * Context: the session's lock is held.
 * Return: the region, -ENOENT if there is none, -ERANGE if the range is empty
 * or not inside it.
 */
struct xbz_region *xbz_region_range(struct xbz_session *s, u32 id, u64 first,
				    u64 nr)
{
	struct xbz_region *r = xbz_region_find(s, id);

	if (!r)
		return ERR_PTR(-ENOENT);
	if (!nr || first >= r->nr_pages || nr > r->nr_pages - first)
		return ERR_PTR(-ERANGE);
	return r;
}

static void xbz_slot_free(struct xbz_session *s, struct xbz_slot *slot)
{
	xbz_mem_free(s->account, slot->fetched, BITS_TO_U64(slot->nr_pages),
		     sizeof(*slot->fetched));
	kfree(slot);
}

/**
 * xbz_slot_add() - start harvesting a slot
 * @s: the session
 * @arg: as XBZRLE_SLOT_SET has it
 *
 * Context: the session's lock is held for writing.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists.
 */
int xbz_slot_add(struct xbz_session *s, const struct xbzrle_slot *arg)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	struct xbz_region *r;
	struct xbz_slot *slot;
	int ret;

	if (!s->vm)
		return -ENODEV;
	r = xbz_region_range(s, arg->region, arg->first_page, arg->nr_pages);
	if (IS_ERR(r))
		return PTR_ERR(r);
	if (xa_load(&s->slots, arg->slot))
		return -EEXIST;
	if (s->nr_slots >= XBZRLE_MAX_SLOTS ||
	    arg->nr_pages > XBZ_SLOT_PAGES_MAX - s->slot_pages)
		return -ENOSPC;

	slot = kzalloc(sizeof(*slot), gfp);
	if (!slot)
		return -ENOMEM;
	slot->id = arg->slot;
	slot->region = r;
	slot->first = arg->first_page;
	slot->nr_pages = arg->nr_pages;
	ret = -ENOMEM;
	if (s->manual_protect) {
		slot->fetched = xbz_mem_zalloc(s->account, BITS_TO_U64(slot->nr_pages),
					       sizeof(*slot->fetched), false);
		if (!slot->fetched) {
			ret = s->account->error;
			goto err_free;
		}
	}
	ret = xa_err(xa_store(&s->slots, slot->id, slot, gfp));
	if (ret)
		goto err_free;
	r->nr_slots++;
	s->nr_slots++;
	s->slot_pages += slot->nr_pages;
	return 0;

err_free:
	xbz_slot_free(s, slot);
	return ret;
}

static void xbz_slot_remove(struct xbz_session *s, struct xbz_slot *slot)
{
	xa_erase(&s->slots, slot->id);
	slot->region->nr_slots--;
	s->nr_slots--;
	s->slot_pages -= slot->nr_pages;
	xbz_slot_free(s, slot);
}

/**
 * xbz_slot_del() - stop harvesting a slot
 * @s: the session
 * @id: KVM's number for it
 *
 * Bits that were fetched and not cleared stay set in KVM's log, too.
 *
 * Context: the session's lock is held for writing.
 * Return: 0, or -ENOENT.
 */
int xbz_slot_del(struct xbz_session *s, u32 id)
{
	struct xbz_slot *slot = xa_load(&s->slots, id);

	if (!slot)
		return -ENOENT;
	xbz_slot_remove(s, slot);
	return 0;
}

/**
 * xbz_slot_del_all() - stop harvesting all slots
 * @s: the session
 *
 * Context: no file refers to the session any more.
 */
void xbz_slot_del_all(struct xbz_session *s)
{
	struct xbz_slot *slot;
	unsigned long id;

	xa_for_each(&s->slots, id, slot)
		xbz_slot_remove(s, slot);
}
