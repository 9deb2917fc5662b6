// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups that are made: see group.h.
 */
#include "group.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

/*
 * @pages, @kinds and @sums are the columns in the file's byte order, @content and @literals
 * the rest; @whole is where they are put together.
 */
struct group_builder {
	ZSTD_CCtx *zstd;
	uint64_t first;
	uint64_t next;
	uint32_t count;
	uint32_t sum_count;
	uint32_t length;
	uint32_t literal_count;
	uint16_t pages[FORMAT_GROUP_PAGES];
	uint16_t kinds[FORMAT_GROUP_PAGES];
	uint32_t sums[FORMAT_GROUP_PAGES];
	uint8_t content[FORMAT_GROUP_BYTES];
	uint8_t literals[FORMAT_GROUP_BYTES];
	uint8_t whole[FORMAT_GROUP_BYTES];
};

void groups_clear(struct groups *groups)
{
	groups->count = 0;
	groups->length = 0;
}

void groups_free(struct groups *groups)
{
	free(groups->entries);
	free(groups->bytes);
	*groups = (struct groups){ };
}

static bool groups_reserve(struct groups *groups, size_t bytes, struct error *err)
{
	size_t room;
	void *more;

	if (groups->count == groups->entries_room) {
		room = 2 * groups->entries_room + 8;
		more = realloc(groups->entries, room * sizeof(*groups->entries));
		if (!more)
			return error_errno(err, "memory for groups");
		groups->entries = more;
		groups->entries_room = room;
	}
	if (groups->bytes_room - groups->length < bytes) {
		room = 2 * groups->bytes_room + bytes;
		more = realloc(groups->bytes, room);
		if (!more)
			return error_errno(err, "memory for groups");
		groups->bytes = more;
		groups->bytes_room = room;
	}
	return true;
}

static void builder_clear(struct group_builder *builder)
{
	builder->count = 0;
	builder->sum_count = 0;
	builder->length = 0;
	builder->literal_count = 0;
}

struct group_builder *group_builder_new(int level, struct error *err)
{
	struct group_builder *builder = malloc(sizeof(*builder));
	size_t status;

	if (!builder) {
		error_errno(err, "memory for a group");
		return NULL;
	}
	builder_clear(builder);
	builder->zstd = NULL;
	if (!level)
		return builder;
	builder->zstd = ZSTD_createCCtx();
	if (!builder->zstd) {
		error_set(err, "memory for zstd");
		goto fail;
	}
	status = ZSTD_CCtx_setParameter(builder->zstd, ZSTD_c_compressionLevel, level);
	if (ZSTD_isError(status)) {
		error_set(err, "zstd: %s", ZSTD_getErrorName(status));
		goto fail;
	}
	return builder;

fail:
	group_builder_free(builder);
	return NULL;
}

void group_builder_free(struct group_builder *builder)
{
	if (!builder)
		return;
	ZSTD_freeCCtx(builder->zstd);
	free(builder);
}

static uint32_t builder_bytes(const struct group_builder *builder)
{
	return 4 * builder->count + 4 * builder->sum_count + builder->length +
	       builder->literal_count;
}

/* Adds a zero page to the run that ends before it. */
static bool extend_run(struct group_builder *builder, uint64_t page)
{
	unsigned int value;
	uint16_t *kind;

	if (!builder->count || page != builder->next ||
	    page - builder->first >= FORMAT_GROUP_PAGES)
		return false;
	kind = &builder->kinds[builder->count - 1];
	value = le16toh(*kind);
	if (value >> FORMAT_KIND_SHIFT != FORMAT_ZERO ||
	    (value & FORMAT_LENGTH_MASK) == FORMAT_LENGTH_MASK)
		return false;
	*kind = htole16(value + 1);
	builder->next++;
	return true;
}

static void append(uint8_t *to, uint32_t *length, const void *from, uint32_t bytes)
{
	if (bytes)
		memcpy(to + *length, from, bytes);
	*length += bytes;
}

bool group_add(struct group_builder *builder, struct groups *groups,
	       const struct record *record, struct error *err)
{
	uint32_t bytes = 8 + record->length + record->literal_count;
	uint64_t page = record->page;
	uint16_t kind = record->kind << FORMAT_KIND_SHIFT;

	if (record->kind == FORMAT_ZERO && extend_run(builder, page))
		return true;
	if (builder->count && (page - builder->first >= FORMAT_GROUP_PAGES ||
			       builder_bytes(builder) + bytes > FORMAT_GROUP_BYTES) &&
	    !group_close(builder, groups, err))
		return false;
	if (!builder->count)
		builder->first = page;
	kind |= record->kind == FORMAT_COPIES ? record->copies : record->length;
	builder->pages[builder->count] = htole16(page - builder->first);
	builder->kinds[builder->count] = htole16(kind);
	builder->count++;
	builder->next = page + 1;
	if (record_has_sum(record->kind))
		builder->sums[builder->sum_count++] = htole32(record->sum);
	append(builder->content, &builder->length, record->content, record->length);
	append(builder->literals, &builder->literal_count, record->literals,
	       record->literal_count);
	return true;
}

bool group_close(struct group_builder *builder, struct groups *groups, struct error *err)
{
	uint32_t bytes = builder_bytes(builder);
	uint8_t *at = builder->whole, *stored;
	struct format_entry *entry;
	size_t packed;

	if (!builder->count)
		return true;
	if (!groups_reserve(groups, ZSTD_compressBound(bytes), err))
		return false;
	memcpy(at, builder->pages, 2 * builder->count);
	at += 2 * builder->count;
	memcpy(at, builder->kinds, 2 * builder->count);
	at += 2 * builder->count;
	memcpy(at, builder->sums, 4 * builder->sum_count);
	at += 4 * builder->sum_count;
	memcpy(at, builder->content, builder->length);
	at += builder->length;
	memcpy(at, builder->literals, builder->literal_count);

	stored = groups->bytes + groups->length;
	packed = bytes;
	if (builder->zstd) {
		packed = ZSTD_compress2(builder->zstd, stored, ZSTD_compressBound(bytes),
					builder->whole, bytes);
		if (ZSTD_isError(packed))
			return error_set(err, "zstd: %s", ZSTD_getErrorName(packed));
	}
	if (packed >= bytes) {
		packed = bytes;
		memcpy(stored, builder->whole, bytes);
	}
	entry = &groups->entries[groups->count++];
	*entry = (struct format_entry){
		.offset = groups->length,
		.first = builder->first,
		.pages = builder->next - builder->first,
		.stored = packed,
		.bytes = bytes,
		.records = builder->count,
		.sum = XXH3_64bits(stored, packed),
	};
	groups->length += packed;
	builder_clear(builder);
	return true;
}
