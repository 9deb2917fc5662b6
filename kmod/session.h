/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_SESSION_H
#define _XBZ_SESSION_H

#include "queue.h"

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <linux/xbzrle.h>

struct file;
struct mm_struct;
struct pid;
struct vm_area_struct;
struct xbz_account;
struct xbz_region;
struct xbz_shrink_item;

/* A part of a KVM bitmap: what fits the scratch memory of one CLEAR. */
#define XBZ_LOG_BUF_BYTES (XBZRLE_SCRATCH_MIN - XBZRLE_SCRATCH_HEAD)

/* mmap offsets, below 2^44: windows of this size, the rings', then the bitmaps'. */
#define XBZ_MMAP_WINDOW BIT_ULL(30)
#define XBZ_MMAP_RINGS 0ULL
#define XBZ_MMAP_BITMAPS BIT_ULL(40)

/**
 * struct xbz_pass - from one SYNC to the next
 * @number: SYNC calls up to its start
 * @begin: time of its start
 * @time: its duration in nanoseconds, 0 for the current one
 * @dirty: bits newly set by the SYNC at its start
 * @remaining: pages that were dirty at its start
 * @pages: dirty pages encoded in it; for the current one those before its start
 * @bytes: bytes of the stream, the same
 */
struct xbz_pass {
	u64 number;
	u64 begin;
	u64 time;
	u64 dirty;
	u64 remaining;
	u64 pages;
	u64 bytes;
};

/**
 * struct xbz_session - one outgoing migration of one VM
 * @lock: held for writing to change the session's parts, and by SYNC; for reading
 *	to use them. User memory is touched under it, so the mmap lock nests inside
 * @map_lock: protects @regions and @regions_end against .mmap; nests inside
 *	@lock and the mmap lock
 * @log_lock: serializes clearing of KVM's log, inside a queue's lock; protects
 *	@log_buf and the slots' bits while @lock is held for reading
 * @stat_lock: protects @now, @last, @dead, and changes of @cache_bytes
 * @refs: the file's, which the reaper puts at the end; observers; the reaper's work
 * @id: its number on this host
 * @name: the VM's name
 * @pid: its process
 * @owner: the user of its process
 * @account: what is charged to it, and to @owner
 * @born: time of SETUP
 * @mm: the address space that it is bound to
 * @vm: the KVM VM whose log is harvested, or NULL
 * @manual_protect: KVM clears its log only when told to
 * @log_shift: pages of a log block, as a power of two
 * @cache_bytes: limit on the memory of its cached pages
 * @max_delta: the last ENCODE's bound on deltas, for observers
 * @nr_queues: number of queues
 * @queues: an array of @nr_queues
 * @regions: by number, NULL for none
 * @regions_end: one more than the highest number in use
 * @nr_regions: number of regions
 * @pages: pages of all regions
 * @slots: struct xbz_slot by KVM's number
 * @nr_slots: number of slots
 * @slot_pages: pages of all slots
 * @log_buf: a part of a KVM bitmap
 * @counters: those of the whole session
 * @dead: regions that wait for the reaper
 * @ended: its file is closed; the reaper frees all but the struct and the queues
 * @reap: what the reaper does for it; holds a reference while it waits
 * @shrink_item: its item in the shrinker's list
 * @refused: cache_refused of its counters at the start of the pass
 * @now: the current pass
 * @last: the previous pass
 */
struct xbz_session {
	struct rw_semaphore lock;
	struct mutex map_lock;
	struct mutex log_lock;
	spinlock_t stat_lock;
	refcount_t refs;

	u32 id;
	char name[64];
	struct pid *pid;
	kuid_t owner;
	struct xbz_account *account;
	u64 born;

	struct mm_struct *mm;
	struct file *vm;
	bool manual_protect;
	u8 log_shift;

	u64 cache_bytes;
	u32 max_delta;
	unsigned int nr_queues;
	struct xbz_queue *queues;

	struct xbz_region **regions;
	unsigned int regions_end;
	unsigned int nr_regions;
	u64 pages;

	struct xarray slots;
	unsigned int nr_slots;
	u64 slot_pages;
	u64 *log_buf;

	struct xbzrle_counters counters;
	struct list_head dead;
	bool ended;
	struct work_struct reap;
	struct xbz_shrink_item *shrink_item;
	u64 refused;
	struct xbz_pass now;
	struct xbz_pass last;
};

/* The session's life, for its file. */
struct xbz_session *xbz_session_new(struct xbzrle_setup *arg);
void xbz_session_end(struct xbz_session *s);

/* For the holder of the session's lock. */
int xbz_session_mmap(struct xbz_session *s, struct vm_area_struct *vma);
int xbz_session_invalidate(struct xbz_session *s,
			   const struct xbzrle_invalidate *arg);
int xbz_session_cache(struct xbz_session *s, struct xbzrle_cache *arg);
int xbz_session_counters(struct xbz_session *s, struct xbzrle_counters *arg);
u64 xbz_session_next_pass(struct xbz_session *s, u64 dirty);

/* For requesters. */
void xbz_session_kick(struct xbz_session *s);

/* For observers, which hold a reference. */
struct xbz_session *xbz_session_get(u32 id);
struct xbz_session *xbz_session_get_next(unsigned long *id);
void xbz_session_put(struct xbz_session *s);
void xbz_session_sum(struct xbz_session *s, struct xbzrle_counters *sum);
void xbz_session_passes(struct xbz_session *s, struct xbz_pass *now,
			struct xbz_pass *last);
u64 xbz_session_resize(struct xbz_session *s, u64 bytes);
u64 xbz_session_flush(struct xbz_session *s);

/* All sessions of the host. */
void xbz_sessions_totals(struct xbzrle_counters *sum, u64 *started, u64 *ended);
void xbz_sessions_trim(void);
void xbz_sessions_exit(void);

#endif /* _XBZ_SESSION_H */
