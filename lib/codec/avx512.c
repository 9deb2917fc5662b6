// SPDX-License-Identifier: GPL-2.0-only
/*
 * The encoder with AVX-512 BW, VL, VBMI, VBMI2 and VPOPCNTDQ: a line is one
 * register, a word of the change map is one mask register. There are three ways
 * to cut runs, each the fastest for some pages.
 */
#include "codec_priv.h"

#ifdef XBZ_CODEC_X86

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq,bmi,bmi2,popcnt")
#endif

#include "avx512_vec.h"

/* Average edges of a line above which going by lines is faster: three runs. */
#define DENSE_EDGES 6U
/* Lines with edges above which the sparse way's setup pays. */
#define FEW_LINES 8

/*
 * No branch depends on the pages' content: a mispredicted one is resolved only
 * after its load. An unchanged line is stored with an empty mask, which leaves
 * it clean in the CPU's cache.
 */
static __always_inline void xbz_scan(struct xbz_diff *diff, void *ref, const void *cur)
{
	const v8du zero = { 0 };
	v8du nonzero = zero;
	unsigned int line;
	u64 changed = 0;

#pragma GCC unroll 8
	for (line = 0; line < XBZ_LINES; line++) {
		u8 *old = (u8 *)ref + line * XBZ_LINE_SIZE;
		v8du now = load_once((const u8 *)cur + line * XBZ_LINE_SIZE);
		u64 bytes = differ(now, load(old));

		store_bytes(old, now, bytes);
		diff->map[1 + line] = bytes;
		changed |= bytes;
		nonzero |= now;
	}
	diff->map[0] = 0;
	diff->map[1 + XBZ_LINES] = 0;
	diff->lines = changed ? ~0ULL : 0;
	diff->nonzero = any(nonzero);
}

static __always_inline void xbz_scan_zero(struct xbz_diff *diff, void *ref, const void *cur)
{
	const v8du zero = { 0 };
	v8du nonzero = zero;
	unsigned int line;

#pragma GCC unroll 8
	for (line = 0; line < XBZ_LINES; line++) {
		v8du now = load_once((const u8 *)cur + line * XBZ_LINE_SIZE);

		if (ref != cur)
			store((u8 *)ref + line * XBZ_LINE_SIZE, now);
		diff->map[1 + line] = differ(now, zero);
		nonzero |= now;
	}
	diff->map[0] = 0;
	diff->map[1 + XBZ_LINES] = 0;
	diff->nonzero = any(nonzero);
	diff->lines = diff->nonzero ? ~0ULL : 0;
}

static __always_inline void close_gaps(struct xbz_closed *closed, const struct xbz_diff *diff)
{
	const v8du zero = { 0 };
	const v8du ones = ~zero;
	v8du carry = zero, edges_nr = zero, most = zero;
	u64 lines = 0, windows = 0;
	unsigned int group;
	u8 full = 0;

	closed->map[0] = 0;
	for (group = 0; group < XBZ_GROUPS; group++) {
		const u8 *map = (const u8 *)&diff->map[1 + group * XBZ_GROUP_LINES];
		v8du m = load(map), before = load(map - 8), after = load(map + 8);
		v8du before1 = funnel_left(m, before, 1);
		v8du before2 = funnel_left(m, before, 2);
		v8du after1 = funnel_right(m, after, 1);
		v8du after2 = funnel_right(m, after, 2);
		v8du c = m | (before1 & (after1 | after2)) | (before2 & after1);
		v8du last = __builtin_shufflevector(carry, c, 7, 8, 9, 10, 11, 12, 13, 14);
		v8du edges = c ^ funnel_left(c, last, 1);

		carry = c;
		full |= ~differ_words(c, ones);
		edges = weights(edges);
		edges_nr += edges;
		most = max_words(most, edges);
		store((u8 *)&closed->map[1 + group * XBZ_GROUP_LINES], c);
		lines |= (u64)differ_words(edges, zero) << (group * XBZ_GROUP_LINES);
		windows |= (u64)differ_words(c | last >> 61, zero) << (group * XBZ_GROUP_LINES);
	}
	closed->dense = !full && sum(edges_nr) > DENSE_EDGES * __builtin_popcountll(lines);
	closed->lines = lines;
	closed->windows = windows;
	closed->single = !above_words(most, 2);
	closed->few = !above_words(most, 8);
}

static __always_inline unsigned int xbz_flatten(u16 *at, unsigned int count, u64 edges,
						unsigned int base)
{
	v64qi set = compress(numbers(), edges);
	unsigned int n = __builtin_popcountll(edges);

	/* Sixteen at a time: wider stores cross lines of the CPU's cache. */
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

#include "edges.h"
#include "avx512_dense.h"
#include "avx512_sparse.h"

static __always_inline bool xbz_cut(struct xbz_emitter *e, const struct xbz_diff *diff)
{
	struct xbz_closed closed xbz_uninitialized;

	close_gaps(&closed, diff);
	if (closed.dense && emit_dense(e, &closed))
		return true;
	if (xbz_weight64(closed.lines) > FEW_LINES)
		return cut_sparse(e, &closed);
	return xbz_cut_edges(e, &closed);
}

#include "emit.h"

int xbz_encode_avx512(void *out, size_t cap, void *ref, const void *cur)
{
	int ret = xbz_encode_variant(out, cap, ref, cur);

	/* gcc adds it only when it optimizes for speed. */
	__builtin_ia32_vzeroupper();
	return ret;
}

int xbz_encode_zero_base_avx512(void *out, size_t cap, void *ref, const void *cur)
{
	int ret = xbz_encode_zero_base_variant(out, cap, ref, cur);

	__builtin_ia32_vzeroupper();
	return ret;
}

#ifdef __clang__
#pragma clang attribute pop
#endif

#endif /* XBZ_CODEC_X86 */
