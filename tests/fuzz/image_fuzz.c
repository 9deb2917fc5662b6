// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a delta image, with the sums that they should have: all groups are read and
 * applied to some pages. Fails if the reader touches a byte outside of its memory, or if what
 * it takes for sound is not in order: pages ascend, are inside the image and their group.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../tools/xbzimg/delta.h"
#include "../../tools/xbzimg/page.h"
#include "../image/reseal.h"
#include "fuzz.h"

static void check(bool good)
{
	if (!good)
		abort();
}

/* As if the base had the same byte all over. */
static bool read_base(void *arg, void *to, uint64_t from, unsigned int length,
		      struct error *err)
{
	const struct delta *delta = arg;

	(void)err;
	check(length && length <= FORMAT_PAGE);
	check(from + length <= (pages_of(delta->base_size) + pages_of(delta->size)) * FORMAT_PAGE);
	memset(to, 0x5a, length);
	return true;
}

static u64 apply(const struct delta *delta, const struct group *group, u64 next)
{
	struct source source = { read_base, (void *)delta };
	u8 *page = malloc(FORMAT_PAGE);
	struct error err;
	u32 i;

	check(page && group->count);
	for (i = 0; i < group->count; i++) {
		const struct record *record = &group->records[i];

		check(record->page >= next && record->pages);
		next = record->page + record->pages;
		check(next <= pages_of(delta->size));
		check(group_find(group, record->page) == i && group_find(group, next - 1) == i);
		memset(page, 0x5a, FORMAT_PAGE);
		check(record_apply(record, page, &source, &err));
	}
	free(page);
	return next;
}

static void read_all_groups(const char *path)
{
	struct delta_cursor cursor = { .at = GROUP_NONE };
	struct delta delta;
	struct error err;
	u64 next = 0;
	size_t i;

	if (!delta_open(&delta, path, &err)) {
		check(!strncmp(err.text, path, strlen(path)));
		return;
	}
	for (i = 0; i < delta.count; i++) {
		const struct format_entry *entry = &delta.groups[i];

		if (!delta_group(&delta, &cursor, i, &err)) {
			check(!strncmp(err.text, path, strlen(path)));
			continue;
		}
		next = apply(&delta, &cursor.group, next);
		check(next == entry->first + entry->pages);
		check(delta_find(&delta, entry->first) == i && delta_find(&delta, next - 1) == i);
	}
	delta_cursor_free(&cursor);
	delta_close(&delta);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	int file = syscall(SYS_memfd_create, "delta", 0);
	u8 *copy = malloc(size + 1);
	char path[64];

	check(file >= 0 && copy);
	if (size)
		memcpy(copy, data, size);
	reseal(copy, size);
	check(write(file, copy, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	read_all_groups(path);
	close(file);
	free(copy);
	return 0;
}
