/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One run into the payload, exactly: what the variants fall back to where their
 * wide stores do not fit, and where a run is so long that its gaps are looked
 * at once more.
 *
 * Why this parse has the least possible length. A gap costs one or two bytes
 * as a zrun, and a header for the nzrun behind it, or its own bytes when it is
 * merged; taking only a part of it never gains. Lengths from 128 on have two
 * bytes. Hence:
 *
 *  - a gap of 1 is always merged: 1 byte against at least 2, while the merged
 *    length takes no more bytes than the two lengths did;
 *  - a gap of 3 or more never: the header saved is worth at most 3 bytes, and
 *    that only between two long runs, where it is a tie;
 *  - a gap of 2 is a tie while the lengths stay short. Over a chain of runs
 *    with gaps of 2 the sum is a constant plus the number of nzruns that are
 *    long. A run that is long by itself makes that number at least one, and
 *    merging the whole chain makes it one. A chain with no such run has none
 *    if it is cut into pieces below 128.
 *
 * So gaps of 1 and 2 are closed by bit operations on the map, and only an
 * nzrun of 128 bytes or more is looked at again.
 */
#ifndef XBZ_CODEC_RUNS_H
#define XBZ_CODEC_RUNS_H

#include "codec_priv.h"

/* The run, with not a byte written that is not needed. */
static bool xbz_put_run(struct xbz_emitter *e, unsigned int start, unsigned int stop)
{
	unsigned int z = start - e->pos;
	unsigned int n = stop - start;

	if (e->p > e->limit ||
	    xbz_len_size(z) + xbz_len_size(n) + n > (size_t)(e->limit - e->p))
		return false;
	e->p = xbz_put_len(e->p, z);
	e->p = xbz_put_len(e->p, n);
	memcpy(e->p, e->page + start, n);
	e->p += n;
	e->pos = stop;
	return true;
}

/* Where the next gap of 2 inside a closed run begins, or @stop. */
static unsigned int xbz_next_gap(const u64 *map, unsigned int from, unsigned int stop)
{
	unsigned int line = from / XBZ_LINE_SIZE;
	u64 keep = ~0ULL << (from % XBZ_LINE_SIZE);

	for (; line * XBZ_LINE_SIZE < stop; line++) {
		u64 m = map[1 + line];
		u64 gaps = ~(m | (m >> 1) | (map[2 + line] << 63)) & keep;

		if (gaps) {
			unsigned int at = line * XBZ_LINE_SIZE + xbz_ctz64(gaps);

			return at < stop ? at : stop;
		}
		keep = ~0ULL;
	}
	return stop;
}

/* A closed run of 128 bytes or more: whole, or in pieces that are all short. */
static xbz_noinline bool xbz_put_long_run(struct xbz_emitter *e, unsigned int start,
					  unsigned int stop)
{
	unsigned int at, gap, from, to;

	/* In pieces it has as many bytes as whole, but for a longer header. */
	if (e->p > e->limit || stop - start + 2 > (size_t)(e->limit - e->p))
		return false;

	for (at = start; at < stop; at = gap + 2) {
		gap = xbz_next_gap(e->map, at, stop);
		if (gap - at >= XBZ_LEN_TWO)
			return xbz_put_run(e, start, stop);
	}

	from = start;
	to = start;
	for (at = start; at < stop; at = gap + 2) {
		gap = xbz_next_gap(e->map, at, stop);
		if (gap - from >= XBZ_LEN_TWO) {
			if (!xbz_put_run(e, from, to))
				return false;
			from = at;
		}
		to = gap;
	}
	return xbz_put_run(e, from, to);
}

/* A closed run, however long it is. */
static __always_inline bool xbz_put_closed(struct xbz_emitter *e, unsigned int start,
					   unsigned int stop)
{
	return stop - start < XBZ_LEN_TWO ? xbz_put_run(e, start, stop) :
					    xbz_put_long_run(e, start, stop);
}

#endif /* XBZ_CODEC_RUNS_H */
