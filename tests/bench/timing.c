// SPDX-License-Identifier: GPL-2.0-only
/*
 * One pass of a contender over its pages, and where these are when the clock
 * starts: flushed from all caches, or just read.
 *
 * A machine that does something else meanwhile takes the processor away now and
 * then. From DRAM a pass is long, and costs of the switch do not matter: the
 * clock is the thread's own, where the kernel does not count that in ticks. In
 * the L2 cache a group is short and would not be in it any more: the clock is
 * the wall's, which costs less to read, and a group that was interrupted is done
 * once more.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <emmintrin.h>

#define LINE_BYTES 64
/* For one group; on a machine that is so busy, the last one has to do. */
#define TRIES 20

/**
 * time_now() - the clock of a place
 * @place: the wall's but for PLACE_DRAM, where it is the thread's own
 *
 * Return: nanoseconds.
 */
u64 time_now(enum place place)
{
	clockid_t id = place == PLACE_DRAM ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static long preemptions(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
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
		__asm__ __volatile__("" : : "r"(*line));
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

static u64 time_group(const struct contender *c, size_t first, size_t nr, enum place place)
{
	u64 begin;

	c->restore(c->state, first, nr);
	c->touch(c->state, first, nr, place == PLACE_L2 ? visit_read : visit_flush);
	_mm_mfence();
	begin = time_now(place);
	c->run(c->state, first, nr);
	return time_now(place) - begin;
}

u64 time_pass(const struct contender *c, size_t nr, enum place place, size_t group)
{
	u64 total = 0, took;
	unsigned int tries;
	size_t first, n;
	long before;

	if (c->prepare)
		c->prepare(c->state);
	if (place != PLACE_L2)
		return time_group(c, 0, nr, place);
	for (first = 0; first < nr; first += n) {
		n = nr - first < group ? nr - first : group;
		tries = TRIES;
		do {
			before = preemptions();
			took = time_group(c, first, n, place);
		} while (preemptions() != before && --tries);
		total += took;
	}
	return total;
}
