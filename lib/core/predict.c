// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages are sent in the order of their addresses, and what those took that were sent says
 * little of those behind them. So all is by whole passes: what is left of this one is what
 * all of it is expected to take, by the mean of the one before, without what was sent; and
 * no page is expected to take less than the mean of this pass or the one before. Passes
 * get shorter as a migration converges, and less changes in a page in a shorter time: that
 * errs on the safe side.
 */
#include <xbzrle/predict.h>

#include "codec/freestanding.h"

#include <xbzrle/codec.h>

/* With fewer pages there is no mean. */
#define XBZ_PREDICT_PAGES 64
/* The mean's fraction. */
#define XBZ_PREDICT_SHIFT 8
/* The first pass sends what was never sent: it says nothing of later ones. */
#define XBZ_PREDICT_FIRST 2

static u64 xbz_predict_mean(u64 bytes, u64 pages)
{
	u64 most = (u64)XBZ_PAGE_SIZE << XBZ_PREDICT_SHIFT, mean;

	if (pages < XBZ_PREDICT_PAGES)
		return 0;
	mean = ((bytes << XBZ_PREDICT_SHIFT) + pages - 1) / pages;
	return mean < most ? mean : most;
}

static u64 xbz_predict_by(u64 mean, u64 pages)
{
	return (pages * mean + (1 << XBZ_PREDICT_SHIFT) - 1) >> XBZ_PREDICT_SHIFT;
}

void xbz_predict_sent(struct xbz_predict *p, u64 pages, u64 bytes)
{
	p->now_pages += pages;
	p->now_bytes += bytes;
	p->goal -= pages < p->goal ? pages : p->goal;
	p->left -= bytes < p->left ? bytes : p->left;
}

/* A pass is over. One of a few pages is counted to the next one. */
static void xbz_predict_over(struct xbz_predict *p)
{
	bool first = p->passes < XBZ_PREDICT_FIRST;

	if (!first && p->now_pages < XBZ_PREDICT_PAGES)
		return;
	if (first) {
		p->passes++;
	} else {
		p->pages = p->now_pages;
		p->bytes = p->now_bytes;
	}
	p->now_pages = 0;
	p->now_bytes = 0;
}

void xbz_predict_sync(struct xbz_predict *p, u64 fresh, u64 dirty)
{
	if (!p->goal) {
		xbz_predict_over(p);
		p->goal = dirty;
		p->left = 0;
		fresh = dirty;
	}
	p->left += xbz_predict_by(xbz_predict_mean(p->bytes, p->pages), fresh);
}

void xbz_predict_forget(struct xbz_predict *p)
{
	p->pages = 0;
	p->bytes = 0;
	p->now_pages = 0;
	p->now_bytes = 0;
	p->left = 0;
}

u64 xbz_predict_bytes(const struct xbz_predict *p, u64 pages)
{
	u64 mean = xbz_predict_mean(p->bytes, p->pages);
	u64 now = xbz_predict_mean(p->now_bytes, p->now_pages), bytes;

	if (!p->pages)
		return pages * XBZ_PAGE_SIZE;
	bytes = xbz_predict_by(mean > now ? mean : now, pages);
	if (bytes < p->left)
		bytes = p->left;
	if (bytes > pages * XBZ_PAGE_SIZE)
		bytes = pages * XBZ_PAGE_SIZE;
	return bytes || !pages ? bytes : 1;
}
