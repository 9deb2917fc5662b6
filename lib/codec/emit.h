/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The encoder, built from a variant's parts. Every variant includes this once,
 * after it has defined
 *
 *	xbz_scan()		compares, copies and collects the change map
 *	xbz_scan_zero()		does the same for a page without a cached page
 *	xbz_cut()		closes gaps of 1 and 2, cuts the runs and writes them
 *
 * After the scan, neither the old page nor the live one is read.
 */

/**
 * xbz_emit() - cut the runs from a change map and write the payload
 * @out: receives the payload
 * @cap: size of @out
 * @max: largest payload
 * @page: the snapshot that @diff belongs to
 * @diff: the changes, at least one
 *
 * Return: bytes of payload, or XBZ_RAW if they exceed @cap or @max.
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
