/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters that have one writer at a time, under the lock of what they belong to,
 * and readers without a lock, who use READ_ONCE().
 */
#ifndef _XBZ_COUNTER_H
#define _XBZ_COUNTER_H

#include <linux/compiler.h>

#define xbz_counter_add(counter, n)		\
do {						\
	typeof(counter) _counter = (counter);	\
						\
	WRITE_ONCE(*_counter, *_counter + (n));	\
} while (0)
#define xbz_counter_inc(counter)	xbz_counter_add(counter, 1)
#define xbz_counter_dec(counter)	xbz_counter_add(counter, -1)

#endif /* _XBZ_COUNTER_H */
