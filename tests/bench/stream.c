// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes the streams of both sides apart, which have one format, and sees that
 * they turn the old pages into the new ones. Not timed. Whoever sent something
 * wrong has no time worth measuring.
 */
#include "bench.h"

#include <stdlib.h>

#include <xbzrle/codec.h>

#include "core/record.h"

struct reader {
	const u8 *p;
	const u8 *end;
	const char *who;
};

struct collected {
	u8 *bytes;
	size_t used;
	size_t room;
};

static void collect(void *opaque, const void *p, size_t len)
{
	struct collected *c = opaque;

	if (c->used + len > c->room) {
		c->room = 2 * (c->used + len);
		c->bytes = realloc(c->bytes, c->room);
		if (!c->bytes)
			die("no memory for a stream");
	}
	memcpy(c->bytes + c->used, p, len);
	c->used += len;
}

static const u8 *take(struct reader *r, size_t len)
{
	const u8 *p = r->p;

	if (len > (size_t)(r->end - p))
		die("%s: the stream ends inside a record", r->who);
	r->p += len;
	return p;
}

static u64 take_be(struct reader *r, size_t len)
{
	const u8 *p = take(r, len);
	u64 v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

static void apply(struct stream *s, struct reader *r, const struct page_set *set,
		  u8 *pages)
{
	u64 word = take_be(r, 8);
	u64 page = word / PAGE_BYTES;
	unsigned int flags = word % PAGE_BYTES;
	size_t len;
	u8 *to;

	if (page >= set->nr)
		die("%s: there is no such page", r->who);
	to = pages + page * PAGE_BYTES;
	if (!(flags & XBZ_FLAG_CONTINUE))
		take(r, take_be(r, 1));

	switch (flags & ~XBZ_FLAG_CONTINUE) {
	case XBZ_FLAG_ZERO:
		memset(to, take_be(r, 1), PAGE_BYTES);
		s->zero++;
		s->payload++;
		break;
	case XBZ_FLAG_PAGE:
		memcpy(to, take(r, PAGE_BYTES), PAGE_BYTES);
		s->raw++;
		s->payload += PAGE_BYTES;
		break;
	case XBZ_FLAG_XBZRLE:
		if (take_be(r, 1) != XBZ_DELTA_ENCODING)
			die("%s: no delta", r->who);
		len = take_be(r, 2);
		s->at[page] = s->used;
		s->len[page] = len;
		memcpy(s->bytes + s->used, take(r, len), len);
		if (xbz_decode(to, s->bytes + s->used, len) < 0)
			die("%s: a delta that cannot be decoded", r->who);
		s->used += len;
		s->payload += len;
		s->deltas++;
		break;
	default:
		die("%s: there is no such record", r->who);
	}
}

void stream_check(struct stream *s, const struct contender *c,
		  const struct page_set *set, struct sink *sink)
{
	struct collected collected = { .bytes = NULL };
	struct reader r = { .who = c->name };
	u8 *pages = malloc(set->nr * PAGE_BYTES);

	if (c->prepare)
		c->prepare(c->state);
	c->restore(c->state, 0, set->nr);
	*sink = (struct sink){ collect, &collected };
	c->run(c->state, 0, set->nr);
	c->finish(c->state);
	*sink = (struct sink){ .take = NULL };

	*s = (struct stream){
		.len = calloc(set->nr, sizeof(*s->len)),
		.at = calloc(set->nr, sizeof(*s->at)),
		.bytes = malloc(collected.used + 1),
		.records = collected.used,
	};
	if (!pages || !s->len || !s->at || !s->bytes)
		die("no memory for a stream");
	memcpy(pages, set->old, set->nr * PAGE_BYTES);
	r.p = collected.bytes;
	r.end = r.p + collected.used;
	while (r.p != r.end)
		apply(s, &r, set, pages);
	if (memcmp(pages, set->cur, set->nr * PAGE_BYTES))
		die("%s: its stream does not give the new pages", c->name);
	free(pages);
	free(collected.bytes);
}

void stream_free(struct stream *s)
{
	free(s->len);
	free(s->at);
	free(s->bytes);
}
