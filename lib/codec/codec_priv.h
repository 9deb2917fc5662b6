/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Definitions that the encoder's variants share. A variant is a file that scans
 * pages and moves edges and bytes with one instruction set, and takes the rest
 * from emit.h, so that all variants produce the same bytes. Private to
 * lib/codec/.
 */
#ifndef XBZ_CODEC_PRIV_H
#define XBZ_CODEC_PRIV_H

#include <xbzrle/codec.h>

#include "freestanding.h"
#include "variants.h"

#define XBZ_LINE_SIZE 64
#define XBZ_LINES (XBZ_PAGE_SIZE / XBZ_LINE_SIZE)

/* Lines that are processed together. */
#define XBZ_GROUP_LINES 8
#define XBZ_GROUPS (XBZ_LINES / XBZ_GROUP_LINES)
#define XBZ_GROUP_SIZE (XBZ_GROUP_LINES * XBZ_LINE_SIZE)

/* The first length that takes two bytes. */
#define XBZ_LEN_TWO 128

/**
 * struct xbz_diff - the changed bytes of a page
 * @map: bit j of map[1 + i]: byte j of line i changed. The first and the last
 *	 word are 0, so that every line has two neighbours.
 * @lines: bit i: line i has a change. Variants that do not use single bits set
 *	   all of them if the page has a change
 * @nonzero: the new page has a byte that is not 0
 */
struct xbz_diff {
	u64 map[1 + XBZ_LINES + 1];
	u64 lines;
	bool nonzero;
};

/**
 * struct xbz_closed - a change map with gaps of 1 and 2 filled
 * @map: as in struct xbz_diff, with a line of none before the first
 * @lines: bit i: line i has an edge, a byte whose state differs from that of
 *	   the byte before it
 * @windows: bit i: line i, or the last three bytes of the line before it, has
 *	     a bit in @map; for the dense way
 * @dense: the dense way is faster
 * @single: no line has more than two edges
 * @few: no line has more than eight edges
 */
struct xbz_closed {
	u64 map[1 + XBZ_LINES];
	u64 lines;
	u64 windows;
	bool dense;
	bool single;
	bool few;
};

/**
 * struct xbz_emitter - state of the payload's output
 * @p: the next byte
 * @limit: the payload must not end behind it
 * @end: end of the output buffer
 * @page: the snapshot
 * @map: the snapshot's changes
 * @pos: bytes of the page that are covered
 */
struct xbz_emitter {
	u8 *p;
	u8 *limit;
	u8 *end;
	const u8 *page;
	const u64 *map;
	unsigned int pos;
};

/*
 * The edges in a line: alternately a run's first byte and the first behind it.
 */
static __always_inline u64 xbz_edges(const struct xbz_closed *closed, unsigned int line)
{
	const u64 *m = &closed->map[1 + line];

	return m[0] ^ (m[0] << 1 | m[-1] >> 63);
}

/*
 * Swaps the bits in @mask with the bits @n positions above; for an 8 by 8
 * square.
 */
static __always_inline u64 xbz_swap_bits(u64 x, unsigned int n, u64 mask)
{
	u64 moved = (x ^ (x >> n)) & mask;

	return x ^ moved ^ (moved << n);
}

/* The bytes of a line that are not 0, one bit each, lowest address first. */
static __always_inline u64 xbz_line_bits(const u64 *line)
{
	const u64 low7 = 0x7f7f7f7f7f7f7f7fULL;
	u64 bits = 0;
	unsigned int i;

	/* Bit i of byte j stands for byte j of word i... */
#pragma GCC unroll 8
	for (i = 0; i < 8; i++) {
		u64 x = xbz_le64_to_cpu(line[i]);

		bits |= ((((x & low7) + low7) | x) & ~low7) >> (7 - i);
	}
	/* ... and, transposed, bit j of byte i. */
	bits = xbz_swap_bits(bits, 7, 0x00aa00aa00aa00aaULL);
	bits = xbz_swap_bits(bits, 14, 0x0000cccc0000ccccULL);
	return xbz_swap_bits(bits, 28, 0x00000000f0f0f0f0ULL);
}

static __always_inline unsigned int xbz_len_size(unsigned int n)
{
	return n < XBZ_LEN_TWO ? 1 : 2;
}

static __always_inline u8 *xbz_put_len(u8 *p, unsigned int n)
{
	if (likely(n < XBZ_LEN_TWO)) {
		*p++ = n;
	} else {
		*p++ = (n & 0x7f) | 0x80;
		*p++ = n >> 7;
	}
	return p;
}

/* A line's change bits with gaps of 1 and 2 closed, also across its borders. */
static __always_inline u64 xbz_close_gaps(u64 before, u64 m, u64 after)
{
	u64 before1 = m << 1 | before >> 63;
	u64 before2 = m << 2 | before >> 62;
	u64 after1 = m >> 1 | after << 63;
	u64 after2 = m >> 2 | after << 62;

	return m | (before1 & (after1 | after2)) | (before2 & after1);
}

/*
 * Stores a line's @n edges as numbers, always four at a time, so that most
 * lines, which have up to two runs, take no branch.
 */
static __always_inline unsigned int xbz_flatten_words(u16 *at, unsigned int count, unsigned int n,
						      u64 edges, unsigned int base)
{
	unsigned int i = 0, j;

	do {
#pragma GCC unroll 4
		for (j = 0; j < 4; j++) {
			at[count + i + j] = base + xbz_ctz64(edges | 1ULL << 63);
			edges &= edges - 1;
		}
		i += 4;
	} while (unlikely(i < n));
	return count + n;
}

#endif /* XBZ_CODEC_PRIV_H */
