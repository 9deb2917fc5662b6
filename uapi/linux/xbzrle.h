/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * xbzrle: delta encoding of a migrating guest's dirty pages.
 *
 * The ABI of /dev/xbzrle: ioctls and mmap areas. Documentation/uapi.rst explains
 * their use and has a complete example.
 *
 * XBZRLE_SETUP on the device creates a session and returns its file descriptor;
 * all other ioctls but XBZRLE_INFO work on a session. A session is one outgoing
 * migration of one VM, and ends when its file is closed and no mapping of it
 * needs the file any more. The device can create any number of sessions, at the
 * same time and one after the other.
 *
 * Sizes are in bytes, page numbers count pages of XBZRLE_PAGE_SIZE from the
 * start of a region, and all members are native endian.
 *
 * Each argument struct begins with its own size as the caller was compiled, so
 * that it can grow at the end. A shorter struct than the kernel's is accepted
 * down to its first version (XBZRLE_*_SIZE_VER0); missing members read as zero.
 * A longer one is accepted if the part that the kernel does not know is zero.
 * The kernel writes back as much of the struct as the caller's size covers.
 * Ioctl numbers do not encode a size.
 *
 * Errors common to all ioctls:
 *
 *   -ENOTTY      no such ioctl on this kind of file
 *   -EFAULT      the argument struct cannot be read or written
 *   -EINVAL      size below the first version's, or a reserved member not zero
 *   -E2BIG       a member that this kernel does not know is not zero, or size
 *                exceeds a page
 *   -EOPNOTSUPP  a flag that this kernel does not know
 *   -EPERM       the session belongs to another address space: it is bound to
 *                the caller of XBZRLE_SETUP; a forked child or a process that
 *                received the file cannot use it
 *   -EINTR       a fatal signal arrived while waiting for the session
 *   -ENOMEM      out of memory, or the memory cgroup's or the host's limit
 *   -EDQUOT      the limit of the session's user, or of the session: a share of
 *                the host's limit, of which others have the rest (the module's
 *                parameter share_percent)
 *
 * A failed call leaves the session unchanged, unless the error says otherwise.
 */
#ifndef _UAPI_LINUX_XBZRLE_H
#define _UAPI_LINUX_XBZRLE_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/xbzrle_counters.h>

#define XBZRLE_ABI_VERSION	1

#define XBZRLE_PAGE_SHIFT	12
#define XBZRLE_PAGE_SIZE	(1 << XBZRLE_PAGE_SHIFT)

/* Pages belong to queues in chunks of this many pages: 2 MiB. */
#define XBZRLE_CHUNK_PAGES	512

#define XBZRLE_MAX_QUEUES	64
#define XBZRLE_MAX_REGIONS	1024
#define XBZRLE_MAX_SLOTS	4096

/* Longest record of a page: header, block name and the page itself. */
#define XBZRLE_RECORD_MAX	(8 + 1 + 255 + XBZRLE_PAGE_SIZE)

/*
 * Scratch memory: writable memory of the caller, 8-byte aligned, through which
 * the module calls KVM. ENCODE and CLEAR need XBZRLE_SCRATCH_MIN. SYNC needs
 * XBZRLE_SCRATCH_SYNC() of the largest slot's pages. Its content need not last
 * between calls; the module treats it as untrusted.
 */
#define XBZRLE_SCRATCH_HEAD	64
#define XBZRLE_SCRATCH_MIN	8192
/* The head, a bit for each page in whole 64-bit words, and a guard word. */
#define XBZRLE_SCRATCH_SYNC(nr_pages) \
	(XBZRLE_SCRATCH_HEAD + ((nr_pages) + 63) / 64 * 8 + 8)

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
/* XBZRLE_ENCODE_WHOLE_APART, and xbzrle_encode's max_delta and pass */
#define XBZRLE_FEATURE_WHOLE_APART	(1ULL << 3)

#define XBZRLE_INFO_SIZE_VER0		96
#define XBZRLE_SETUP_SIZE_VER0		128
#define XBZRLE_REGION_SIZE_VER0		304
#define XBZRLE_REGION_DEL_SIZE_VER0	16
#define XBZRLE_SLOT_SIZE_VER0		32
#define XBZRLE_SLOT_DEL_SIZE_VER0	16
#define XBZRLE_SYNC_SIZE_VER0		56
#define XBZRLE_CLEAR_SIZE_VER0		48
#define XBZRLE_ENCODE_SIZE_VER0		112
#define XBZRLE_INVALIDATE_SIZE_VER0	32
#define XBZRLE_CACHE_SIZE_VER0		32
#define XBZRLE_COUNTERS_SIZE_VER0	184

/**
 * struct xbzrle_info - XBZRLE_INFO: what this module supports
 * @size: sizeof(struct xbzrle_info)
 * @flags: must be zero
 * @abi_version: out: XBZRLE_ABI_VERSION of the module
 * @page_shift: out: the supported page size
 * @features: out: XBZRLE_FEATURE_*
 * @max_queues: out: maximum number of queues in a session
 * @max_regions: out: maximum number of regions in a session
 * @max_slots: out: maximum number of KVM slots in a session
 * @scratch_min: out: scratch memory that ENCODE and CLEAR need
 * @ring_bytes_min: out: smallest ring of a queue
 * @ring_bytes_max: out: largest ring of a queue
 * @memory_max: out: the host's limit on the memory of all sessions
 * @memory_used: out: what all sessions use now
 * @codec: out: name of the codec variant in use, NUL terminated
 * @log_block_pages_min: out: smallest log block
 * @log_block_pages_max: out: largest log block, and the default
 *
 * On the device. No session is needed.
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
	__u32 log_block_pages_min;
	__u32 log_block_pages_max;
};

/* xbzrle_setup.flags */
/* The VM has KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 enabled. */
#define XBZRLE_SETUP_MANUAL_PROTECT	(1U << 0)
/* cache_bytes is 0 on entry; the host's default is used and returned. */
#define XBZRLE_SETUP_DEFAULT_CACHE	(1U << 1)
/* The same for nr_queues. */
#define XBZRLE_SETUP_DEFAULT_QUEUES	(1U << 2)

/**
 * struct xbzrle_setup - XBZRLE_SETUP: create a session
 * @size: sizeof(struct xbzrle_setup)
 * @flags: XBZRLE_SETUP_*
 * @page_shift: XBZRLE_PAGE_SHIFT: the granule of bitmaps and records
 * @nr_queues: 1 to XBZRLE_MAX_QUEUES. A queue is encoded by one thread at a
 *	time, so more queues than processors bring nothing
 * @ring_bytes: a queue's ring: a power of two within INFO's bounds. It bounds
 *	what can be encoded ahead of the consumer
 * @cache_bytes: cache of the whole session, 0 for none; memory beyond the host's
 *	limit is not used
 * @vm_fd: the KVM VM whose dirty log is harvested, or -1 for none
 * @log_block_pages: pages of KVM's log that are cleared by one call: a power of
 *	two within INFO's bounds, or 0 for the largest. Smaller blocks make the
 *	call that clears one shorter, and there are more of them
 * @name: the VM's name for people to read, NUL terminated
 * @session: out: the session's number on this host
 * @ring_offset: out: mmap offset of the first queue's ring
 * @ring_stride: out: distance from one queue's ring to the next
 *
 * On the device. Returns the session's file descriptor, which has O_CLOEXEC set.
 *
 * The mapping of queue q lies at @ring_offset + q * @ring_stride of the session:
 * a writable page with struct xbzrle_ring_cons; behind it, to be mapped
 * read-only, a page with struct xbzrle_ring_prod, @ring_bytes of data, and the
 * same data once more, so that a batch is contiguous wherever it starts. All
 * mmap offsets are below 2^44: a 32-bit caller can use them.
 *
 *   -EDOM     unsupported page size
 *   -ERANGE   nr_queues, ring_bytes or log_block_pages out of bounds, or one of
 *             the last two is not a power of two
 *   -EBADF    vm_fd is not an open file
 *   -EBADFD   vm_fd is not a KVM VM
 *   -EXDEV    the VM belongs to another process
 *   -EINVAL   a flag that needs a VM, without one; a default is requested and a
 *             number given; name not terminated
 *   -EMFILE   the caller's limit of open files
 */
struct xbzrle_setup {
	__u32 size;
	__u32 flags;
	__u32 page_shift;
	__u32 nr_queues;
	__u64 ring_bytes;
	__u64 cache_bytes;
	__s32 vm_fd;
	__u32 log_block_pages;
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
 * @addr: the block's address in the caller, page aligned
 * @nr_pages: its size
 * @bitmap_offset: out: mmap offset of its bitmap
 * @bitmap_bytes: out: size of the bitmap's mapping, whole pages
 * @name: the block's name in the stream, 1 to 255 bytes and a NUL
 *
 * The bitmap has a bit for each page, bit 0 of the first 64-bit word for page
 * 0, and starts all clear. It is shared: the caller sets bits of pages that it
 * knows to be dirty, and clears bits of pages that need not be sent (after
 * XBZRLE_CLEAR). Both must be atomic.
 *
 *   -EINVAL   addr not aligned, nr_pages 0, name empty or not terminated
 *   -EEXIST   overlaps another region, or has its name
 *   -ENXIO    part of it is not mapped
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
 * struct xbzrle_region_del - XBZRLE_REGION_DEL: remove a block
 * @size: sizeof(struct xbzrle_region_del)
 * @flags: must be zero
 * @region: its number
 * @reserved: must be zero
 *
 * A mapping of its bitmap stays valid, but is not read any more.
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
 * @region: the region that it maps
 * @first_page: the region's page that is the slot's page 0
 * @nr_pages: the slot's size
 *
 * Until SLOT_DEL, only the session may fetch or clear the slot's log. Several
 * slots may map the same pages.
 *
 * @nr_pages must be the size that KVM has: KVM writes a bit for each of the
 * slot's pages to the scratch memory, in 64-bit words, whatever size is given
 * here. SYNC reports with EOVERFLOW a slot of another number of words, and a
 * dirty page behind the end. A slot that is smaller by less than a word shows as
 * XBZRLE_STATUS_LOG.
 *
 *   -ENODEV   the session has no VM
 *   -ENOENT   no such region
 *   -ERANGE   not inside the region, or empty
 *   -EEXIST   the slot exists already: SLOT_DEL comes first
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
 * struct xbzrle_slot_del - XBZRLE_SLOT_DEL: stop harvesting a slot
 * @size: sizeof(struct xbzrle_slot_del)
 * @flags: must be zero
 * @slot: KVM's number for it
 * @reserved: must be zero
 *
 * Fetched bits stay in the region's bitmap. Call it before KVM deletes or moves
 * the slot, then fetch the slot's log once more and set the bits.
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
 * @scratch: scratch memory
 * @scratch_bytes: its size, XBZRLE_SCRATCH_SYNC() of the largest slot
 * @new_dirty: out: bits that were clear in the bitmaps and are now set
 * @pass: out: number of SYNC calls of this session
 * @slots_failed: out: number of slots whose log could not be fetched
 * @failed_slot: out: the first of these
 * @failed_errno: out: its error, positive: KVM's, or EOVERFLOW for a slot whose
 *	log has another number of words than the size given to SLOT_SET
 * @reserved: must be zero
 *
 * Waits for running ENCODEs. The other slots are fetched even if one fails. All
 * pages of a failed slot become dirty if its bits may be lost.
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
 * struct xbzrle_clear - XBZRLE_CLEAR: clear KVM's log of pages not to be sent
 * @size: sizeof(struct xbzrle_clear)
 * @flags: must be zero
 * @region: the region
 * @reserved: must be zero
 * @first_page: first page
 * @nr_pages: number of pages
 * @scratch: scratch memory, XBZRLE_SCRATCH_MIN
 * @scratch_bytes: its size
 *
 * Call it before clearing bits of the bitmap (free page hints, discarded
 * memory); otherwise the next SYNC sets them again.
 *
 *   -ENOENT   no such region
 *   -ERANGE   not inside the region
 *   -EINVAL   scratch not aligned or too small
 *   -EIO      KVM refused; pages from there on stay dirty in its log
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
/* The guest has stopped: do not add pages to the cache. */
#define XBZRLE_ENCODE_LAST_STAGE	(1U << 0)
/*
 * The records of pages sent whole are taken out of the batch and sent in another
 * way, so they are a stream of their own, and so are the others: with CONTINUE, a
 * record continues the previous one of its stream. Each begins with a full header.
 */
#define XBZRLE_ENCODE_WHOLE_APART	(1U << 1)

/* xbzrle_encode.status: why the batch ended; at least one is set */
#define XBZRLE_STATUS_IDLE	(1U << 0) /* no dirty page is left in this queue */
#define XBZRLE_STATUS_BUDGET	(1U << 1) /* budget or max_pages reached */
#define XBZRLE_STATUS_FULL	(1U << 2) /* no room in the ring */
#define XBZRLE_STATUS_SIGNAL	(1U << 3) /* a signal is pending */
#define XBZRLE_STATUS_FAULT	(1U << 4) /* a page cannot be read, see fault_* */
#define XBZRLE_STATUS_LOG	(1U << 5) /* KVM's log cannot be cleared, same */

/**
 * struct xbzrle_encode - XBZRLE_ENCODE: encode a batch of a queue
 * @size: sizeof(struct xbzrle_encode)
 * @flags: XBZRLE_ENCODE_*
 * @queue: the queue
 * @max_pages: dirty pages to process, 0 for no bound
 * @budget: bytes after which to stop (by less than a record), 0 for no bound
 * @scratch: scratch memory, XBZRLE_SCRATCH_MIN; not needed without slots
 * @scratch_bytes: its size
 * @pos: out: ring position of the batch
 * @bytes: out: its size; the batch is one contiguous range
 * @pages: out: dirty bits that were taken: the sum of the four below
 * @pages_same: out: unchanged pages, for which nothing was sent
 * @pages_zero: out: pages sent as zero
 * @pages_delta: out: pages sent as deltas
 * @pages_raw: out: pages sent whole
 * @status: out: XBZRLE_STATUS_*
 * @fault_region: out: with FAULT or LOG: the page's region
 * @fault_page: out: with FAULT or LOG: the page
 * @max_delta: bytes of payload that a page is sent as at most, in deltas; a page
 *	that takes more is sent whole. 0 for what is shorter than the page
 * @reserved: must be zero
 * @pass: out: number of SYNC calls of this session. Between two of them, a page
 *	is encoded once, unless the process sets its bit
 *
 * The batch lies at @pos modulo the ring's size and begins with a full header,
 * so that batches of several queues and other records can be interleaved. A
 * queue is encoded by one caller at a time; another one waits.
 *
 * A page that cannot be read, or whose log cannot be cleared, stays dirty, and
 * the next call continues behind it.
 *
 *   -ENOENT   no such queue
 *   -EINVAL   scratch not aligned or too small, and the session has slots; or
 *             reserved is not zero
 *   -EPIPE    the consumer's position is invalid, now or in an earlier call; the
 *             queue encodes nothing any more
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
	__u32 max_delta;
	__u32 reserved;
	__u64 pass;
};

/**
 * struct xbzrle_invalidate - XBZRLE_INVALIDATE: pages were sent past the session
 * @size: sizeof(struct xbzrle_invalidate)
 * @flags: must be zero
 * @region: the region
 * @reserved: must be zero
 * @first_page: first page
 * @nr_pages: number of pages
 *
 * The session drops what it knows of the destination's content of these pages.
 * Cached pages of whole chunks are freed in the background, and until then count
 * against the cache's limit.
 *
 * A page that is sent past the session must be invalidated before it is encoded
 * again, and batches that hold the page must be sent before it: the module sees
 * when a batch is released, not when it is sent, and so cannot check this.
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
 * @old_bytes: out: the previous limit
 * @used_bytes: out: what the cache holds at this moment
 *
 * Allowed at any time; waits for running ENCODEs. A smaller cache keeps what
 * still fits; the rest is dropped in the background, and until then counts
 * against the host's limit and the process's memory cgroup. A queue caches 63 GiB
 * at most.
 */
struct xbzrle_cache {
	__u32 size;
	__u32 flags;
	__u64 cache_bytes;
	__u64 old_bytes;
	__u64 used_bytes;
};

/*
 * XBZRLE_COUNTERS: <linux/xbzrle_counters.h> has its struct, generated from the
 * one list of counters.
 */
/* xbzrle_counters.queue: the sum over all queues */
#define XBZRLE_ALL_QUEUES	(~0U)

/**
 * struct xbzrle_ring_cons - the consumer's page of a ring, writable
 * @pos: bytes consumed since SETUP; the space before it may be reused. Store it
 *	with release semantics when the bytes are not needed any more. It never
 *	moves back or ahead of the producer's position: that ends the queue
 *	(-EPIPE). The end of the session wipes the ring
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
