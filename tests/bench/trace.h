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
#include "core/record.h"

#define NO_EVENT (~0U)

enum packer { PACKER_LZ4, PACKER_ZSTD, PACKERS };

/**
 * struct event - a page is sent
 * @pass: in which pass
 * @page: its number in the guest
 * @next: the event of the same page that comes next, or %NO_EVENT
 * @zero: it is zero
 * @content: the page, or NULL if it is zero, or if it is never dirty again
 * @plain: bytes of its record if nothing is known of it
 * @delta: bytes of its record against what it was before, which may be zero
 * @packed: bytes of its packed copy, by each packer
 * @plain_kind: what the record of @plain is
 * @delta_kind: what the record of @delta is
 */
struct event {
	u32 pass;
	u32 page;
	u32 next;
	bool zero;
	const u8 *content;
	u32 plain;
	u32 delta;
	u32 packed[PACKERS];
	enum xbz_kind plain_kind;
	enum xbz_kind delta_kind;
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
 * @first: also by copies from the first pass, which has all pages: which of them
 *	get dirty nothing tells before the second
 * @sizes: pages of the cache, ascending
 * @nr: how many sizes
 * @saved: receives the bytes for each of them
 */
void trace_optimum(const struct trace *t, bool first, const u32 *sizes,
		   unsigned int nr, u64 *saved);

#endif /* XBZ_BENCH_TRACE_H */
