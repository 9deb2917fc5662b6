// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzimg merge: one delta image of several, without their base. Each thread takes a chunk
 * of the image, and of each page with a record puts together what is known without the base,
 * beginning with the oldest record.
 */
#include <stdlib.h>

#include "chain.h"
#include "jobs.h"
#include "output.h"
#include "page.h"
#include "progress.h"
#include "sketch.h"
#include "xbzimg.h"

/* Sketches that copies are of: see chain.c. */
#define KEPT_PAGES 8

/**
 * struct reader - what a worker uses at a place
 * @cursor: in the delta image
 * @numbers: of the pages in @kept and 1, or 0; as copies have them
 * @kept: sketches that were copied from, by the lower bits of their numbers
 */
struct reader {
	struct delta_cursor cursor;
	uint64_t numbers[KEPT_PAGES];
	struct sketch kept[KEPT_PAGES];
};

struct worker {
	struct sketch sketch;
	struct drawing drawing;
	struct group_builder *builder;
	struct groups groups;
	struct made made;
};

struct merge {
	const struct xbzimg *ctl;
	struct deltas deltas;
	/* Pages of the shortest image between the first and the last. */
	uint64_t shortest;
	struct delta_writer writer;
	struct worker *workers;
	/* Of each worker, one for each delta image and purpose. */
	struct reader *readers;
};

/**
 * struct reading - a page that is put together
 * @merge: of which
 * @worker: that does it
 * @place: where
 */
struct reading {
	struct merge *merge;
	unsigned int worker;
	struct place place;
};

static struct reader *reader_of(const struct merge *merge, unsigned int worker,
				const struct place *place)
{
	size_t level = worker * merge->deltas.count + place->level - 1;

	return &merge->readers[level * PURPOSES + place->purpose];
}

static bool read_sketch(const struct reading *reading, struct sketch *sketch, uint64_t page,
			struct error *err);

static const struct sketch *get_source(void *arg, uint64_t number, struct error *err)
{
	const struct reading *reading = arg;
	struct reader *reader = reader_of(reading->merge, reading->worker, &reading->place);
	unsigned int i = number % KEPT_PAGES;
	struct reading source = *reading;
	uint64_t page = number;

	if (reader->numbers[i] == number + 1)
		return &reader->kept[i];
	reader->numbers[i] = 0;
	if (!place_of_copy(&reading->merge->deltas, &reading->place, &page, &source.place, err) ||
	    !read_sketch(&source, &reader->kept[i], page, err))
		return NULL;
	reader->numbers[i] = number + 1;
	return &reader->kept[i];
}

/* What an image does not have is zero for the next one, whatever the base has there. */
static bool read_sketch(const struct reading *reading, struct sketch *sketch, uint64_t page,
			struct error *err)
{
	const struct deltas *deltas = &reading->merge->deltas;
	struct sketch_source source = { get_source, (void *)reading };
	struct reading below = *reading;
	size_t level = reading->place.level, at;
	struct delta_cursor *cursor;
	const struct record *record;
	const struct delta *delta;
	struct error what;

	if (page >= pages_of(level ? deltas->delta[level - 1].size : deltas->delta->base_size)) {
		sketch_zero(sketch);
		return true;
	}
	if (!level) {
		sketch_base(sketch, page);
		return true;
	}
	below.place = place_below(&reading->place);
	if (!read_sketch(&below, sketch, page, err))
		return false;
	delta = &deltas->delta[level - 1];
	cursor = &reader_of(reading->merge, reading->worker, &reading->place)->cursor;
	at = delta_find(delta, page);
	if (at == delta->count || delta->groups[at].first > page)
		return true;
	if (!delta_group(delta, cursor, at, err))
		return false;
	record = &cursor->group.records[group_find(&cursor->group, page)];
	if (record->page > page || sketch_apply(sketch, record, &source, &what))
		return true;
	return error_set(err, "%s: %s", delta->path, what.text);
}

/* The first page from @page on, before @end, that has a record in any of them, or @end. */
static bool next_page(struct merge *merge, unsigned int number, uint64_t *page, uint64_t end,
		      struct error *err)
{
	uint64_t next = max_u64(*page, min_u64(merge->shortest, end));
	size_t i, at;

	for (i = 0; i < merge->deltas.count; i++) {
		const struct delta *delta = &merge->deltas.delta[i];
		struct place place = { .level = i + 1 };
		struct delta_cursor *cursor = &reader_of(merge, number, &place)->cursor;
		const struct group *group = &cursor->group;

		at = delta_find(delta, *page);
		if (at == delta->count || delta->groups[at].first >= next)
			continue;
		if (!delta_group(delta, cursor, at, err))
			return false;
		next = min_u64(next, max_u64(group->records[group_find(group, *page)].page,
					     *page));
	}
	*page = next;
	return true;
}

static const struct delta *last_delta(const struct merge *merge)
{
	return &merge->deltas.delta[merge->deltas.count - 1];
}

static bool do_page(struct merge *merge, unsigned int number, uint64_t page, struct error *err)
{
	struct worker *worker = &merge->workers[number];
	unsigned int left = COPIED_PAGES_MAX;
	struct reading reading = {
		.merge = merge,
		.worker = number,
		.place = { .level = merge->deltas.count, .left = &left },
	};
	struct record *record = &worker->drawing.record;

	if (!read_sketch(&reading, &worker->sketch, page, err))
		return false;
	if (!sketch_draw(&worker->sketch, page, &worker->drawing))
		return true;
	/* Behind the base's end, all is zero without a record. */
	if (record->kind == FORMAT_ZERO && page >= pages_of(merge->deltas.delta[0].base_size))
		return true;
	worker->made.kinds[record->kind]++;
	return group_add(worker->builder, &worker->groups, record, err);
}

static bool do_chunk(void *arg, unsigned int number, uint64_t job, struct error *err)
{
	struct merge *merge = arg;
	struct worker *worker = &merge->workers[number];
	uint64_t begin = job * CHUNK_PAGES, page = begin;
	uint64_t end = min_u64(begin + CHUNK_PAGES, pages_of(last_delta(merge)->size));

	groups_clear(&worker->groups);
	for (;; page++) {
		if (!next_page(merge, number, &page, end, err))
			return false;
		if (page >= end)
			break;
		if (!do_page(merge, number, page, err))
			return false;
	}
	progress_add((end - begin) * FORMAT_PAGE);
	return group_close(worker->builder, &worker->groups, err);
}

static bool pass_chunk(void *arg, unsigned int number, uint64_t job, struct error *err)
{
	struct merge *merge = arg;

	(void)job;
	return delta_put(&merge->writer, &merge->workers[number].groups, err);
}

static size_t readers_of(const struct merge *merge)
{
	return merge->ctl->threads * merge->deltas.count * PURPOSES;
}

static void free_workers(struct merge *merge)
{
	size_t i;

	for (i = 0; merge->readers && i < readers_of(merge); i++)
		delta_cursor_free(&merge->readers[i].cursor);
	free(merge->readers);
	for (i = 0; merge->workers && i < merge->ctl->threads; i++) {
		group_builder_free(merge->workers[i].builder);
		groups_free(&merge->workers[i].groups);
	}
	free(merge->workers);
}

static bool write_delta(struct merge *merge, const struct output *output, struct made *made,
			struct error *err)
{
	const struct delta *first = merge->deltas.delta, *last = last_delta(merge);
	struct jobs jobs = {
		.count = (pages_of(last->size) + CHUNK_PAGES - 1) / CHUNK_PAGES,
		.threads = merge->ctl->threads,
		.arg = merge,
		.work = do_chunk,
		.pass = pass_chunk,
	};
	bool sums = delta_has_sums(first) && delta_has_sums(last);
	unsigned int i;

	if (!delta_begin(&merge->writer, output, first->base_size, last->size,
			 (merge->ctl->level ? FORMAT_ZSTD : 0) | (sums ? FORMAT_SUMS : 0), err) ||
	    !jobs_run(&jobs, err))
		return false;
	for (i = 0; i < merge->ctl->threads; i++)
		made_add(made, &merge->workers[i].made);
	return delta_finish(&merge->writer, sums ? first->base_sum : 0,
			    sums ? last->image_sum : 0, err);
}

static bool new_workers(struct merge *merge, struct error *err)
{
	size_t i;

	merge->workers = calloc(merge->ctl->threads, sizeof(*merge->workers));
	merge->readers = calloc(readers_of(merge), sizeof(*merge->readers));
	if (!merge->workers || !merge->readers)
		return error_errno(err, "memory for threads");
	for (i = 0; i < readers_of(merge); i++)
		merge->readers[i].cursor.at = GROUP_NONE;
	merge->shortest = UINT64_MAX;
	for (i = 1; i < merge->deltas.count; i++)
		merge->shortest = min_u64(merge->shortest,
					  pages_of(merge->deltas.delta[i].base_size));
	for (i = 0; i < merge->ctl->threads; i++) {
		merge->workers[i].builder = group_builder_new(merge->ctl->level, err);
		if (!merge->workers[i].builder)
			return false;
	}
	return true;
}

int xbzimg_merge(const struct xbzimg *ctl, int argc, char **argv)
{
	const char *path = argv[argc - 1];
	struct merge merge = { .ctl = ctl };
	struct made made = { };
	struct output output;
	struct error err;
	bool good;

	if (!deltas_open(&merge.deltas, argv, argc - 1, &err))
		return failed(&err);
	good = new_workers(&merge, &err) && check_output(path, argv, argc - 1, &err) &&
	       output_open(&output, path, &err);
	if (!good)
		goto out;
	progress_begin(last_delta(&merge)->size, ctl->quiet);
	good = write_delta(&merge, &output, &made, &err);
	if (good)
		good = output_commit(&output, &err);
	else
		output_discard(&output);
	if (good)
		made_print(ctl, path, merge.writer.offset, last_delta(&merge)->size, &made,
			   progress_end());
	else
		progress_end();
	delta_writer_free(&merge.writer);
out:
	free_workers(&merge);
	deltas_close(&merge.deltas);
	return good ? XBZIMG_OK : failed(&err);
}
