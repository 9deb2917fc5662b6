/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes one run to the payload, without writing past it. The variants use it
 * where their wide stores do not fit, and for runs so long that their gaps have
 * to be checked again.
 *
 * Why this parse has the least possible length. A gap costs one or two bytes as
 * a zrun, and a header for the nzrun behind it; merged, it costs its own bytes.
 * Merging only a part of a gap never gains. Lengths from 128 on take two bytes.
 * Hence:
 *
 *  - a gap of 1 is always merged: 1 byte against at least 2, and the merged
 *    length takes no more bytes than the two lengths did;
 *  - a gap of 3 or more is never merged: the header saved is worth at most 3
 *    bytes, and that only between two long runs, where it is a tie;
 *  - a gap of 2 is a tie while the lengths stay short. Over a chain of runs
 *    with gaps of 2, the sum is a constant plus the number of long nzruns. A
 *    run that is long by itself makes that number at least one, and merging the
 *    whole chain makes it one. A chain without such a run has none if it is cut
 *    into pieces below 128.
 *
 * So bit operations on the map close gaps of 1 and 2, and only an nzrun of 128
 * bytes or more is checked again.
 */
#ifndef XBZ_CODEC_RUNS_H
#define XBZ_CODEC_RUNS_H

#include "codec_priv.h"

/* Writes a run and no byte more. Returns false if it does not fit. */
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

/*
 * First bytes of a line's gaps of 2, provided that all lie inside a closed run.
 */
static __always_inline u64 xbz_gaps(const u64 *map, unsigned int line)
{
	const u64 *m = &map[1 + line];

	return ~(m[0] | m[0] >> 1 | m[1] << 63);
}

/* A closed run of 128 bytes or more is as short whole as in any pieces. */
static xbz_noinline bool xbz_whole(const u64 *map, unsigned int start, unsigned int stop)
{
	unsigned int line = start / XBZ_LINE_SIZE, last = (stop - 1) / XBZ_LINE_SIZE;
	u64 keep = ~0ULL << start % XBZ_LINE_SIZE;
	unsigned int piece = start;

	for (; line <= last; line++) {
		u64 gaps = xbz_gaps(map, line) & keep;

		if (line == last)
			gaps &= ~0ULL >> (XBZ_LINE_SIZE - 1 - (stop - 1) % XBZ_LINE_SIZE);
		keep = ~0ULL;
		if (!gaps)
			continue;
		/* Only the first piece that ends in a line can be that long. */
		if (line * XBZ_LINE_SIZE + xbz_ctz64(gaps) >= piece + XBZ_LEN_TWO)
			return true;
		piece = line * XBZ_LINE_SIZE + xbz_last64(gaps) + 2;
	}
	return stop >= piece + XBZ_LEN_TWO;
}

/* The last gap of 2 that begins at or before @at. The run must have one. */
static __always_inline unsigned int xbz_last_gap(const u64 *map, unsigned int at)
{
	unsigned int line = at / XBZ_LINE_SIZE;
	u64 gaps = xbz_gaps(map, line) & ~0ULL >> (XBZ_LINE_SIZE - 1 - at % XBZ_LINE_SIZE);

	while (!gaps)
		gaps = xbz_gaps(map, --line);
	return line * XBZ_LINE_SIZE + xbz_last64(gaps);
}

/*
 * Writes a closed run of 128 bytes or more, whole or in pieces that are all
 * short.
 */
static xbz_noinline bool xbz_put_long_run(struct xbz_emitter *e, unsigned int start,
					  unsigned int stop)
{
	unsigned int to;

	/*
	 * Pieces take as many bytes as the whole run, except for its longer
	 * header.
	 */
	if (e->p > e->limit || stop - start + 2 > (size_t)(e->limit - e->p))
		return false;
	if (xbz_whole(e->map, start, stop))
		return xbz_put_run(e, start, stop);

	for (; stop - start >= XBZ_LEN_TWO; start = to + 2) {
		to = xbz_last_gap(e->map, start + XBZ_LEN_TWO - 1);
		if (!xbz_put_run(e, start, to))
			return false;
	}
	return xbz_put_run(e, start, stop);
}

/* Writes a closed run of any length. */
static __always_inline bool xbz_put_closed(struct xbz_emitter *e, unsigned int start,
					   unsigned int stop)
{
	return stop - start < XBZ_LEN_TWO ? xbz_put_run(e, start, stop) :
					    xbz_put_long_run(e, start, stop);
}

#endif /* XBZ_CODEC_RUNS_H */
