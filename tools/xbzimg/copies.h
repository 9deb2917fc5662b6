/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The content of a record of FORMAT_COPIES: a page as copies of what the base has anywhere or
 * the image has before it, with literal bytes before each and behind the last one.
 */
#ifndef XBZIMG_COPIES_H
#define XBZIMG_COPIES_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"

/* Bytes that a copy takes at most: two lengths and a shift of 63 bits. */
#define COPY_BYTES_MAX 13
#define COPY_SHIFTS 3

/**
 * struct copy - literal bytes and a copy behind them
 * @literals: how many
 * @length: of the copy, at least 1
 * @from: where it begins in the base's pages and, behind these, the image's; in bytes
 */
struct copy {
	unsigned int literals;
	unsigned int length;
	uint64_t from;
};

/**
 * struct copies - a page as far as its copies were read or written
 * @pos: where the next literal is in the page
 * @shifts: by how much the last copies are shifted, the last one first
 */
struct copies {
	unsigned int pos;
	int64_t shifts[COPY_SHIFTS];
};

/* What did not change place has the first shift. */
static inline struct copies copies_begin(uint64_t page)
{
	return (struct copies){ .shifts = { page * FORMAT_PAGE } };
}

/**
 * copies_get() - read the next copy
 * @copies: so far
 * @at: the next byte of the content
 * @end: of the content, or beyond
 * @copy: receives it
 *
 * Return: the byte behind it; NULL if it is not complete, or reaches beyond the page or the
 * largest image.
 */
const uint8_t *copies_get(struct copies *copies, const uint8_t *at, const uint8_t *end,
			  struct copy *copy);

/**
 * copies_put() - write the next copy
 * @copies: so far
 * @at: where; there is room for COPY_BYTES_MAX
 * @copy: that is inside the page
 *
 * Return: the byte behind it.
 */
uint8_t *copies_put(struct copies *copies, uint8_t *at, const struct copy *copy);

#endif /* XBZIMG_COPIES_H */
