// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mean of what pages took lately. This pass counts as a whole, the one before by a
 * quarter, and so on: passes get shorter as a migration converges, and less changes in
 * a page in a shorter time, so what is older predicts too much. That errs on the safe
 * side, and not for long.
 */
#include <xbzrle/predict.h>

#include "codec/freestanding.h"

#include <xbzrle/codec.h>

/* With fewer pages there is no mean. */
#define XBZ_PREDICT_PAGES 64
/* What counts of a pass when another one has ended. */
#define XBZ_PREDICT_FORGET 4
/* The mean's fraction. */
#define XBZ_PREDICT_SHIFT 8

void xbz_predict_sent(struct xbz_predict *p, u64 pages, u64 bytes)
{
	p->now_pages += pages;
	p->now_bytes += bytes;
}

void xbz_predict_pass(struct xbz_predict *p)
{
	if (p->passes) {
		/* A pass that sent next to nothing replaces no knowledge. */
		if (p->now_pages >= XBZ_PREDICT_PAGES) {
			p->pages /= XBZ_PREDICT_FORGET;
			p->bytes /= XBZ_PREDICT_FORGET;
		}
		p->pages += p->now_pages;
		p->bytes += p->now_bytes;
	}
	p->now_pages = 0;
	p->now_bytes = 0;
	p->passes = 1;
}

u64 xbz_predict_bytes(const struct xbz_predict *p, u64 pages)
{
	u64 sent = p->pages + p->now_pages, mean;

	if (!p->passes || sent < XBZ_PREDICT_PAGES)
		return pages * XBZ_PAGE_SIZE;
	mean = ((p->bytes + p->now_bytes) << XBZ_PREDICT_SHIFT) / sent;
	if (mean > (u64)XBZ_PAGE_SIZE << XBZ_PREDICT_SHIFT)
		mean = (u64)XBZ_PAGE_SIZE << XBZ_PREDICT_SHIFT;
	return (pages * mean + (1 << XBZ_PREDICT_SHIFT) - 1) >> XBZ_PREDICT_SHIFT;
}
