/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The dense way: a line at a time, however many runs it has.
 *
 * Closed runs are at least three bytes apart, so a run's header fits over the
 * unchanged bytes before it. The header's bytes are put there, and one
 * instruction compresses headers and runs of the whole line. The lengths in the
 * headers are the distances between edges, in the same order; they are computed
 * first, for as many lines as @dist has room for.
 *
 * There must be no run of 128 bytes or more, which has a longer header. A zrun
 * can have any length; a long one uses the third free byte.
 */
#ifndef XBZ_CODEC_AVX512_DENSE_H
#define XBZ_CODEC_AVX512_DENSE_H

#include "avx512_vec.h"

#define DIST_FULL 256
/* Room for a line's edges and for the stores and loads behind them. */
#define DIST_MAX (DIST_FULL + 2 * XBZ_LINE_SIZE)

/**
 * struct dense - state of the dense way
 * @dist: bytes of the lengths of zruns and nzruns, alternating
 * @made: number of bytes in @dist
 * @edge: the last edge that @dist covers
 * @lines: lines whose edges are not yet in @dist
 * @longs: lines whose first zrun has a length of two bytes
 */
struct dense {
	u8 dist[DIST_MAX];
	unsigned int made;
	unsigned int edge;
	u64 lines;
	u64 longs;
};

static __always_inline v64qi permute(v64qi v, v64qi numbers)
{
	v64qi ret;

	__asm__("vpermb %2, %1, %0" : "=v"(ret) : "v"(numbers), "v"(v));
	return ret;
}

static __always_inline void make_distances(struct dense *d, const struct xbz_closed *closed)
{
	unsigned int made = d->made, edge = d->edge;
	const v64qi next = numbers() + 1;
	u64 lines = d->lines;

	while (lines && made < DIST_FULL) {
		unsigned int line = xbz_ctz64(lines);
		u64 edges = xbz_edges(closed, line);
		unsigned int first = line * XBZ_LINE_SIZE + xbz_ctz64(edges) - edge;
		unsigned int high = first >> 7, two = high != 0;
		v64qi set = compress(numbers(), edges);
		v64qi dist = permute(set, next) - set;

		lines &= lines - 1;
		d->dist[made] = (first & 0x7f) | two << 7;
		d->dist[made + 1] = high;
		made += 1 + two;
		d->longs |= (u64)two << line;
		*(v32qu_u *)&d->dist[made] = low_half(dist);
		made += __builtin_popcountll(edges) - 1;
		edge = line * XBZ_LINE_SIZE + 63 - __builtin_clzll(edges);
	}
	if (!lines && d->lines && closed->map[XBZ_LINES] >> 63)
		d->dist[made++] = XBZ_PAGE_SIZE - edge;
	d->made = made;
	d->edge = edge;
	d->lines = lines;
}

/*
 * Writes the part of the payload whose place in the page is from three bytes
 * before @line to three bytes before its end: bytes of runs and of headers.
 * Returns its end.
 */
static __always_inline u8 *put_line(u8 *p, const u8 *line, u64 heads, u64 runs, const u8 *dist)
{
	u64 both = heads | runs;
	unsigned int n;
	v64qi v;

	/* As a mask and as a number, it keeps clang 19 busy for ever. */
	__asm__("" : "+r"(both));
	n = __builtin_popcountll(both);
	/* Masked bytes are not read: they may lie before the page. */
	__asm__("vmovdqu8 %2, %0%{%1%}%{z%}" : "=v"(v) :
		"Yk"(runs), "m"(*(const u8 (*)[64])(line - 3)));
	v = __builtin_ia32_expandqi512_mask((v64qi)load(dist), v, heads);
	v = compress(v, both);
	/* Half a line if that suffices: wide stores are slower. */
	*(v32qu_u *)p = low_half(v);
	if (unlikely(n > 32))
		store(p, (v8du)v);
	return p + n;
}

static xbz_noinline bool emit_dense(struct xbz_emitter *e, const struct xbz_closed *closed)
{
	u64 windows = closed->windows, starts = 0;
	struct dense d xbz_uninitialized;
	unsigned int next = 0;	/* the line behind the one of starts */
	u8 *p = e->p;

	d.made = 0;
	d.edge = 0;
	d.longs = 0;
	d.lines = closed->lines;
	for (;;) {
		unsigned int used = 0;

		make_distances(&d, closed);
		while (windows) {
			unsigned int now = xbz_ctz64(windows);
			const u64 *m = &closed->map[1 + now];
			u64 before = now == next ? starts : 0;
			u64 here = m[0] & ~(m[0] << 1 | m[-1] >> 63);
			u64 heads = (here << 1 | before >> 63) | (here << 2 | before >> 62) |
				    (here & -here & -(d.longs >> now & 1));

			/* The lengths are not computed yet. */
			if (d.lines >> now & 1 || used + __builtin_popcountll(heads) > d.made)
				break;
			if (e->end - p < XBZ_LINE_SIZE)
				return false;
			p = put_line(p, e->page + now * XBZ_LINE_SIZE, heads,
				     m[0] << 3 | m[-1] >> 61, d.dist + used);
			used += __builtin_popcountll(heads);
			starts = here;
			next = now + 1;
			windows &= windows - 1;
		}
		/*
		 * A run's length can come some lines after its header's place.
		 */
		d.made -= used;
		store(d.dist, load(d.dist + used));
		if (!windows)
			break;
		if (!d.lines)
			return false;
	}
	/* The page's last three bytes, behind the last line's window. */
	if (next == XBZ_LINES) {
		u64 runs = closed->map[XBZ_LINES] >> 61, heads = starts >> 63 | starts >> 62;

		if (e->end - p < XBZ_LINE_SIZE)
			return false;
		p = put_line(p, e->page + XBZ_PAGE_SIZE, heads, runs, d.dist);
	}
	e->p = p;
	return true;
}

#endif /* XBZ_CODEC_AVX512_DENSE_H */
