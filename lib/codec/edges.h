/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the closed map to the payload by an array of edges, for variants whose
 * instruction set has nothing better. A variant defines, before it includes
 * this,
 *
 *	xbz_flatten()		converts a line's edges from bits to numbers
 *	XBZ_WIDE		number of bytes that xbz_copy_wide() copies
 *	xbz_copy_wide()		copies as many, some of which may not be needed
 *
 * An edge is a byte whose state differs from that of the byte before it, so
 * edges are alternately a run's first byte and the first behind it.
 *
 * Why an array of edges: the number of runs in a line cannot be predicted, and
 * a loop over them mispredicts once a line. Converting bits to numbers has no
 * branch that depends on them. Then one loop goes over the runs of the whole
 * page, and writes a run of up to XBZ_WIDE bytes without a branch, too: the
 * header with one store and the bytes with one more.
 */
#ifndef XBZ_CODEC_EDGES_H
#define XBZ_CODEC_EDGES_H

#include "runs.h"

/* Closed runs are at least 3 bytes apart, so a line has at most 32 edges. */
#define XBZ_LINE_EDGES 32
#define XBZ_EDGES_FULL 128
#define XBZ_EDGES_MAX (XBZ_EDGES_FULL + 2 * XBZ_LINE_EDGES)

/* Writes the runs of @count edges, but not a last one whose end is missing. */
static __always_inline bool xbz_put_runs(struct xbz_emitter *e, const u16 *at,
					 unsigned int count)
{
	/* In registers: store forwarding is slow. */
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
 * @at: the edges' numbers
 * @count: number of edges
 */
struct xbz_edge_list {
	u16 at[XBZ_EDGES_MAX];
	unsigned int count;
};

/*
 * Adds a line's edges; writes the runs of a full list. Returns whether they
 * fit.
 */
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

/* Writes the remaining runs, the last of which may end with the page. */
static __always_inline bool xbz_put_edges(struct xbz_emitter *e, struct xbz_edge_list *list)
{
	if (list->count & 1)
		list->at[list->count++] = XBZ_PAGE_SIZE;
	return xbz_put_runs(e, list->at, list->count);
}

/* Cuts the runs and writes them. Returns whether they fit. */
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
