/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the sums of a delta image right again after somebody changed it, so that what they
 * do not guard against is tried, too.
 */
#ifndef XBZ_RESEAL_H
#define XBZ_RESEAL_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#include "../../tools/xbzimg/format.h"

static inline void reseal_groups(uint8_t *file, size_t length, size_t index, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		uint8_t *at = file + index + i * sizeof(struct format_entry);
		struct format_entry entry;
		uint64_t offset;

		memcpy(&entry, at, sizeof(entry));
		offset = le64toh(entry.offset);
		if (offset > length || le32toh(entry.stored) > length - offset)
			continue;
		entry.sum = htole64(XXH3_64bits(file + offset, le32toh(entry.stored)));
		memcpy(at, &entry, sizeof(entry));
	}
}

static inline void reseal(uint8_t *file, size_t length)
{
	const size_t header = sizeof(struct format_header);
	unsigned char both[sizeof(struct format_header) + offsetof(struct format_trailer, sum)];
	struct format_trailer trailer;
	size_t at, index;

	if (length < header + sizeof(trailer))
		return;
	at = length - sizeof(trailer);
	memcpy(&trailer, file + at, sizeof(trailer));
	memcpy(trailer.magic, FORMAT_MAGIC, sizeof(trailer.magic));
	index = le64toh(trailer.index) <= at ? le64toh(trailer.index) : at;
	reseal_groups(file, length, index, (at - index) / sizeof(struct format_entry));
	trailer.index_sum = htole64(XXH3_64bits(file + index, at - index));
	memcpy(both, file, header);
	memcpy(both + header, &trailer, offsetof(struct format_trailer, sum));
	trailer.sum = htole64(XXH3_64bits(both, sizeof(both)));
	memcpy(file + at, &trailer, sizeof(trailer));
}

#endif /* XBZ_RESEAL_H */
