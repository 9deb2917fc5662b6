/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/xbzrle.yaml */
#ifndef _UAPI_LINUX_XBZRLE_COUNTERS_H
#define _UAPI_LINUX_XBZRLE_COUNTERS_H

#include <linux/types.h>

/**
 * struct xbzrle_counters - XBZRLE_COUNTERS: what the session has done
 * @size: sizeof(struct xbzrle_counters)
 * @flags: must be zero
 * @queue: a queue, or XBZRLE_ALL_QUEUES
 * @reserved: must be zero
 * @pages_same: out: unchanged pages, for which nothing was sent
 * @pages_zero: out: pages sent as zero
 * @pages_delta: out: pages sent as deltas, those against zero included
 * @pages_raw: out: pages sent whole
 * @zero_based: out: pages sent as a zero record and a delta to it
 * @bytes: out: bytes of all records
 * @bytes_delta: out: bytes of delta records
 * @cache_hits: out: dirty pages whose content at the destination was known
 * @cache_misses: out: dirty pages whose content at the destination was not known
 * @overflows: out: hits sent whole, because a delta would not be shorter
 * @cache_pages: out: memory of cached pages, in pages
 * @cache_zero: out: pages known to be zero at the destination; they need no memory
 * @cache_limit: out: limit on the memory of cached pages, in pages
 * @evictions: out: cached pages dropped for a newcomer, by a smaller limit or by a flush
 * @batches: out: ENCODE calls that produced bytes
 * @ring_full: out: ENCODE calls that found the ring full
 * @faults: out: pages that could not be read
 * @syncs: out: SYNC calls, of the session
 * @log_dirty: out: bits newly set by SYNC, of the session
 * @log_clears: out: KVM_CLEAR_DIRTY_LOG calls, of the session
 * @cache_refused: out: pages not cached for want of memory
 * @cache_packed: out: cached pages that are kept as packed copies
 * @packed_pages: out: memory of packed copies, in pages; a part of that of cached pages
 *
 * Counters of the session are the same for each queue. The netlink family has
 * the counters in the same order, as XBZRLE_A_STATS_*.
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
	__u64 cache_refused;
	__u64 cache_packed;
	__u64 packed_pages;
};

#endif /* _UAPI_LINUX_XBZRLE_COUNTERS_H */
