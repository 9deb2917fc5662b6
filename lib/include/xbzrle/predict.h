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
 * @pages: pages of passes before this one, that count less the older they are
 * @bytes: bytes that they took
 * @now_pages: pages of this pass
 * @now_bytes: bytes that they took
 * @passes: number of passes that have ended, at most 1
 * @padding: zero
 */
struct xbz_predict {
	__u64 pages;
	__u64 bytes;
	__u64 now_pages;
	__u64 now_bytes;
	__u32 passes;
	__u32 padding;
};

/**
 * xbz_predict_sent() - report dirty pages that were sent
 * @p: the prediction
 * @pages: their number; unchanged ones, which took no bytes, are among them
 * @bytes: bytes that they took, in all ways
 */
void xbz_predict_sent(struct xbz_predict *p, __u64 pages, __u64 bytes);

/**
 * xbz_predict_pass() - report that a pass has ended
 * @p: the prediction
 *
 * What pages took in the first pass says nothing of later ones, and is forgotten.
 */
void xbz_predict_pass(struct xbz_predict *p);

/**
 * xbz_predict_bytes() - predict what dirty pages will take
 * @p: the prediction
 * @pages: their number, below 2^40
 *
 * Return: bytes, never more than the pages' own size; that while too little is
 * known, as in the first pass.
 */
__u64 xbz_predict_bytes(const struct xbz_predict *p, __u64 pages);

#ifdef __cplusplus
}
#endif

#endif /* XBZRLE_PREDICT_H */
