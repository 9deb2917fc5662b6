/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters: one writer at a time, under the lock of their owner, and readers
 * without a lock. A queue and a session have a struct xbzrle_counters each, of
 * which they use what applies; a new one needs no line here.
 */
#ifndef _XBZ_COUNTER_H
#define _XBZ_COUNTER_H

#include <linux/compiler.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <linux/xbzrle_counters.h>

/* The counters of a struct xbzrle_counters are the rest behind its head. */
#define XBZ_COUNTERS_AT offsetofend(struct xbzrle_counters, reserved)
#define XBZ_NR_COUNTERS \
	((sizeof(struct xbzrle_counters) - XBZ_COUNTERS_AT) / sizeof(u64))

#define xbz_counter_add(counter, n)		\
do {						\
	typeof(counter) _counter = (counter);	\
						\
	WRITE_ONCE(*_counter, *_counter + (n));	\
} while (0)
#define xbz_counter_inc(counter)	xbz_counter_add(counter, 1)
#define xbz_counter_dec(counter)	xbz_counter_add(counter, -1)

/**
 * xbz_counters_of() - the counters of a struct as an array
 * @c: the struct
 *
 * Return: XBZ_NR_COUNTERS words, in the order of XBZRLE_A_STATS_*.
 */
static inline const u64 *xbz_counters_of(const struct xbzrle_counters *c)
{
	return (const u64 *)((const u8 *)c + XBZ_COUNTERS_AT);
}

/**
 * xbz_counters_sum() - add counters to a sum
 * @sum: the sum
 * @c: the counters; each word may change while it is read
 *
 * Context: any; no lock is needed.
 */
static inline void xbz_counters_sum(struct xbzrle_counters *sum,
				    const struct xbzrle_counters *c)
{
	const u64 *from = xbz_counters_of(c);
	u64 *to = (u64 *)xbz_counters_of(sum);
	unsigned int i;

	for (i = 0; i < XBZ_NR_COUNTERS; i++)
		to[i] += READ_ONCE(from[i]);
}

/**
 * xbz_counters_max() - raise counters to others where these are higher
 * @to: the counters
 * @c: the others
 */
static inline void xbz_counters_max(struct xbzrle_counters *to,
				    const struct xbzrle_counters *c)
{
	const u64 *from = xbz_counters_of(c);
	u64 *most = (u64 *)xbz_counters_of(to);
	unsigned int i;

	for (i = 0; i < XBZ_NR_COUNTERS; i++)
		most[i] = max(most[i], from[i]);
}

#endif /* _XBZ_COUNTER_H */
