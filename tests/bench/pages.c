// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets of pages: the synthetic workloads, and pairs from a file. Nothing here
 * is timed, and nothing depends on a clock or on chance: a workload is the same
 * bytes in each run.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGE_BYTES (2UL << 20)

static u64 random_state;

/* xorshift64* */
static u64 random64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dULL;
}

static unsigned int random_below(unsigned int n)
{
	return (random64() >> 32) % n;
}

u8 *pages_alloc(size_t nr)
{
	size_t len = ((nr ? nr : 1) * PAGE_BYTES + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	u8 *map, *p;

	map = mmap(NULL, len + HUGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		die("no memory for %zu pages", nr);
	p = (u8 *)(((size_t)map + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
	madvise(p, len, MADV_HUGEPAGE);
	memset(p, 0, len);
	return p;
}

/* A byte that differs for certain, as a write that changes something does. */
static void change(u8 *page, unsigned int at, unsigned int n)
{
	while (n--)
		page[at++] ^= 1 + random_below(255);
}

static void change_distinct(u8 *page, unsigned int count, unsigned int unit)
{
	bool taken[PAGE_BYTES] = { false };
	unsigned int at;

	while (count) {
		at = random_below(PAGE_BYTES / unit);
		if (taken[at])
			continue;
		taken[at] = true;
		change(page, at * unit, unit);
		count--;
	}
}

static void w0(u8 *page)
{
	(void)page;
}

static void w1(u8 *page)
{
	unsigned int at;

	for (at = 0; at < PAGE_BYTES; at += 1024)
		change(page, at, 1);
}

static void w2(u8 *page)
{
	change_distinct(page, 64, 8);
}

static void w3(u8 *page)
{
	/* Not from 0 on: the zero run in front is part of it. */
	change(page, 128 + random_below(PAGE_BYTES - 512 - 128), 512);
}

static void w4(u8 *page)
{
	change(page, 0, PAGE_BYTES);
}

static void w5(u8 *page)
{
	unsigned int at;

	for (at = 0; at < PAGE_BYTES; at += 64)
		change(page, at, 1);
}

static void w6(u8 *page)
{
	change_distinct(page, 512, 1);
}

bool pages_make(struct page_set *set, const char *workload, size_t nr)
{
	static void (*const changes[])(u8 *) = { w0, w1, w2, w3, w4, w5, w6 };
	unsigned int number;
	size_t i;

	if (workload[0] != 'w' || !workload[1] || workload[2])
		return false;
	number = workload[1] - '0';
	if (number >= ARRAY_SIZE(changes))
		return false;
	set->nr = nr;
	set->old = pages_alloc(nr);
	set->cur = pages_alloc(nr);
	random_state = 0x9e3779b97f4a7c15ULL + number;
	for (i = 0; i < nr * PAGE_BYTES; i += 8)
		xbz_store64(set->old + i, random64());
	memcpy(set->cur, set->old, nr * PAGE_BYTES);
	for (i = 0; i < nr; i++)
		changes[number](set->cur + i * PAGE_BYTES);
	return true;
}

static void read_page(FILE *file, const char *path, u8 *page)
{
	if (fread(page, PAGE_BYTES, 1, file) != 1)
		die("%s: cannot be read", path);
}

void pages_load(struct page_set *set, const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	size_t i;

	if (!file || fstat(fileno(file), &st))
		die("%s: cannot be opened", path);
	if (!st.st_size || st.st_size % (2 * PAGE_BYTES))
		die("%s: does not hold pairs of pages", path);
	set->nr = st.st_size / (2 * PAGE_BYTES);
	set->old = pages_alloc(set->nr);
	set->cur = pages_alloc(set->nr);
	for (i = 0; i < set->nr; i++) {
		read_page(file, path, set->old + i * PAGE_BYTES);
		read_page(file, path, set->cur + i * PAGE_BYTES);
	}
	fclose(file);
}
