// SPDX-License-Identifier: GPL-2.0-only
/*
 * Our side: what ENCODE does with a page that is in the cache, but for the log,
 * the bitmap and the kernel: look the page up, make its record in a ring,
 * bring the copy up to date. Codec and records are the module's own files; the
 * ring and the cache's index are like the module's. The consumer takes a batch
 * as soon as it is there.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xbzrle/codec.h>

#include "core/record.h"
#include "core/ring.h"

/* The patched QEMU's bound of a batch. */
#define BATCH_BYTES (64 << 10)
/* The longest record: a header with a name of 255 bytes, and a page. */
#define RECORD_MAX (XBZ_HEAD_CONT + 1 + 255 + PAGE_BYTES)
/* The low bit of an index entry; see kmod/cache.c. */
#define ENTRY_USED 1UL

struct ours {
	const struct page_set *set;
	const char *variant;
	struct sink *sink;
	struct xbz_block block;
	unsigned long *entries;
	u8 *copies;
	u8 *snapshot;
	u8 *ring;
	u64 size;
	u64 pos;
	u64 seen;
	u64 batch;
	u64 batch_max;
};

/* Mapped twice in a row, so that what wraps is contiguous. */
static u8 *ring_map(size_t size)
{
	int fd = memfd_create("xbz-bench-ring", MFD_CLOEXEC);
	u8 *p;

	if (fd < 0 || ftruncate(fd, size))
		die("no memory for a ring");
	p = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED ||
	    mmap(p, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
		    MAP_FAILED ||
	    mmap(p + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
		    MAP_FAILED)
		die("no memory for a ring");
	close(fd);
	memset(p, 0, size);
	return p;
}

static void end_batch(struct ours *o)
{
	if (o->batch && o->sink->take)
		o->sink->take(o->sink->opaque, o->ring + xbz_ring_offset(o->pos, o->size),
			      o->batch);
	o->pos += o->batch;
	o->seen = o->pos;
	o->batch = 0;
}

static void prepare(void *state)
{
	struct ours *o = state;

	if (xbz_codec_select(o->variant))
		die("the variant %s has gone", o->variant);
}

static void restore(void *state, size_t first, size_t nr)
{
	struct ours *o = state;
	size_t i;

	memcpy(o->copies + first * PAGE_BYTES, o->set->old + first * PAGE_BYTES,
	       nr * PAGE_BYTES);
	for (i = first; i < first + nr; i++)
		o->entries[i] = (unsigned long)(o->copies + i * PAGE_BYTES);
}

static void touch(void *state, size_t first, size_t nr,
		  void (*visit)(const void *p, size_t len))
{
	struct ours *o = state;

	visit(o->copies + first * PAGE_BYTES, nr * PAGE_BYTES);
	visit(o->set->cur + first * PAGE_BYTES, nr * PAGE_BYTES);
}

static __always_inline void record(struct ours *o, size_t page, const u8 *content)
{
	unsigned long *entry = &o->entries[page];
	struct xbz_record rec = {
		.block = &o->block,
		.offset = (u64)page * PAGE_BYTES,
		.snapshot = content,
		.known = XBZ_KNOWN_NOTHING,
	};
	u64 room;

	if (o->batch >= o->batch_max)
		end_batch(o);
	if (!xbz_ring_room(o->pos + o->batch, o->seen, o->seen, o->size, &room) ||
	    room < RECORD_MAX)
		die("the ring is full");

	if (*entry) {
		*entry |= ENTRY_USED;
		rec.known = XBZ_KNOWN_COPY;
		rec.copy = (void *)(*entry & ~ENTRY_USED);
	}
	rec.cont = o->batch;
	rec.cont_whole = o->batch;
	o->batch += xbz_record_page(o->ring + xbz_ring_offset(o->pos + o->batch, o->size),
				    &rec);
	if (rec.known != XBZ_KNOWN_COPY)
		*entry = 0;
}

static void run(void *state, size_t first, size_t nr)
{
	struct ours *o = state;
	size_t i;

	for (i = first; i < first + nr; i++)
		record(o, i, o->set->cur + i * PAGE_BYTES);
}

static void run_snapshot(void *state, size_t first, size_t nr)
{
	struct ours *o = state;
	size_t i;

	for (i = first; i < first + nr; i++) {
		memcpy(o->snapshot, o->set->cur + i * PAGE_BYTES, PAGE_BYTES);
		record(o, i, o->snapshot);
	}
}

static void finish(void *state)
{
	end_batch(state);
}

/**
 * ours_add() - the encoder, by one of its variants
 * @c: receives it
 * @set: the pages
 * @variant: "portable", "avx2", "avx512"
 * @snapshot: copy a page before it is encoded, as the module does; without it
 *	the page itself is what the encoder reads once
 * @ring_bytes: size of the ring
 * @sink: gets the batches
 *
 * Return: false if there is no such variant, or this processor cannot run it.
 */
bool ours_add(struct contender *c, const struct page_set *set, const char *variant,
	      bool snapshot, size_t ring_bytes, struct sink *sink)
{
	struct ours *o;

	if (xbz_codec_select(variant))
		return false;
	o = calloc(1, sizeof(*o));
	if (!o)
		die("no memory");
	o->set = set;
	o->variant = variant;
	o->sink = sink;
	o->block.name = "pc.ram";
	o->block.len = strlen(o->block.name);
	o->copies = pages_alloc(set->nr);
	o->entries = calloc(set->nr, sizeof(*o->entries));
	o->snapshot = pages_alloc(1);
	o->size = ring_bytes;
	o->ring = ring_map(ring_bytes);
	o->batch_max = ring_bytes / 2 < BATCH_BYTES ? ring_bytes / 2 : BATCH_BYTES;
	if (!o->entries)
		die("no memory");

	*c = (struct contender){
		.kind = snapshot ? "encode-snapshot" : "encode",
		.state = o,
		.prepare = prepare,
		.restore = restore,
		.touch = touch,
		.run = snapshot ? run_snapshot : run,
		.finish = finish,
	};
	snprintf(c->name, sizeof(c->name), "%s", variant);
	return true;
}
