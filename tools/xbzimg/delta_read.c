// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delta images that are read: see delta.h. Each number of the file is checked before
 * it is used; memory is bounded by the file's size and by that of a group.
 */
#include "delta.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "io.h"
#include "page.h"

/* So many entries of the index are read at first. */
#define INDEX_PART 4096

#define FRAME (sizeof(struct format_header) + sizeof(struct format_trailer))

static bool damaged(const struct delta *delta, struct error *err, const char *how)
{
	return error_set(err, "%s: %s", delta->path, how);
}

static bool check_header(struct delta *delta, const struct format_header *header,
			 struct error *err)
{
	uint64_t unknown;

	if (memcmp(header->magic, FORMAT_MAGIC, sizeof(header->magic)))
		return damaged(delta, err, "not a delta image");
	if (le32toh(header->version) != FORMAT_VERSION)
		return error_set(err, "%s: version %u of the format, this program reads version %u",
				 delta->path, le32toh(header->version), FORMAT_VERSION);
	delta->features = le64toh(header->features);
	unknown = delta->features & ~FORMAT_KNOWN;
	if (unknown)
		return error_set(err, "%s: it has features that this program does not know: %#llx",
				 delta->path, (unsigned long long)unknown);
	delta->base_size = le64toh(header->base_size);
	delta->size = le64toh(header->size);
	if (le32toh(header->page_size) != FORMAT_PAGE || delta->base_size >= FORMAT_SIZE_MAX ||
	    delta->size >= FORMAT_SIZE_MAX || header->reserved[0] || header->reserved[1])
		return damaged(delta, err, "damaged: its header has an invalid value");
	return true;
}

/* What was found before names the fault better than the sum would, so the sum is last. */
static bool check_trailer(struct delta *delta, const struct format_header *header,
			  const struct format_trailer *trailer, struct error *err)
{
	unsigned char both[FRAME];
	uint64_t index, room;

	if (memcmp(trailer->magic, FORMAT_MAGIC, sizeof(trailer->magic)))
		return damaged(delta, err, "damaged: it has no end; it may be truncated");
	memcpy(both, header, sizeof(*header));
	memcpy(both + sizeof(*header), trailer, offsetof(struct format_trailer, sum));
	delta->sum = le64toh(trailer->sum);
	if (XXH3_64bits(both, sizeof(*header) + offsetof(struct format_trailer, sum)) != delta->sum)
		return damaged(delta, err, "damaged: the sum of header and trailer is another");
	index = le64toh(trailer->index);
	delta->base_sum = le64toh(trailer->base_sum);
	delta->image_sum = le64toh(trailer->image_sum);
	room = delta->bytes - FRAME;
	if (trailer->reserved || index < sizeof(*header) || index - sizeof(*header) > room ||
	    (room - (index - sizeof(*header))) % sizeof(struct format_entry))
		return damaged(delta, err, "damaged: its trailer has an invalid value");
	delta->count = (room - (index - sizeof(*header))) / sizeof(struct format_entry);
	if (delta->count != le64toh(trailer->groups))
		return damaged(delta, err, "damaged: its trailer has an invalid value");
	return true;
}

static bool check_entry(const struct delta *delta, const struct format_entry *entry,
			uint64_t offset, uint64_t next, uint64_t index)
{
	uint64_t pages = pages_of(delta->size);

	return entry->offset == offset && entry->stored && entry->stored <= index - offset &&
	       entry->stored <= entry->bytes && entry->bytes <= FORMAT_GROUP_BYTES &&
	       (entry->stored == entry->bytes || delta->features & FORMAT_ZSTD) &&
	       entry->first >= next && entry->first < pages && entry->pages &&
	       entry->pages <= FORMAT_GROUP_PAGES && entry->pages <= pages - entry->first &&
	       entry->records && entry->records <= entry->pages;
}

static struct format_entry to_host(const struct format_entry *entry)
{
	return (struct format_entry){
		.offset = le64toh(entry->offset),
		.first = le64toh(entry->first),
		.pages = le32toh(entry->pages),
		.stored = le32toh(entry->stored),
		.bytes = le32toh(entry->bytes),
		.records = le32toh(entry->records),
		.sum = le64toh(entry->sum),
	};
}

/* Entries up to @end, of which those before @begin were read. */
static bool read_part(struct delta *delta, size_t begin, size_t end, uint64_t index,
		      struct error *err)
{
	struct format_entry *more = realloc(delta->groups, end * sizeof(*more)), entry = { };
	uint64_t offset = sizeof(struct format_header), next = 0;
	size_t i;

	if (!more)
		return error_errno(err, "%s: memory for its index", delta->path);
	delta->groups = more;
	if (!read_all(delta->file, more + begin, (end - begin) * sizeof(*more),
		      index + begin * sizeof(*more)))
		return error_errno(err, "%s", delta->path);
	for (i = begin ? begin - 1 : 0; i < end; i++) {
		entry = to_host(&more[i]);
		if (i >= begin && !check_entry(delta, &entry, offset, next, index))
			return damaged(delta, err, "damaged: its index has an invalid entry");
		offset = entry.offset + entry.stored;
		next = entry.first + entry.pages;
	}
	return true;
}

/*
 * A part is checked before there is memory for more: that of a crafted file may be a hole of
 * any size.
 */
static bool read_index(struct delta *delta, uint64_t index, uint64_t sum, struct error *err)
{
	uint64_t offset = sizeof(struct format_header);
	size_t begin, end, i;

	for (begin = 0; begin < delta->count; begin = end) {
		end = min_u64(delta->count, 2 * begin + INDEX_PART);
		if (!read_part(delta, begin, end, index, err))
			return false;
	}
	if (XXH3_64bits(delta->groups, delta->count * sizeof(*delta->groups)) != sum)
		return damaged(delta, err, "damaged: the sum of its index is another");
	for (i = 0; i < delta->count; i++) {
		delta->groups[i] = to_host(&delta->groups[i]);
		offset += delta->groups[i].stored;
	}
	if (offset != index)
		return damaged(delta, err, "damaged: its groups do not end at the index");
	return true;
}

static bool read_frame(struct delta *delta, struct error *err)
{
	struct format_trailer trailer;
	struct format_header header;
	struct stat status;

	if (fstat(delta->file, &status))
		return error_errno(err, "%s", delta->path);
	if (!S_ISREG(status.st_mode))
		return damaged(delta, err, "not a file");
	delta->bytes = status.st_size;
	if (delta->bytes < sizeof(header) || !read_all(delta->file, &header, sizeof(header), 0))
		return damaged(delta, err, "not a delta image");
	if (!check_header(delta, &header, err))
		return false;
	if (delta->bytes < FRAME || !read_all(delta->file, &trailer, sizeof(trailer),
					      delta->bytes - sizeof(trailer)))
		return damaged(delta, err, "damaged: it is truncated");
	if (!check_trailer(delta, &header, &trailer, err))
		return false;

	return read_index(delta, le64toh(trailer.index), le64toh(trailer.index_sum), err);
}

bool delta_open(struct delta *delta, const char *path, struct error *err)
{
	*delta = (struct delta){ .file = -1 };
	delta->path = strdup(path);
	if (!delta->path)
		return error_errno(err, "%s", path);
	delta->file = open(path, O_RDONLY | O_CLOEXEC);
	if (delta->file < 0) {
		error_errno(err, "%s", path);
		goto fail;
	}
	if (read_frame(delta, err))
		return true;
fail:
	delta_close(delta);
	return false;
}

void delta_close(struct delta *delta)
{
	if (delta->file >= 0)
		close(delta->file);
	free(delta->groups);
	free(delta->path);
	*delta = (struct delta){ .file = -1 };
}

size_t delta_find(const struct delta *delta, uint64_t page)
{
	size_t low = 0, high = delta->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct format_entry *entry = &delta->groups[middle];

		if (entry->first + entry->pages <= page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool delta_group(const struct delta *delta, struct delta_cursor *cursor, size_t at,
		 struct error *err)
{
	const struct format_entry *entry = &delta->groups[at];
	struct error what;

	if (cursor->at == at)
		return true;
	cursor->at = GROUP_NONE;
	if (!cursor->stored)
		cursor->stored = malloc(FORMAT_GROUP_BYTES);
	if (!cursor->stored)
		return error_errno(err, "%s: memory for a group", delta->path);
	if (!read_all(delta->file, cursor->stored, entry->stored, entry->offset))
		return error_errno(err, "%s", delta->path);
	if (!group_parse(&cursor->group, entry, cursor->stored,
			 delta_base_pages(delta) * FORMAT_PAGE, &what))
		return error_set(err, "%s: the group at byte %llu, page %llu: %s", delta->path,
				 (unsigned long long)entry->offset,
				 (unsigned long long)entry->first, what.text);
	cursor->at = at;
	return true;
}

void delta_cursor_free(struct delta_cursor *cursor)
{
	group_free(&cursor->group);
	free(cursor->stored);
	*cursor = (struct delta_cursor){ .at = GROUP_NONE };
}
