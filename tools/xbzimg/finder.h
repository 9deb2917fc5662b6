/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the base, or the image itself, has content that a page of the image has, too: an
 * index of samples of the content. Which samples are taken depends on the content alone, so
 * that it is found again wherever it was moved, at any distance. Pages are numbered as copies
 * are: those of the image behind those of the base.
 */
#ifndef XBZIMG_FINDER_H
#define XBZIMG_FINDER_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* At most so many pages are named for a page of the image. */
#define FINDER_PAGES 6

struct finder;

/**
 * finder_new() - prepare an index
 * @bytes: of the base
 * @err: says why it failed
 *
 * It takes a 32nd of the base's size, at most 256 MiB; of a larger base there are fewer
 * samples.
 *
 * Return: the index, or NULL.
 */
struct finder *finder_new(uint64_t bytes, struct error *err);
void finder_free(struct finder *finder);

/**
 * finder_add() - take samples of a page
 * @finder: any number of threads may add to it; what is in it does not depend on their order
 * @page: its content
 * @number: of the page
 */
void finder_add(struct finder *finder, const void *page, uint64_t number);

/**
 * finder_look() - pages that have content of a page of the image
 * @finder: to which all was added
 * @page: content
 * @number: of the page
 * @numbers: receives up to FINDER_PAGES numbers of pages before it, those with most in common
 *	     first; of the base alone, if finder_first() of it
 *
 * What is found is not compared: it is likely, not certain.
 *
 * Return: how many.
 */
unsigned int finder_look(const struct finder *finder, const void *page, uint64_t number,
			 uint64_t *numbers);

/**
 * finder_first() - whether a page is the first one in the image with most of its content
 * @finder: to which all was added
 * @page: its content
 * @number: of the page
 *
 * Return: true also for all pages of the base.
 */
bool finder_first(const struct finder *finder, const void *page, uint64_t number);

#endif /* XBZIMG_FINDER_H */
