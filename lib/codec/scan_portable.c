// SPDX-License-Identifier: GPL-2.0
/*
 * The portable scan: compare, copy, look for zero and collect the change map
 * in one pass of 64-bit words. Scans for an instruction set have files of
 * their own; what becomes of the map is in emit.c.
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
	u64 lines = 0, nonzero = 0;
	unsigned int line, i;

	for (line = 0; line < XBZ_LINES; line++) {
		u64 now[8], changed[8], any = 0, bits = 0;

#pragma GCC unroll 8
		for (i = 0; i < 8; i++) {
			now[i] = xbz_load64_once(cur + 8 * i);
			changed[i] = now[i] ^ (zero_base ? 0 : xbz_load64(ref + 8 * i));
			any |= changed[i];
			nonzero |= now[i];
		}
		if (zero_base || any) {
#pragma GCC unroll 8
			for (i = 0; i < 8; i++)
				xbz_store64(ref + 8 * i, now[i]);
		}
		if (any) {
#pragma GCC unroll 8
			for (i = 0; i < 8; i++)
				bits |= xbz_byte_bits(changed[i]) << (8 * i);
			lines |= 1ULL << line;
		}
		diff->map[1 + line] = bits;
		cur += XBZ_LINE_SIZE;
		ref += XBZ_LINE_SIZE;
	}
	diff->map[0] = 0;
	diff->map[1 + XBZ_LINES] = 0;
	diff->lines = lines;
	diff->nonzero = nonzero;
}

void xbz_scan_portable(struct xbz_diff *diff, void *ref, const void *cur)
{
	scan_page(diff, ref, cur, false);
}

void xbz_scan_zero_portable(struct xbz_diff *diff, void *ref, const void *cur)
{
	scan_page(diff, ref, cur, true);
}
