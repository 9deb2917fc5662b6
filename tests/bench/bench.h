/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the bench's files have in common: the set of pages, the contenders, the
 * sink of a stream. QEMU's side is behind qemu/side.h, so that none of QEMU's
 * headers is seen here.
 */
#ifndef XBZ_BENCH_H
#define XBZ_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "codec/freestanding.h"
#include "qemu/side.h"

#define PAGE_BYTES 4096

/**
 * struct page_set - pages before and after somebody wrote to them
 * @nr: how many
 * @old: what was sent last, @nr pages in a row
 * @cur: what the guest's memory holds now, @nr pages in a row
 */
struct page_set {
	size_t nr;
	u8 *old;
	u8 *cur;
};

/**
 * pages_alloc() - memory as a guest has it: huge pages where there are any
 * @nr: pages; 0 is taken for 1
 *
 * Return: zeroed memory; does not return if there is none.
 */
u8 *pages_alloc(size_t nr);

/**
 * pages_make() - a synthetic set; the same pages each time
 * @set: receives it
 * @workload: "w0" to "w6"
 * @nr: pages
 *
 * Return: false if there is no such workload.
 */
bool pages_make(struct page_set *set, const char *workload, size_t nr);

/**
 * pages_load() - a set from a file of (old page, new page) pairs
 * @set: receives it
 * @path: the file
 *
 * Does not return if the file cannot be read or is not made of pairs.
 */
void pages_load(struct page_set *set, const char *path);

/**
 * struct contender - one thing to be timed
 * @kind: "memcpy", "limit", "encode", "encode-snapshot", "qemu-encode",
 *	"decode", "qemu-decode"
 * @name: which one of its kind
 * @payload: decoders: whose payloads; else NULL
 * @state: its own
 * @prepare: called before a pass over the pages; not timed; may be NULL
 * @restore: make pages @first to @first + @nr - 1 ready for another run; not
 *	timed
 * @touch: call @visit with all memory that running these pages reads or
 *	writes, but for its small buffers
 * @run: the work; timed
 * @finish: let the sink have what is still in buffers; not timed; may be NULL
 */
struct contender {
	const char *kind;
	char name[64];
	const char *payload;
	void *state;
	void (*prepare)(void *state);
	void (*restore)(void *state, size_t first, size_t nr);
	void (*touch)(void *state, size_t first, size_t nr,
		      void (*visit)(const void *p, size_t len));
	void (*run)(void *state, size_t first, size_t nr);
	void (*finish)(void *state);
};

/* ours.c: the module's way of a page, in user space. */
bool ours_add(struct contender *c, const struct page_set *set, const char *variant,
	      bool snapshot, size_t ring_bytes, struct sink *sink);

/* theirs.c: QEMU's. */
const struct qemu_side *theirs_load(const char *path);
void theirs_add(struct contender *c, const struct page_set *set,
		const struct qemu_side *side, unsigned int encoder, struct sink *sink);

/* plain.c: what memory allows. */
void memcpy_add(struct contender *c, const struct page_set *set);
void limit_add(struct contender *c, const struct page_set *set);

/**
 * struct stream - a stream that was taken apart
 * @len: for each page the bytes of its delta's payload, or 0
 * @at: for each page where in @bytes the payload lies
 * @bytes: payloads in a row
 * @used: bytes in @bytes
 * @records: bytes of all records
 * @payload: bytes of all payloads; 4096 for a raw page, 1 for a zero page
 * @raw: raw pages
 * @zero: zero pages
 * @deltas: deltas
 */
struct stream {
	u16 *len;
	size_t *at;
	u8 *bytes;
	size_t used;
	size_t records;
	size_t payload;
	size_t raw;
	size_t zero;
	size_t deltas;
};

/**
 * stream_check() - see what a contender sends, and that it is right
 * @s: receives its stream, taken apart
 * @c: an encoder of either side
 * @set: its pages
 * @sink: the sink that it was made with
 *
 * Applies the records to the old pages; does not return if that does not give
 * the new ones.
 */
void stream_check(struct stream *s, const struct contender *c,
		  const struct page_set *set, struct sink *sink);
void stream_free(struct stream *s);

/* decode.c: decoders of both sides, over pages that are deltas for both. */
struct decode_set;
struct decode_set *decode_set_make(const struct page_set *set, const struct stream *s,
				   const struct stream *other);
void decode_add(struct contender *c, struct decode_set *set, const struct stream *s,
		const char *payload, const struct qemu_side *side);
size_t decode_pages(const struct decode_set *set);

/* timing.c */
/* PLACE_DRAM_WALL: the same by the wall's clock, as User Mode Linux has no finer. */
enum place { PLACE_DRAM, PLACE_DRAM_WALL, PLACE_L2 };

/**
 * time_pass() - run a contender over pages, in groups
 * @c: the contender
 * @nr: pages
 * @place: where the pages are when a group's clock starts
 * @group: pages in a group, with PLACE_L2
 *
 * Return: nanoseconds that its work took.
 */
u64 time_pass(const struct contender *c, size_t nr, enum place place, size_t group);
size_t time_l2_group(void);
u64 time_now(enum place place);

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif /* XBZ_BENCH_H */
