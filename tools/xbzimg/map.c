// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzimg map: which part of an image is in which delta image, as qemu-img map says it of a
 * chain of overlays.
 */
#include <stdlib.h>

#include "chain.h"
#include "page.h"
#include "xbzimg.h"

enum kind { KIND_BASE, KIND_ZERO, KIND_RAW, KIND_DELTA };

static const char *const names[] = { "base", "zero", "raw", "delta" };

/**
 * struct part - pages of one kind
 * @page: the first
 * @end: the page behind them
 * @depth: 0 for the newest delta image; the number of them for the base
 * @kind: what they are
 */
struct part {
	uint64_t page;
	uint64_t end;
	size_t depth;
	enum kind kind;
};

static enum kind kind_of(const struct record *record)
{
	switch (record->kind) {
	case FORMAT_ZERO:
		return KIND_ZERO;
	case FORMAT_RAW:
		return KIND_RAW;
	case FORMAT_DELTA:
	case FORMAT_DELTA_ZERO:
	case FORMAT_COPIES:
		break;
	}
	return KIND_DELTA;
}

/*
 * Whether a delta image has the part's first page; sets the kind. If not, the part ends
 * where it has one.
 */
static bool look(const struct delta *delta, struct delta_cursor *cursor, struct part *part,
		 bool *found, struct error *err)
{
	size_t at = delta_find(delta, part->page);
	const struct record *record;
	uint64_t base = pages_of(delta->base_size);

	*found = false;
	if (at < delta->count && delta->groups[at].first <= part->page) {
		if (!delta_group(delta, cursor, at, err))
			return false;
		record = &cursor->group.records[group_find(&cursor->group, part->page)];
		*found = record->page <= part->page;
		part->end = min_u64(part->end, *found ? record->page + record->pages :
							record->page);
		if (*found)
			part->kind = kind_of(record);
	} else if (at < delta->count) {
		part->end = min_u64(part->end, delta->groups[at].first);
	}
	if (!*found && part->page >= base) {
		*found = true;
		part->kind = KIND_ZERO;
	} else if (!*found) {
		part->end = min_u64(part->end, base);
	}
	return true;
}

static bool next_part(const struct deltas *deltas, struct delta_cursor *cursors,
		      struct part *part, struct error *err)
{
	bool found = false;

	for (part->depth = 0; part->depth < deltas->count; part->depth++) {
		size_t i = deltas->count - 1 - part->depth;

		if (!look(&deltas->delta[i], &cursors[i], part, &found, err))
			return false;
		if (found)
			return true;
	}
	part->kind = KIND_BASE;
	return true;
}

static void print(const struct xbzimg *ctl, const struct part *part, uint64_t size)
{
	uint64_t begin = part->page * FORMAT_PAGE;
	uint64_t end = min_u64(part->end * FORMAT_PAGE, size);

	if (!ctl->json) {
		printf("%-18llu %-18llu %-6zu %s\n", (unsigned long long)begin,
		       (unsigned long long)(end - begin), part->depth, names[part->kind]);
		return;
	}
	printf("%s{\"start\": %llu", begin ? ",\n" : "[", (unsigned long long)begin);
	json_number("length", end - begin);
	json_number("depth", part->depth);
	printf(", \"present\": %s", part->kind == KIND_BASE ? "false" : "true");
	printf(", \"zero\": %s", part->kind == KIND_ZERO ? "true" : "false");
	printf(", \"data\": %s", part->kind == KIND_RAW || part->kind == KIND_DELTA ?
				 "true" : "false");
	printf(", \"kind\": \"%s\"}", names[part->kind]);
}

static bool print_map(const struct xbzimg *ctl, const struct deltas *deltas,
		      struct delta_cursor *cursors, struct error *err)
{
	uint64_t size = deltas->delta[deltas->count - 1].size, pages = pages_of(size);
	struct part part = { }, now = { };

	if (!ctl->json)
		printf("%-18s %-18s %-6s %s\n", "START", "LENGTH", "DEPTH", "KIND");
	else if (!pages)
		putchar('[');
	for (; now.page < pages; now.page = now.end) {
		now.end = pages;
		if (!next_part(deltas, cursors, &now, err))
			return false;
		if (now.page && now.kind == part.kind && now.depth == part.depth) {
			part.end = now.end;
			continue;
		}
		if (now.page)
			print(ctl, &part, size);
		part = now;
	}
	if (pages)
		print(ctl, &part, size);
	if (ctl->json)
		puts("]");
	return true;
}

int xbzimg_map(const struct xbzimg *ctl, int argc, char **argv)
{
	struct delta_cursor *cursors = NULL;
	struct deltas deltas;
	struct error err;
	bool good;
	int i;

	if (!deltas_open(&deltas, argv, argc, &err))
		return failed(&err);
	cursors = calloc(argc, sizeof(*cursors));
	good = cursors || error_errno(&err, "memory for delta images");
	for (i = 0; good && i < argc; i++)
		cursors[i].at = GROUP_NONE;
	good = good && print_map(ctl, &deltas, cursors, &err);
	for (i = 0; cursors && i < argc; i++)
		delta_cursor_free(&cursors[i]);
	free(cursors);
	deltas_close(&deltas);
	return good ? XBZIMG_OK : failed(&err);
}
