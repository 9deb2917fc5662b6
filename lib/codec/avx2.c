// SPDX-License-Identifier: GPL-2.0-only
/*
 * The encoder with AVX2 and BMI: a line is two registers. It uses vector types
 * and builtins because the kernel has no headers of intrinsics.
 */
#include "codec_priv.h"

#ifdef XBZ_CODEC_X86

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#endif

typedef char v32qi __attribute__((vector_size(32)));
typedef u64 v4du __attribute__((vector_size(32)));
typedef double v4df __attribute__((vector_size(32)));
typedef v4du v4du_u __attribute__((aligned(1), may_alias));

/* As many lines as fit into the registers. */
#define HALF_LINES (XBZ_GROUP_LINES / 2)
#define HALF_VECTORS (2 * HALF_LINES)

/*
 * The compiler cannot see through the asm, and so cannot load @p a second time.
 */
static __always_inline v4du load_once(const u8 *p)
{
	v4du v;

	__asm__ __volatile__("vmovdqu %1, %0" : "=x"(v) : "m"(*(const u8 (*)[32])p));
	return v;
}

static __always_inline v4du load(const u8 *p)
{
	return *(const v4du_u *)p;
}

static __always_inline void store(u8 *p, v4du v)
{
	*(v4du_u *)p = v;
}

static __always_inline u32 equal(v4du a, v4du b)
{
	return __builtin_ia32_pmovmskb256((v32qi)((v32qi)a == (v32qi)b));
}

static __always_inline bool any(v4du v)
{
	const v4du zero = { 0 };

	return equal(v, zero) != ~0U;
}

/*
 * Scans half a group at a time. Unchanged lines cost two loads and a few
 * operations for each of their halves; the cached page's lines stay clean in
 * the CPU's cache.
 */
static __always_inline void scan_page(struct xbz_diff *diff, u8 *ref, const u8 *cur,
				      bool zero_base)
{
	const v4du zero = { 0 };
	v4du nonzero = zero;
	unsigned int half, i;

	diff->lines = 0;
	for (half = 0; half < XBZ_LINES / HALF_LINES; half++) {
		u64 *map = &diff->map[1 + half * HALF_LINES];
		v4du now[HALF_VECTORS] xbz_uninitialized;
		v4du changed = zero;

#pragma GCC unroll 8
		for (i = 0; i < HALF_VECTORS; i++) {
			now[i] = load_once(cur + 32 * i);
			changed |= zero_base ? now[i] : now[i] ^ load(ref + 32 * i);
			nonzero |= now[i];
		}
		if (any(changed)) {
			diff->lines = ~0ULL;
#pragma GCC unroll 4
			for (i = 0; i < HALF_LINES; i++) {
				u32 low = equal(now[2 * i], zero_base ? zero : load(ref + 64 * i));
				u32 high = equal(now[2 * i + 1],
						 zero_base ? zero : load(ref + 64 * i + 32));

				map[i] = ~((u64)high << 32 | low);
			}
		} else {
			store((u8 *)map, zero);
		}
		if (zero_base ? ref != cur : any(changed)) {
#pragma GCC unroll 8
			for (i = 0; i < HALF_VECTORS; i++)
				store(ref + 32 * i, now[i]);
		}
		cur += HALF_LINES * XBZ_LINE_SIZE;
		ref += HALF_LINES * XBZ_LINE_SIZE;
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

static __always_inline void close_gaps(struct xbz_closed *closed, const struct xbz_diff *diff)
{
	const v4du zero = { 0 };
	v4du carry = zero;
	unsigned int half;
	u64 lines = 0;

	closed->map[0] = 0;
	for (half = 0; half < XBZ_LINES / HALF_LINES; half++) {
		const u8 *map = (const u8 *)&diff->map[1 + half * HALF_LINES];
		v4du m = load(map), before = load(map - 8), after = load(map + 8);
		v4du before1 = m << 1 | before >> 63;
		v4du before2 = m << 2 | before >> 62;
		v4du after1 = m >> 1 | after << 63;
		v4du after2 = m >> 2 | after << 62;
		v4du c = m | (before1 & (after1 | after2)) | (before2 & after1);
		v4du last = __builtin_shufflevector(carry, c, 3, 4, 5, 6);
		v4du edges = c ^ (c << 1 | last >> 63);
		unsigned int none = __builtin_ia32_movmskpd256((v4df)(edges == zero));

		carry = c;
		store((u8 *)&closed->map[1 + half * HALF_LINES], c);
		lines |= (u64)(none ^ 0xf) << (half * HALF_LINES);
	}
	closed->lines = lines;
}

static __always_inline unsigned int xbz_flatten(u16 *at, unsigned int count, u64 edges,
						unsigned int base)
{
	return xbz_flatten_words(at, count, __builtin_popcountll(edges), edges, base);
}

#define XBZ_WIDE 32

static __always_inline void xbz_copy_wide(u8 *to, const u8 *from)
{
	store(to, load(from));
}

#include "edges.h"

static __always_inline bool xbz_cut(struct xbz_emitter *e, const struct xbz_diff *diff)
{
	struct xbz_closed closed xbz_uninitialized;

	close_gaps(&closed, diff);
	return xbz_cut_edges(e, &closed);
}

#include "emit.h"

int xbz_encode_avx2(void *out, size_t cap, void *ref, const void *cur)
{
	int ret = xbz_encode_variant(out, cap, ref, cur);

	/* gcc adds it only when it optimizes for speed. */
	__builtin_ia32_vzeroupper();
	return ret;
}

int xbz_encode_zero_base_avx2(void *out, size_t cap, void *ref, const void *cur)
{
	int ret = xbz_encode_zero_base_variant(out, cap, ref, cur);

	__builtin_ia32_vzeroupper();
	return ret;
}

#ifdef __clang__
#pragma clang attribute pop
#endif

#endif /* XBZ_CODEC_X86 */
