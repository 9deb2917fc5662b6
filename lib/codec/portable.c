// SPDX-License-Identifier: GPL-2.0
/*
 * The codec in 64-bit words, for any machine: what the variants for instruction
 * sets are compared with, and the choice where vector registers cannot be used.
 */
#include "codec_priv.h"

/*
 * A line at a time: the common line is unchanged and costs eight loads on each
 * side and one branch, and the cache copy's lines stay clean in the CPU's
 * cache unless they change.
 */
static __always_inline void scan_page(struct xbz_diff *diff, u8 *ref, const u8 *cur,
				      bool zero_base)
{
	u64 nonzero = 0;
	unsigned int line, i;

	diff->groups = 0;
	for (line = 0; line < XBZ_LINES; line++) {
		u64 now[8] xbz_uninitialized, changed[8] xbz_uninitialized;
		u64 any = 0, bits = 0;

#pragma GCC unroll 8
		for (i = 0; i < 8; i++) {
			now[i] = xbz_load64_once(cur + 8 * i);
			changed[i] = now[i] ^ (zero_base ? 0 : xbz_load64(ref + 8 * i));
			any |= changed[i];
			nonzero |= now[i];
		}
		if (zero_base ? ref != cur : any) {
#pragma GCC unroll 8
			for (i = 0; i < 8; i++)
				xbz_store64(ref + 8 * i, now[i]);
		}
		if (any) {
#pragma GCC unroll 8
			for (i = 0; i < 8; i++)
				bits |= xbz_byte_bits(changed[i]) << (8 * i);
			diff->groups |= 1U << line / XBZ_GROUP_LINES;
		}
		diff->map[1 + line] = bits;
		cur += XBZ_LINE_SIZE;
		ref += XBZ_LINE_SIZE;
	}
	diff->map[0] = 0;
	diff->map[1 + XBZ_LINES] = 0;
	diff->nonzero = nonzero;
}

static __always_inline void xbz_scan(struct xbz_diff *diff, void *ref, const void *cur)
{
	scan_page(diff, ref, cur, false);
}

static __always_inline void xbz_scan_zero(struct xbz_diff *diff, void *ref, const void *cur)
{
	scan_page(diff, ref, cur, true);
}

static __always_inline void xbz_close(struct xbz_closed *closed, const struct xbz_diff *diff)
{
	/* A run may end where the first line of the next group begins. */
	unsigned int groups = diff->groups | diff->groups << 1;
	unsigned int line = 0, stop;

	closed->map[0] = 0;
	closed->lines = 0;
	for (stop = XBZ_GROUP_LINES; stop <= XBZ_LINES; stop += XBZ_GROUP_LINES) {
		if (groups >> line / XBZ_GROUP_LINES & 1) {
			for (; line < stop; line++) {
				const u64 *m = &diff->map[1 + line];

				closed->map[1 + line] = xbz_close_gaps(m[-1], m[0], m[1]);
				closed->lines |= (u64)(xbz_edges(closed, line) != 0) << line;
			}
		} else {
			for (; line < stop; line++)
				closed->map[1 + line] = 0;
		}
	}
}

static __always_inline unsigned int xbz_flatten(u16 *at, unsigned int count, u64 edges,
						unsigned int base)
{
	return xbz_flatten_words(at, count, xbz_weight64(edges), edges, base);
}

#define XBZ_WIDE 16

static __always_inline void xbz_copy_wide(u8 *to, const u8 *from)
{
	u64 first = xbz_load64(from), second = xbz_load64(from + 8);

	xbz_store64(to, first);
	xbz_store64(to + 8, second);
}

#include "edges.h"

#define xbz_cut xbz_cut_edges

#include "emit.h"

int xbz_encode_portable(void *out, size_t cap, void *ref, const void *cur)
{
	return xbz_encode_variant(out, cap, ref, cur);
}

int xbz_encode_zero_base_portable(void *out, size_t cap, void *ref, const void *cur)
{
	return xbz_encode_zero_base_variant(out, cap, ref, cur);
}
