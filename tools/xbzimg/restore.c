// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restoring: see restore.h.
 */
#include "restore.h"

#include <stdlib.h>

#include "io.h"
#include "jobs.h"
#include "page.h"
#include "progress.h"
#include "xbzimg.h"

struct worker {
	uint8_t block[BLOCK_PAGES * FORMAT_PAGE];
	uint64_t sum;
};

struct restore {
	struct chain *chain;
	const struct output *output;
	struct worker *workers;
};

static bool put(const struct restore *restore, const uint8_t *from, uint64_t page, uint32_t pages,
		struct error *err)
{
	uint64_t offset = page * FORMAT_PAGE, size = chain_size(restore->chain);
	size_t bytes = min_u64((uint64_t)pages * FORMAT_PAGE, size - offset);

	if (!pages || !restore->output || write_all(restore->output->file, from, bytes, offset))
		return true;
	return error_errno(err, "writing %s", restore->output->path);
}

/* Zero pages stay holes; those between them are written at once. */
static bool do_block(struct restore *restore, unsigned int number, uint64_t page, uint32_t pages,
		     struct error *err)
{
	struct worker *worker = &restore->workers[number];
	uint8_t *at = worker->block;
	uint32_t i, begin = 0;

	if (!chain_read(restore->chain, number, at, page, pages, err))
		return false;
	for (i = 0; i < pages; i++, at += FORMAT_PAGE) {
		if (!page_is_zero(at)) {
			worker->sum += page_sum(at, page + i);
			continue;
		}
		if (!put(restore, at - (size_t)(i - begin) * FORMAT_PAGE, page + begin, i - begin,
			 err))
			return false;
		begin = i + 1;
	}
	return put(restore, at - (size_t)(pages - begin) * FORMAT_PAGE, page + begin,
		   pages - begin, err);
}

static bool do_chunk(void *arg, unsigned int number, uint64_t job, struct error *err)
{
	struct restore *restore = arg;
	uint64_t page = job * CHUNK_PAGES, pages;
	uint64_t end = min_u64(page + CHUNK_PAGES, pages_of(chain_size(restore->chain)));
	bool zero;

	for (; page < end; page += pages) {
		if (!chain_extent(restore->chain, number, page, end, &pages, &zero, err))
			return false;
		if (!zero) {
			pages = min_u64(pages, BLOCK_PAGES);
			if (!do_block(restore, number, page, pages, err))
				return false;
		}
		progress_add(pages * FORMAT_PAGE);
	}
	return true;
}

/* The groups are sound, so what is wrong here is what is below them. */
static bool check(const struct restore *restore, unsigned int threads, struct error *err)
{
	const struct deltas *deltas = chain_deltas(restore->chain);
	const struct delta *last;
	uint64_t sum = 0;
	unsigned int i;

	if (!deltas->count)
		return true;
	last = &deltas->delta[deltas->count - 1];
	if (!delta_has_sums(last))
		return true;
	for (i = 0; i < threads; i++)
		sum += restore->workers[i].sum;
	if (sum != last->image_sum)
		return error_set(err, "%s: wrong base: the image has another sum", last->path);
	return true;
}

bool restore(struct chain *chain, unsigned int threads, const struct output *output,
	     struct error *err)
{
	struct restore restore = { .chain = chain, .output = output };
	struct jobs jobs = {
		.count = (pages_of(chain_size(chain)) + CHUNK_PAGES - 1) / CHUNK_PAGES,
		.threads = threads,
		.arg = &restore,
		.work = do_chunk,
	};
	bool good;

	restore.workers = calloc(threads, sizeof(*restore.workers));
	if (!restore.workers)
		return error_errno(err, "memory for threads");
	good = jobs_run(&jobs, err) && check(&restore, threads, err);
	free(restore.workers);
	return good;
}
