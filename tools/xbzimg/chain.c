// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chains: see chain.h.
 */
#include "chain.h"

#include <stdlib.h>
#include <string.h>

#include "page.h"

/* Pages that copies are of: those of neighbours are neighbours, most of the time. */
#define KEPT_PAGES 8

/**
 * struct reader - what a worker uses at a place
 * @cursor: in the delta image
 * @numbers: of the pages in @kept and 1, or 0; as copies have them
 * @kept: pages that were copied from, by the lower bits of their numbers
 */
struct reader {
	struct delta_cursor cursor;
	uint64_t numbers[KEPT_PAGES];
	uint8_t kept[KEPT_PAGES][FORMAT_PAGE];
};

struct chain {
	struct image *base;
	struct deltas deltas;
	unsigned int workers;
	/* Of each worker, one for each delta image and purpose. */
	struct reader *readers;
};

/**
 * struct reading - pages of a chain that are read
 * @chain: that is open
 * @worker: that reads
 * @place: where
 */
struct reading {
	struct chain *chain;
	unsigned int worker;
	struct place place;
};

static bool fits(const struct delta *older, const struct delta *newer, struct error *err)
{
	if (older->size != newer->base_size)
		return error_set(err, "%s does not rest on %s: its base has %llu bytes, not %llu",
				 newer->path, older->path, (unsigned long long)newer->base_size,
				 (unsigned long long)older->size);
	if (delta_has_sums(older) && delta_has_sums(newer) &&
	    older->image_sum != newer->base_sum)
		return error_set(err, "%s does not rest on %s: its base has another sum",
				 newer->path, older->path);
	return true;
}

bool deltas_open(struct deltas *deltas, char *const *paths, size_t count, struct error *err)
{
	*deltas = (struct deltas){ .delta = calloc(count + 1, sizeof(*deltas->delta)) };
	if (!deltas->delta)
		return error_errno(err, "memory for delta images");
	for (; deltas->count < count; deltas->count++) {
		struct delta *delta = &deltas->delta[deltas->count];

		if (!delta_open(delta, paths[deltas->count], err))
			goto fail;
		if (deltas->count && !fits(delta - 1, delta, err)) {
			delta_close(delta);
			goto fail;
		}
	}
	return true;

fail:
	deltas_close(deltas);
	return false;
}

void deltas_close(struct deltas *deltas)
{
	while (deltas->count)
		delta_close(&deltas->delta[--deltas->count]);
	free(deltas->delta);
	deltas->delta = NULL;
}

struct chain *chain_open(const char *base, char *const *paths, size_t count,
			 unsigned int workers, struct error *err)
{
	struct chain *chain = calloc(1, sizeof(*chain));
	size_t i, readers = count * workers * PURPOSES;

	if (!chain) {
		error_errno(err, "%s", base);
		return NULL;
	}
	if (!deltas_open(&chain->deltas, paths, count, err))
		goto fail;
	chain->base = image_open(base, NULL, workers, err);
	if (!chain->base)
		goto fail;
	if (count && image_size(chain->base) != chain->deltas.delta[0].base_size) {
		error_set(err, "%s is not the base of %s, which has %llu bytes, not %llu", base,
			  chain->deltas.delta[0].path,
			  (unsigned long long)chain->deltas.delta[0].base_size,
			  (unsigned long long)image_size(chain->base));
		goto fail;
	}
	chain->readers = calloc(readers + 1, sizeof(*chain->readers));
	if (!chain->readers) {
		error_errno(err, "%s", base);
		goto fail;
	}
	chain->workers = workers;
	for (i = 0; i < readers; i++)
		chain->readers[i].cursor.at = GROUP_NONE;
	return chain;

fail:
	chain_close(chain);
	return NULL;
}

void chain_close(struct chain *chain)
{
	size_t i;

	if (!chain)
		return;
	for (i = 0; i < chain->deltas.count * chain->workers * PURPOSES; i++)
		delta_cursor_free(&chain->readers[i].cursor);
	free(chain->readers);
	image_close(chain->base);
	deltas_close(&chain->deltas);
	free(chain);
}

uint64_t chain_size(const struct chain *chain)
{
	if (chain->deltas.count)
		return chain->deltas.delta[chain->deltas.count - 1].size;
	return image_size(chain->base);
}

const struct deltas *chain_deltas(const struct chain *chain)
{
	return &chain->deltas;
}

/* What an image does not have is zero for the next one, whatever the base has there. */
static void cut(uint8_t *to, uint64_t page, uint32_t pages, uint64_t size)
{
	uint64_t begin = page * FORMAT_PAGE, end = (page + pages) * FORMAT_PAGE;

	if (size < end) {
		uint64_t from = max_u64(size, begin);

		memset(to + (from - begin), 0, end - from);
	}
}

bool place_of_copy(const struct deltas *deltas, const struct place *place, uint64_t *page,
		   struct place *source, struct error *err)
{
	const struct delta *delta = &deltas->delta[place->level - 1];

	if (!(*place->left)--)
		return error_set(err, "%s: too many copies of copies", delta->path);
	*source = *place;
	if (*page < delta_base_pages(delta)) {
		source->level--;
		source->purpose = FOR_NEWER;
		return true;
	}
	if (place->purpose & FOR_SAME)
		return error_set(err, "%s: a copy of a copy", delta->path);
	*page -= delta_base_pages(delta);
	source->purpose |= FOR_SAME;
	return true;
}

static struct reader *reader_of(const struct reading *reading)
{
	const struct chain *chain = reading->chain;
	size_t level = reading->worker * chain->deltas.count + reading->place.level - 1;

	return &chain->readers[level * PURPOSES + reading->place.purpose];
}

static bool read_level(const struct reading *reading, uint8_t *to, uint64_t page, uint32_t pages,
		       struct error *err);

static const uint8_t *get_source(const struct reading *reading, uint64_t number,
				 struct error *err)
{
	struct reader *reader = reader_of(reading);
	unsigned int i = number % KEPT_PAGES;
	struct reading source = *reading;
	uint64_t page = number;

	if (reader->numbers[i] == number + 1)
		return reader->kept[i];
	reader->numbers[i] = 0;
	if (!place_of_copy(&reading->chain->deltas, &reading->place, &page, &source.place, err) ||
	    !read_level(&source, reader->kept[i], page, 1, err))
		return NULL;
	reader->numbers[i] = number + 1;
	return reader->kept[i];
}

static bool read_source(void *arg, void *to, uint64_t from, unsigned int length,
			struct error *err)
{
	uint8_t *at = to;

	while (length) {
		unsigned int skip = from % FORMAT_PAGE, part = min_u64(FORMAT_PAGE - skip, length);
		const uint8_t *page = get_source(arg, from / FORMAT_PAGE, err);

		if (!page)
			return false;
		memcpy(at, page + skip, part);
		at += part;
		from += part;
		length -= part;
	}
	return true;
}

static bool apply_group(const struct reading *reading, const struct group *group, uint8_t *to,
			uint64_t page, uint32_t pages, struct error *err)
{
	const struct delta *delta = &reading->chain->deltas.delta[reading->place.level - 1];
	struct source source = { read_source, (void *)reading };
	uint32_t i;

	for (i = group_find(group, page); i < group->count; i++) {
		const struct record *record = &group->records[i];
		uint64_t at = max_u64(record->page, page);
		struct error what;

		if (record->page >= page + pages)
			break;
		for (; at < min_u64(record->page + record->pages, page + pages); at++) {
			uint8_t *one = to + (at - page) * FORMAT_PAGE;

			if (!record_apply(record, one, &source, err))
				return false;
			if (!record_check(record, one, &what))
				return error_set(err, "%s: %s", delta->path, what.text);
		}
	}
	return true;
}

static bool read_level(const struct reading *reading, uint8_t *to, uint64_t page, uint32_t pages,
		       struct error *err)
{
	struct reading below = *reading;
	struct delta_cursor *cursor;
	const struct delta *delta;
	size_t at;

	if (!reading->place.level)
		return image_read(reading->chain->base, reading->worker, to,
				  (size_t)pages * FORMAT_PAGE, page * FORMAT_PAGE, err);
	below.place = place_below(&reading->place);
	if (!read_level(&below, to, page, pages, err))
		return false;
	delta = &reading->chain->deltas.delta[reading->place.level - 1];
	cursor = &reader_of(reading)->cursor;
	for (at = delta_find(delta, page);
	     at < delta->count && delta->groups[at].first < page + pages; at++) {
		if (!delta_group(delta, cursor, at, err) ||
		    !apply_group(reading, &cursor->group, to, page, pages, err))
			return false;
	}
	cut(to, page, pages, delta->size);
	return true;
}

bool chain_read(struct chain *chain, unsigned int worker, void *to, uint64_t page,
		uint32_t pages, struct error *err)
{
	unsigned int left = COPIED_PAGES_MAX;
	struct reading reading = {
		.chain = chain,
		.worker = worker,
		.place = { .level = chain->deltas.count, .left = &left },
	};

	return read_level(&reading, to, page, pages, err);
}

bool image_pages(struct image *image, unsigned int worker, uint64_t page, uint64_t end,
		 uint64_t *pages, enum extent *extent, struct error *err)
{
	uint64_t offset = page * FORMAT_PAGE, bytes;

	if (!image_extent(image, worker, offset, end * FORMAT_PAGE, &bytes, extent, err))
		return false;
	*pages = bytes / FORMAT_PAGE;
	/* The last page, or one of which parts are known to be different. */
	if (!*pages) {
		*pages = 1;
		if (offset + bytes != image_size(image))
			*extent = EXTENT_DATA;
	}
	return true;
}

bool chain_extent(struct chain *chain, unsigned int worker, uint64_t page, uint64_t end,
		  uint64_t *pages, bool *zero, struct error *err)
{
	enum extent extent;
	size_t i, at;

	if (!image_pages(chain->base, worker, page, end, pages, &extent, err))
		return false;
	*zero = extent == EXTENT_ZERO;
	for (i = 0; i < chain->deltas.count; i++) {
		const struct delta *delta = &chain->deltas.delta[i];
		const struct format_entry *group;

		at = delta_find(delta, page);
		if (at == delta->count)
			continue;
		group = &delta->groups[at];
		if (group->first > page) {
			*pages = min_u64(*pages, group->first - page);
		} else {
			*zero = false;
			*pages = min_u64(*pages, group->first + group->pages - page);
		}
	}
	return true;
}

/* Enough that a base with other content in a few parts of a hundred is found. */
#define PROBES 64

static bool probe_group(struct chain *chain, const struct delta *delta, size_t at,
			struct error *err)
{
	struct delta_cursor *cursor =
		&chain->readers[(delta - chain->deltas.delta) * PURPOSES].cursor;
	uint8_t page[FORMAT_PAGE];
	uint32_t i;

	if (!delta_group(delta, cursor, at, err))
		return false;
	for (i = 0; i < cursor->group.count; i++)
		if (record_has_sum(cursor->group.records[i].kind))
			return chain_read(chain, 0, page, cursor->group.records[i].page, 1, err);
	return true;
}

bool chain_probe(struct chain *chain, struct error *err)
{
	size_t i, at;

	for (i = 0; i < chain->deltas.count; i++) {
		const struct delta *delta = &chain->deltas.delta[i];
		size_t step = delta->count / PROBES + 1;

		for (at = 0; at < delta->count; at += step)
			if (!probe_group(chain, delta, at, err))
				return false;
	}
	return true;
}
