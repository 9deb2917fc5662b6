// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where samples begin, by the processor's instructions and without: the same places, or a
 * delta image would depend on the processor.
 *
 *   look COUNT SEED
 */
#include <stdio.h>

/* NOLINTNEXTLINE(bugprone-suspicious-include): what is compared is its own */
#include "../../tools/xbzimg/finder.c"

#include "../device/rng.h"

static struct xbzt_rng rng;

static bool differs(const uint8_t *page, unsigned int shifts, uint32_t limit)
{
	uint8_t one[BLOCKS * STEP], other[BLOCKS * STEP];

	look(page, shifts, limit, one);
	best_look()(page, shifts, limit, other);
	return memcmp(one, other, (size_t)BLOCKS * shifts);
}

int main(int argc, char **argv)
{
	uint8_t page[FORMAT_PAGE];
	size_t i, j, count;
	uint32_t limit;

	if (argc != 3) {
		fputs("usage: look COUNT SEED\n", stderr);
		return 2;
	}
	count = strtoull(argv[1], NULL, 10);
	xbzt_rng_seed(&rng, strtoull(argv[2], NULL, 10));
	for (i = 0; i < count; i++) {
		for (j = 0; j < sizeof(page); j++)
			page[j] = i % 3 ? xbzt_random(&rng) : xbzt_random(&rng) % 2;
		limit = xbzt_random(&rng) >> xbzt_random(&rng) % 32 | 1;
		if (differs(page, 1, limit) || differs(page, STEP, limit)) {
			printf("page %zu of seed %s differs\n", i, argv[2]);
			return 1;
		}
	}
	return 0;
}
