/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sparse way: from bits to numbers, then 32 runs at a time.
 *
 * Up to four runs of each of eight lines become numbers at once. The positions
 * of 32 runs in the payload are a prefix sum of their sizes, so that no run
 * depends on the one before it; what remains for a run is to store its header
 * and its bytes.
 */
#ifndef XBZ_CODEC_AVX512_SPARSE_H
#define XBZ_CODEC_AVX512_SPARSE_H

#include "avx512_vec.h"
#include "edges.h"

/* Runs that are written together. */
#define LANES 32
/* Number of runs at which they are written. */
#define RUNS_FULL 64
/*
 * Room for eight lines' runs more, and for the stores behind the last of them.
 */
#define RUNS_MAX (RUNS_FULL + XBZ_GROUP_LINES * 16 + LANES)
/* With fewer runs the setup does not pay. */
#define RUNS_FEW 6
/*
 * Bytes that one copy moves: NARROW if all runs fit, else XBZ_WIDE, else BROAD
 * twice.
 */
#define NARROW 8
#define BROAD 64

/**
 * struct runs - runs that are not written yet
 * @start: each run's first byte
 * @stop: the end of the run that was written last, then the first byte behind
 *	  each run
 * @starts: number of entries in @start
 * @stops: number of runs in @stop; one less than @starts while a run is open
 */
struct runs {
	u16 start[RUNS_MAX];
	u16 stop[1 + RUNS_MAX];
	unsigned int starts;
	unsigned int stops;
};

/* The number of each word's lowest bit, plus @base. */
static __always_inline v8du lowest(v8du bits, v8du base)
{
	return base + weights((bits & -bits) - 1);
}

static __always_inline unsigned int put_lowest(u16 *at, v8du bits, v8du base)
{
	const v8du zero = { 0 };
	u8 some = differ_words(bits, zero);

	store_small(at, compress_words(lowest(bits, base), some));
	return __builtin_popcount(some);
}

/* Stores the numbers of up to four bits in each word, in order. */
static __always_inline unsigned int put_four(u16 *at, v8du bits, v8du base)
{
	const v8du zero = { 0 };
	v8du all = lowest(bits, base);
	u32 some = __builtin_ia32_pdep_si(differ_words(bits, zero), 0x11111111);
	v32hi found;

	bits &= bits - 1;
	all |= lowest(bits, base) << 16;
	some |= __builtin_ia32_pdep_si(differ_words(bits, zero), 0x22222222);
	bits &= bits - 1;
	all |= lowest(bits, base) << 32;
	some |= __builtin_ia32_pdep_si(differ_words(bits, zero), 0x44444444);
	bits &= bits - 1;
	all |= lowest(bits, base) << 48;
	some |= __builtin_ia32_pdep_si(differ_words(bits, zero), 0x88888888);
	found = __builtin_ia32_compresshi512_mask((v32hi)all, (v32hi)zero, some);
	*(v32hi_u *)at = found;
	return __builtin_popcount(some);
}

/* Stores the numbers of a word's bits, sixteen at most. */
static __always_inline unsigned int put_all(u16 *at, u64 bits, unsigned int base)
{
	put_numbers(at, compress(numbers(), bits), base);
	return __builtin_popcountll(bits);
}

static __always_inline v32hu load_numbers(const u16 *at)
{
	return (v32hu)*(const v32hi_u *)at;
}

static __always_inline u32 above(v32hu a, u16 b)
{
	return __builtin_ia32_ucmpw512_mask((v32hi)a, (v32hi)((v32hu){ 0 } + b), 6, ~0U);
}

/* Each lane's sum of itself and all lanes before it. */
static __always_inline v32hu prefix_sums(v32hu v)
{
	const v32hu zero = { 0 };

	v += __builtin_shufflevector(zero, v, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
				     44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58,
				     59, 60, 61, 62);
	v += __builtin_shufflevector(zero, v, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42,
				     43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57,
				     58, 59, 60, 61);
	v += __builtin_shufflevector(zero, v, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
				     41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55,
				     56, 57, 58, 59);
	v += __builtin_shufflevector(zero, v, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36,
				     37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
				     52, 53, 54, 55);
	v += __builtin_shufflevector(zero, v, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
				     29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
				     44, 45, 46, 47);
	return v;
}

/*
 * Copies a run's first and last BROAD bytes; of a shorter run, bytes behind it
 * too.
 */
static __always_inline void copy_broad(u8 *to, const u8 *from, unsigned int n)
{
	unsigned int rest = n > BROAD ? n - BROAD : 0;
	v8du first = load(from), last = load(from + rest);

	store(to, first);
	store(to + rest, last);
}

/* Copies the rest of a run of more than twice BROAD. */
static __always_inline void copy_middle(u8 *to, const u8 *from, unsigned int n)
{
	unsigned int i;

	for (i = BROAD; i < n - BROAD; i += BROAD)
		store(to + i, load(from + i));
}

/* A length in the payload's format: one byte, or two if @two is 1. */
static __always_inline v32hu length_bytes(v32hu n, v32hu two)
{
	return (n & 0x7f) | two << 7 | n >> 7 << 8;
}

/*
 * Writes up to 32 runs, from @start[0] and @stop[0] on; @stop[-1] is the end of
 * the run before them. Returns the number of runs written: fewer in front of a
 * run that is shorter in pieces, and none where the end of the output is near.
 */
static __always_inline unsigned int put_together(struct xbz_emitter *e, const u16 *start,
						 const u16 *stop, unsigned int count)
{
	v32hu first = load_numbers(start);
	v32hu z = first - load_numbers(stop - 1), n = load_numbers(stop) - first;
	v32hu z_two = (z + (0x8000 - XBZ_LEN_TWO)) >> 15;
	v32hu n_two = (n + (0x8000 - XBZ_LEN_TWO)) >> 15;
	v32hu len = n + z_two + n_two + 2;
	v32hu sums = prefix_sums(len);
	v32hu z_bytes = length_bytes(z, z_two), n_bytes = length_bytes(n, n_two);
	/* z's first byte is followed by its second one, or by n's first. */
	v32hu low = z_bytes | (n_bytes << 8 & (z_two - 1));
	v32hu high = (n_bytes & -z_two) | (n_bytes >> 8 & (z_two - 1));
	u16 at[LANES] xbz_uninitialized;
	u16 bytes[LANES] xbz_uninitialized;
	u32 heads[LANES] xbz_uninitialized;
	/* Bytes that are copied from behind a run must be in the page. */
	u32 slow = above(first, XBZ_PAGE_SIZE - BROAD);
	u32 broad = above(n, XBZ_WIDE) | above(first, XBZ_PAGE_SIZE - XBZ_WIDE);
	u32 wide = above(n, NARROW) | above(first, XBZ_PAGE_SIZE - NARROW);
	u32 longs = above(n, XBZ_LEN_TWO - 1);
	const u8 *page = e->page;
	unsigned int total, i;
	u8 *p = e->p;
	u64 written;

	if (count > LANES)
		count = LANES;
	written = (1ULL << count) - 1;
	for (longs &= written; longs; longs &= longs - 1) {
		i = xbz_ctz64(longs);
		if (!xbz_whole(e->map, start[i], stop[i])) {
			if (!i)
				return 0;
			count = i;
			written = (1ULL << count) - 1;
			break;
		}
	}
	longs = above(n, 2 * BROAD) & written;
	*(v32hi_u *)at = (v32hi)(sums - len);
	*(v32hi_u *)bytes = (v32hi)(sums - n);
	*(v32hi_u *)heads = (v32hi)__builtin_shufflevector(low, high, 0, 32, 1, 33, 2, 34, 3, 35,
		4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46,
		15, 47);
	*(v32hi_u *)(heads + 16) = (v32hi)__builtin_shufflevector(low, high, 16, 48, 17, 49, 18,
		50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55, 24, 56, 25, 57, 26, 58, 27, 59, 28, 60,
		29, 61, 30, 62, 31, 63);
	total = bytes[count - 1] + stop[count - 1] - start[count - 1];
	if (unlikely(e->end - p < (long)total + BROAD))
		return 0;
	if (!(wide & written)) {
		for (i = 0; i < count; i++) {
			xbz_store32_le(p + at[i], heads[i]);
			xbz_store64(p + bytes[i], xbz_load64(page + start[i]));
		}
	} else if (!(broad & written)) {
		for (i = 0; i < count; i++) {
			xbz_store32_le(p + at[i], heads[i]);
			xbz_copy_wide(p + bytes[i], page + start[i]);
		}
	} else {
		for (i = 0; i < count; i++) {
			xbz_store32_le(p + at[i], heads[i]);
			if (likely(!(slow >> i & 1)))
				copy_broad(p + bytes[i], page + start[i],
					   stop[i] - start[i]);
			else
				memcpy(p + bytes[i], page + start[i], stop[i] - start[i]);
		}
		for (; longs; longs &= longs - 1) {
			i = xbz_ctz64(longs);
			copy_middle(p + bytes[i], page + start[i], stop[i] - start[i]);
		}
	}
	e->p = p + total;
	e->pos = stop[count - 1];
	return count;
}

/* Writes less than RUNS_FEW runs, one by one. */
static __always_inline bool put_few(struct xbz_emitter *e, const u16 *starts, const u16 *stops,
				    unsigned int count)
{
	u16 at[2 * RUNS_FEW] xbz_uninitialized;
	unsigned int i;

	for (i = 0; i < count; i++) {
		at[2 * i] = starts[i];
		at[2 * i + 1] = stops[i];
	}
	return xbz_put_runs(e, at, 2 * count);
}

static bool put_runs(struct xbz_emitter *e, struct runs *r)
{
	unsigned int count = r->stops, i = 0, n;

	while (i < count) {
		n = 0;
		if (count - i >= RUNS_FEW)
			n = put_together(e, r->start + i, r->stop + 1 + i, count - i);
		if (!n) {
			n = count - i < RUNS_FEW ? count - i : 1;
			if (!put_few(e, r->start + i, r->stop + 1 + i, n))
				return false;
		}
		i += n;
	}
	/* Keep the open run. */
	if (r->starts > count)
		r->start[0] = r->start[count];
	r->starts -= count;
	r->stop[0] = e->pos;
	r->stops = 0;
	return true;
}

static xbz_noinline bool cut_sparse(struct xbz_emitter *e, const struct xbz_closed *closed)
{
	v8du base = { 0, 64, 128, 192, 256, 320, 384, 448 };
	const v8du zero = { 0 };
	struct runs r xbz_uninitialized;
	unsigned int group, i;
	v8du carry = zero;

	r.starts = 0;
	r.stops = 0;
	r.stop[0] = 0;
	for (group = 0; group < XBZ_GROUPS; group++) {
		v8du c = load((const u8 *)&closed->map[1 + group * XBZ_GROUP_LINES]);
		v8du last = __builtin_shufflevector(carry, c, 7, 8, 9, 10, 11, 12, 13, 14);
		v8du moved = funnel_left(c, last, 1);
		v8du starts = c & ~moved, stops = moved & ~c;

		carry = c;
		/*
		 * Decided once a page: for each group it would be mispredicted
		 * often.
		 */
		if (closed->single) {
			r.starts += put_lowest(r.start + r.starts, starts, base);
			r.stops += put_lowest(r.stop + 1 + r.stops, stops, base);
		} else if (closed->few || !above_words(weights(starts | stops), 8)) {
			r.starts += put_four(r.start + r.starts, starts, base);
			r.stops += put_four(r.stop + 1 + r.stops, stops, base);
		} else {
			for (i = 0; i < XBZ_GROUP_LINES; i++) {
				unsigned int at = group * XBZ_GROUP_SIZE + i * XBZ_LINE_SIZE;

				r.starts += put_all(r.start + r.starts, starts[i], at);
				r.stops += put_all(r.stop + 1 + r.stops, stops[i], at);
			}
		}
		base += XBZ_GROUP_SIZE;
		if (unlikely(r.stops >= RUNS_FULL) && !put_runs(e, &r))
			return false;
	}
	if (r.starts > r.stops)
		r.stop[1 + r.stops++] = XBZ_PAGE_SIZE;
	return put_runs(e, &r);
}

#endif /* XBZ_CODEC_AVX512_SPARSE_H */
