/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seam between the codec's two halves: scanning, of which there may be a
 * variant for each instruction set, and cutting and emitting runs, which all
 * of them share, so that they give the same bytes. Private to lib/codec/.
 */
#ifndef XBZ_CODEC_PRIV_H
#define XBZ_CODEC_PRIV_H

#include <xbzrle/codec.h>

#include "freestanding.h"

#define XBZ_LINE_SIZE 64
#define XBZ_LINES (XBZ_PAGE_SIZE / XBZ_LINE_SIZE)

/* The first length that takes two bytes. */
#define XBZ_LEN_TWO 128

/**
 * struct xbz_diff - which bytes of a page changed
 * @lines: bit i: line i of 64 bytes has a change
 * @nonzero: not 0 when the new page has a byte that is not 0
 * @map: bit j of map[1 + i]: byte j of line i changed. The first and the last
 *	 word are 0, so that every line has two neighbours.
 */
struct xbz_diff {
	u64 lines;
	u64 nonzero;
	u64 map[1 + XBZ_LINES + 1];
};

/**
 * xbz_scan_portable() - one pass over a page and its cached copy
 * @diff: receives the changes
 * @ref: the cached copy; equals the snapshot afterwards
 * @cur: the page, of which each byte is read once
 */
void xbz_scan_portable(struct xbz_diff *diff, void *ref, const void *cur);

/**
 * xbz_scan_zero_portable() - one pass over a page that has no cached copy
 * @diff: receives the bytes that are not 0
 * @ref: written, never read; equals the snapshot afterwards
 * @cur: the page, of which each byte is read once
 */
void xbz_scan_zero_portable(struct xbz_diff *diff, void *ref, const void *cur);

/**
 * xbz_emit() - cut the runs from a change map and write the payload
 * @out: where it goes
 * @cap: bytes that may be written there
 * @page: the snapshot that @diff belongs to
 * @diff: the changes, at least one
 *
 * Return: bytes of payload, or XBZ_RAW when they are more than @cap.
 */
int xbz_emit(void *out, size_t cap, const void *page, const struct xbz_diff *diff);

/**
 * xbz_stream_zero_base() - delta against zero without a place for a snapshot
 * @out: where the payload goes
 * @cap: bytes that may be written there
 * @cur: the page, of which each byte is read once
 *
 * Return: as xbz_encode_zero_base().
 */
int xbz_stream_zero_base(void *out, size_t cap, const void *cur);

/* The bytes of @x that are not 0, one bit each, lowest address first. */
static __always_inline u64 xbz_byte_bits(u64 x)
{
	const u64 low7 = 0x7f7f7f7f7f7f7f7fULL;

	x = xbz_le64_to_cpu(x);
	x = (((x & low7) + low7) | x) & ~low7;
	/* Each flag lands on its own bit of the top byte; no two of them meet. */
	return ((x >> 7) * 0x0102040810204080ULL) >> 56;
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

#endif /* XBZ_CODEC_PRIV_H */
