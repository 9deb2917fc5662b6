/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A delta image as it is in the file: Documentation/delta-image.rst. All numbers
 * are little endian; what reads and writes them is in delta_read.c, delta_write.c
 * and group.c.
 */
#ifndef XBZIMG_FORMAT_H
#define XBZIMG_FORMAT_H

#include <stdint.h>

#define FORMAT_MAGIC "xbzimg\r\n"
#define FORMAT_VERSION 2
#define FORMAT_PAGE 4096

/* Features without which a file cannot be read. */
#define FORMAT_ZSTD (1ULL << 0)
#define FORMAT_SUMS (1ULL << 1)
#define FORMAT_KNOWN (FORMAT_ZSTD | FORMAT_SUMS)

#define FORMAT_SIZE_MAX (1ULL << 60)
#define FORMAT_GROUP_BYTES (1U << 17)
#define FORMAT_GROUP_PAGES 65536U

struct format_header {
	char magic[8];
	uint32_t version;
	uint32_t page_size;
	uint64_t features;
	uint64_t optional;
	uint64_t base_size;
	uint64_t size;
	uint64_t reserved[2];
};

struct format_entry {
	uint64_t offset;
	uint64_t first;
	uint32_t pages;
	uint32_t stored;
	uint32_t bytes;
	uint32_t records;
	uint64_t sum;
};

struct format_trailer {
	uint64_t index;
	uint64_t groups;
	uint64_t index_sum;
	uint64_t base_sum;
	uint64_t image_sum;
	uint64_t reserved;
	uint64_t sum;
	char magic[8];
};

_Static_assert(sizeof(struct format_header) == 64, "header");
_Static_assert(sizeof(struct format_entry) == 40, "entry of the index");
_Static_assert(sizeof(struct format_trailer) == 64, "trailer");

/* A record's kind in the upper 3 bits of 16, its length in the others. */
enum format_kind {
	FORMAT_RAW,
	FORMAT_ZERO,
	FORMAT_DELTA,
	FORMAT_DELTA_ZERO,
	FORMAT_COPIES,
};

#define FORMAT_KINDS (FORMAT_COPIES + 1)

#define FORMAT_KIND_SHIFT 13
#define FORMAT_LENGTH_MASK ((1U << FORMAT_KIND_SHIFT) - 1)
#define FORMAT_ZERO_RUN (FORMAT_LENGTH_MASK + 1)
/* 2048 runs of a byte each: a merged delta. */
#define FORMAT_DELTA_MAX 6144
#define FORMAT_DELTA_ZERO_MAX 4092

#endif /* XBZIMG_FORMAT_H */
