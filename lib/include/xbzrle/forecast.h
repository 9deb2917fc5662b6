/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a migration will converge, when, and what would make it. The caller reports
 * passes, by what the module or QEMU counts.
 */
#ifndef XBZRLE_FORECAST_H
#define XBZRLE_FORECAST_H

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Passes that are remembered. */
#define XBZ_FORECAST_PASSES 8
/* A migration that takes longer from now on is not expected to converge. */
#define XBZ_FORECAST_MS 60000

/**
 * struct xbz_forecast_pass - what is known of a pass that is over
 * @number: its number; the first one, which sends what was never sent, has 1
 * @ns: its duration in nanoseconds
 * @dirty: pages that were dirty at its begin
 * @pages: those of them that were sent; unchanged ones are among them
 * @bytes: bytes that they took
 * @fresh: pages that the sync at its end has made dirty
 */
struct xbz_forecast_pass {
	__u64 number;
	__u64 ns;
	__u64 dirty;
	__u64 pages;
	__u64 bytes;
	__u64 fresh;
};

/**
 * struct xbz_forecast - the last passes; begins as zero
 * @passes: a ring of them
 * @nr: number of passes that were reported
 */
struct xbz_forecast {
	struct xbz_forecast_pass passes[XBZ_FORECAST_PASSES];
	__u64 nr;
};

/**
 * enum xbz_forecast_verdict - what to expect
 * @XBZ_FORECAST_UNKNOWN: the second pass is not over
 * @XBZ_FORECAST_CONVERGES: within XBZ_FORECAST_MS
 * @XBZ_FORECAST_FASTER: not, as pages get dirty faster than they are sent
 * @XBZ_FORECAST_ABOVE: not, as what is left stays above what the downtime has room for
 * @XBZ_FORECAST_LATER: not within XBZ_FORECAST_MS, though less and less is left
 */
enum xbz_forecast_verdict {
	XBZ_FORECAST_UNKNOWN,
	XBZ_FORECAST_CONVERGES,
	XBZ_FORECAST_FASTER,
	XBZ_FORECAST_ABOVE,
	XBZ_FORECAST_LATER,
};

/**
 * struct xbz_forecast_result - a forecast
 * @verdict: enum xbz_forecast_verdict; while it is unknown, all else is 0
 * @passes: if it converges, the number of passes that are left
 * @ms: if it converges, milliseconds from the last sync to the stop of the guest
 * @downtime_ms: the least downtime limit that would make it; 0 if none below
 *	XBZ_FORECAST_MS does
 * @bandwidth: the least bandwidth that would make it, in bytes a second; 0 if none does
 * @cache_bytes: memory of the cache that would make it, with whole copies; 0 if a larger
 *	one does not, or it converges
 * @link: bandwidth of the last passes, in bytes a second
 * @page_bytes: bytes that a dirty page takes
 * @set: pages that the guest writes to
 * @rate: pages of these that get dirty in a second, if all are clean
 */
struct xbz_forecast_result {
	__u32 verdict;
	__u32 passes;
	__u32 ms;
	__u32 downtime_ms;
	__u64 bandwidth;
	__u64 cache_bytes;
	__u64 link;
	__u64 page_bytes;
	__u64 set;
	__u64 rate;
};

/**
 * xbz_forecast_pass() - report a pass that is over
 * @f: the forecast
 * @pass: the pass; some in between may be left out
 */
void xbz_forecast_pass(struct xbz_forecast *f, const struct xbz_forecast_pass *pass);

/**
 * xbz_forecast_look() - forecast
 * @f: the forecast
 * @downtime_ms: the downtime limit
 * @known_bytes: bytes of a dirty page whose last-sent content is known; 0 if that is not
 *	known
 * @r: set to the result
 */
void xbz_forecast_look(const struct xbz_forecast *f, __u32 downtime_ms, __u32 known_bytes,
		       struct xbz_forecast_result *r);

#ifdef __cplusplus
}
#endif

#endif /* XBZRLE_FORECAST_H */
