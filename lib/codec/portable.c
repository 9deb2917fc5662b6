// SPDX-License-Identifier: GPL-2.0-only
/*
 * The encoder in 64-bit words, for any machine: the reference for the variants
 * with vector instructions, and the variant that runs where vector registers
 * cannot be used.
 */
#include "codec_priv.h"

/*
 * Scans a line at a time. The common line is unchanged and costs eight loads on
 * each side and one branch; the cached page's line stays clean in the CPU's
 * cache.
 */
static __always_inline void scan_page(struct xbz_diff *diff, u8 *ref, const u8 *cur,
				      bool zero_base)
{
	u64 nonzero = 0, lines = 0;
	unsigned int line, i;

	for (line = 0; line < XBZ_LINES; line++) {
		u64 changed[8] xbz_uninitialized;
		u64 any = 0, bits = 0;

#pragma GCC unroll 8
		for (i = 0; i < 8; i++) {
			u64 now = xbz_load64_once(cur + 8 * i);

			changed[i] = now ^ (zero_base ? 0 : xbz_load64(ref + 8 * i));
			any |= changed[i];
			nonzero |= now;
		}
		if (zero_base && ref != cur) {
#pragma GCC unroll 8
			for (i = 0; i < 8; i++)
				xbz_store64(ref + 8 * i, changed[i]);
		}
		if (any) {
			/*
			 * Too few registers to keep the words of @cur as well.
			 */
#pragma GCC unroll 8
			for (i = 0; !zero_base && i < 8; i++)
				xbz_store64(ref + 8 * i, xbz_load64(ref + 8 * i) ^ changed[i]);
			bits = xbz_line_bits(changed);
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

static __always_inline void xbz_scan(struct xbz_diff *diff, void *ref, const void *cur)
{
	scan_page(diff, ref, cur, false);
}

static __always_inline void xbz_scan_zero(struct xbz_diff *diff, void *ref, const void *cur)
{
	scan_page(diff, ref, cur, true);
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

/* Skips lines without a change, unless a run ends at such a line's start. */
static __always_inline bool xbz_cut(struct xbz_emitter *e, const struct xbz_diff *diff)
{
	struct xbz_edge_list list xbz_uninitialized;
	u64 lines = diff->lines, before = 0, edges;

	list.count = 0;
	while (lines) {
		unsigned int line = xbz_ctz64(lines);
		const u64 *m = &diff->map[1 + line];
		u64 closed = xbz_close_gaps(m[-1], m[0], m[1]);

		lines &= lines - 1;
		/*
		 * Shift in two steps: there is no bit for a line behind the
		 * last.
		 */
		lines |= closed >> 63 << line << 1;
		edges = closed ^ (closed << 1 | before >> 63);
		if (edges && !xbz_add_edges(e, &list, edges, line))
			return false;
		before = closed;
	}
	return xbz_put_edges(e, &list);
}

#include "emit.h"

int xbz_encode_portable(void *out, size_t cap, void *ref, const void *cur)
{
	return xbz_encode_variant(out, cap, ref, cur);
}

int xbz_encode_zero_base_portable(void *out, size_t cap, void *ref, const void *cur)
{
	return xbz_encode_zero_base_variant(out, cap, ref, cur);
}
