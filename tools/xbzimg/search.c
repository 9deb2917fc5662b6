// SPDX-License-Identifier: GPL-2.0-only
/*
 * The search for copies: see search.h. A few pages are chosen, which finder.c names or which
 * follow those that the page before was copied from; match.c compares with these alone.
 */
#include "search.h"

#include <stdlib.h>
#include <string.h>

#include "finder.h"
#include "match.h"
#include "page.h"

/* A delta of so many bytes is not worth it. */
#define SHORT_DELTA 128
/* Pages that others are copied from are kept, for the next page of what was moved. */
#define KEPT_PAGES 64

_Static_assert(FINDER_PAGES + 3 <= MATCH_PAGES, "its own and two that follow");

/**
 * struct kept - a page of the base or of the image
 * @number: as of the finder, and 1; or 0
 * @usable: it may be copied: one of the image has no copies of the image itself
 * @page: its content
 */
struct kept {
	uint64_t number;
	bool usable;
	uint8_t page[FORMAT_PAGE];
};

/**
 * struct searcher - what one worker uses
 * @kept: by the lower bits of their numbers
 * @matcher: of the page that is searched
 * @follower: page behind the last one that has copies
 * @next: where these go on, as a byte of the finder's pages
 */
struct searcher {
	struct kept kept[KEPT_PAGES];
	struct matcher matcher;
	uint64_t follower;
	uint64_t next;
};

/**
 * struct search - what all workers use
 * @base: that the copies will be of
 * @new: image
 * @reader: as which worker the first of ours reads the base
 * @base_pages: pages of the base
 * @finder: of pages, or NULL if only their own place is searched
 * @searchers: one for each worker
 */
struct search {
	struct chain *base;
	struct image *new;
	unsigned int reader;
	uint64_t base_pages;
	struct finder *finder;
	struct searcher *searchers;
};

struct search *search_new(struct chain *base, struct image *new, unsigned int workers,
			  unsigned int reader, bool whole, struct error *err)
{
	struct search *search = calloc(1, sizeof(*search));

	if (search)
		search->searchers = calloc(workers, sizeof(*search->searchers));
	if (!search || !search->searchers) {
		error_errno(err, "memory for threads");
		goto fail;
	}
	search->base = base;
	search->new = new;
	search->reader = reader;
	search->base_pages = pages_of(chain_size(base));
	if (whole) {
		search->finder = finder_new(chain_size(base), err);
		if (!search->finder)
			goto fail;
	}
	return search;

fail:
	search_free(search);
	return NULL;
}

void search_free(struct search *search)
{
	if (!search)
		return;
	finder_free(search->finder);
	free(search->searchers);
	free(search);
}

void search_add_old(struct search *search, const void *page, uint64_t number)
{
	finder_add(search->finder, page, number);
}

void search_add_new(struct search *search, const void *page, uint64_t number)
{
	finder_add(search->finder, page, search->base_pages + number);
}

void search_restart(struct search *search, unsigned int worker)
{
	search->searchers[worker].follower = UINT64_MAX;
}

static bool read_page(struct search *search, unsigned int worker, uint64_t page, void *to,
		      struct error *err)
{
	if (page < search->base_pages)
		return chain_read(search->base, search->reader + worker, to, page, 1, err);
	return image_read(search->new, worker, to, FORMAT_PAGE,
			  (page - search->base_pages) * FORMAT_PAGE, err);
}

static const struct kept *get_kept(struct search *search, unsigned int worker, uint64_t page,
				   struct error *err)
{
	struct kept *kept = &search->searchers[worker].kept[page % KEPT_PAGES];

	if (kept->number == page + 1)
		return kept;
	kept->number = 0;
	if (!read_page(search, worker, page, kept->page, err))
		return NULL;
	kept->number = page + 1;
	kept->usable = finder_first(search->finder, kept->page, page);
	return kept;
}

/* Adds a page to compare with, if it may be copied. */
static bool add_page(struct search *search, unsigned int worker, uint64_t page, struct error *err)
{
	struct matcher *matcher = &search->searchers[worker].matcher;
	const struct kept *kept;
	unsigned int i;

	for (i = 0; i < matcher->count; i++)
		if (matcher->numbers[i] == page)
			return true;
	kept = get_kept(search, worker, page, err);
	if (kept && kept->usable)
		matcher->numbers[matcher->count++] = page;
	return kept;
}

static bool find_pages(struct search *search, unsigned int worker, uint64_t page,
		       const uint8_t *new, struct error *err)
{
	const struct searcher *searcher = &search->searchers[worker];
	uint64_t found[FINDER_PAGES], next = searcher->next;
	unsigned int i, count;

	count = finder_look(search->finder, new, search->base_pages + page, found);
	for (i = 0; i < count; i++)
		if (!add_page(search, worker, found[i], err))
			return false;
	/* Those that follow in the image may have copies of it. */
	for (i = 0; i < 2 && searcher->follower == page; i++, next += FORMAT_PAGE - 1)
		if (next / FORMAT_PAGE < search->base_pages &&
		    !add_page(search, worker, next / FORMAT_PAGE, err))
			return false;
	return true;
}

static int by_number(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return (a > b) - (a < b);
}

static bool fill_matcher(struct search *search, unsigned int worker, uint64_t page,
			 const uint8_t *old, const uint8_t *new, struct error *err)
{
	struct matcher *matcher = &search->searchers[worker].matcher;
	/* Behind the end of the base, this number is that of a page of the image. */
	bool in_base = page < search->base_pages;
	const struct kept *kept;
	unsigned int i;

	matcher->base = search->base_pages;
	matcher->count = 0;
	if (in_base && !page_is_zero(old))
		matcher->numbers[matcher->count++] = page;
	if (search->finder && !find_pages(search, worker, page, new, err))
		return false;
	qsort(matcher->numbers, matcher->count, sizeof(*matcher->numbers), by_number);
	for (i = 0; i < matcher->count; i++) {
		uint8_t *to = matcher->pages + i * FORMAT_PAGE;

		if (in_base && matcher->numbers[i] == page) {
			memcpy(to, old, FORMAT_PAGE);
			continue;
		}
		kept = get_kept(search, worker, matcher->numbers[i], err);
		if (!kept)
			return false;
		memcpy(to, kept->page, FORMAT_PAGE);
	}
	return true;
}

bool search_copies(struct search *search, unsigned int worker, struct record *record,
		   const uint8_t *old, const uint8_t *new, struct error *err)
{
	struct searcher *searcher = &search->searchers[worker];
	struct matcher *matcher = &searcher->matcher;

	if (record->length <= SHORT_DELTA)
		return true;
	if (!fill_matcher(search, worker, record->page, old, new, err))
		return false;
	if (!matcher->count)
		return true;
	match_page(matcher, new, record->page);
	/* What zstd makes of literals is about half of what it makes of copies. */
	if (!matcher->copies ||
	    2 * matcher->length + matcher->literal_count > record->length * 3 / 4)
		return true;
	record->kind = FORMAT_COPIES;
	record->content = matcher->content;
	record->length = matcher->length;
	record->copies = matcher->copies;
	record->literals = matcher->literals;
	record->literal_count = matcher->literal_count;
	searcher->follower = record->page + 1;
	searcher->next = matcher->next;
	return true;
}
