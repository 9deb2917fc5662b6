// SPDX-License-Identifier: GPL-2.0-only
/*
 * The destination's reader: see stream.h. Whatever a stock QEMU would choke on,
 * and whatever this project promises beyond that, is an error here:
 *
 *  - each batch begins with a full header and ends with a record's end,
 *  - a header has one kind and no flag that has no meaning here,
 *  - a page's records are no longer than its raw record,
 *  - all records of a chunk come from one queue.
 */
#include "stream.h"

#include <linux/xbzrle.h>
#include <xbzrle/codec.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FLAG_ZERO 0x02
#define FLAG_PAGE 0x08
#define FLAG_CONTINUE 0x20
#define FLAG_XBZRLE 0x40

/**
 * struct reader - reading one batch
 * @dest: where to
 * @queue: where from
 * @at: the next byte
 * @left: bytes from there
 * @block: the record's
 * @last: that of the record before, NULL at the start; the second is of whole
 *	records where these are apart
 * @head: bytes of the page's first header
 * @page: the page of the record
 * @applied: grows
 * @zero_before: the record before was a zero record, of @zero_page, and took
 *	@zero_bytes
 */
struct reader {
	struct xbzt_dest *dest;
	unsigned int queue;
	const uint8_t *at;
	size_t left;
	struct xbzt_block *block;
	struct xbzt_block *last[2];
	size_t head;
	uint64_t page;
	struct xbzt_applied *applied;
	bool zero_before;
	uint64_t zero_page;
	size_t zero_bytes;
};

__attribute__((format(printf, 2, 3)))
static int bad(struct reader *r, const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(r->dest->error, sizeof(r->dest->error),
		 "queue %u, %zu bytes before the batch's end: %s",
		 r->queue, r->left, text);
	return -1;
}

static const uint8_t *take(struct reader *r, size_t n)
{
	const uint8_t *at = r->at;

	if (n > r->left)
		return NULL;
	r->at += n;
	r->left -= n;
	return at;
}

static uint64_t be(const uint8_t *p, unsigned int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static struct xbzt_block *find_block(struct reader *r, const uint8_t *name,
				     size_t len)
{
	unsigned int i;

	for (i = 0; i < XBZT_DEST_BLOCKS; i++) {
		struct xbzt_block *block = r->dest->blocks[i];

		if (block && strlen(block->name) == len &&
		    !memcmp(block->name, name, len))
			return block;
	}
	return NULL;
}

static int read_name(struct reader *r)
{
	const uint8_t *len = take(r, 1);
	const uint8_t *name = len ? take(r, *len) : NULL;

	if (!name)
		return bad(r, "ends inside a block name");
	r->block = find_block(r, name, *len);
	if (!r->block)
		return bad(r, "no block %.*s", *len, (const char *)name);
	r->head += 1 + *len;
	return 0;
}

static int check_owner(struct reader *r)
{
	uint8_t *owner = &r->block->owner[r->page / XBZRLE_CHUNK_PAGES];

	if (!*owner)
		*owner = 1 + r->queue;
	if (*owner != 1 + r->queue)
		return bad(r, "page %llu of %s came from queue %u before",
			   (unsigned long long)r->page, r->block->name,
			   *owner - 1);
	return 0;
}

/* Reads a header and returns its kind, or -1. */
static int read_head(struct reader *r)
{
	const uint8_t *p = take(r, 8);
	struct xbzt_block **last;
	uint64_t word, flags;

	if (!p)
		return bad(r, "ends inside a header");
	word = be(p, 8);
	flags = word & (XBZRLE_PAGE_SIZE - 1);
	r->page = word >> XBZRLE_PAGE_SHIFT;
	r->head = 8;
	last = &r->last[r->dest->whole_apart && flags & FLAG_PAGE];
	r->block = *last;
	if (flags & FLAG_CONTINUE) {
		if (!r->block)
			return bad(r, "begins with a header that continues");
	} else if (read_name(r)) {
		return -1;
	}
	*last = r->block;
	if (r->page >= r->block->nr_pages)
		return bad(r, "no page %llu in %s",
			   (unsigned long long)r->page, r->block->name);
	if (check_owner(r))
		return -1;
	return flags & ~FLAG_CONTINUE;
}

static int read_zero(struct reader *r, uint8_t *page)
{
	const uint8_t *fill = take(r, 1);

	if (!fill || *fill)
		return bad(r, "a zero record without its zero");
	memset(page, 0, XBZRLE_PAGE_SIZE);
	return 0;
}

static int read_raw(struct reader *r, uint8_t *page)
{
	const uint8_t *data = take(r, XBZRLE_PAGE_SIZE);

	if (!data)
		return bad(r, "ends inside a raw page");
	memcpy(page, data, XBZRLE_PAGE_SIZE);
	return 0;
}

static int read_delta(struct reader *r, uint8_t *page)
{
	const uint8_t *head = take(r, 3);
	const uint8_t *payload;
	size_t len;

	if (!head)
		return bad(r, "ends inside a delta's header");
	if (head[0] != 1)
		return bad(r, "delta of encoding %u", head[0]);
	len = be(head + 1, 2);
	if (!len || len > XBZ_DELTA_MAX)
		return bad(r, "delta of %zu bytes", len);
	payload = take(r, len);
	if (!payload)
		return bad(r, "ends inside a delta");
	if (xbz_decode(page, payload, len) <= 0)
		return bad(r, "delta of %zu bytes does not decode", len);
	return 0;
}

static int account(struct reader *r, int kind, size_t bytes)
{
	struct xbzt_applied *a = r->applied;
	bool pair = kind == FLAG_XBZRLE && r->zero_before &&
		    r->zero_page == r->page;
	size_t first = pair ? r->zero_bytes : 0;
	/* The first header of the page decides how long its raw record was. */
	size_t raw = (pair ? first - 1 : r->head) + XBZRLE_PAGE_SIZE;

	if (kind != FLAG_PAGE && first + bytes >= raw)
		return bad(r, "%zu bytes for page %llu, raw it is %zu",
			   first + bytes, (unsigned long long)r->page, raw);

	switch (kind) {
	case FLAG_ZERO:
		a->pages_zero++;
		break;
	case FLAG_PAGE:
		a->pages_raw++;
		break;
	default:
		a->pages_delta++;
		a->zero_based += pair;
		a->pages_zero -= pair;
		a->bytes_delta += first + bytes;
	}
	r->zero_before = kind == FLAG_ZERO;
	r->zero_page = r->page;
	r->zero_bytes = bytes;
	return 0;
}

static int read_record(struct reader *r)
{
	struct xbzt_block *before = r->block;
	size_t left = r->left;
	int kind = read_head(r);
	uint8_t *page;
	int ret;

	if (kind < 0 || !r->block)
		return -1;
	if (before != r->block)
		r->zero_before = false;
	page = r->block->mem + r->page * XBZRLE_PAGE_SIZE;

	switch (kind) {
	case FLAG_ZERO:
		ret = read_zero(r, page);
		break;
	case FLAG_PAGE:
		ret = read_raw(r, page);
		break;
	case FLAG_XBZRLE:
		ret = read_delta(r, page);
		break;
	default:
		return bad(r, "flags 0x%x", kind);
	}
	return ret ? ret : account(r, kind, left - r->left);
}

int xbzt_dest_apply(struct xbzt_dest *dest, unsigned int queue,
		    const uint8_t *batch, size_t len,
		    struct xbzt_applied *applied)
{
	struct reader r = {
		.dest = dest,
		.queue = queue,
		.at = batch,
		.left = len,
		.applied = applied,
	};

	memset(applied, 0, sizeof(*applied));
	while (r.left)
		if (read_record(&r))
			return -1;
	return 0;
}
