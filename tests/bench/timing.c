// SPDX-License-Identifier: GPL-2.0
/*
 * One pass of a contender over its pages, and where these are when the clock
 * starts: flushed from all caches, or just read.
 */
#include "bench.h"

#include <time.h>
#include <unistd.h>

#include <emmintrin.h>

#define LINE_BYTES 64

static u64 sum;

static u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void visit_flush(const void *p, size_t len)
{
	const u8 *line = (const u8 *)((size_t)p & ~(size_t)(LINE_BYTES - 1));

	for (; line < (const u8 *)p + len; line += LINE_BYTES)
		_mm_clflush(line);
}

static void visit_read(const void *p, size_t len)
{
	const u8 *line = (const u8 *)((size_t)p & ~(size_t)(LINE_BYTES - 1));

	for (; line < (const u8 *)p + len; line += LINE_BYTES)
		sum += *(const volatile u8 *)line;
}

/**
 * time_l2_group() - how many pages to take at once for them to stay in L2
 *
 * Old page, new page and the copy that the old one is restored from take half
 * of it at most; the other half is for tables and output.
 */
size_t time_l2_group(void)
{
	long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
	size_t group;

	if (bytes <= 0)
		bytes = 512 << 10;
	group = bytes / 2 / (3 * PAGE_BYTES);
	return group ? group : 1;
}

u64 time_pass(const struct contender *c, size_t nr, enum place place, size_t group)
{
	u64 total = 0, begin;
	size_t first, n;

	if (place == PLACE_DRAM)
		group = nr;
	if (c->prepare)
		c->prepare(c->state);
	for (first = 0; first < nr; first += n) {
		n = nr - first < group ? nr - first : group;
		c->restore(c->state, first, n);
		c->touch(c->state, first, n, place == PLACE_DRAM ? visit_flush : visit_read);
		_mm_mfence();
		begin = now();
		c->run(c->state, first, n);
		total += now() - begin;
	}
	return total;
}
