/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An encoder of a variant's parts. Every variant includes this once, after it
 * has said
 *
 *	xbz_scan()		compare, copy and collect the change map
 *	xbz_scan_zero()		the same for a page without a cached copy
 *	xbz_cut()		fill the gaps of 1 and 2, cut the runs and write them
 *
 * Nothing after the scan looks at the old page or at the live one.
 */

/**
 * xbz_emit() - cut the runs from a change map and write the payload
 * @out: where it goes
 * @cap: bytes that may be written there
 * @max: bytes that it may have
 * @page: the snapshot that @diff belongs to
 * @diff: the changes, at least one
 *
 * Return: bytes of payload, or XBZ_RAW when they are more than @cap or @max.
 */
static __always_inline int xbz_emit(void *out, size_t cap, size_t max, const void *page,
				    const struct xbz_diff *diff)
{
	struct xbz_emitter e = {
		.p = out,
		.limit = (u8 *)out + (cap < max ? cap : max),
		.end = (u8 *)out + cap,
		.page = page,
		.map = diff->map,
	};

	if (!xbz_cut(&e, diff) || e.p > e.limit)
		return XBZ_RAW;
	return e.p - (u8 *)out;
}

static __always_inline int xbz_encode_variant(void *out, size_t cap, void *ref, const void *cur)
{
	struct xbz_diff diff xbz_uninitialized;

	xbz_scan(&diff, ref, cur);
	if (!diff.lines)
		return XBZ_SAME;
	if (!diff.nonzero)
		return XBZ_ZERO;
	return xbz_emit(out, cap, XBZ_DELTA_MAX, ref, &diff);
}

static __always_inline int xbz_encode_zero_base_variant(void *out, size_t cap, void *ref,
							const void *cur)
{
	struct xbz_diff diff xbz_uninitialized;

	xbz_scan_zero(&diff, ref, cur);
	if (!diff.nonzero)
		return XBZ_ZERO;
	return xbz_emit(out, cap, XBZ_ZERO_BASE_MAX, ref, &diff);
}
