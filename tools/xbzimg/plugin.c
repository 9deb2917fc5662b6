// SPDX-License-Identifier: GPL-2.0-only
/*
 * The plugin of nbdkit: serves a chain, read-only.
 *
 *   nbdkit xbzimg base=BASE delta=DELTA...
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "chain.h"
#include "page.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
/* Requests that are worked on at a time, each with memory for a group of each delta image. */
#define WORKERS 4
#define BLOCK_PAGES 64U

static char *base;
static char **deltas;
static size_t delta_count;
static struct chain *chain;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static unsigned int busy;

static unsigned int take_worker(void)
{
	unsigned int worker;

	pthread_mutex_lock(&lock);
	while (busy == (1U << WORKERS) - 1)
		pthread_cond_wait(&freed, &lock);
	worker = __builtin_ctz(~busy);
	busy |= 1U << worker;
	pthread_mutex_unlock(&lock);
	return worker;
}

static void free_worker(unsigned int worker)
{
	pthread_mutex_lock(&lock);
	busy &= ~(1U << worker);
	pthread_cond_signal(&freed);
	pthread_mutex_unlock(&lock);
}

/* The same image, wherever nbdkit goes before it is opened. */
static char *absolute(const char *name)
{
	const char *path = image_path(name);
	char *whole, *text = NULL;

	if (!path)
		return strdup(name);
	whole = nbdkit_realpath(path);
	if (whole && asprintf(&text, "%.*s%s", (int)(path - name), name, whole) < 0)
		text = NULL;
	free(whole);
	return text;
}

static int xbzimg_config(const char *key, const char *value)
{
	char **more;

	if (!strcmp(key, "base") && !base) {
		base = absolute(value);
		return base ? 0 : -1;
	}
	if (strcmp(key, "delta")) {
		nbdkit_error("no such parameter, or a second one: %s", key);
		return -1;
	}
	more = realloc(deltas, (delta_count + 1) * sizeof(*deltas));
	if (!more)
		return -1;
	deltas = more;
	deltas[delta_count] = nbdkit_realpath(value);
	return deltas[delta_count++] ? 0 : -1;
}

static int xbzimg_config_complete(void)
{
	if (base)
		return 0;
	nbdkit_error("base= is missing");
	return -1;
}

static int xbzimg_after_fork(void)
{
	struct error err;

	chain = chain_open(base, deltas, delta_count, WORKERS, &err);
	if (chain && chain_probe(chain, &err))
		return 0;
	nbdkit_error("%s", err.text);
	return -1;
}

static void xbzimg_unload(void)
{
	chain_close(chain);
	free(base);
	while (delta_count)
		free(deltas[--delta_count]);
	free(deltas);
}

static void *xbzimg_open(int readonly)
{
	(void)readonly;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t xbzimg_get_size(void *handle)
{
	(void)handle;
	return chain_size(chain);
}

static int yes(void *handle)
{
	(void)handle;
	return 1;
}

static int xbzimg_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
			     uint32_t *maximum)
{
	(void)handle;
	*minimum = 1;
	*preferred = FORMAT_PAGE;
	*maximum = 0xffffffff;
	return 0;
}

static int xbzimg_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint8_t block[BLOCK_PAGES * FORMAT_PAGE];
	unsigned int worker = take_worker();
	struct error err;
	char *to = buf;

	(void)handle;
	(void)flags;
	while (count) {
		uint64_t page = offset / FORMAT_PAGE, skip = offset % FORMAT_PAGE;
		uint64_t pages = min_u64(BLOCK_PAGES, pages_of(skip + count));
		uint64_t bytes = min_u64(pages * FORMAT_PAGE - skip, count);

		if (!chain_read(chain, worker, block, page, pages, &err))
			break;
		memcpy(to, block + skip, bytes);
		to += bytes;
		offset += bytes;
		count -= bytes;
	}
	free_worker(worker);
	if (!count)
		return 0;
	nbdkit_error("%s", err.text);
	nbdkit_set_error(EIO);
	return -1;
}

static int xbzimg_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
			  struct nbdkit_extents *extents)
{
	uint64_t page = offset / FORMAT_PAGE, end = pages_of(offset + count), pages;
	unsigned int worker = take_worker();
	struct error err;
	bool zero, good = true;

	(void)handle;
	for (; good && page < end; page += pages) {
		good = chain_extent(chain, worker, page, end, &pages, &zero, &err);
		if (!good)
			break;
		if (nbdkit_add_extent(extents, page * FORMAT_PAGE, pages * FORMAT_PAGE,
				      zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0)) {
			free_worker(worker);
			return -1;
		}
		if (flags & NBDKIT_FLAG_REQ_ONE && (page + pages) * FORMAT_PAGE > offset)
			break;
	}
	free_worker(worker);
	if (good)
		return 0;
	nbdkit_error("%s", err.text);
	nbdkit_set_error(EIO);
	return -1;
}

static struct nbdkit_plugin plugin = {
	.name = "xbzimg",
	.longname = "delta images of xbzimg",
	.version = XBZ_VERSION,
	.description = "a base and the delta images upon it, as one image",
	.config = xbzimg_config,
	.config_complete = xbzimg_config_complete,
	.config_help = "base=BASE    (required) the base, as for xbzimg(1)\n"
		       "delta=DELTA  a delta image; several, the oldest first",
	.magic_config_key = "delta",
	.after_fork = xbzimg_after_fork,
	.unload = xbzimg_unload,
	.open = xbzimg_open,
	.get_size = xbzimg_get_size,
	.can_multi_conn = yes,
	.can_extents = yes,
	.block_size = xbzimg_block_size,
	.pread = xbzimg_pread,
	.extents = xbzimg_extents,
	.errno_is_preserved = 0,
};

NBDKIT_REGISTER_PLUGIN(plugin)
