// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shapes of writes that the tests make: see guest.h.
 */
#include "guest.h"

#include <linux/xbzrle.h>

#include <string.h>

static void write_sparse(uint8_t *page, struct xbzt_rng *rng)
{
	unsigned int n = 1 + xbzt_below(rng, 24);

	while (n--)
		page[xbzt_below(rng, XBZRLE_PAGE_SIZE)] = xbzt_random(rng);
}

static void write_words(uint8_t *page, struct xbzt_rng *rng)
{
	unsigned int n = 1 + xbzt_below(rng, 64);

	while (n--) {
		size_t at = 8 * xbzt_below(rng, XBZRLE_PAGE_SIZE / 8);
		uint64_t word;

		memcpy(&word, page + at, sizeof(word));
		word++;
		memcpy(page + at, &word, sizeof(word));
	}
}

static void write_runs(uint8_t *page, struct xbzt_rng *rng)
{
	size_t at = xbzt_below(rng, 300);

	while (at < XBZRLE_PAGE_SIZE) {
		size_t run = 1 + xbzt_below(rng, 300);

		for (; run && at < XBZRLE_PAGE_SIZE; run--)
			page[at++] = xbzt_random(rng);
		at += 1 + xbzt_below(rng, xbzt_below(rng, 2) ? 4 : 600);
	}
}

static void write_comb(uint8_t *page, struct xbzt_rng *rng)
{
	size_t step = 2 + xbzt_below(rng, 5);
	size_t at;

	for (at = xbzt_below(rng, step); at < XBZRLE_PAGE_SIZE; at += step)
		page[at] += 1 + xbzt_below(rng, 255);
}

void xbzt_guest_fill(uint8_t *page, struct xbzt_rng *rng)
{
	size_t at;

	for (at = 0; at < XBZRLE_PAGE_SIZE; at += 8) {
		/* No byte is zero, so that no run of zeros is left out. */
		uint64_t word = xbzt_random(rng) | 0x0101010101010101ULL;

		memcpy(page + at, &word, sizeof(word));
	}
}

void xbzt_guest_text(uint8_t *page, struct xbzt_rng *rng)
{
	size_t at;

	xbzt_guest_fill(page, rng);
	for (at = XBZRLE_PAGE_SIZE / 4; at < XBZRLE_PAGE_SIZE; at++)
		page[at] = page[at - XBZRLE_PAGE_SIZE / 4];
}

void xbzt_guest_write(uint8_t *page, enum xbzt_shape shape,
		      struct xbzt_rng *rng)
{
	switch (shape) {
	case XBZT_SPARSE:
		write_sparse(page, rng);
		break;
	case XBZT_WORDS:
		write_words(page, rng);
		break;
	case XBZT_RUNS:
		write_runs(page, rng);
		break;
	case XBZT_COMB:
		write_comb(page, rng);
		break;
	case XBZT_WHOLE:
		xbzt_guest_fill(page, rng);
		break;
	case XBZT_ZERO:
		memset(page, 0, XBZRLE_PAGE_SIZE);
		break;
	case XBZT_LAST:
		page[xbzt_below(rng, 2) ? XBZRLE_PAGE_SIZE - 1 : 0]++;
		break;
	case XBZT_TOUCHED:
	case XBZT_NR_SHAPES:
		break;
	}
}

void xbzt_guest_write_any(uint8_t *page, struct xbzt_rng *rng)
{
	xbzt_guest_write(page, xbzt_below(rng, XBZT_NR_SHAPES), rng);
}
