// SPDX-License-Identifier: GPL-2.0
/*
 * From the change map to the payload: which gaps are merged, where runs begin
 * and end, and the bytes. Shared by all scans. Nothing here looks at the old
 * page or at the live one.
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
#include "codec_priv.h"

struct emitter {
	u8 *p;
	u8 *end;
	const u8 *page;
	const u64 *map;
	unsigned int pos;	/* bytes of page covered */
};

/*
 * Most runs are shorter than a call of memcpy is worth. Words may run over the
 * end of the run, never over the end of the page or of the output.
 */
static __always_inline void put_bytes(struct emitter *e, unsigned int start, unsigned int n)
{
	unsigned int words = (n + 7) & ~7u;

	if (likely(n <= 32 && start + words <= XBZ_PAGE_SIZE &&
		   words <= (size_t)(e->end - e->p))) {
		const u8 *from = e->page + start;
		unsigned int i;

		for (i = 0; i < words; i += 8)
			xbz_store64(e->p + i, xbz_load64(from + i));
	} else {
		memcpy(e->p, e->page + start, n);
	}
	e->p += n;
}

static __always_inline bool put_run(struct emitter *e, unsigned int start, unsigned int stop)
{
	unsigned int z = start - e->pos;
	unsigned int n = stop - start;

	if (unlikely(xbz_len_size(z) + xbz_len_size(n) + n > (size_t)(e->end - e->p)))
		return false;
	e->p = xbz_put_len(e->p, z);
	e->p = xbz_put_len(e->p, n);
	put_bytes(e, start, n);
	e->pos = stop;
	return true;
}

/* Where the next gap of 2 inside a closed run begins, or @stop. */
static unsigned int next_gap(const u64 *map, unsigned int from, unsigned int stop)
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
static bool put_long_run(struct emitter *e, unsigned int start, unsigned int stop)
{
	unsigned int at, gap, from, to;

	for (at = start; at < stop; at = gap + 2) {
		gap = next_gap(e->map, at, stop);
		if (gap - at >= XBZ_LEN_TWO)
			return put_run(e, start, stop);
	}

	from = start;
	to = start;
	for (at = start; at < stop; at = gap + 2) {
		gap = next_gap(e->map, at, stop);
		if (gap - from >= XBZ_LEN_TWO) {
			if (!put_run(e, from, to))
				return false;
			from = at;
		}
		to = gap;
	}
	return put_run(e, from, to);
}

static __always_inline bool put_closed_run(struct emitter *e, unsigned int start,
					   unsigned int stop)
{
	if (unlikely(stop - start >= XBZ_LEN_TWO))
		return put_long_run(e, start, stop);
	return put_run(e, start, stop);
}

/* The line's change bits with gaps of 1 and 2 filled, across its borders too. */
static __always_inline u64 close_gaps(const u64 *m)
{
	u64 before1 = (m[0] << 1) | (m[-1] >> 63);
	u64 before2 = (m[0] << 2) | (m[-1] >> 62);
	u64 after1 = (m[0] >> 1) | (m[1] << 63);
	u64 after2 = (m[0] >> 2) | (m[1] << 62);

	return m[0] | (before1 & (after1 | after2)) | (before2 & after1);
}

int xbz_emit(void *out, size_t cap, const void *page, const struct xbz_diff *diff)
{
	struct emitter e = {
		.p = out, .end = (u8 *)out + cap, .page = page, .map = diff->map,
	};
	unsigned int start = 0, line, next = 0;
	u64 lines = diff->lines;
	u64 open = 0;	/* 1: a run reaches the end of line next - 1 */

	while (lines) {
		u64 closed, edges;

		line = xbz_ctz64(lines);
		lines &= lines - 1;
		if (open && line != next) {
			if (!put_closed_run(&e, start, next * XBZ_LINE_SIZE))
				return XBZ_RAW;
			open = 0;
		}
		next = line + 1;

		/* An edge is a byte whose state differs from the one before it. */
		closed = close_gaps(&diff->map[1 + line]);
		edges = closed ^ ((closed << 1) | open);
		if (open && edges) {
			if (!put_closed_run(&e, start, line * XBZ_LINE_SIZE + xbz_ctz64(edges)))
				return XBZ_RAW;
			edges &= edges - 1;
		}
		while (edges) {
			start = line * XBZ_LINE_SIZE + xbz_ctz64(edges);
			edges &= edges - 1;
			if (!edges)
				break;
			if (!put_closed_run(&e, start, line * XBZ_LINE_SIZE + xbz_ctz64(edges)))
				return XBZ_RAW;
			edges &= edges - 1;
		}
		open = closed >> 63;
	}
	if (open && !put_closed_run(&e, start, next * XBZ_LINE_SIZE))
		return XBZ_RAW;
	return e.p - (u8 *)out;
}
