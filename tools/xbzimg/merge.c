// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzimg merge: one delta image of several, without their base. Each thread takes a chunk
 * of the image and puts the records of each of its pages together, the oldest first.
 */
#include <stdlib.h>
#include <string.h>

#include <xbzrle/codec.h>

#include "chain.h"
#include "compose.h"
#include "jobs.h"
#include "output.h"
#include "page.h"
#include "progress.h"
#include "xbzimg.h"

/**
 * struct state - what is known of a page so far
 * @known: there was a record
 * @kind: of the record, as if it was one
 * @length: of the content
 * @sum: of the base's page, for a delta
 * @content: of the record
 */
struct state {
	bool known;
	enum format_kind kind;
	unsigned int length;
	uint32_t sum;
	uint8_t content[FORMAT_DELTA_MAX];
};

struct worker {
	struct state states[CHUNK_PAGES];
	struct group_builder *builder;
	struct groups groups;
	struct made made;
};

struct merge {
	const struct xbzimg *ctl;
	struct deltas deltas;
	struct delta_writer writer;
	struct worker *workers;
	/* Of each worker, one for each delta image. */
	struct delta_cursor *cursors;
};

static void set(struct state *state, enum format_kind kind, const void *content,
		unsigned int length, uint32_t sum)
{
	state->known = true;
	state->kind = kind;
	state->length = length;
	state->sum = sum;
	if (length)
		memcpy(state->content, content, length);
}

/* The page of a state that needs no base. */
static void draw(const struct state *state, uint8_t *page)
{
	memset(page, 0, FORMAT_PAGE);
	if (state->kind == FORMAT_RAW)
		memcpy(page, state->content, FORMAT_PAGE);
	else if (state->kind == FORMAT_DELTA_ZERO)
		xbz_decode(page, state->content, state->length);
}

static void set_page(struct state *state, const uint8_t *page)
{
	uint8_t delta[FORMAT_PAGE], copy[FORMAT_PAGE];
	int length = xbz_encode_zero_base(delta, sizeof(delta), copy, page);

	if (length == XBZ_ZERO)
		set(state, FORMAT_ZERO, NULL, 0, 0);
	else if (length > 0)
		set(state, FORMAT_DELTA_ZERO, delta, length, 0);
	else
		set(state, FORMAT_RAW, page, FORMAT_PAGE, 0);
}

/* A delta upon what there is of the page. */
static bool add_delta(struct state *state, const struct record *record, uint64_t number,
		      struct error *err)
{
	uint8_t page[FORMAT_PAGE], both[FORMAT_DELTA_MAX];
	unsigned int length;

	if (!state->known) {
		set(state, FORMAT_DELTA, record->content, record->length, record->sum);
		return true;
	}
	if (state->kind != FORMAT_DELTA) {
		draw(state, page);
		if (!record_apply(record, page, number, err))
			return false;
		set_page(state, page);
		return true;
	}
	length = compose(both, state->content, state->length, record->content, record->length);
	if (length)
		set(state, FORMAT_DELTA, both, length, state->sum);
	else
		set(state, FORMAT_RAW, both, FORMAT_PAGE, 0);
	return true;
}

static bool add_group(struct worker *worker, const struct group *group, uint64_t begin,
		      uint64_t end, struct error *err)
{
	uint32_t i;

	for (i = group_find(group, begin); i < group->count; i++) {
		const struct record *record = &group->records[i];
		uint64_t page = max_u64(record->page, begin);

		if (record->page >= end)
			break;
		for (; page < min_u64(record->page + record->pages, end); page++) {
			struct state *state = &worker->states[page - begin];

			if (record->kind != FORMAT_DELTA)
				set(state, record->kind, record->content, record->length, 0);
			else if (!add_delta(state, record, page, err))
				return false;
		}
	}
	return true;
}

/* Pages that the older image did not have are zero for the newer one, whatever the base has. */
static void cut(const struct merge *merge, struct worker *worker, size_t number, uint64_t begin,
		uint64_t end)
{
	uint64_t page = max_u64(begin, pages_of(merge->deltas.delta[number].base_size));
	uint64_t base = pages_of(merge->deltas.delta[0].base_size);

	for (; page < end; page++) {
		struct state *state = &worker->states[page - begin];

		if (page < base)
			set(state, FORMAT_ZERO, NULL, 0, 0);
		else
			state->known = false;
	}
}

static bool add_deltas(struct merge *merge, unsigned int number, uint64_t begin, uint64_t end,
		       struct error *err)
{
	struct worker *worker = &merge->workers[number];
	size_t i, at;

	for (i = 0; i < merge->deltas.count; i++) {
		const struct delta *delta = &merge->deltas.delta[i];
		struct delta_cursor *cursor = &merge->cursors[number * merge->deltas.count + i];
		struct error what;

		cut(merge, worker, i, begin, end);
		for (at = delta_find(delta, begin);
		     at < delta->count && delta->groups[at].first < end; at++) {
			if (!delta_group(delta, cursor, at, err))
				return false;
			if (!add_group(worker, &cursor->group, begin, end, &what))
				return error_set(err, "%s: %s", delta->path, what.text);
		}
	}
	return true;
}

static const struct delta *last_delta(const struct merge *merge)
{
	return &merge->deltas.delta[merge->deltas.count - 1];
}

static bool do_chunk(void *arg, unsigned int number, uint64_t job, struct error *err)
{
	struct merge *merge = arg;
	struct worker *worker = &merge->workers[number];
	uint64_t begin = job * CHUNK_PAGES, page;
	uint64_t end = min_u64(begin + CHUNK_PAGES, pages_of(last_delta(merge)->size));

	groups_clear(&worker->groups);
	for (page = begin; page < end; page++)
		worker->states[page - begin].known = false;
	if (!add_deltas(merge, number, begin, end, err))
		return false;
	for (page = begin; page < end; page++) {
		const struct state *state = &worker->states[page - begin];

		if (!state->known)
			continue;
		worker->made.kinds[state->kind]++;
		if (!group_add(worker->builder, &worker->groups, page, state->kind, state->content,
			       state->length, state->sum, err))
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

static void free_workers(struct merge *merge)
{
	size_t i;

	for (i = 0; merge->cursors && i < merge->ctl->threads * merge->deltas.count; i++)
		delta_cursor_free(&merge->cursors[i]);
	free(merge->cursors);
	for (i = 0; merge->workers && i < merge->ctl->threads; i++) {
		group_builder_free(merge->workers[i].builder);
		groups_free(&merge->workers[i].groups);
	}
	free(merge->workers);
}

static bool write_delta(struct merge *merge, int file, struct made *made, struct error *err)
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

	if (!delta_begin(&merge->writer, file, first->base_size, last->size,
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
	size_t count = merge->ctl->threads * merge->deltas.count, i;

	merge->workers = calloc(merge->ctl->threads, sizeof(*merge->workers));
	merge->cursors = calloc(count, sizeof(*merge->cursors));
	if (!merge->workers || !merge->cursors)
		return error_errno(err, "memory for threads");
	for (i = 0; i < count; i++)
		merge->cursors[i].at = GROUP_NONE;
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
	good = write_delta(&merge, output.file, &made, &err);
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
