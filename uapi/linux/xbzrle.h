/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * xbzrle: delta encoding of a migrating guest's dirty pages.
 *
 * The ABI of /dev/xbzrle: ioctls and mmap areas, and nothing else. The prose
 * and a complete example are in Documentation/uapi.rst.
 *
 * One open file is one session: one outgoing migration of one VM. All sizes are
 * in bytes, all page numbers count pages of XBZRLE_PAGE_SIZE from the start of
 * a region, all members are native endian.
 *
 * Every argument struct begins with its own size, as the caller was compiled,
 * so that it can grow at the end: a shorter struct than the kernel's is taken
 * with the missing members zero, a longer one if what the kernel does not know
 * is zero (-E2BIG otherwise). On return the kernel writes as much of the struct
 * as the caller's size says. The number of an ioctl holds no size.
 *
 * Errors that every ioctl can return:
 *
 *   -ENOTTY      no such ioctl
 *   -EFAULT      the argument struct cannot be read or written
 *   -EINVAL      size below the first version's, or a reserved member not zero
 *   -E2BIG       a member that this kernel does not know is not zero, or size is
 *                above a page
 *   -EOPNOTSUPP  a flag that this kernel does not know
 *   -EPERM       the session belongs to another address space: it is bound to
 *                the one that called XBZRLE_SETUP, and neither a fork's child
 *                nor a process that was passed the file may use it
 *   -ENOTCONN    XBZRLE_SETUP has not been called (all but INFO and SETUP)
 *   -EINTR       a fatal signal came while waiting for the session
 *   -ENOMEM      no memory, or the memory cgroup's or the host's limit
 *
 * A call that fails leaves the session as it was.
 */
#ifndef _UAPI_LINUX_XBZRLE_H
#define _UAPI_LINUX_XBZRLE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define XBZRLE_ABI_VERSION	1

#define XBZRLE_PAGE_SHIFT	12
#define XBZRLE_PAGE_SIZE	(1 << XBZRLE_PAGE_SHIFT)

/* A queue owns whole chunks of this many pages: 2 MiB. */
#define XBZRLE_CHUNK_PAGES	512

#define XBZRLE_MAX_QUEUES	64
#define XBZRLE_MAX_REGIONS	1024
#define XBZRLE_MAX_SLOTS	4096

/* Longest record of a page: header, block name and the page itself. */
#define XBZRLE_RECORD_MAX	(8 + 1 + 255 + XBZRLE_PAGE_SIZE)

/*
 * Scratch memory of the caller's through which the module talks to KVM: any
 * writable memory, 8-byte aligned. ENCODE and CLEAR need this much; SYNC needs
 * XBZRLE_SCRATCH_HEAD and a bit for each page of the largest slot, rounded up
 * to 8 bytes. Nothing in it has to last between calls. The module trusts none
 * of what it finds there.
 */
#define XBZRLE_SCRATCH_HEAD	64
#define XBZRLE_SCRATCH_MIN	8192

#define XBZRLE_IOC_TYPE		0xBA
#define XBZRLE_INFO		_IO(XBZRLE_IOC_TYPE, 0x00)
#define XBZRLE_SETUP		_IO(XBZRLE_IOC_TYPE, 0x01)
#define XBZRLE_REGION_SET	_IO(XBZRLE_IOC_TYPE, 0x02)
#define XBZRLE_REGION_DEL	_IO(XBZRLE_IOC_TYPE, 0x03)
#define XBZRLE_SLOT_SET		_IO(XBZRLE_IOC_TYPE, 0x04)
#define XBZRLE_SLOT_DEL		_IO(XBZRLE_IOC_TYPE, 0x05)
#define XBZRLE_SYNC		_IO(XBZRLE_IOC_TYPE, 0x06)
#define XBZRLE_CLEAR		_IO(XBZRLE_IOC_TYPE, 0x07)
#define XBZRLE_ENCODE		_IO(XBZRLE_IOC_TYPE, 0x08)
#define XBZRLE_INVALIDATE	_IO(XBZRLE_IOC_TYPE, 0x09)
#define XBZRLE_CACHE		_IO(XBZRLE_IOC_TYPE, 0x0a)
#define XBZRLE_COUNTERS		_IO(XBZRLE_IOC_TYPE, 0x0b)

/* xbzrle_info.features */
#define XBZRLE_FEATURE_KVM_LOG		(1ULL << 0) /* harvests KVM's dirty log */
#define XBZRLE_FEATURE_ZERO_BASE	(1ULL << 1) /* deltas against zero */
#define XBZRLE_FEATURE_DEFAULTS		(1ULL << 2) /* XBZRLE_SETUP_DEFAULT_* */

/**
 * struct xbzrle_info - XBZRLE_INFO: what this module can do
 * @size: sizeof(struct xbzrle_info)
 * @flags: must be zero
 * @abi_version: out: XBZRLE_ABI_VERSION of the module
 * @page_shift: out: the page size it works with
 * @features: out: XBZRLE_FEATURE_*
 * @max_queues: out: queues in a session
 * @max_regions: out: regions in a session
 * @max_slots: out: KVM slots in a session
 * @scratch_min: out: what ENCODE and CLEAR need of scratch memory
 * @ring_bytes_min: out: smallest ring of a queue
 * @ring_bytes_max: out: largest ring of a queue
 * @memory_max: out: the host's limit on the memory of all sessions
 * @memory_used: out: what they use now
 * @codec: out: name of the codec variant in use, NUL terminated
 *
 * Needs no setup; any process may call it.
 */
struct xbzrle_info {
	__u32 size;
	__u32 flags;
	__u32 abi_version;
	__u32 page_shift;
	__u64 features;
	__u32 max_queues;
	__u32 max_regions;
	__u32 max_slots;
	__u32 scratch_min;
	__u64 ring_bytes_min;
	__u64 ring_bytes_max;
	__u64 memory_max;
	__u64 memory_used;
	__u8 codec[16];
};

/* xbzrle_setup.flags */
/* The VM has KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 enabled. */
#define XBZRLE_SETUP_MANUAL_PROTECT	(1U << 0)
/* cache_bytes is 0, and becomes what the host has as default. */
#define XBZRLE_SETUP_DEFAULT_CACHE	(1U << 1)
/* The same for nr_queues. */
#define XBZRLE_SETUP_DEFAULT_QUEUES	(1U << 2)

/**
 * struct xbzrle_setup - XBZRLE_SETUP: bind the session, once
 * @size: sizeof(struct xbzrle_setup)
 * @flags: XBZRLE_SETUP_*
 * @page_shift: XBZRLE_PAGE_SHIFT: the granule of bitmaps and records
 * @nr_queues: 1 to XBZRLE_MAX_QUEUES
 * @ring_bytes: a queue's ring: a power of two within INFO's bounds
 * @cache_bytes: the cache of the whole session, 0 for none; what the host's
 *	limit does not allow is not used
 * @vm_fd: the KVM VM whose log is harvested, or -1 for none
 * @reserved: must be zero
 * @name: the VM's name for people to read, NUL terminated
 * @session: out: the session's number on this host
 * @ring_offset: out: mmap offset of the first queue's ring
 * @ring_stride: out: distance from one queue's ring to the next
 *
 * Queue q's mapping lies at @ring_offset + q * @ring_stride: one writable page
 * with struct xbzrle_ring_cons; behind it, to be mapped read-only, one page
 * with struct xbzrle_ring_prod, then @ring_bytes of data, then the same data
 * once more, so that each batch is contiguous wherever it starts.
 *
 *   -EBUSY    done before
 *   -EDOM     a page size that this module does not support
 *   -ERANGE   nr_queues or ring_bytes outside the bounds, or no power of two
 *   -EBADF    vm_fd is no open file
 *   -EBADFD   vm_fd is no KVM VM
 *   -EXDEV    the VM belongs to another process
 *   -EINVAL   a flag that needs a VM, without one; a default is asked for and
 *             a number given; name not terminated
 */
struct xbzrle_setup {
	__u32 size;
	__u32 flags;
	__u32 page_shift;
	__u32 nr_queues;
	__u64 ring_bytes;
	__u64 cache_bytes;
	__s32 vm_fd;
	__u32 reserved;
	__u8 name[64];
	__u64 session;
	__u64 ring_offset;
	__u64 ring_stride;
};

/**
 * struct xbzrle_region - XBZRLE_REGION_SET: add a block of guest memory
 * @size: sizeof(struct xbzrle_region)
 * @flags: must be zero
 * @region: out: the region's number
 * @reserved: must be zero
 * @addr: where the block lies in the caller, page aligned
 * @nr_pages: its size
 * @bitmap_offset: out: mmap offset of its bitmap
 * @bitmap_bytes: out: size of the bitmap's mapping, whole pages
 * @name: the block's name in the stream, 1 to 255 bytes and a NUL
 *
 * The bitmap has a bit for each page, bit 0 of the first 64-bit word for page
 * 0, and starts all clear. It is shared: whoever learns that a page is dirty
 * sets its bit (atomically), whoever learns that it need not be sent clears it
 * (after XBZRLE_CLEAR, see there).
 *
 *   -EINVAL   addr not aligned, nr_pages 0, a name that is empty or endless
 *   -EEXIST   overlaps another region, or has its name
 *   -ENXIO    not all of it is mapped
 *   -ENOSPC   XBZRLE_MAX_REGIONS regions exist, or all together would have more
 *             than 2^32 pages
 */
struct xbzrle_region {
	__u32 size;
	__u32 flags;
	__u32 region;
	__u32 reserved;
	__u64 addr;
	__u64 nr_pages;
	__u64 bitmap_offset;
	__u64 bitmap_bytes;
	__u8 name[256];
};

/**
 * struct xbzrle_region_del - XBZRLE_REGION_DEL: forget a block
 * @size: sizeof(struct xbzrle_region_del)
 * @flags: must be zero
 * @region: its number
 * @reserved: must be zero
 *
 * A mapping of its bitmap stays valid but nothing reads it any more.
 *
 *   -ENOENT   no such region
 *   -EBUSY    a slot lies in it
 */
struct xbzrle_region_del {
	__u32 size;
	__u32 flags;
	__u32 region;
	__u32 reserved;
};

/**
 * struct xbzrle_slot - XBZRLE_SLOT_SET: harvest a KVM memslot's log
 * @size: sizeof(struct xbzrle_slot)
 * @flags: must be zero
 * @slot: KVM's number for it, the address space in the upper 16 bits
 * @region: the region it lies in
 * @first_page: the region's page that is the slot's page 0
 * @nr_pages: the slot's size
 *
 * From here to SLOT_DEL nobody else may fetch or clear the slot's log. Several
 * slots may show the same pages.
 *
 *   -ENODEV   the session has no VM
 *   -ENOENT   no such region
 *   -ERANGE   not inside the region, or of no size
 *   -EEXIST   the slot is there already: SLOT_DEL comes first
 *   -ENOSPC   XBZRLE_MAX_SLOTS slots exist, or all together would have more
 *             than 2^34 pages
 */
struct xbzrle_slot {
	__u32 size;
	__u32 flags;
	__u32 slot;
	__u32 region;
	__u64 first_page;
	__u64 nr_pages;
};

/**
 * struct xbzrle_slot_del - XBZRLE_SLOT_DEL: give a slot's log back
 * @size: sizeof(struct xbzrle_slot_del)
 * @flags: must be zero
 * @slot: KVM's number for it
 * @reserved: must be zero
 *
 * What was fetched stays in the region's bitmap. Call it before KVM deletes or
 * moves the slot, then fetch the slot's log once more and set the bits.
 *
 *   -ENOENT   no such slot
 */
struct xbzrle_slot_del {
	__u32 size;
	__u32 flags;
	__u32 slot;
	__u32 reserved;
};

/**
 * struct xbzrle_sync - XBZRLE_SYNC: fetch KVM's logs into the bitmaps
 * @size: sizeof(struct xbzrle_sync)
 * @flags: must be zero
 * @scratch: scratch memory, see XBZRLE_SCRATCH_HEAD
 * @scratch_bytes: its size
 * @new_dirty: out: bits that were clear in the bitmaps and are now set
 * @pass: out: how often this session has synced
 * @slots_failed: out: slots that KVM would not give the log of
 * @failed_slot: out: the first of these
 * @failed_errno: out: and KVM's error for it, positive
 * @reserved: must be zero
 *
 * Waits for running ENCODEs to end. A slot that fails does not keep the others
 * from being fetched; if its bits may be gone, all its pages become dirty.
 *
 *   -EINVAL   scratch not aligned, or too small for the largest slot
 */
struct xbzrle_sync {
	__u32 size;
	__u32 flags;
	__u64 scratch;
	__u64 scratch_bytes;
	__u64 new_dirty;
	__u64 pass;
	__u32 slots_failed;
	__u32 failed_slot;
	__u32 failed_errno;
	__u32 reserved;
};

/**
 * struct xbzrle_clear - XBZRLE_CLEAR: clear KVM's log for pages not to be sent
 * @size: sizeof(struct xbzrle_clear)
 * @flags: must be zero
 * @region: the region
 * @reserved: must be zero
 * @first_page: first page
 * @nr_pages: how many
 * @scratch: scratch memory, XBZRLE_SCRATCH_MIN
 * @scratch_bytes: its size
 *
 * Whoever takes bits out of the bitmap itself (free page hints, discarded
 * memory) calls this first; otherwise the next SYNC brings them back.
 *
 *   -ENOENT   no such region
 *   -ERANGE   not inside the region
 *   -EINVAL   scratch not aligned or too small
 *   -EIO      KVM refused; the pages stay dirty in its log
 */
struct xbzrle_clear {
	__u32 size;
	__u32 flags;
	__u32 region;
	__u32 reserved;
	__u64 first_page;
	__u64 nr_pages;
	__u64 scratch;
	__u64 scratch_bytes;
};

/* xbzrle_encode.flags */
/* The guest has stopped: remember nothing that is not remembered already. */
#define XBZRLE_ENCODE_LAST_STAGE	(1U << 0)

/* xbzrle_encode.status: why the batch ended; at least one is set */
#define XBZRLE_STATUS_IDLE	(1U << 0) /* nothing dirty is left in this queue */
#define XBZRLE_STATUS_BUDGET	(1U << 1) /* budget or max_pages reached */
#define XBZRLE_STATUS_FULL	(1U << 2) /* no room in the ring */
#define XBZRLE_STATUS_SIGNAL	(1U << 3) /* a signal is pending */
#define XBZRLE_STATUS_FAULT	(1U << 4) /* a page cannot be read, see fault_* */
#define XBZRLE_STATUS_LOG	(1U << 5) /* KVM's log cannot be cleared, same */

/**
 * struct xbzrle_encode - XBZRLE_ENCODE: one batch of a queue
 * @size: sizeof(struct xbzrle_encode)
 * @flags: XBZRLE_ENCODE_*
 * @queue: which queue
 * @max_pages: dirty pages to look at, 0 for no such bound
 * @budget: bytes after which to stop (by less than a record), 0 for no bound
 * @scratch: scratch memory, XBZRLE_SCRATCH_MIN; not needed without a VM
 * @scratch_bytes: its size
 * @pos: out: ring position where the batch begins
 * @bytes: out: its size; the batch is one contiguous range
 * @pages: out: dirty bits that were taken: the sum of the four below
 * @pages_same: out: found unchanged, nothing sent
 * @pages_zero: out: sent as zero pages
 * @pages_delta: out: sent as deltas
 * @pages_raw: out: sent whole
 * @status: out: XBZRLE_STATUS_*
 * @fault_region: out: with FAULT or LOG: where
 * @fault_page: out: with FAULT or LOG: where
 *
 * The batch lies at @pos modulo the ring's size and begins with a full header,
 * so batches of several queues and records of others can be interleaved. One
 * caller at a time encodes a queue; another one waits.
 *
 * A page that cannot be read, or whose log cannot be cleared, stays dirty, and
 * the next call goes on behind it.
 *
 *   -ENOENT   no such queue
 *   -EINVAL   scratch not aligned or too small, and the session has slots
 *   -EPIPE    the consumer's position makes no sense, now or in a call before
 */
struct xbzrle_encode {
	__u32 size;
	__u32 flags;
	__u32 queue;
	__u32 max_pages;
	__u64 budget;
	__u64 scratch;
	__u64 scratch_bytes;
	__u64 pos;
	__u64 bytes;
	__u64 pages;
	__u64 pages_same;
	__u64 pages_zero;
	__u64 pages_delta;
	__u64 pages_raw;
	__u32 status;
	__u32 fault_region;
	__u64 fault_page;
};

/**
 * struct xbzrle_invalidate - XBZRLE_INVALIDATE: others sent these pages
 * @size: sizeof(struct xbzrle_invalidate)
 * @flags: must be zero
 * @region: the region
 * @reserved: must be zero
 * @first_page: first page
 * @nr_pages: how many
 *
 * What the session remembers of the pages is dropped. Whoever sends a page
 * past the session calls this before the page is encoded again.
 *
 *   -ENOENT   no such region
 *   -ERANGE   not inside the region
 */
struct xbzrle_invalidate {
	__u32 size;
	__u32 flags;
	__u32 region;
	__u32 reserved;
	__u64 first_page;
	__u64 nr_pages;
};

/**
 * struct xbzrle_cache - XBZRLE_CACHE: resize the session's cache
 * @size: sizeof(struct xbzrle_cache)
 * @flags: must be zero
 * @cache_bytes: the new limit, 0 for no cache
 * @old_bytes: out: the limit before
 * @used_bytes: out: what the cache holds after
 *
 * May be called at any time; waits for running ENCODEs to end. A smaller cache
 * keeps what fits.
 */
struct xbzrle_cache {
	__u32 size;
	__u32 flags;
	__u64 cache_bytes;
	__u64 old_bytes;
	__u64 used_bytes;
};

/* xbzrle_counters.queue: the sum over all queues */
#define XBZRLE_ALL_QUEUES	(~0U)

/**
 * struct xbzrle_counters - XBZRLE_COUNTERS: what was done since SETUP
 * @size: sizeof(struct xbzrle_counters)
 * @flags: must be zero
 * @queue: a queue, or XBZRLE_ALL_QUEUES
 * @reserved: must be zero
 * @pages_same: out: dirty pages found unchanged
 * @pages_zero: out: pages sent as zero
 * @pages_delta: out: pages sent as deltas, those against zero included
 * @pages_raw: out: pages sent whole
 * @zero_based: out: pages sent as a zero record and a delta to it
 * @bytes: out: stream bytes put into the ring, all records
 * @bytes_delta: out: those of delta records, headers included
 * @cache_hits: out: dirty pages whose last-sent content was known
 * @cache_misses: out: those whose was not
 * @overflows: out: hits that had changed too much for a delta
 * @cache_pages: out: copies held now
 * @cache_zero: out: pages known as zero at the destination, which need none
 * @cache_limit: out: copies allowed
 * @evictions: out: copies dropped to make room or by a smaller limit
 * @batches: out: ENCODE calls that gave bytes
 * @ring_full: out: ENCODE calls that ended for want of room
 * @faults: out: pages that could not be read
 * @syncs: out: SYNC calls (of the session)
 * @log_dirty: out: bits that SYNC has newly set (of the session)
 * @log_clears: out: calls of KVM_CLEAR_DIRTY_LOG (of the session)
 *
 *   -ENOENT   no such queue
 */
struct xbzrle_counters {
	__u32 size;
	__u32 flags;
	__u32 queue;
	__u32 reserved;
	__u64 pages_same;
	__u64 pages_zero;
	__u64 pages_delta;
	__u64 pages_raw;
	__u64 zero_based;
	__u64 bytes;
	__u64 bytes_delta;
	__u64 cache_hits;
	__u64 cache_misses;
	__u64 overflows;
	__u64 cache_pages;
	__u64 cache_zero;
	__u64 cache_limit;
	__u64 evictions;
	__u64 batches;
	__u64 ring_full;
	__u64 faults;
	__u64 syncs;
	__u64 log_dirty;
	__u64 log_clears;
};

/**
 * struct xbzrle_ring_cons - the consumer's page of a ring, writable
 * @pos: bytes consumed since SETUP; the space before it may be reused. Stored
 *	with release semantics when nothing needs the bytes any more, and never
 *	moved back or ahead of the producer's: that ends the queue (-EPIPE).
 *	The end of the session wipes the ring, so nothing may need it then.
 */
struct xbzrle_ring_cons {
	__u64 pos;
};

/**
 * struct xbzrle_ring_prod - the producer's page of a ring, read-only
 * @pos: bytes produced since SETUP, stored with release semantics
 */
struct xbzrle_ring_prod {
	__u64 pos;
};

#endif /* _UAPI_LINUX_XBZRLE_H */
