/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A base and the delta images upon it, read as one image. A chain without delta images is
 * its base.
 */
#ifndef XBZIMG_CHAIN_H
#define XBZIMG_CHAIN_H

#include "delta.h"
#include "image.h"

/**
 * struct deltas - delta images, each of which rests on the one before it
 * @delta: the oldest first
 * @count: how many
 */
struct deltas {
	struct delta *delta;
	size_t count;
};

/**
 * deltas_open() - open delta images that fit one another
 * @deltas: receives them
 * @paths: the oldest first
 * @count: how many
 * @err: says what is wrong
 *
 * Return: false if one cannot be read, is not sound, or does not rest on the one before.
 */
bool deltas_open(struct deltas *deltas, char *const *paths, size_t count, struct error *err);
void deltas_close(struct deltas *deltas);

/* Why a page is read: for itself, or for copies in a newer delta image or the same one. */
#define FOR_NEWER 1U
#define FOR_SAME 2U
#define PURPOSES 4

/**
 * struct place - where pages of a chain are read
 * @level: so many delta images are applied
 * @purpose: bits of why
 * @left: so many pages may yet be read for copies
 *
 * Reading a page leads to others, but never back to the same level and purpose: so each has a
 * cursor of its own.
 */
struct place {
	size_t level;
	unsigned int purpose;
	unsigned int *left;
};

/*
 * As many pages are read for the copies of a block at most. What was moved is copied from one
 * page or two; crafted delta images could double that with each of them.
 */
#define COPIED_PAGES_MAX (1U << 16)

/* Where what the level's delta image rests on is read. */
static inline struct place place_below(const struct place *place)
{
	return (struct place){ place->level - 1, place->purpose ? FOR_NEWER : 0, place->left };
}

/**
 * place_of_copy() - where a page is read that is copied
 * @deltas: of the chain
 * @place: of the copy
 * @page: number as copies have it; receives that in its image
 * @source: receives the place
 * @err: says why not
 *
 * Return: false if it would be a copy of a copy in the same image, or it takes too many.
 */
bool place_of_copy(const struct deltas *deltas, const struct place *place, uint64_t *page,
		   struct place *source, struct error *err);

struct chain;

/**
 * chain_open() - open a base and delta images
 * @base: as for image_open()
 * @paths: of the delta images, the oldest first
 * @count: how many
 * @workers: how many will read it at a time
 * @err: says what is wrong
 *
 * Return: the chain, or NULL; also if the base does not have the size of the right one.
 */
struct chain *chain_open(const char *base, char *const *paths, size_t count,
			 unsigned int workers, struct error *err);
void chain_close(struct chain *chain);

uint64_t chain_size(const struct chain *chain);
const struct deltas *chain_deltas(const struct chain *chain);

/**
 * chain_read() - read pages
 * @chain: that is open
 * @worker: that reads
 * @to: memory for them
 * @page: number of the first
 * @pages: how many; what is behind the end is zero
 * @err: says why it failed
 *
 * Return: false if something cannot be read, or the base is the wrong one.
 */
bool chain_read(struct chain *chain, unsigned int worker, void *to, uint64_t page,
		uint32_t pages, struct error *err);

/**
 * chain_extent() - what is known of pages without reading them
 * @chain: that is open
 * @worker: that asks
 * @page: number of the first
 * @end: number of the page behind the last one
 * @pages: receives how many the answer is about, at least 1
 * @zero: receives whether they are zero
 * @err: says why it failed
 *
 * Return: false if it cannot be told.
 */
bool chain_extent(struct chain *chain, unsigned int worker, uint64_t page, uint64_t end,
		  uint64_t *pages, bool *zero, struct error *err);

/**
 * chain_probe() - apply some deltas, spread over the delta images
 * @chain: that is open
 * @err: says why it failed
 *
 * Finds most wrong bases, and at once. For whoever does not read all of the base.
 *
 * Return: false if the base is the wrong one.
 */
bool chain_probe(struct chain *chain, struct error *err);

/**
 * image_pages() - what is known of pages of an image without reading them
 * @image: that is open
 * @worker: that asks
 * @page: number of the first
 * @end: number of the page behind the last one
 * @pages: receives how many the answer is about, at least 1
 * @extent: receives what they are; data if it is not the same for all of a page
 * @err: says why it failed
 *
 * Return: false if it cannot be told.
 */
bool image_pages(struct image *image, unsigned int worker, uint64_t page, uint64_t end,
		 uint64_t *pages, enum extent *extent, struct error *err);

#endif /* XBZIMG_CHAIN_H */
