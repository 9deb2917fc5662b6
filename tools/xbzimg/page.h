/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page's properties: its sum, and whether it is zero.
 */
#ifndef XBZIMG_PAGE_H
#define XBZIMG_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#include "format.h"

static inline uint64_t pages_of(uint64_t bytes)
{
	return (bytes + FORMAT_PAGE - 1) / FORMAT_PAGE;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline bool page_is_zero(const void *page)
{
	uint64_t first;

	memcpy(&first, page, sizeof(first));
	return !first && !memcmp(page, (const char *)page + sizeof(first),
				 FORMAT_PAGE - sizeof(first));
}

/* The sum of a page, zero or not, at its place in the image. */
static inline uint64_t page_sum(const void *page, uint64_t number)
{
	return XXH3_64bits_withSeed(page, FORMAT_PAGE, number);
}

/* What a page adds to the sum of its image. */
static inline uint64_t page_share(const void *page, uint64_t number)
{
	return page_is_zero(page) ? 0 : page_sum(page, number);
}

#endif /* XBZIMG_PAGE_H */
