/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations on registers for the parts of the AVX-512 variant. Vector types
 * and builtins, because the kernel has no headers of intrinsics. To be included
 * after the variant's target pragma.
 */
#ifndef XBZ_CODEC_AVX512_VEC_H
#define XBZ_CODEC_AVX512_VEC_H

#include "codec_priv.h"

typedef char v64qi __attribute__((vector_size(64)));
typedef long long v8di __attribute__((vector_size(64)));
typedef u8 v32qu __attribute__((vector_size(32)));
typedef u16 v16hu __attribute__((vector_size(32)));
typedef u64 v8du __attribute__((vector_size(64)));
typedef u16 v8hu __attribute__((vector_size(16)));
typedef short v32hi __attribute__((vector_size(64)));
typedef u16 v32hu __attribute__((vector_size(64)));
typedef v32qu v32qu_u __attribute__((aligned(1), may_alias));
typedef v16hu v16hu_u __attribute__((aligned(1), may_alias));
typedef v8du v8du_u __attribute__((aligned(1), may_alias));
typedef v8hu v8hu_u __attribute__((aligned(1), may_alias));
typedef v32hi v32hi_u __attribute__((aligned(1), may_alias));

/*
 * The compiler cannot see through the asm, and so cannot load @p a second time.
 */
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

/* Stores the bytes of @v that are set in @mask. */
static __always_inline void store_bytes(u8 *p, v8du v, u64 mask)
{
	__asm__ __volatile__("vmovdqu8 %1, %0%{%2%}" : "+m"(*(u8 (*)[64])p) :
			     "v"(v), "Yk"(mask));
}

static __always_inline u64 differ(v8du a, v8du b)
{
	return __builtin_ia32_ucmpb512_mask((v64qi)a, (v64qi)b, 4, ~0ULL);
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

static __always_inline u8 above_words(v8du a, u64 b)
{
	return __builtin_ia32_ucmpq512_mask((v8di)a, (v8di)((v8du){ 0 } + b), 6, 0xff);
}

static __always_inline v8du max_words(v8du a, v8du b)
{
	v8du v;

	__asm__("vpmaxuq %2, %1, %0" : "=v"(v) : "v"(a), "v"(b));
	return v;
}

/* Number of bits set in each word. */
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

/* Words of @high shifted left by @n, with the top bits of @low's shifted in. */
#define funnel_left(high, low, n) ({					\
	v8du _v;							\
	__asm__("vpshldq %3, %2, %1, %0" : "=v"(_v) :			\
		"v"(high), "v"(low), "i"(n));				\
	_v; })
/*
 * Words of @low shifted right by @n, with the bottom bits of @high's shifted
 * in.
 */
#define funnel_right(low, high, n) ({					\
	v8du _v;							\
	__asm__("vpshrdq %3, %2, %1, %0" : "=v"(_v) :			\
		"v"(low), "v"(high), "i"(n));				\
	_v; })

/* The words of @v that are set in @mask, contiguous; the rest is 0. */
static __always_inline v8du compress_words(v8du v, u8 mask)
{
	const v8di zero = { 0 };

	return (v8du)__builtin_ia32_compressdi512_mask((v8di)v, zero, mask);
}

/* Stores words that are below 2^16. */
static __always_inline void store_small(u16 *to, v8du v)
{
	v8hu small;

	/* Compilers generate a store for each word. */
	__asm__("vpmovqw %1, %0" : "=v"(small) : "v"(v));
	*(v8hu_u *)to = small;
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

/* The bytes of @v that are set in @mask, contiguous; the rest is 0. */
static __always_inline v64qi compress(v64qi v, u64 mask)
{
	const v64qi zero = { 0 };

	return __builtin_ia32_compressqi512_mask(v, zero, mask);
}

static __always_inline v32qu low_half(v64qi v)
{
	return (v32qu)__builtin_shufflevector((v8du)v, (v8du)v, 0, 1, 2, 3);
}

/* Stores the first sixteen bytes of @set, each plus @base. */
static __always_inline void put_numbers(u16 *at, v64qi set, unsigned int base)
{
	v16hu numbers;

	/* Compilers widen in two halves. */
	__asm__("vpmovzxbw %x1, %0" : "=v"(numbers) : "v"(set));
	*(v16hu_u *)at = numbers + (u16)base;
}

#endif /* XBZ_CODEC_AVX512_VEC_H */
