// SPDX-License-Identifier: GPL-2.0
/*
 * The codec for AVX-512 with BW, VL and VBMI2: a line is one register, a change
 * map's word one mask register. Vector types and builtins, because the headers
 * of intrinsics cannot be had in the kernel.
 */
#include "codec_priv.h"

#ifdef XBZ_CODEC_X86

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq,bmi,bmi2,popcnt")
#endif

typedef char v64qi __attribute__((vector_size(64)));
typedef long long v8di __attribute__((vector_size(64)));
typedef u8 v32qu __attribute__((vector_size(32)));
typedef u16 v16hu __attribute__((vector_size(32)));
typedef u64 v8du __attribute__((vector_size(64)));
typedef v32qu v32qu_u __attribute__((aligned(1), may_alias));
typedef v16hu v16hu_u __attribute__((aligned(1), may_alias));
typedef v8du v8du_u __attribute__((aligned(1), may_alias));

/* What comes out of the asm is opaque, so it cannot be fetched a second time. */
static __always_inline v8du load_once(const u8 *p)
{
	v8du v;

	__asm__ __volatile__("vmovdqu64 %1, %0" : "=v"(v) : "m"(*(const u8 (*)[64])p));
	return v;
}

static __always_inline v8du load(const u8 *p)
{
	return *(const v8du_u *)p;
}

static __always_inline void store(u8 *p, v8du v)
{
	*(v8du_u *)p = v;
}

static __always_inline u64 differ(v8du a, v8du b)
{
	return __builtin_ia32_ucmpb512_mask((v64qi)a, (v64qi)b, 4, ~0ULL);
}

/* @a | (@b ^ @c), which the compilers do not find by themselves. */
static __always_inline v8du or_xor(v8du a, v8du b, v8du c)
{
	return (v8du)__builtin_ia32_pternlogq512_mask((v8di)a, (v8di)b, (v8di)c, 0xf6, 0xff);
}

static __always_inline u8 differ_words(v8du a, v8du b)
{
	return __builtin_ia32_ucmpq512_mask((v8di)a, (v8di)b, 4, 0xff);
}

static __always_inline bool any(v8du v)
{
	const v8du zero = { 0 };

	return differ_words(v, zero);
}

/*
 * A group of lines that did not change costs two loads and an operation or two
 * for each of them, and its cache copy stays clean in the CPU's cache.
 */
static __always_inline void scan_page(struct xbz_diff *diff, u8 *ref, const u8 *cur,
				      bool zero_base)
{
	const v8du zero = { 0 };
	v8du nonzero = zero;
	unsigned int group, i;

	diff->groups = 0;
	for (group = 0; group < XBZ_GROUPS; group++) {
		u64 *map = &diff->map[1 + group * XBZ_GROUP_LINES];
		v8du now[XBZ_GROUP_LINES] xbz_uninitialized;
		v8du changed = zero;

#pragma GCC unroll 8
		for (i = 0; i < XBZ_GROUP_LINES; i++) {
			now[i] = load_once(cur + 64 * i);
			if (zero_base)
				changed |= now[i];
			else
				changed = or_xor(changed, now[i], load(ref + 64 * i));
			nonzero |= now[i];
		}
		if (any(changed)) {
			diff->groups |= 1U << group;
#pragma GCC unroll 8
			for (i = 0; i < XBZ_GROUP_LINES; i++)
				map[i] = differ(now[i], zero_base ? zero : load(ref + 64 * i));
		} else {
			store((u8 *)map, zero);
		}
		if (zero_base ? ref != cur : any(changed)) {
#pragma GCC unroll 8
			for (i = 0; i < XBZ_GROUP_LINES; i++)
				store(ref + 64 * i, now[i]);
		}
		cur += XBZ_GROUP_SIZE;
		ref += XBZ_GROUP_SIZE;
	}
	diff->map[0] = 0;
	diff->map[1 + XBZ_LINES] = 0;
	diff->nonzero = any(nonzero);
}

static __always_inline void xbz_scan(struct xbz_diff *diff, void *ref, const void *cur)
{
	scan_page(diff, ref, cur, false);
}

static __always_inline void xbz_scan_zero(struct xbz_diff *diff, void *ref, const void *cur)
{
	scan_page(diff, ref, cur, true);
}

/* Bits in each word. */
static __always_inline v8du weights(v8du v)
{
	__asm__("vpopcntq %1, %0" : "=v"(v) : "v"(v));
	return v;
}

static __always_inline unsigned int sum(v8du v)
{
	v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7);
	v += __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3);
	return v[0] + v[1];
}

/* Words of @high shifted by @n to the left, the top of @low's moving in. */
#define funnel_left(high, low, n) ({					\
	v8du _v;							\
	__asm__("vpshldq %3, %2, %1, %0" : "=v"(_v) :			\
		"v"(high), "v"(low), "i"(n));				\
	_v; })
/* And to the right, the bottom of @high's moving in. */
#define funnel_right(low, high, n) ({					\
	v8du _v;							\
	__asm__("vpshrdq %3, %2, %1, %0" : "=v"(_v) :			\
		"v"(low), "v"(high), "i"(n));				\
	_v; })

static __always_inline void xbz_close(struct xbz_closed *closed, const struct xbz_diff *diff)
{
	const v8du zero = { 0 };
	const v8du ones = ~zero;
	v8du carry = zero, edges_nr = zero;
	u64 lines = 0, windows = 0;
	unsigned int group;
	u8 full = 0;

	closed->map[0] = 0;
	for (group = 0; group < XBZ_GROUPS; group++) {
		const u8 *map = (const u8 *)&diff->map[1 + group * XBZ_GROUP_LINES];
		v8du m = load(map), before = load(map - 8), after = load(map + 8);
		v8du before1 = funnel_left(m, before, 1);
		v8du before2 = funnel_left(m, before, 2);
		v8du after1 = funnel_right(m, after, 1);
		v8du after2 = funnel_right(m, after, 2);
		v8du c = m | (before1 & (after1 | after2)) | (before2 & after1);
		v8du last = __builtin_shufflevector(carry, c, 7, 8, 9, 10, 11, 12, 13, 14);
		v8du edges = c ^ funnel_left(c, last, 1);

		carry = c;
		full |= ~differ_words(c, ones);
		edges_nr += weights(edges);
		store((u8 *)&closed->map[1 + group * XBZ_GROUP_LINES], c);
		lines |= (u64)differ_words(edges, zero) << (group * XBZ_GROUP_LINES);
		windows |= (u64)differ_words(c | last >> 61, zero) << (group * XBZ_GROUP_LINES);
	}
	/* By lines costs as much as two runs a line do. */
	closed->dense = !full && sum(edges_nr) > 4U * __builtin_popcountll(lines);
	closed->lines = lines;
	closed->windows = windows;
}

static __always_inline void put_numbers(u16 *at, v64qi set, unsigned int base)
{
	v16hu numbers;

	/* The compilers widen in two halves if they are asked. */
	__asm__("vpmovzxbw %x1, %0" : "=v"(numbers) : "v"(set));
	*(v16hu_u *)at = numbers + (u16)base;
}

static __always_inline v64qi numbers(void)
{
	return (v64qi){
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
		32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
		48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
	};
}

static __always_inline v64qi permute(v64qi v, v64qi numbers)
{
	v64qi ret;

	__asm__("vpermb %2, %1, %0" : "=v"(ret) : "v"(numbers), "v"(v));
	return ret;
}

static __always_inline v32qu low_half(v64qi v)
{
	return (v32qu)__builtin_shufflevector((v8du)v, (v8du)v, 0, 1, 2, 3);
}

/* The bytes of @v that @mask has, moved together; the rest is 0. */
static __always_inline v64qi compress(v64qi v, u64 mask)
{
	const v64qi zero = { 0 };

	return __builtin_ia32_compressqi512_mask(v, zero, mask);
}

static __always_inline unsigned int xbz_flatten(u16 *at, unsigned int count, u64 edges,
						unsigned int base)
{
	v64qi set = compress(numbers(), edges);
	unsigned int n = __builtin_popcountll(edges);

	/* Sixteen at a time: wider stores cross the lines of the CPU's cache. */
	put_numbers(at + count, set, base);
	if (unlikely(n > 16)) {
		set = (v64qi)__builtin_shufflevector((v8du)set, (v8du)set, 2, 3, 2, 3, 2, 3, 2, 3);
		put_numbers(at + count + 16, set, base);
	}
	return count + n;
}

#define XBZ_WIDE 32

static __always_inline void xbz_copy_wide(u8 *to, const u8 *from)
{
	*(v32qu_u *)to = *(const v32qu_u *)from;
}

/*
 * The dense way: a line at a time, whatever number of runs it has.
 *
 * Runs are three bytes apart or more once the short gaps are closed, so there
 * is room for a run's header among the unchanged bytes before it. The header's
 * bytes are put there, and then header and run bytes of the whole line are moved
 * together by one instruction. The lengths are the distances between edges, in
 * the order in which the headers need them; they are made first, for as many
 * lines as there is room for.
 *
 * Only without runs of 128 bytes and more, which have a header of their own;
 * a zrun may have any length, and then uses the third free byte.
 */
#define DIST_FULL 256
/* More than the edges of a line and what is stored and loaded behind them. */
#define DIST_MAX (DIST_FULL + 2 * XBZ_LINE_SIZE)

/**
 * struct dense - how far the dense way is
 * @dist: lengths of zruns and nzruns by turns
 * @made: how many
 * @edge: the last edge that @dist goes to
 * @lines: lines whose edges are not yet in @dist
 * @longs: lines whose first zrun has two bytes
 */
struct dense {
	u8 dist[DIST_MAX];
	unsigned int made;
	unsigned int edge;
	u64 lines;
	u64 longs;
};

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
 * Writes the bytes of page from three before @line to three before its end:
 * those of runs, and the headers whose place is there. Returns where they end.
 */
static __always_inline u8 *put_line(u8 *p, const u8 *line, u64 heads, u64 runs, const u8 *dist)
{
	unsigned int n = __builtin_popcountll(heads | runs);
	v64qi v;

	/* A byte that is masked is not read: the page may begin behind it. */
	__asm__("vmovdqu8 %2, %0%{%1%}%{z%}" : "=v"(v) :
		"Yk"(runs), "m"(*(const u8 (*)[64])(line - 3)));
	v = __builtin_ia32_expandqi512_mask((v64qi)load(dist), v, heads);
	v = compress(v, heads | runs);
	/* Half a line if it will do, as wide stores are slower. */
	*(v32qu_u *)p = low_half(v);
	if (unlikely(n > 32))
		store(p, (v8du)v);
	return p + n;
}

static xbz_noinline bool xbz_emit_dense(struct xbz_emitter *e, const struct xbz_closed *closed)
{
	u64 windows = closed->windows, starts = 0;
	struct dense d xbz_uninitialized;
	unsigned int next = 0;	/* behind the line that starts is of */
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

			/* It is not known yet what belongs here. */
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
		/* A run's length can be some lines behind its header's place. */
		d.made -= used;
		memmove(d.dist, d.dist + used, XBZ_LINE_SIZE);
		if (!windows)
			break;
		if (!d.lines)
			return false;
	}
	/* What is behind the last line's window: three bytes of the page. */
	if (next == XBZ_LINES) {
		u64 runs = closed->map[XBZ_LINES] >> 61, heads = starts >> 63 | starts >> 62;

		if (e->end - p < XBZ_LINE_SIZE)
			return false;
		p = put_line(p, e->page + XBZ_PAGE_SIZE, heads, runs, d.dist);
	}
	e->p = p;
	return true;
}

#include "emit.h"

int xbz_encode_avx512(void *out, size_t cap, void *ref, const void *cur)
{
	int ret = xbz_encode_variant(out, cap, ref, cur);

	/* gcc adds it only where it optimizes for speed. */
	__builtin_ia32_vzeroupper();
	return ret;
}

int xbz_encode_zero_base_avx512(void *out, size_t cap, void *ref, const void *cur)
{
	int ret = xbz_encode_zero_base_variant(out, cap, ref, cur);

	__builtin_ia32_vzeroupper();
	return ret;
}

#ifdef __clang__
#pragma clang attribute pop
#endif

#endif /* XBZ_CODEC_X86 */
