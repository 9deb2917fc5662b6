// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes a delta image in all sorts of ways and reads all of it upon its base.
 *
 *   corrupt BASE DELTA COUNT SEED
 *
 * Fails if one of COUNT changed files is read without an error. A tenth of them has its
 * sums made right again: there, anything may come of it but a read or write outside of
 * memory, which the sanitizers find that this is built with.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chain.h"
#include "page.h"
#include "reseal.h"

#include "../device/rng.h"

/* As many pages of the image are read, of one that became huge. */
#define PAGES_MAX 4096U
#define GROWTH 64

static struct xbzt_rng rng;

static size_t change(uint8_t *file, size_t length)
{
	size_t at = xbzt_below(&rng, length), left = length - at, i;
	size_t span = 1 + xbzt_below(&rng, left < 64 ? left : 64);

	switch (xbzt_below(&rng, 8)) {
	case 0:
		return at;
	case 1:
		memset(file + at, 0, span);
		break;
	case 2:
		for (i = 0; i < span; i++)
			file[at + i] = xbzt_random(&rng);
		break;
	case 3:
		memmove(file + at, file + at + span, length - at - span);
		return length - span;
	case 4:
		memmove(file + at + span, file + at, length - at);
		return length + span;
	case 5:
		memmove(file + xbzt_below(&rng, length - span + 1), file + at, span);
		break;
	default:
		for (i = 0; i <= xbzt_below(&rng, 4); i++)
			file[xbzt_below(&rng, length)] ^= 1 << xbzt_below(&rng, 8);
		break;
	}
	return length;
}

static int memory_file(const void *content, size_t length)
{
	int file = memfd_create("delta", MFD_CLOEXEC);

	if (file < 0 || write(file, content, length) != (ssize_t)length) {
		perror("memory");
		exit(2);
	}
	return file;
}

/* Whether all of it can be read. */
static bool read_image(const char *base, const uint8_t *content, size_t length)
{
	static uint8_t block[64 * FORMAT_PAGE];
	int file = memory_file(content, length);
	char path[64], *paths[] = { path };
	struct chain *chain;
	uint64_t page, pages;
	struct error err;
	bool good;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	chain = chain_open(base, paths, 1, 1, &err);
	good = chain;
	pages = good ? min_u64(pages_of(chain_size(chain)), PAGES_MAX) : 0;
	for (page = 0; good && page < pages; page += 64)
		good = chain_read(chain, 0, block, page, min_u64(64, pages - page), &err);
	chain_close(chain);
	close(file);
	return good;
}

static uint8_t *load(const char *path, size_t *length)
{
	int file = open(path, O_RDONLY);
	off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
	uint8_t *content = size > 0 ? malloc(size + GROWTH) : NULL;

	if (!content || pread(file, content, size, 0) != size) {
		perror(path);
		exit(2);
	}
	close(file);
	*length = size;
	return content;
}

int main(int argc, char **argv)
{
	uint8_t *original, *changed;
	size_t length, count, i;
	int found = 0;

	if (argc != 5) {
		fputs("usage: corrupt BASE DELTA COUNT SEED\n", stderr);
		return 2;
	}
	original = load(argv[2], &length);
	changed = malloc(length + GROWTH);
	count = strtoull(argv[3], NULL, 10);
	xbzt_rng_seed(&rng, strtoull(argv[4], NULL, 10));
	if (!changed || !read_image(argv[1], original, length)) {
		fputs("the original cannot be read\n", stderr);
		exit(2);
	}
	for (i = 0; i < count && !found; i++) {
		size_t now;

		memcpy(changed, original, length);
		now = change(changed, length);
		if (now == length && !memcmp(changed, original, length))
			continue;
		if (i % 10 == 9) {
			reseal(changed, now);
			read_image(argv[1], changed, now);
		} else if (read_image(argv[1], changed, now)) {
			printf("change %zu of seed %s is read without an error\n", i, argv[4]);
			found = 1;
		}
	}
	free(changed);
	free(original);
	return found;
}
