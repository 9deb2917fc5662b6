/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_SESSION_H
#define _XBZ_SESSION_H

#include "queue.h"

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/xarray.h>
#include <linux/xbzrle.h>

struct file;
struct mm_struct;
struct pid;
struct vm_area_struct;
struct xbz_region;

/* A piece of a KVM bitmap: what fits the scratch memory of one CLEAR. */
#define XBZ_LOG_BUF_BYTES (XBZRLE_SCRATCH_MIN - XBZRLE_SCRATCH_HEAD)

/**
 * struct xbz_pass - from one SYNC to the next
 * @number: SYNC calls up to its start
 * @begin: when it began
 * @time: nanoseconds that it took, 0 for the one that runs
 * @dirty: bits that the SYNC at its start has newly set
 * @pages: dirty pages dealt with in it; up to its start for the one that runs
 * @bytes: bytes of the stream, the same
 */
struct xbz_pass {
	u64 number;
	u64 begin;
	u64 time;
	u64 dirty;
	u64 pages;
	u64 bytes;
};

/**
 * struct xbz_session - one open file: one outgoing migration of one VM
 * @lock: for writing: whatever changes the session's parts, and SYNC; for
 *	reading: what uses them. User memory is touched under it, so the mmap
 *	lock nests inside.
 * @map_lock: what .mmap needs, which has the mmap lock already, and who looks
 *	from outside: taken for each change of @mm, @queues, @regions,
 *	@cache_bytes, @now and @last, inside @lock, and never held while user
 *	memory is touched
 * @log_lock: clearing KVM's log, inside a queue's lock; guards @log_buf and
 *	the slots' bits while @lock is held for reading
 * @mm: the address space it is bound to by SETUP, NULL before
 * @vm: the KVM VM whose log is harvested, or NULL
 * @manual_protect: KVM clears its log only when told to
 * @users: who looks from outside, and the registry
 * @unused: nobody does
 * @id: its number on this host
 * @name: the VM's name
 * @pid: its process
 * @owner: the user of its process
 * @born: when it was set up
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
 * @log_dirty: bits newly set by SYNC
 * @log_clears: calls of KVM_CLEAR_DIRTY_LOG
 * @refused: what xbz_mem_refused() said when the pass began
 * @now: the pass that runs
 * @last: the one before
 */
struct xbz_session {
	struct rw_semaphore lock;
	struct mutex map_lock;
	struct mutex log_lock;

	struct mm_struct *mm;
	struct file *vm;
	bool manual_protect;
	refcount_t users;
	struct completion unused;
	u32 id;
	char name[64];
	struct pid *pid;
	kuid_t owner;
	u64 born;

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

	u64 log_dirty;
	atomic64_t log_clears;
	u64 refused;
	struct xbz_pass now;
	struct xbz_pass last;
};

struct xbz_session *xbz_session_new(void);
void xbz_session_free(struct xbz_session *s);
int xbz_session_setup(struct xbz_session *s, struct xbzrle_setup *arg);
int xbz_session_mmap(struct xbz_session *s, struct vm_area_struct *vma);
int xbz_session_invalidate(struct xbz_session *s,
			   const struct xbzrle_invalidate *arg);
int xbz_session_cache(struct xbz_session *s, struct xbzrle_cache *arg);
int xbz_session_counters(struct xbz_session *s, struct xbzrle_counters *arg);
void xbz_session_sum(struct xbz_session *s, struct xbzrle_counters *sum);
unsigned long xbz_session_copies(const struct xbz_session *s);
unsigned long xbz_shard_pages(u64 bytes, unsigned int nr_queues);
u64 xbz_session_next_pass(struct xbz_session *s, u64 dirty);

/* mmap offsets: windows of this size, first the rings, then the bitmaps */
#define XBZ_MMAP_WINDOW BIT_ULL(32)
#define XBZ_MMAP_RINGS BIT_ULL(44)
#define XBZ_MMAP_BITMAPS BIT_ULL(45)

#endif /* _XBZ_SESSION_H */
