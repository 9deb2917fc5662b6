// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delta images that are written: see delta.h.
 */
#include "delta.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "io.h"

static bool put(struct delta_writer *writer, const void *from, size_t bytes, struct error *err)
{
	if (!write_all(writer->output->file, from, bytes, writer->offset))
		return error_errno(err, "writing %s", writer->output->path);
	writer->offset += bytes;
	return true;
}

bool delta_begin(struct delta_writer *writer, const struct output *output, uint64_t base_size,
		 uint64_t size, uint64_t features, struct error *err)
{
	*writer = (struct delta_writer){
		.output = output,
		.header = {
			.magic = { 'x', 'b', 'z', 'i', 'm', 'g', '\r', '\n' },
			.version = htole32(FORMAT_VERSION),
			.page_size = htole32(FORMAT_PAGE),
			.features = htole64(features),
			.base_size = htole64(base_size),
			.size = htole64(size),
		},
	};
	return put(writer, &writer->header, sizeof(writer->header), err);
}

bool delta_put(struct delta_writer *writer, const struct groups *groups, struct error *err)
{
	size_t i, room = writer->count + groups->count;
	struct format_entry *more;

	if (room > writer->room) {
		room += writer->room;
		more = realloc(writer->entries, room * sizeof(*more));
		if (!more)
			return error_errno(err, "memory for the index");
		writer->entries = more;
		writer->room = room;
	}
	for (i = 0; i < groups->count; i++) {
		const struct format_entry *entry = &groups->entries[i];

		writer->entries[writer->count++] = (struct format_entry){
			.offset = htole64(writer->offset + entry->offset),
			.first = htole64(entry->first),
			.pages = htole32(entry->pages),
			.stored = htole32(entry->stored),
			.bytes = htole32(entry->bytes),
			.records = htole32(entry->records),
			.sum = htole64(entry->sum),
		};
	}
	return put(writer, groups->bytes, groups->length, err);
}

bool delta_finish(struct delta_writer *writer, uint64_t base_sum, uint64_t image_sum,
		  struct error *err)
{
	size_t bytes = writer->count * sizeof(*writer->entries);
	struct format_trailer trailer = {
		.index = htole64(writer->offset),
		.groups = htole64(writer->count),
		.index_sum = htole64(XXH3_64bits(writer->entries, bytes)),
		.base_sum = htole64(base_sum),
		.image_sum = htole64(image_sum),
	};
	unsigned char both[sizeof(writer->header) + offsetof(struct format_trailer, sum)];

	memcpy(trailer.magic, FORMAT_MAGIC, sizeof(trailer.magic));
	memcpy(both, &writer->header, sizeof(writer->header));
	memcpy(both + sizeof(writer->header), &trailer, offsetof(struct format_trailer, sum));
	trailer.sum = htole64(XXH3_64bits(both, sizeof(both)));
	return put(writer, writer->entries, bytes, err) &&
	       put(writer, &trailer, sizeof(trailer), err);
}

void delta_writer_free(struct delta_writer *writer)
{
	free(writer->entries);
	*writer = (struct delta_writer){ };
}
