// SPDX-License-Identifier: GPL-2.0
/*
 * The encoder's two entry points: which of same, zero, raw and delta a page
 * is. Reading the page is the scan's work, the payload's bytes are emit.c's.
 */
#include "codec_priv.h"

int xbz_encode(void *out, size_t cap, void *ref, const void *cur)
{
	struct xbz_diff diff;

	xbz_scan_portable(&diff, ref, cur);
	if (!diff.lines)
		return XBZ_SAME;
	if (!diff.nonzero)
		return XBZ_ZERO;
	if (cap > XBZ_DELTA_MAX)
		cap = XBZ_DELTA_MAX;
	return xbz_emit(out, cap, ref, &diff);
}

int xbz_encode_zero_base(void *out, size_t cap, void *ref_or_null, const void *cur)
{
	struct xbz_diff diff;

	if (cap > XBZ_ZERO_BASE_MAX)
		cap = XBZ_ZERO_BASE_MAX;
	if (!ref_or_null)
		return xbz_stream_zero_base(out, cap, cur);

	xbz_scan_zero_portable(&diff, ref_or_null, cur);
	if (!diff.nonzero)
		return XBZ_ZERO;
	return xbz_emit(out, cap, ref_or_null, &diff);
}
