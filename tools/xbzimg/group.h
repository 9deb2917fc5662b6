/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Groups: records are collected into one, compressed and summed; and one that was
 * read is decompressed, checked and its records found and applied. Where groups are
 * in a file is the concern of delta_read.c and delta_write.c.
 */
#ifndef XBZIMG_GROUP_H
#define XBZIMG_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "format.h"

/**
 * struct groups - finished groups, one after the other, as they go to the file
 * @entries: the index's entry of each, by the host's byte order, with offsets into @bytes
 * @count: how many
 * @bytes: all of them
 * @length: of @bytes
 * @entries_room: so many entries are allocated
 * @bytes_room: so many bytes are allocated
 */
struct groups {
	struct format_entry *entries;
	size_t count;
	uint8_t *bytes;
	size_t length;
	size_t entries_room;
	size_t bytes_room;
};

void groups_clear(struct groups *groups);
void groups_free(struct groups *groups);

struct group_builder;

/**
 * group_builder_new() - prepare to collect records
 * @level: of zstd, 0 for none
 * @err: says why it failed
 *
 * Return: the builder, or NULL.
 */
struct group_builder *group_builder_new(int level, struct error *err);
void group_builder_free(struct group_builder *builder);

/**
 * struct record - a record of a group
 * @page: number of its first page
 * @pages: how many pages it is about: 1, or a run of zero pages
 * @kind: of the record
 * @length: of the content
 * @content: of the record
 * @copies: in the content, for %FORMAT_COPIES
 * @literals: bytes that are not copied, the same
 * @literal_count: how many
 * @sum: lower bits of the sum of the page that it gives, if record_has_sum()
 */
struct record {
	uint64_t page;
	uint32_t pages;
	enum format_kind kind;
	uint32_t length;
	const uint8_t *content;
	uint32_t copies;
	const uint8_t *literals;
	uint32_t literal_count;
	uint32_t sum;
};

/* Whether what it gives depends on the base. */
static inline bool record_has_sum(enum format_kind kind)
{
	return kind == FORMAT_DELTA || kind == FORMAT_COPIES;
}

/**
 * group_add() - add a record of one page
 * @builder: collects it
 * @groups: gets the group that is full, if the record does not fit
 * @record: of a page beyond those of all records so far
 * @err: says why it failed
 *
 * Return: false if memory or zstd fails.
 */
bool group_add(struct group_builder *builder, struct groups *groups,
	       const struct record *record, struct error *err);

/**
 * group_close() - finish the group, if there is a record in it
 * @builder: is empty afterwards
 * @groups: gets the group
 * @err: says why it failed
 *
 * Return: false if memory or zstd fails.
 */
bool group_close(struct group_builder *builder, struct groups *groups, struct error *err);

/**
 * struct group - a group that was read and found to be sound
 * @records: in the order of their pages
 * @count: how many
 * @room: so many records are allocated, and used again for the next group
 * @bytes: of the group, decompressed
 * @zstd: decompresses it
 */
struct group {
	struct record *records;
	uint32_t count;
	size_t room;
	uint8_t *bytes;
	void *zstd;
};

void group_free(struct group *group);

/**
 * group_parse() - decompress a group and check all that can be without its base
 * @group: receives it
 * @entry: of the index, found to be sound as far as that goes without the group
 * @stored: its bytes
 * @base: bytes of the base's pages
 * @err: says what is wrong with it
 *
 * Return: false if it is not sound.
 */
bool group_parse(struct group *group, const struct format_entry *entry, const void *stored,
		 uint64_t base, struct error *err);

/**
 * group_find() - the first record that ends behind a page's beginning
 * @group: with records
 * @page: number
 *
 * Return: its index in @group->records, or @group->count.
 */
uint32_t group_find(const struct group *group, uint64_t page);

/**
 * struct source - how base and image are read for %FORMAT_COPIES
 * @read: @length bytes, up to a page, from byte @from on
 * @arg: for it
 */
struct source {
	bool (*read)(void *arg, void *to, uint64_t from, unsigned int length, struct error *err);
	void *arg;
};

/**
 * record_apply() - make the page of the base that of the image
 * @record: of a group that is sound
 * @page: its content
 * @source: the base
 * @err: says why not
 *
 * What the page is afterwards depends on the base: see record_check().
 *
 * Return: false if the base cannot be read.
 */
bool record_apply(const struct record *record, void *page, const struct source *source,
		  struct error *err);

/**
 * record_check() - whether a page is what the record is to give
 * @record: that was applied
 * @page: its content
 * @err: says that it is the wrong base
 *
 * Return: false if it is not.
 */
bool record_check(const struct record *record, const void *page, struct error *err);

#endif /* XBZIMG_GROUP_H */
