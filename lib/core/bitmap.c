// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unaligned words of a bitmap that other threads change at the same time. The
 * caller keeps within the bitmap's bounds.
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
	/* Most words set no new bit: do not take the cache line exclusively. */
	bits &= ~xbz_read(p);
	if (!bits)
		return 0;
	bits &= ~xbz_fetch_or(p, bits);
	return xbz_popcount64(bits);
}

/**
 * xbz_bitmap_or() - set the bits of a word anywhere in a bitmap
 * @dst: the bitmap; other threads may set and clear bits in it
 * @bit: where bit 0 of @word goes
 * @word: the bits to set
 *
 * The second word is accessed only if @word has a bit for it. Setting bits is
 * atomic; it orders nothing if all of them are set already.
 *
 * Context: any; takes no lock.
 *
 * Return: number of bits that were clear before.
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
 * @src: the bitmap; other threads may set and clear bits in it
 * @bit: the first bit
 * @nbits: number of bits, 1 to 64
 *
 * The second word is accessed only if one of the bits lies in it. Each word is
 * read once, without ordering.
 *
 * Context: any; takes no lock.
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
