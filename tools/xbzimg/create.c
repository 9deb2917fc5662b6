// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzimg create: the difference of two images. Each thread takes a chunk of both, reads
 * and compares it block by block and makes groups of it, which are written in order. To find
 * what was moved, all of the base has to be known before the first record is made: then a
 * first pass compares and notes which pages differ, and a second one reads those again.
 */
#include <stdlib.h>
#include <string.h>

#include <xbzrle/codec.h>

#include "chain.h"
#include "jobs.h"
#include "output.h"
#include "page.h"
#include "progress.h"
#include "search.h"
#include "xbzimg.h"

/**
 * struct worker - what one thread uses
 * @old: a block of the base
 * @new: a block of the image
 * @builder: of groups
 * @groups: of the chunk
 * @made: so far
 */
struct worker {
	uint8_t old[BLOCK_PAGES * FORMAT_PAGE];
	uint8_t new[BLOCK_PAGES * FORMAT_PAGE];
	struct group_builder *builder;
	struct groups groups;
	struct made made;
};

/**
 * struct create - what all threads use
 * @ctl: options
 * @base: which the delta image will rest on
 * @new: image
 * @search: for copies
 * @changed: a bit for each page that differs, if there are two passes
 * @writer: of the delta image
 * @workers: one for each thread
 */
struct create {
	const struct xbzimg *ctl;
	struct chain *base;
	struct image *new;
	struct search *search;
	uint8_t *changed;
	struct delta_writer writer;
	struct worker *workers;
};

static bool add(struct worker *worker, const struct record *record, struct error *err)
{
	worker->made.kinds[record->kind]++;
	return group_add(worker->builder, &worker->groups, record, err);
}

/* A page that differs. */
static bool add_page(struct create *create, unsigned int number, uint64_t page,
		     const uint8_t *old, const uint8_t *new, struct error *err)
{
	struct worker *worker = &create->workers[number];
	struct record record = { .page = page, .pages = 1, .kind = FORMAT_ZERO };
	uint8_t delta[FORMAT_PAGE], ref[FORMAT_PAGE];
	uint64_t sum;
	int length;

	worker->made.base_sum += page_share(old, page);
	if (page_is_zero(new))
		return add(worker, &record, err);
	sum = page_sum(new, page);
	worker->made.image_sum += sum;
	memcpy(ref, old, FORMAT_PAGE);
	length = xbz_encode(delta, sizeof(delta), ref, new);
	if (length > 0) {
		record.kind = page_is_zero(old) ? FORMAT_DELTA_ZERO : FORMAT_DELTA;
		record.content = delta;
		record.length = length;
	} else {
		record.kind = FORMAT_RAW;
		record.content = new;
		record.length = FORMAT_PAGE;
	}
	record.sum = sum;
	return search_copies(create->search, number, &record, old, new, err) &&
	       add(worker, &record, err);
}

/* A page that differs, in the first pass if there are two. */
static bool differs(struct create *create, unsigned int number, uint64_t page,
		    const uint8_t *old, const uint8_t *new, struct error *err)
{
	if (!create->changed)
		return add_page(create, number, page, old, new, err);
	search_add_new(create->search, new, page);
	/* A byte of the bits is that of one chunk. */
	create->changed[page / 8] |= 1 << page % 8;
	return true;
}

/* The first pages of both blocks. */
static bool compare(struct create *create, unsigned int number, uint64_t page,
		    uint32_t pages, struct error *err)
{
	struct worker *worker = &create->workers[number];
	const uint8_t *old = worker->old, *new = worker->new;
	uint32_t i;

	for (i = 0; i < pages; i++, old += FORMAT_PAGE, new += FORMAT_PAGE) {
		if (create->changed)
			search_add_old(create->search, old, page + i);
		/* Behind the image's end, the base has its sum and nothing else. */
		if (page + i >= pages_of(image_size(create->new))) {
			worker->made.base_sum += page_share(old, page + i);
		} else if (!memcmp(old, new, FORMAT_PAGE)) {
			uint64_t share = page_share(new, page + i);

			worker->made.base_sum += share;
			worker->made.image_sum += share;
		} else if (!differs(create, number, page + i, old, new, err)) {
			return false;
		}
	}
	return true;
}

/*
 * What is not in the dirty bitmap is as it was, but for the end of a page that the image's
 * end cuts off.
 */
static void leave_cut_page(const struct create *create, uint64_t page, uint64_t *pages,
			   enum extent *extent)
{
	uint64_t size = image_size(create->new);

	if (*extent != EXTENT_SAME || !(size % FORMAT_PAGE) || chain_size(create->base) <= size ||
	    page + *pages != pages_of(size))
		return;
	if (*pages > 1)
		(*pages)--;
	else
		*extent = EXTENT_DATA;
}

/* From @page on, as much as is known to be of one kind; says how many pages that are. */
static bool do_block(struct create *create, unsigned int number, uint64_t page, uint64_t end,
		     uint64_t *pages, struct error *err)
{
	struct worker *worker = &create->workers[number];
	enum extent extent;
	uint64_t more, bytes;
	bool zero;

	if (!image_pages(create->new, number, page, end, pages, &extent, err))
		return false;
	leave_cut_page(create, page, pages, &extent);
	if (!chain_extent(create->base, number, page, page + *pages, &more, &zero, err))
		return false;
	if (extent == EXTENT_SAME || (extent == EXTENT_ZERO && zero)) {
		*pages = extent == EXTENT_SAME ? *pages : more;
		return true;
	}
	*pages = min_u64(more, BLOCK_PAGES);
	bytes = *pages * FORMAT_PAGE;
	if (zero)
		memset(worker->old, 0, bytes);
	else if (!chain_read(create->base, number, worker->old, page, *pages, err))
		return false;
	if (extent == EXTENT_ZERO)
		memset(worker->new, 0, bytes);
	else if (!image_read(create->new, number, worker->new, bytes, page * FORMAT_PAGE, err))
		return false;
	return compare(create, number, page, *pages, err);
}

static uint64_t all_pages(const struct create *create)
{
	return max_u64(pages_of(chain_size(create->base)), pages_of(image_size(create->new)));
}

/* All of a chunk, compared. */
static bool do_chunk(void *arg, unsigned int number, uint64_t job, struct error *err)
{
	struct create *create = arg;
	struct worker *worker = &create->workers[number];
	uint64_t page = job * CHUNK_PAGES, pages;
	uint64_t end = min_u64(page + CHUNK_PAGES, all_pages(create));

	groups_clear(&worker->groups);
	for (; page < end; page += pages) {
		if (!do_block(create, number, page, end, &pages, err))
			return false;
		progress_add(pages * FORMAT_PAGE);
	}
	return group_close(worker->builder, &worker->groups, err);
}

static bool is_changed(const struct create *create, uint64_t page)
{
	return create->changed[page / 8] & 1 << page % 8;
}

/* The first page from @page on that differs, before @end, or @end. */
static uint64_t next_changed(const struct create *create, uint64_t page, uint64_t end)
{
	while (page < end && !is_changed(create, page))
		page += page % 8 || create->changed[page / 8] ? 1 : 8;
	return min_u64(page, end);
}

/* The first pages, which differ, of a chunk: says how many they are. */
static bool do_changed(struct create *create, unsigned int number, uint64_t page, uint64_t end,
		       uint64_t *pages, struct error *err)
{
	struct worker *worker = &create->workers[number];
	size_t i;

	*pages = 1;
	while (page + *pages < end && *pages < BLOCK_PAGES && is_changed(create, page + *pages))
		(*pages)++;
	if (!chain_read(create->base, number, worker->old, page, *pages, err) ||
	    !image_read(create->new, number, worker->new, *pages * FORMAT_PAGE,
			page * FORMAT_PAGE, err))
		return false;
	for (i = 0; i < *pages; i++)
		if (!add_page(create, number, page + i, worker->old + i * FORMAT_PAGE,
			      worker->new + i * FORMAT_PAGE, err))
			return false;
	return true;
}

/* The second pass: what differs of a chunk. */
static bool do_chunk_again(void *arg, unsigned int number, uint64_t job, struct error *err)
{
	struct create *create = arg;
	struct worker *worker = &create->workers[number];
	uint64_t page = job * CHUNK_PAGES, pages;
	uint64_t end = min_u64(page + CHUNK_PAGES, all_pages(create));

	groups_clear(&worker->groups);
	search_restart(create->search, number);
	for (; page < end; page += pages) {
		pages = next_changed(create, page, end) - page;
		if (!pages && !do_changed(create, number, page, end, &pages, err))
			return false;
		progress_add(pages * FORMAT_PAGE);
	}
	return group_close(worker->builder, &worker->groups, err);
}

static bool pass_chunk(void *arg, unsigned int number, uint64_t job, struct error *err)
{
	struct create *create = arg;

	(void)job;
	return delta_put(&create->writer, &create->workers[number].groups, err);
}

/* With a dirty bitmap, too little of the base is read to know what is where. */
static bool is_whole(const struct xbzimg *ctl)
{
	return !ctl->in_place && !ctl->bitmap;
}

/* Pages that are copied are read all over: delta images by workers of their own. */
static unsigned int readers(const struct xbzimg *ctl, int deltas)
{
	return is_whole(ctl) && deltas ? 2 * ctl->threads : ctl->threads;
}

static bool new_search(struct create *create, int deltas, struct error *err)
{
	const struct xbzimg *ctl = create->ctl;
	bool whole = is_whole(ctl);

	create->search = search_new(create->base, create->new, ctl->threads,
				    readers(ctl, deltas) - ctl->threads, whole, err);
	if (!create->search)
		return false;
	if (whole)
		create->changed = calloc(all_pages(create) / 8 + 1, 1);
	return !whole || create->changed || error_errno(err, "memory for a bit for each page");
}

static bool new_workers(struct create *create, struct error *err)
{
	unsigned int i;

	create->workers = calloc(create->ctl->threads, sizeof(*create->workers));
	if (!create->workers)
		return error_errno(err, "memory for threads");
	for (i = 0; i < create->ctl->threads; i++) {
		create->workers[i].builder = group_builder_new(create->ctl->level, err);
		if (!create->workers[i].builder)
			return false;
	}
	return true;
}

static void free_workers(struct create *create)
{
	unsigned int i;

	for (i = 0; create->workers && i < create->ctl->threads; i++) {
		group_builder_free(create->workers[i].builder);
		groups_free(&create->workers[i].groups);
	}
	free(create->workers);
	search_free(create->search);
	free(create->changed);
}

/*
 * Both sums are known if all of the base was read. With a dirty bitmap, what was read has
 * the difference, and the last delta image of the chain may have the sum of the base.
 */
static bool sums(const struct create *create, struct made *made)
{
	const struct deltas *deltas = chain_deltas(create->base);
	const struct delta *last;

	if (!create->ctl->bitmap)
		return true;
	last = deltas->count ? &deltas->delta[deltas->count - 1] : NULL;
	if (!last || !delta_has_sums(last))
		return false;
	made->image_sum += last->image_sum - made->base_sum;
	made->base_sum = last->image_sum;
	return true;
}

static bool write_delta(struct create *create, const struct output *output, struct made *made,
			struct error *err)
{
	struct jobs jobs = {
		.count = (all_pages(create) + CHUNK_PAGES - 1) / CHUNK_PAGES,
		.threads = create->ctl->threads,
		.arg = create,
		.work = do_chunk,
		/* The first of two passes makes nothing that has an order. */
		.pass = create->changed ? NULL : pass_chunk,
	};
	struct jobs again = jobs;
	uint64_t features = create->ctl->level ? FORMAT_ZSTD : 0;
	unsigned int i;
	bool known;

	if (sums(create, made))
		features |= FORMAT_SUMS;
	if (!delta_begin(&create->writer, output, chain_size(create->base),
			 image_size(create->new), features, err) ||
	    !jobs_run(&jobs, err))
		return false;
	again.work = do_chunk_again;
	again.pass = pass_chunk;
	if (create->changed && !jobs_run(&again, err))
		return false;
	*made = (struct made){ };
	for (i = 0; i < create->ctl->threads; i++)
		made_add(made, &create->workers[i].made);
	known = sums(create, made);
	return delta_finish(&create->writer, known ? made->base_sum : 0,
			    known ? made->image_sum : 0, err);
}

int xbzimg_create(const struct xbzimg *ctl, int argc, char **argv)
{
	const char *path = argv[argc - 1], *new = argv[argc - 2];
	struct create create = { .ctl = ctl };
	struct output output;
	int status = XBZIMG_FAILED;
	struct made made = { };
	struct error err;
	bool good;

	create.base = chain_open(argv[0], argv + 1, argc - 3, readers(ctl, argc - 3), &err);
	if (!create.base)
		return failed(&err);
	create.new = image_open(new, ctl->bitmap, ctl->threads, &err);
	if (!create.new || !new_search(&create, argc - 3, &err) || !new_workers(&create, &err) ||
	    !check_output(path, argv, argc - 1, &err) || !output_open(&output, path, &err)) {
		failed(&err);
		goto out;
	}
	progress_begin((create.changed ? 2 : 1) * all_pages(&create) * FORMAT_PAGE, ctl->quiet);
	good = write_delta(&create, &output, &made, &err);
	if (good)
		good = output_commit(&output, &err);
	else
		output_discard(&output);
	if (good) {
		made_print(ctl, path, create.writer.offset, image_size(create.new), &made,
			   progress_end());
		status = XBZIMG_OK;
	} else {
		progress_end();
		failed(&err);
	}
	delta_writer_free(&create.writer);
out:
	free_workers(&create);
	image_close(create.new);
	chain_close(create.base);
	return status;
}
