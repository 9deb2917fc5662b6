// SPDX-License-Identifier: GPL-2.0
/*
 * The codec for AVX-512 with BW, VL and VBMI2: a line is one register, a change
 * map's word one mask register. Vector types and builtins, because the headers
 * of intrinsics cannot be had in the kernel.
 */
#include "codec_priv.h"

#ifdef __x86_64__

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")
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

static __always_inline u64 xbz_edges(u64 *edges, const struct xbz_diff *diff)
{
	const v8du zero = { 0 };
	v8du carry = zero;
	unsigned int group;
	u64 lines = 0;

	for (group = 0; group < XBZ_GROUPS; group++) {
		const u8 *map = (const u8 *)&diff->map[1 + group * XBZ_GROUP_LINES];
		v8du m = load(map), before = load(map - 8), after = load(map + 8);
		v8du before1 = funnel_left(m, before, 1);
		v8du before2 = funnel_left(m, before, 2);
		v8du after1 = funnel_right(m, after, 1);
		v8du after2 = funnel_right(m, after, 2);
		v8du closed = m | (before1 & (after1 | after2)) | (before2 & after1);
		v8du last = __builtin_shufflevector(carry, closed, 7, 8, 9, 10, 11, 12, 13, 14);
		v8du e = closed ^ funnel_left(closed, last, 1);

		carry = closed;
		store((u8 *)&edges[group * XBZ_GROUP_LINES], e);
		lines |= (u64)differ_words(e, zero) << (group * XBZ_GROUP_LINES);
	}
	return lines;
}

static __always_inline void put_numbers(u16 *at, v64qi set, unsigned int base)
{
	v16hu numbers;

	/* The compilers widen in two halves if they are asked. */
	__asm__("vpmovzxbw %x1, %0" : "=v"(numbers) : "v"(set));
	*(v16hu_u *)at = numbers + (u16)base;
}

static __always_inline unsigned int xbz_flatten(u16 *at, unsigned int count, u64 edges,
						unsigned int base)
{
	const v64qi numbers = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
		32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
		48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
	};
	const v64qi zero = { 0 };
	v64qi set = __builtin_ia32_compressqi512_mask(numbers, zero, edges);
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

#include "emit.h"

int xbz_encode_avx512(void *out, size_t cap, void *ref, const void *cur)
{
	return xbz_encode_variant(out, cap, ref, cur);
}

int xbz_encode_zero_base_avx512(void *out, size_t cap, void *ref, const void *cur)
{
	return xbz_encode_zero_base_variant(out, cap, ref, cur);
}

#ifdef __clang__
#pragma clang attribute pop
#endif

#endif /* __x86_64__ */
