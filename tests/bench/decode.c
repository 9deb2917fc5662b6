// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decoders of both sides on payloads of both sides. Pages that one of them does
 * not send as a delta are left out, so that all decode the same pages.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include <xbzrle/codec.h>

/**
 * struct decode_set - pages to decode
 * @set: where they are from
 * @nr: how many
 * @page: their numbers in @set
 * @to: what is decoded into, in a row
 */
struct decode_set {
	const struct page_set *set;
	size_t nr;
	size_t *page;
	u8 *to;
};

struct decoder {
	struct decode_set *pages;
	const struct stream *stream;
	int (*qemu)(const void *in, size_t len, void *page);
};

struct decode_set *decode_set_make(const struct page_set *set, const struct stream *s,
				   const struct stream *other)
{
	struct decode_set *d = calloc(1, sizeof(*d));
	size_t i;

	if (!d)
		die("no memory");
	d->set = set;
	d->page = calloc(set->nr, sizeof(*d->page));
	if (!d->page)
		die("no memory");
	for (i = 0; i < set->nr; i++) {
		if (s->len[i] && other->len[i])
			d->page[d->nr++] = i;
	}
	d->to = pages_alloc(d->nr);
	return d;
}

size_t decode_pages(const struct decode_set *set)
{
	return set->nr;
}

static void restore(void *state, size_t first, size_t nr)
{
	const struct decode_set *d = ((struct decoder *)state)->pages;
	size_t i;

	for (i = first; i < first + nr; i++)
		memcpy(d->to + i * PAGE_BYTES, d->set->old + d->page[i] * PAGE_BYTES,
		       PAGE_BYTES);
}

static void touch(void *state, size_t first, size_t nr,
		  void (*visit)(const void *p, size_t len))
{
	const struct decoder *dec = state;
	const struct decode_set *d = dec->pages;
	size_t i;

	visit(d->to + first * PAGE_BYTES, nr * PAGE_BYTES);
	for (i = first; i < first + nr; i++)
		visit(dec->stream->bytes + dec->stream->at[d->page[i]],
		      dec->stream->len[d->page[i]]);
}

static void run(void *state, size_t first, size_t nr)
{
	const struct decoder *dec = state;
	const struct decode_set *d = dec->pages;
	const struct stream *s = dec->stream;
	size_t i;

	for (i = first; i < first + nr; i++)
		xbz_decode(d->to + i * PAGE_BYTES, s->bytes + s->at[d->page[i]],
			   s->len[d->page[i]]);
}

static void run_qemu(void *state, size_t first, size_t nr)
{
	const struct decoder *dec = state;
	const struct decode_set *d = dec->pages;
	const struct stream *s = dec->stream;
	size_t i;

	for (i = first; i < first + nr; i++)
		dec->qemu(s->bytes + s->at[d->page[i]], s->len[d->page[i]],
			  d->to + i * PAGE_BYTES);
}

/**
 * decode_add() - a decoder
 * @c: receives it
 * @set: the pages
 * @s: the payloads
 * @payload: whose they are
 * @side: whose decoder; NULL for ours
 *
 * Does not return if it does not give the new pages.
 */
void decode_add(struct contender *c, struct decode_set *set, const struct stream *s,
		const char *payload, const struct qemu_side *side)
{
	struct decoder *dec = calloc(1, sizeof(*dec));
	size_t i;

	if (!dec)
		die("no memory");
	dec->pages = set;
	dec->stream = s;
	dec->qemu = side ? side->decode : NULL;
	*c = (struct contender){
		.kind = side ? "qemu-decode" : "decode",
		.payload = payload,
		.state = dec,
		.restore = restore,
		.touch = touch,
		.run = side ? run_qemu : run,
	};
	snprintf(c->name, sizeof(c->name), "%s", side ? side->version : "xbzrle");

	restore(dec, 0, set->nr);
	c->run(dec, 0, set->nr);
	for (i = 0; i < set->nr; i++) {
		if (memcmp(set->to + i * PAGE_BYTES,
			   set->set->cur + set->page[i] * PAGE_BYTES, PAGE_BYTES))
			die("the decoder of %s does not give the new pages", c->name);
	}
}
