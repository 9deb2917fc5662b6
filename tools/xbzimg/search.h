/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The search for records that are shorter than a delta in place: copies of what was moved,
 * inside a page or from one to another, or is twice in the image.
 */
#ifndef XBZIMG_SEARCH_H
#define XBZIMG_SEARCH_H

#include "chain.h"

struct search;

/**
 * search_new() - prepare to search
 * @base: that the copies will be of
 * @new: the image
 * @workers: how many search at a time
 * @reader: as which worker the first of them reads the base
 * @whole: in all of both images, else only in the page's own place
 * @err: says why it failed
 *
 * Return: the search, or NULL.
 */
struct search *search_new(struct chain *base, struct image *new, unsigned int workers,
			  unsigned int reader, bool whole, struct error *err);
void search_free(struct search *search);

/**
 * search_add_old() - note a page of the base, before anything is searched in all of it
 * @search: by any number of threads
 * @page: content
 * @number: of the page
 */
void search_add_old(struct search *search, const void *page, uint64_t number);

/**
 * search_add_new() - note a page of the image that differs
 * @search: by any number of threads
 * @page: content
 * @number: of the page
 */
void search_add_new(struct search *search, const void *page, uint64_t number);

/**
 * search_restart() - forget what was found last, for what is found not to depend on it
 * @search: to be used
 * @worker: that searches
 */
void search_restart(struct search *search, unsigned int worker);

/**
 * search_copies() - replace a record by copies if they are shorter
 * @search: to which all was added
 * @worker: that searches; what the record points to then is valid until it does so again
 * @record: of one page, as it is without them
 * @old: the base's page
 * @new: the image's page
 * @err: says why a page could not be read
 *
 * Return: false if one could not.
 */
bool search_copies(struct search *search, unsigned int worker, struct record *record,
		   const uint8_t *old, const uint8_t *new, struct error *err);

#endif /* XBZIMG_SEARCH_H */
