// SPDX-License-Identifier: GPL-2.0-only
/* Reads a trace, and measures each of its pages by the code of lib/ itself. */
#include "trace.h"
#include "bench.h"

#include <fcntl.h>
#include <lz4.h>
#include <zstd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPAN_ZERO, SPAN_DATA, PAGE_ZERO, PAGE_DATA };

struct head {
	char magic[8];
	u32 version;
	u32 passes;
	u64 pages;
	u64 records;
};

struct record {
	u32 pass;
	u32 what;
	u64 page;
	u64 count;
};

/* The bytes of a page's record; the rest of its batch is of the same block. */
static u32 measure(const u8 *snapshot, const u8 *old, enum xbz_known known,
		   enum xbz_kind *kind)
{
	static const struct xbz_block block = { .len = 1, .name = "m" };
	static u8 out[2 * PAGE_BYTES], copy[PAGE_BYTES];
	struct xbz_record rec = {
		.block = &block,
		.cont = true,
		.cont_whole = true,
		.snapshot = snapshot,
		.copy = copy,
		.known = known,
	};
	size_t len;

	if (old)
		memcpy(copy, old, PAGE_BYTES);
	len = xbz_record_page(out, &rec);
	*kind = rec.kind;
	return len;
}

static void measure_packed(struct event *e)
{
	static ZSTD_CCtx *zstd;
	static char packed[2 * PAGE_BYTES];

	if (!zstd)
		zstd = ZSTD_createCCtx();
	e->packed[PACKER_LZ4] = LZ4_compress_default((const char *)e->content, packed,
						     PAGE_BYTES, sizeof(packed));
	e->packed[PACKER_ZSTD] = ZSTD_compressCCtx(zstd, packed, sizeof(packed),
						   e->content, PAGE_BYTES, 1);
}

static void measure_event(struct event *e, const struct event *before)
{
	static const u8 zero[PAGE_BYTES];
	const u8 *content = e->zero ? zero : e->content;

	e->plain = measure(content, NULL, XBZ_KNOWN_NOTHING, &e->plain_kind);
	if (!e->zero)
		measure_packed(e);
	if (!before)
		return;
	if (before->zero)
		e->delta = measure(content, NULL, XBZ_KNOWN_ZERO, &e->delta_kind);
	else
		e->delta = measure(content, before->content, XBZ_KNOWN_COPY,
				   &e->delta_kind);
}

static struct event *event_add(struct trace *t, size_t *room, u32 pass, u32 page)
{
	struct event *e;

	if (t->nr == *room) {
		*room = 2 * *room + 1024;
		t->events = realloc(t->events, *room * sizeof(*t->events));
		if (!t->events)
			die("no memory");
	}
	e = &t->events[t->nr++];
	memset(e, 0, sizeof(*e));
	e->pass = pass;
	e->page = page;
	e->next = NO_EVENT;
	return e;
}

/* Contents are kept as the difference to what the page held before. */
static const u8 *page_read(const u8 *from, const u8 *before)
{
	u8 *page = malloc(PAGE_BYTES);
	unsigned int i;

	if (!page)
		die("no memory");
	for (i = 0; i < PAGE_BYTES; i += 8)
		xbz_store64(page + i, xbz_load64(from + i) ^
				      (before ? xbz_load64(before + i) : 0));
	return page;
}

static const u8 *map_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	const u8 *p;

	if (fd < 0 || fstat(fd, &st))
		die("%s: cannot be opened", path);
	p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die("%s: cannot be read", path);
	close(fd);
	*len = st.st_size;
	return p;
}

static void read_records(struct trace *t, const u8 *p, const u8 *end, u64 records,
			 const char *path)
{
	u32 *last = malloc(t->pages * sizeof(*last));
	size_t room = 0;
	struct record r;
	struct event *e;
	u64 i, k;

	memset(last, 0xff, t->pages * sizeof(*last));
	for (i = 0; i < records; i++) {
		if ((size_t)(end - p) < sizeof(r))
			die("%s: ends early", path);
		memcpy(&r, p, sizeof(r));
		p += sizeof(r);
		if (r.page >= t->pages || r.count > t->pages - r.page)
			die("%s: has a page outside the guest", path);
		if (r.what == SPAN_ZERO || r.what == SPAN_DATA) {
			for (k = 0; k < r.count; k++) {
				e = event_add(t, &room, r.pass, r.page + k);
				e->zero = r.what == SPAN_ZERO;
				e->plain = 8 + (e->zero ? 1 : PAGE_BYTES);
				e->plain_kind = e->zero ? XBZ_SENT_ZERO : XBZ_SENT_RAW;
			}
			continue;
		}
		e = event_add(t, &room, r.pass, r.page);
		e->zero = r.what == PAGE_ZERO;
		if (!e->zero) {
			u32 before = last[r.page];

			if ((size_t)(end - p) < PAGE_BYTES)
				die("%s: ends early", path);
			e->content = page_read(p, before == NO_EVENT ? NULL :
					       t->events[before].content);
			p += PAGE_BYTES;
		}
		if (last[r.page] != NO_EVENT)
			t->events[last[r.page]].next = t->nr - 1;
		else if (r.pass == 1)
			t->ever++;
		last[r.page] = t->nr - 1;
	}
	free(last);
}

/**
 * trace_load() - read a trace and measure its pages
 * @t: receives it
 * @path: the file
 *
 * Does not return if it cannot be read.
 */
void trace_load(struct trace *t, const char *path)
{
	u32 *before, i, k, packed = 0;
	u64 sums[PACKERS] = { 0 };
	struct head head;
	const u8 *p;
	size_t len;

	memset(t, 0, sizeof(*t));
	p = map_file(path, &len);
	if (len < sizeof(head))
		die("%s: is no trace", path);
	memcpy(&head, p, sizeof(head));
	if (memcmp(head.magic, "xbztrace", 8) || head.version != 1)
		die("%s: is no trace of version 1", path);
	t->passes = head.passes;
	t->pages = head.pages;
	read_records(t, p + sizeof(head), p + len, head.records, path);
	munmap((void *)p, len);

	before = malloc(t->nr * sizeof(*before));
	memset(before, 0xff, t->nr * sizeof(*before));
	for (i = 0; i < t->nr; i++)
		if (t->events[i].next != NO_EVENT)
			before[t->events[i].next] = i;
	for (i = 0; i < t->nr; i++) {
		struct event *e = &t->events[i];

		if (e->pass == 1)
			t->second = i + 1;
		if (!e->content && !e->zero)
			continue;
		measure_event(e, before[i] == NO_EVENT ? NULL : &t->events[before[i]]);
		packed += !e->zero;
		for (k = 0; k < PACKERS; k++)
			sums[k] += e->packed[k];
	}
	/* Of pages without a content the packed copy is like the others'. */
	for (i = 0; i < t->nr; i++)
		for (k = 0; k < PACKERS && packed; k++)
			if (!t->events[i].zero && !t->events[i].content)
				t->events[i].packed[k] = sums[k] / packed;
	free(before);
}
