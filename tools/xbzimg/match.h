/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page of the image as copies of a few other pages: which copies those are.
 */
#ifndef XBZIMG_MATCH_H
#define XBZIMG_MATCH_H

#include "copies.h"

#define MATCH_PAGES 9

/**
 * struct matcher - what one thread uses
 * @count: of pages
 * @numbers: of these, ascending
 * @base: pages of the base; above, they are of the image
 * @pages: their content, one after the other
 * @heads: where in it some bytes are, by their hash
 * @content: of the record
 * @length: of @content
 * @copies: in it
 * @literals: bytes that are not copied
 * @literal_count: of these
 * @next: where the copies go on in the next page, as a byte of the pages that are numbered
 */
struct matcher {
	unsigned int count;
	uint64_t numbers[MATCH_PAGES];
	uint64_t base;
	uint8_t pages[MATCH_PAGES * FORMAT_PAGE];
	uint16_t heads[1 << 13];
	uint8_t content[FORMAT_PAGE / 4 * COPY_BYTES_MAX];
	unsigned int length;
	unsigned int copies;
	uint8_t literals[FORMAT_PAGE];
	unsigned int literal_count;
	uint64_t next;
};

/**
 * match_page() - find copies for a page
 * @matcher: with pages; receives content and literals
 * @page: content
 * @number: of the page
 */
void match_page(struct matcher *matcher, const uint8_t *page, uint64_t number);

#endif /* XBZIMG_MATCH_H */
