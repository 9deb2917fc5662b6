// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slow and plain models of the format, see model.h.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model.h"

#define PAGE 4096

void guard_alloc(struct guarded *g, size_t len, bool trap_behind)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t room = (len + page - 1) / page * page;

	g->map_len = room + 2 * page;
	g->map = mmap(NULL, g->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert(g->map != MAP_FAILED);
	if (room)
		assert(!mprotect(g->map + page, room, PROT_READ | PROT_WRITE));
	g->buf = g->map + page + (trap_behind ? room - len : 0);
}

void guard_free(struct guarded *g)
{
	munmap(g->map, g->map_len);
}

static u64 rnd_state = 1;

void rnd_seed(u64 seed)
{
	rnd_state = seed * 2 + 1;
}

/* Marsaglia's xorshift64*. */
u64 rnd(void)
{
	rnd_state ^= rnd_state >> 12;
	rnd_state ^= rnd_state << 25;
	rnd_state ^= rnd_state >> 27;
	return rnd_state * 0x2545f4914f6cdd1dULL;
}

void rnd_fill(u8 *p, size_t len)
{
	while (len--)
		*p++ = rnd() >> 32;
}

static void change_run(u8 *page, size_t at, size_t len)
{
	for (; len && at < PAGE; at++, len--)
		page[at] ^= 1 + rnd_below(255);
}

/* Runs and gaps drawn from [1, run] and [1, gap]. */
static void change_runs(u8 *page, unsigned int run, unsigned int gap)
{
	size_t at = rnd_below(gap + 1);

	while (at < PAGE) {
		size_t len = 1 + rnd_below(run);

		change_run(page, at, len);
		at += len + 1 + rnd_below(gap);
	}
}

/* Runs around 128 bytes with gaps of 1 to 3: where the merging rules differ. */
static void change_edges(u8 *page)
{
	size_t at = rnd_below(200);

	while (at < PAGE) {
		size_t len = rnd_below(2) ? 120 + rnd_below(16) : 1 + rnd_below(70);

		change_run(page, at, len);
		at += len + 1 + rnd_below(3);
	}
}

/* Nearly everything: payloads around the longest that still pays. */
static void change_full(u8 *page)
{
	size_t at = rnd_below(4);

	while (at < PAGE) {
		size_t len = 400 + rnd_below(1500);

		change_run(page, at, len);
		at += len + 1 + rnd_below(6);
	}
}

void change_page(u8 *page, unsigned int shape)
{
	unsigned int i, n;

	switch (shape) {
	case 0:
		return;
	case 1:
		change_run(page, rnd_below(PAGE), 1);
		return;
	case 2:
		for (i = 0; i < PAGE; i += 1024)
			page[i]++;
		return;
	case 3:
		for (n = 1 + rnd_below(128); n; n--)
			change_run(page, 8 * rnd_below(PAGE / 8), 8);
		return;
	case 4:
		change_run(page, rnd_below(PAGE), 1 + rnd_below(PAGE));
		return;
	case 5:
		for (i = 0; i < PAGE; i += 64)
			page[i]++;
		return;
	case 6:
		for (n = 1 + rnd_below(1024); n; n--)
			change_run(page, rnd_below(PAGE), 1);
		return;
	case 7:
		change_runs(page, 4, 4);
		return;
	case 8:
		change_runs(page, 300, 3);
		return;
	case 9:
		change_edges(page);
		return;
	case 10:
		change_run(page, rnd_below(8), PAGE - rnd_below(24));
		return;
	case 11:
		change_runs(page, 200, 200);
		return;
	case 12:
		memset(page, 0, PAGE);
		return;
	default:
		change_full(page);
		return;
	}
}

static size_t len_size(size_t n, size_t two)
{
	return n < two ? 1 : 2;
}

size_t greedy_size(const u8 *old, const u8 *cur)
{
	size_t at = 0, total = 0;

	while (at < PAGE) {
		size_t zrun = 0, nzrun = 0;

		for (; at < PAGE && old[at] == cur[at]; at++)
			zrun++;
		if (at == PAGE)
			break;
		for (; at < PAGE && old[at] != cur[at]; at++)
			nzrun++;
		total += len_size(zrun, 128) + len_size(nzrun, 128) + nzrun;
	}
	return total;
}

#define NEVER ((size_t)1 << 40)

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * ended[i]: least bytes of a payload whose last nzrun ends at i and which
 * covers every change before i. begun[i]: the same with the zrun that follows,
 * so that an nzrun begins at i. A length costs 1 when it is below @two and 2 at
 * any size, so the least over all lengths is the least over a window at cost 1
 * and over everything at cost 2.
 */
size_t minimum_size(const u8 *changed, size_t n, size_t two)
{
	static size_t ended[PAGE + 1], begun[PAGE + 1];
	size_t far_ended = NEVER, far_begun = NEVER;	/* far_begun: begun[s] - s + PAGE */
	size_t first = 0, last = n, best, i, k;

	while (first < n && !changed[first])
		first++;
	if (first == n)
		return 0;
	while (!changed[last - 1])
		last--;

	ended[0] = NEVER;
	for (i = 0; i <= last; i++) {
		/* A zrun cannot reach back over a changed byte. */
		if (i && changed[i - 1])
			far_ended = NEVER;

		if (i) {
			best = far_begun == NEVER ? NEVER : far_begun + i - PAGE + 2;
			for (k = 1; k < two && k <= i; k++)
				if (begun[i - k] < NEVER)
					best = min_size(best, begun[i - k] + k + 1);
			ended[i] = best;
		}

		best = far_ended == NEVER ? NEVER : far_ended + 2;
		for (k = 1; k < two && k <= i && !changed[i - k]; k++)
			if (ended[i - k] < NEVER)
				best = min_size(best, ended[i - k] + 1);
		/* The first zrun begins at 0, and may be empty. */
		if (i <= first)
			best = min_size(best, len_size(i, two));
		begun[i] = best;

		if (ended[i] < far_ended)
			far_ended = ended[i];
		if (begun[i] < NEVER)
			far_begun = min_size(far_begun, begun[i] + PAGE - i);
	}
	return ended[last];
}

static int take_len(const u8 *in, size_t len, size_t *at)
{
	int n;

	if (*at >= len)
		return -1;
	n = in[(*at)++];
	if (n < 128)
		return n;
	if (*at >= len || in[*at] >= 128)
		return -1;
	return n - 128 + 128 * in[(*at)++];
}

int model_decode(u8 *page, const u8 *in, size_t len)
{
	size_t at = 0;
	int pos = 0, first = 1;

	while (at < len || first) {
		int zrun = take_len(in, len, &at);
		int nzrun = zrun < 0 ? -1 : take_len(in, len, &at);

		if (zrun < 0 || nzrun < 1 || (!zrun && !first))
			return -EBADMSG;
		if (pos + zrun + nzrun > PAGE || at + nzrun > len)
			return -EBADMSG;
		pos += zrun;
		while (nzrun--)
			page[pos++] = in[at++];
		first = 0;
	}
	return pos;
}

const char *const codec_names[] = { "portable", "avx2", "avx512", NULL };

unsigned int test_rounds(unsigned int n)
{
	const char *scale = getenv("XBZ_TEST_SCALE");

	return scale ? n * atoi(scale) : n;
}
