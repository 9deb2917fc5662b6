// SPDX-License-Identifier: GPL-2.0-only
/*
 * The synthetic loads of the scenarios: pages full of data that are made dirty round
 * and round, so many a second.
 *
 *   dirty HOW MIB PAGES-A-SECOND [BUSY-SECONDS CALM-SECONDS]
 *
 * HOW is "bytes", one in every 1 KiB, as the load generator of QEMU's XBZRLE patch of
 * 2011; "words", 64 random ones of 8 bytes at random places of the page; or "page", the
 * whole of it random. In calm seconds a tenth of the pages is made dirty.
 *
 * tests/guests/dirty.S does the same without a system around it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define WORDS 64
#define SLICE_NS 20000000L
#define SECOND_NS 1000000000L

static uint64_t state = 88172645463325252ULL;

/* xorshift64, by Marsaglia 2003. */
static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static void fill(uint64_t *page)
{
	for (int i = 0; i < PAGE / 8; i++)
		page[i] = next_random();
}

static void bytes(uint64_t *page)
{
	for (int i = 0; i < PAGE / 8; i += 1024 / 8)
		(*(unsigned char *)&page[i])++;
}

static void words(uint64_t *page)
{
	for (int i = 0; i < WORDS; i++)
		page[next_random() % (PAGE / 8)] = next_random();
}

static void touch(const char *directory, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	close(open(path, O_WRONLY | O_CREAT, 0644));
}

static struct timespec later(struct timespec t, long ns)
{
	t.tv_nsec += ns;
	t.tv_sec += t.tv_nsec / SECOND_NS;
	t.tv_nsec %= SECOND_NS;
	return t;
}

int main(int argc, char **argv)
{
	void (*change)(uint64_t *page);
	size_t size, at = 0;
	long rate, busy, calm, period, done = 0, slices = 0;
	const char *out = getenv("XBZ_OUT"), *path = getenv("XBZ_WORK");
	struct timespec due, now;
	char *memory, text[32];
	int work;

	if ((argc != 4 && argc != 6) || !out || !path)
		return 2;
	change = !strcmp(argv[1], "bytes") ? bytes : !strcmp(argv[1], "words") ? words : fill;
	size = (size_t)atol(argv[2]) << 20;
	rate = atol(argv[3]);
	busy = argc == 6 ? atol(argv[4]) : 1;
	calm = argc == 6 ? atol(argv[5]) : 0;
	period = busy + calm;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	work = open(path, O_WRONLY | O_CREAT, 0644);
	if (memory == MAP_FAILED || work < 0 || period < 1 || size < PAGE)
		return 1;
	for (size_t start = 0; start < size; start += PAGE)
		fill((uint64_t *)(memory + start));
	touch(out, "warm");

	clock_gettime(CLOCK_MONOTONIC, &due);
	for (long pages = 0;; slices++) {
		long second = slices / (SECOND_NS / SLICE_NS) % period;

		/* In hundredths, so that none is lost to rounding. */
		pages += rate * 100 * (SLICE_NS / 1000) / (SECOND_NS / 1000) /
			 (second < busy ? 1 : 10);
		for (; pages >= 100; pages -= 100, done++) {
			change((uint64_t *)(memory + at));
			at = (at + PAGE) % size;
		}
		if (pwrite(work, text, snprintf(text, sizeof(text), "%ld", done), 0) < 0)
			return 1;
		due = later(due, SLICE_NS);
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL))
			;
		/* Time that it did not get is not made up for. */
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > due.tv_sec || now.tv_nsec > due.tv_nsec + SLICE_NS)
			due = now;
	}
}
