/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many bytes dirty pages will take. The number of dirty pages says little where
 * a page takes 20 bytes or 4104; what pages took lately says more. The caller
 * reports what it sent.
 */
#ifndef XBZRLE_PREDICT_H
#define XBZRLE_PREDICT_H

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct xbz_predict - what pages took; begins as zero
 * @pages: pages of the pass before this one, 0 while it is not known
 * @bytes: bytes that they took
 * @now_pages: pages of this pass
 * @now_bytes: bytes that they took
 * @goal: pages that are still to be sent before this pass is over
 * @left: bytes that they are expected to take
 * @passes: number of passes that have begun, at most 2
 * @padding: zero
 */
struct xbz_predict {
	__u64 pages;
	__u64 bytes;
	__u64 now_pages;
	__u64 now_bytes;
	__u64 goal;
	__u64 left;
	__u32 passes;
	__u32 padding;
};

/**
 * xbz_predict_sync() - report a sync
 * @p: the prediction
 * @fresh: number of pages that it has made dirty
 * @dirty: number of dirty pages after it
 *
 * The first sync begins the first pass. A pass is over at the first sync before which as
 * many pages were sent as were dirty at its begin; others fall into it.
 */
void xbz_predict_sync(struct xbz_predict *p, __u64 fresh, __u64 dirty);

/**
 * xbz_predict_sent() - report dirty pages that were sent
 * @p: the prediction
 * @pages: their number; unchanged ones, which took no bytes, are among them
 * @bytes: bytes that they took, in all ways
 */
void xbz_predict_sent(struct xbz_predict *p, __u64 pages, __u64 bytes);

/**
 * xbz_predict_forget() - report that pages will take more from now on
 * @p: the prediction
 */
void xbz_predict_forget(struct xbz_predict *p);

/**
 * xbz_predict_bytes() - predict what dirty pages will take
 * @p: the prediction
 * @pages: their number, below 2^40
 *
 * Return: bytes, at least 1 if there are pages, and never more than the pages' own size;
 * that while no pass but the first is over.
 */
__u64 xbz_predict_bytes(const struct xbz_predict *p, __u64 pages);

#ifdef __cplusplus
}
#endif

#endif /* XBZRLE_PREDICT_H */
