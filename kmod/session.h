/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_SESSION_H
#define _XBZ_SESSION_H

#include "queue.h"

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <linux/xbzrle.h>

struct file;
struct mm_struct;
struct vm_area_struct;
struct xbz_region;

/* A piece of a KVM bitmap: what fits the scratch memory of one CLEAR. */
#define XBZ_LOG_BUF_BYTES (XBZRLE_SCRATCH_MIN - XBZRLE_SCRATCH_HEAD)

/**
 * struct xbz_session - one open file: one outgoing migration of one VM
 * @lock: for writing: whatever changes the session's parts, and SYNC; for
 *	reading: what uses them. User memory is touched under it, so the mmap
 *	lock nests inside.
 * @map_lock: what .mmap needs, which has the mmap lock already: taken for each
 *	change of @mm, @queues and @regions, inside @lock, and never held while
 *	user memory is touched
 * @log_lock: clearing KVM's log, inside a queue's lock; guards @log_buf and
 *	the slots' bits while @lock is held for reading
 * @mm: the address space it is bound to by SETUP, NULL before
 * @vm: the KVM VM whose log is harvested, or NULL
 * @manual_protect: KVM clears its log only when told to
 * @id: its number on this host
 * @name: the VM's name
 * @cache_bytes: what its caches may hold together
 * @nr_queues: its queues
 * @queues: an array of @nr_queues
 * @regions: by number, NULL where there is none
 * @regions_end: one more than the highest number in use
 * @pages: pages of all regions
 * @slots: struct xbz_slot by KVM's number
 * @nr_slots: how many
 * @slot_pages: pages of all of them
 * @log_buf: a piece of a KVM bitmap on its way
 * @pass: SYNC calls
 * @log_dirty: bits newly set by them
 * @log_clears: calls of KVM_CLEAR_DIRTY_LOG
 */
struct xbz_session {
	struct rw_semaphore lock;
	struct mutex map_lock;
	struct mutex log_lock;

	struct mm_struct *mm;
	struct file *vm;
	bool manual_protect;
	u32 id;
	char name[64];

	u64 cache_bytes;
	unsigned int nr_queues;
	struct xbz_queue *queues;

	struct xbz_region **regions;
	unsigned int regions_end;
	u64 pages;

	struct xarray slots;
	unsigned int nr_slots;
	u64 slot_pages;
	u64 *log_buf;

	u64 pass;
	u64 log_dirty;
	atomic64_t log_clears;
};

struct xbz_session *xbz_session_new(void);
void xbz_session_free(struct xbz_session *s);
int xbz_session_setup(struct xbz_session *s, struct xbzrle_setup *arg);
int xbz_session_mmap(struct xbz_session *s, struct vm_area_struct *vma);
int xbz_session_invalidate(struct xbz_session *s,
			   const struct xbzrle_invalidate *arg);
int xbz_session_cache(struct xbz_session *s, struct xbzrle_cache *arg);
int xbz_session_counters(struct xbz_session *s, struct xbzrle_counters *arg);
void xbz_session_exit(void);

/* mmap offsets: windows of this size, first the rings, then the bitmaps */
#define XBZ_MMAP_WINDOW BIT_ULL(32)
#define XBZ_MMAP_RINGS BIT_ULL(44)
#define XBZ_MMAP_BITMAPS BIT_ULL(45)

#endif /* _XBZ_SESSION_H */
