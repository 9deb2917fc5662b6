/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Delta images as files: one that is opened for reading, a cursor that reads groups of
 * it, and the front and the end of one that is written. What is in a group is in
 * group.h.
 */
#ifndef XBZIMG_DELTA_H
#define XBZIMG_DELTA_H

#include "group.h"
#include "output.h"
#include "page.h"

#define GROUP_NONE SIZE_MAX

/**
 * struct delta - a delta image that is read
 * @path: as it was named
 * @file: descriptor
 * @bytes: of the file
 * @features: of the header
 * @base_size: in bytes
 * @size: of the image, in bytes
 * @base_sum: of the base, if known
 * @image_sum: of the image, if known
 * @sum: of the whole file
 * @groups: the index, by the host's byte order
 * @count: of groups
 */
struct delta {
	char *path;
	int file;
	uint64_t bytes;
	uint64_t features;
	uint64_t base_size;
	uint64_t size;
	uint64_t base_sum;
	uint64_t image_sum;
	uint64_t sum;
	struct format_entry *groups;
	size_t count;
};

static inline bool delta_has_sums(const struct delta *delta)
{
	return delta->features & FORMAT_SUMS;
}

/**
 * delta_open() - open a delta image and check all of it but its groups
 * @delta: receives it; all of it may be garbage after an error
 * @path: of the file
 * @err: says what is wrong, with the path
 *
 * Return: false if it cannot be read or is not sound.
 */
bool delta_open(struct delta *delta, const char *path, struct error *err);
void delta_close(struct delta *delta);

/* Pages of the base, behind which copies have those of the image. */
static inline uint64_t delta_base_pages(const struct delta *delta)
{
	return pages_of(delta->base_size);
}

/**
 * delta_find() - the first group that ends behind a page's beginning
 * @delta: that is open
 * @page: number
 *
 * Return: its index in @delta->groups, or @delta->count.
 */
size_t delta_find(const struct delta *delta, uint64_t page);

/**
 * struct delta_cursor - where a thread reads in a delta image
 * @at: index of the group in @group, or %GROUP_NONE
 * @group: what was read last
 * @stored: memory for it as it is in the file
 *
 * Zero-initialized but for @at.
 */
struct delta_cursor {
	size_t at;
	struct group group;
	uint8_t *stored;
};

/**
 * delta_group() - read a group, unless it is the one that was read last
 * @delta: that is open; any number of threads may read it
 * @cursor: of this thread
 * @at: index of the group
 * @err: says what is wrong, with the path
 *
 * Return: false if it cannot be read or is not sound.
 */
bool delta_group(const struct delta *delta, struct delta_cursor *cursor, size_t at,
		 struct error *err);
void delta_cursor_free(struct delta_cursor *cursor);

/**
 * struct delta_writer - a delta image that is written
 * @output: file that it writes
 * @header: as it was written
 * @entries: the index so far, in the file's byte order
 * @count: of groups
 * @room: for so many entries
 * @offset: where the next group begins
 */
struct delta_writer {
	const struct output *output;
	struct format_header header;
	struct format_entry *entries;
	size_t count;
	size_t room;
	uint64_t offset;
};

/**
 * delta_begin() - write the header
 * @writer: to be used
 * @output: an empty file
 * @base_size: in bytes
 * @size: of the image, in bytes
 * @features: of the format
 * @err: says why it failed
 *
 * Return: false if it cannot be written.
 */
bool delta_begin(struct delta_writer *writer, const struct output *output, uint64_t base_size,
		 uint64_t size, uint64_t features, struct error *err);

/**
 * delta_put() - write groups
 * @writer: that has begun
 * @groups: beyond those that were written
 * @err: says why it failed
 *
 * Return: false if they cannot be written.
 */
bool delta_put(struct delta_writer *writer, const struct groups *groups, struct error *err);

/**
 * delta_finish() - write the index and the trailer
 * @writer: that has begun
 * @base_sum: of the base, 0 if not known
 * @image_sum: of the image, 0 if not known
 * @err: says why it failed
 *
 * Return: false if they cannot be written.
 */
bool delta_finish(struct delta_writer *writer, uint64_t base_sum, uint64_t image_sum,
		  struct error *err);
void delta_writer_free(struct delta_writer *writer);

#endif /* XBZIMG_DELTA_H */
