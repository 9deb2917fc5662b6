/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From the closed map to the payload by way of an array of edges, for variants
 * whose instruction set has nothing better. A variant includes this after it
 * has said
 *
 *	xbz_flatten()		a line's edges, from bits to numbers
 *	XBZ_WIDE		bytes that xbz_copy_wide() copies
 *	xbz_copy_wide()		copies so many, of which not all may be wanted
 *
 * An edge is a byte whose state differs from that of the byte before it, so
 * edges are by turns a run's first byte and the first behind it.
 *
 * Why it goes by way of an array of edges. How many runs a line has cannot be
 * predicted, and a loop over them mispredicts once a line. Turning bits into
 * numbers has no branch that depends on them; then there is one loop over the
 * runs of the whole page, and a run of up to XBZ_WIDE bytes is written without
 * a branch either: header in one store, bytes in one more.
 */
#ifndef XBZ_CODEC_EDGES_H
#define XBZ_CODEC_EDGES_H

#include "runs.h"

/*
 * Runs are at least 3 bytes apart once the short gaps are closed, so a line has
 * at most 32 edges.
 */
#define XBZ_LINE_EDGES 32
#define XBZ_EDGES_FULL 128
#define XBZ_EDGES_MAX (XBZ_EDGES_FULL + 2 * XBZ_LINE_EDGES)

/* The runs between @count edges, of which the last may still be without its end. */
static __always_inline bool xbz_put_runs(struct xbz_emitter *e, const u16 *at,
					 unsigned int count)
{
	/* In registers: what is in memory is forwarded, and that is slow. */
	unsigned int pos = e->pos, i;
	const u8 *page = e->page;
	u8 *p = e->p, *end = e->end;

	for (i = 0; i + 1 < count; i += 2) {
		unsigned int start = at[i], stop = at[i + 1];
		unsigned int z = start - pos, n = stop - start;

		if (likely(n <= XBZ_WIDE && start <= XBZ_PAGE_SIZE - XBZ_WIDE &&
			   end - p >= 4 + XBZ_WIDE)) {
			unsigned int high = z >> 7;
			unsigned int two = high != 0;

			xbz_store32_le(p, (z & 0x7f) | two << 7 | high << 8 | n << (8 + 8 * two));
			p += 2 + two;
			xbz_copy_wide(p, page + start);
			p += n;
			pos = stop;
			continue;
		}
		e->p = p;
		e->pos = pos;
		if (!xbz_put_closed(e, start, stop))
			return false;
		p = e->p;
		pos = stop;
	}
	e->p = p;
	e->pos = pos;
	return true;
}

/**
 * struct xbz_edge_list - edges whose runs are not written yet
 * @at: their numbers
 * @count: how many
 */
struct xbz_edge_list {
	u16 at[XBZ_EDGES_MAX];
	unsigned int count;
};

/* A line's edges, and the runs if there are enough of them: whether they fit. */
static __always_inline bool xbz_add_edges(struct xbz_emitter *e, struct xbz_edge_list *list,
					  u64 edges, unsigned int line)
{
	list->count = xbz_flatten(list->at, list->count, edges, line * XBZ_LINE_SIZE);
	if (unlikely(list->count >= XBZ_EDGES_FULL)) {
		if (!xbz_put_runs(e, list->at, list->count))
			return false;
		list->at[0] = list->at[list->count - 1];
		list->count &= 1;
	}
	return true;
}

/* The runs that are left, the last of which may end with the page. */
static __always_inline bool xbz_put_edges(struct xbz_emitter *e, struct xbz_edge_list *list)
{
	if (list->count & 1)
		list->at[list->count++] = XBZ_PAGE_SIZE;
	return xbz_put_runs(e, list->at, list->count);
}

/* Cuts the runs and writes them: whether they fit. */
static __always_inline bool xbz_cut_edges(struct xbz_emitter *e, const struct xbz_closed *closed)
{
	struct xbz_edge_list list xbz_uninitialized;
	u64 lines = closed->lines;

	list.count = 0;
	while (lines) {
		unsigned int line = xbz_ctz64(lines);

		lines &= lines - 1;
		if (!xbz_add_edges(e, &list, xbz_edges(closed, line), line))
			return false;
	}
	return xbz_put_edges(e, &list);
}

#endif /* XBZ_CODEC_EDGES_H */
