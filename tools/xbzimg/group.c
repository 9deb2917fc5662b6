// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups that were read: see group.h. Nothing in one is trusted, and every byte of it
 * has to be accounted for by a record.
 */
#include "group.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <xbzrle/codec.h>

#include "copies.h"
#include "page.h"

void group_free(struct group *group)
{
	ZSTD_freeDCtx(group->zstd);
	free(group->records);
	free(group->bytes);
	*group = (struct group){ };
}

static bool reserve(struct group *group, uint32_t records, struct error *err)
{
	void *more;

	if (!group->bytes)
		group->bytes = malloc(FORMAT_GROUP_BYTES);
	if (!group->zstd)
		group->zstd = ZSTD_createDCtx();
	if (!group->bytes || !group->zstd)
		return error_errno(err, "memory for a group");
	if (records <= group->room)
		return true;
	more = realloc(group->records, records * sizeof(*group->records));
	if (!more)
		return error_errno(err, "memory for a group");
	group->records = more;
	group->room = records;
	return true;
}

static uint16_t get16(const uint8_t *at)
{
	return at[0] | at[1] << 8;
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) | (uint32_t)get16(at + 2) << 16;
}

/* The length of a record's content, or -1 if its kind has no such length. */
static int content_length(enum format_kind kind, unsigned int length)
{
	switch (kind) {
	case FORMAT_RAW:
		return length == FORMAT_PAGE ? FORMAT_PAGE : -1;
	case FORMAT_ZERO:
		return 0;
	case FORMAT_DELTA:
		return length && length <= FORMAT_DELTA_MAX ? (int)length : -1;
	case FORMAT_DELTA_ZERO:
		return length && length <= FORMAT_DELTA_ZERO_MAX ? (int)length : -1;
	case FORMAT_COPIES:
		break;
	}
	return -1;
}

/* All of a copy is in the base, or in a page of the image before its own. */
static bool may_copy(const struct copy *copy, uint64_t page, uint64_t base)
{
	uint64_t end = copy->from + copy->length;

	return copy->from < base ? end <= base : end <= base + page * FORMAT_PAGE;
}

/* Copies, the sum of whose lengths says how many literals there are. */
static int parse_copies(struct record *record, unsigned int count, const uint8_t *end,
			uint64_t base)
{
	struct copies copies = copies_begin(record->page);
	const uint8_t *at = record->content;
	struct copy copy;
	uint32_t i;

	record->copies = count;
	record->literal_count = FORMAT_PAGE;
	for (i = 0; i < count; i++) {
		at = copies_get(&copies, at, end, &copy);
		if (!at || !may_copy(&copy, record->page, base))
			return -1;
		record->literal_count -= copy.length;
	}
	return count ? at - record->content : -1;
}

static bool assign_literals(struct group *group, uint32_t count, const uint8_t *at,
			    const uint8_t *end, struct error *err)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		struct record *record = &group->records[i];

		if (record->literal_count > end - at)
			return error_set(err, "literal bytes reach beyond the group");
		record->literals = at;
		at += record->literal_count;
	}
	return at == end || error_set(err, "records do not fill the group");
}

/*
 * Both columns and the sums, then contents, and literals. The sums' number, and so where the
 * contents begin, is known when all kinds are; where the literals begin, when all contents.
 */
static bool parse_records(struct group *group, const struct format_entry *entry,
			  uint64_t base, struct error *err)
{
	const uint8_t *pages = group->bytes, *kinds, *sums, *content;
	const uint8_t *end = group->bytes + entry->bytes;
	uint32_t sum_count = 0, next = 0, i;

	if (entry->bytes / 4 < entry->records)
		return error_set(err, "records reach beyond the group");
	kinds = pages + 2 * entry->records;
	sums = kinds + 2 * entry->records;
	for (i = 0; i < entry->records; i++)
		sum_count += record_has_sum(get16(kinds + 2 * i) >> FORMAT_KIND_SHIFT);
	if ((size_t)(end - sums) / 4 < sum_count)
		return error_set(err, "sums reach beyond the group");
	content = sums + 4 * sum_count;

	for (i = 0; i < entry->records; i++) {
		unsigned int page = get16(pages + 2 * i), kind = get16(kinds + 2 * i);
		unsigned int length = kind & FORMAT_LENGTH_MASK;
		struct record *record = &group->records[i];
		int bytes;

		kind >>= FORMAT_KIND_SHIFT;
		*record = (struct record){
			.page = entry->first + page,
			.pages = kind == FORMAT_ZERO ? length + 1 : 1,
			.kind = kind,
			.content = content,
		};
		bytes = kind == FORMAT_COPIES ? parse_copies(record, length, end, base) :
						content_length(kind, length);
		if (bytes < 0)
			return error_set(err, "a record of no known kind or length");
		if (bytes > end - content)
			return error_set(err, "a record reaches beyond the group");
		record->length = bytes;
		if (page < next || (!i && page) || record->pages > entry->pages ||
		    page > entry->pages - record->pages)
			return error_set(err, "a record's page is out of order");
		next = page + record->pages;
		content += bytes;
		if (record_has_sum(kind)) {
			record->sum = get32(sums);
			sums += 4;
		}
	}
	if (next != entry->pages)
		return error_set(err, "records do not fill the group");
	return assign_literals(group, entry->records, content, end, err);
}

/* Each payload decodes: what it is applied to does not matter to that. */
static bool check_payloads(const struct group *group, struct error *err)
{
	uint8_t page[FORMAT_PAGE] = { };
	uint32_t i;

	for (i = 0; i < group->count; i++) {
		const struct record *record = &group->records[i];

		if (record->kind != FORMAT_DELTA && record->kind != FORMAT_DELTA_ZERO)
			continue;
		if (xbz_decode(page, record->content, record->length) < 0)
			return error_set(err, "an invalid delta");
	}
	return true;
}

bool group_parse(struct group *group, const struct format_entry *entry, const void *stored,
		 uint64_t base, struct error *err)
{
	size_t bytes;

	group->count = 0;
	if (!reserve(group, entry->records, err))
		return false;
	if (XXH3_64bits(stored, entry->stored) != entry->sum)
		return error_set(err, "damaged: its sum is another");
	if (entry->stored == entry->bytes) {
		memcpy(group->bytes, stored, entry->bytes);
	} else {
		bytes = ZSTD_decompressDCtx(group->zstd, group->bytes, entry->bytes, stored,
					    entry->stored);
		if (ZSTD_isError(bytes))
			return error_set(err, "zstd: %s", ZSTD_getErrorName(bytes));
		if (bytes != entry->bytes)
			return error_set(err, "it is shorter than the index says");
	}
	if (!parse_records(group, entry, base, err))
		return false;
	group->count = entry->records;
	if (check_payloads(group, err))
		return true;
	group->count = 0;
	return false;
}

uint32_t group_find(const struct group *group, uint64_t page)
{
	uint32_t low = 0, high = group->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct record *record = &group->records[middle];

		if (record->page + record->pages <= page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool apply_copies(const struct record *record, uint8_t *page,
			 const struct source *source, struct error *err)
{
	const uint8_t *at = record->content, *end = at + record->length;
	const uint8_t *literals = record->literals;
	struct copies copies = copies_begin(record->page);
	struct copy copy;
	uint32_t i, pos = 0;

	for (i = 0; i < record->copies; i++) {
		at = copies_get(&copies, at, end, &copy);
		memcpy(page + pos, literals, copy.literals);
		literals += copy.literals;
		pos += copy.literals;
		if (!source->read(source->arg, page + pos, copy.from, copy.length, err))
			return false;
		pos += copy.length;
	}
	memcpy(page + pos, literals, FORMAT_PAGE - pos);
	return true;
}

bool record_apply(const struct record *record, void *page, const struct source *source,
		  struct error *err)
{
	switch (record->kind) {
	case FORMAT_RAW:
		memcpy(page, record->content, FORMAT_PAGE);
		return true;
	case FORMAT_COPIES:
		return apply_copies(record, page, source, err);
	case FORMAT_DELTA:
		break;
	case FORMAT_ZERO:
	case FORMAT_DELTA_ZERO:
		memset(page, 0, FORMAT_PAGE);
		break;
	}
	if (record->length && xbz_decode(page, record->content, record->length) < 0)
		return error_set(err, "page %llu: an invalid delta",
				 (unsigned long long)record->page);
	return true;
}

bool record_check(const struct record *record, const void *page, struct error *err)
{
	if (!record_has_sum(record->kind) ||
	    (uint32_t)page_sum(page, record->page) == record->sum)
		return true;
	return error_set(err, "wrong base: it does not give page %llu",
			 (unsigned long long)record->page);
}
