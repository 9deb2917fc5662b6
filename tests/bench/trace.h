/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A trace, read into memory: what a guest's pages held each time they were sent, and
 * what each way of sending them takes. Documentation/traces.rst has the format.
 */
#ifndef XBZ_BENCH_TRACE_H
#define XBZ_BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "codec/freestanding.h"

#define NO_EVENT (~0U)

/**
 * struct event - a page is sent
 * @pass: in which pass
 * @page: its number in the guest
 * @next: the event of the same page that comes next, or %NO_EVENT
 * @zero: it is zero
 * @content: the page, or NULL if it is zero, or if it is never dirty again
 * @plain: bytes of its record if nothing is known of it
 * @delta: bytes of its record against what it was before, which may be zero
 * @overflow: that record is the page as a whole
 * @packed: bytes of its packed copy
 */
struct event {
	u32 pass;
	u32 page;
	u32 next;
	bool zero;
	bool overflow;
	const u8 *content;
	u32 plain;
	u32 delta;
	u32 packed;
};

/**
 * struct trace - a guest's
 * @passes: how many; the first has all pages
 * @pages: pages of the guest
 * @nr: events
 * @second: the first event of the second pass
 * @ever: pages that were dirty again after the first pass
 * @events: in the order in which they are sent
 */
struct trace {
	u32 passes;
	u32 pages;
	u32 nr;
	u32 second;
	u32 ever;
	struct event *events;
};

void trace_load(struct trace *t, const char *path);

/**
 * trace_optimum() - what whole copies can save at most, in hindsight
 * @t: the trace
 * @sizes: pages of the cache, ascending
 * @nr: how many sizes
 * @saved: receives the bytes for each of them
 */
void trace_optimum(const struct trace *t, const u32 *sizes, unsigned int nr, u64 *saved);

#endif /* XBZ_BENCH_TRACE_H */
