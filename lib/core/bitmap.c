// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unaligned words of a bitmap that others change meanwhile. The bitmaps'
 * bounds are the caller's business.
 */
#include "core/bitmap.h"

#ifdef __KERNEL__
#include <linux/atomic.h>
#include <linux/bitops.h>

#define xbz_popcount64(x) hweight64(x)

static u64 xbz_fetch_or(u64 *p, u64 bits)
{
	return atomic64_fetch_or(bits, (atomic64_t *)p);
}

static u64 xbz_read(const u64 *p)
{
	return READ_ONCE(*p);
}
#else
#define xbz_popcount64(x) __builtin_popcountll(x)

static u64 xbz_fetch_or(u64 *p, u64 bits)
{
	return __atomic_fetch_or(p, bits, __ATOMIC_SEQ_CST);
}

static u64 xbz_read(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}
#endif

static u64 xbz_or_word(u64 *p, u64 bits)
{
	/* Most words bring nothing new: do not take the cache line for them. */
	bits &= ~xbz_read(p);
	if (!bits)
		return 0;
	bits &= ~xbz_fetch_or(p, bits);
	return xbz_popcount64(bits);
}

/**
 * xbz_bitmap_or() - set the bits of a word anywhere in a bitmap
 * @dst: the bitmap; others may set and clear bits in it
 * @bit: where bit 0 of @word goes
 * @word: the bits to set
 *
 * The word behind is touched only if a bit falls into it.
 *
 * Return: how many were clear before.
 */
u64 xbz_bitmap_or(u64 *dst, u64 bit, u64 word)
{
	unsigned int shift = bit & 63;
	u64 *p = dst + (bit >> 6);
	u64 fresh = xbz_or_word(p, word << shift);

	if (shift && word >> (64 - shift))
		fresh += xbz_or_word(p + 1, word >> (64 - shift));
	return fresh;
}

/**
 * xbz_bitmap_fetch() - read up to 64 bits from anywhere in a bitmap
 * @src: the bitmap; others may set and clear bits in it
 * @bit: the first bit
 * @nbits: how many, 1 to 64
 *
 * The word behind is touched only if one of the bits lies in it.
 *
 * Return: the bits, those above @nbits zero.
 */
u64 xbz_bitmap_fetch(const u64 *src, u64 bit, unsigned int nbits)
{
	unsigned int shift = bit & 63;
	const u64 *p = src + (bit >> 6);
	u64 word = xbz_read(p) >> shift;

	if (shift && nbits > 64 - shift)
		word |= xbz_read(p + 1) << (64 - shift);
	if (nbits < 64)
		word &= (1ULL << nbits) - 1;
	return word;
}
