// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chooses a page's record and writes it. The format is QEMU's (migration/ram.c,
 * ram_load_precopy reads it), so that a stock destination understands it.
 *
 * Whatever is chosen, the destination holds the snapshot after applying it, and
 * the state says so: that is the whole of the cache's correctness.
 */
#include "core/record.h"

#include <xbzrle/codec.h>

static size_t xbz_head_size(const struct xbz_block *block, bool cont)
{
	return cont ? XBZ_HEAD_CONT : XBZ_HEAD_CONT + 1 + block->len;
}

static u8 *xbz_put_head(u8 *p, const struct xbz_block *block, u64 offset,
			bool cont, unsigned int flag)
{
	xbz_put_be64(p, offset | flag | (cont ? XBZ_FLAG_CONTINUE : 0));
	p += XBZ_HEAD_CONT;
	if (cont)
		return p;
	*p++ = block->len;
	memcpy(p, block->name, block->len);
	return p + block->len;
}

static u8 *xbz_put_zero(u8 *p, const struct xbz_block *block, u64 offset,
			bool cont)
{
	p = xbz_put_head(p, block, offset, cont, XBZ_FLAG_ZERO);
	*p++ = 0;
	return p;
}

static u8 *xbz_put_raw(u8 *p, const struct xbz_block *block, u64 offset,
		       bool cont, const void *page)
{
	p = xbz_put_head(p, block, offset, cont, XBZ_FLAG_PAGE);
	memcpy(p, page, XBZ_PAGE_SIZE);
	return p + XBZ_PAGE_SIZE;
}

/* The payload is in place already, where the header's size puts it. */
static u8 *xbz_put_delta(u8 *p, const struct xbz_block *block, u64 offset,
			 bool cont, size_t len)
{
	p = xbz_put_head(p, block, offset, cont, XBZ_FLAG_XBZRLE);
	*p++ = XBZ_DELTA_ENCODING;
	xbz_put_be16(p, len);
	return p + 2 + len;
}

/* Nothing is copied, nor written to, if the page is its own snapshot. */
static int xbz_payload_zero_base(void *payload, size_t cap, const void *snapshot)
{
	return xbz_encode_zero_base(payload, cap, (void *)snapshot, snapshot);
}

/* A page of which a copy is held: the codec brings the copy up to date. */
static u8 *xbz_record_copy(u8 *p, const struct xbz_block *block, u64 offset,
			   bool cont, const void *snapshot,
			   struct xbz_page_state *state, enum xbz_kind *kind)
{
	u8 *payload = p + xbz_head_size(block, cont) + XBZ_DELTA_HEAD;
	int ret = xbz_encode(payload, XBZ_DELTA_MAX, state->copy, snapshot);

	switch (ret) {
	case XBZ_SAME:
		*kind = XBZ_SENT_SAME;
		return p;
	case XBZ_ZERO:
		*kind = XBZ_SENT_ZERO;
		state->known = XBZ_KNOWN_ZERO;
		return xbz_put_zero(p, block, offset, cont);
	case XBZ_RAW:
		*kind = XBZ_SENT_RAW;
		return xbz_put_raw(p, block, offset, cont, snapshot);
	default:
		*kind = XBZ_SENT_DELTA;
		return xbz_put_delta(p, block, offset, cont, ret);
	}
}

/* A page that is zero at the destination: a delta needs no copy. */
static u8 *xbz_record_known_zero(u8 *p, const struct xbz_block *block,
				 u64 offset, bool cont, const void *snapshot,
				 struct xbz_page_state *state,
				 enum xbz_kind *kind)
{
	u8 *payload = p + xbz_head_size(block, cont) + XBZ_DELTA_HEAD;
	int ret = xbz_payload_zero_base(payload, XBZ_DELTA_MAX, snapshot);

	if (ret == XBZ_ZERO) {
		*kind = XBZ_SENT_SAME;
		return p;
	}
	state->known = XBZ_KNOWN_NOTHING;
	if (ret == XBZ_RAW) {
		*kind = XBZ_SENT_RAW;
		return xbz_put_raw(p, block, offset, cont, snapshot);
	}
	*kind = XBZ_SENT_DELTA;
	return xbz_put_delta(p, block, offset, cont, ret);
}

/* A page of which nothing is known: made zero first where that is shorter. */
static u8 *xbz_record_unknown(u8 *p, const struct xbz_block *block, u64 offset,
			      bool cont, const void *snapshot,
			      struct xbz_page_state *state, enum xbz_kind *kind)
{
	u8 *payload = p + xbz_head_size(block, cont) + XBZ_ZERO_BODY +
		      XBZ_HEAD_CONT + XBZ_DELTA_HEAD;
	int ret = xbz_payload_zero_base(payload, XBZ_ZERO_BASE_PAYS, snapshot);

	if (ret == XBZ_ZERO) {
		*kind = XBZ_SENT_ZERO;
		state->known = XBZ_KNOWN_ZERO;
		return xbz_put_zero(p, block, offset, cont);
	}
	state->known = XBZ_KNOWN_NOTHING;
	if (ret == XBZ_RAW) {
		*kind = XBZ_SENT_RAW;
		return xbz_put_raw(p, block, offset, cont, snapshot);
	}
	*kind = XBZ_SENT_ZERO_BASED;
	p = xbz_put_zero(p, block, offset, cont);
	return xbz_put_delta(p, block, offset, true, ret);
}

/**
 * xbz_record_page() - write what brings the destination's page up to date
 * @out: room for the longest record: header, name and a page
 * @block: the page's block
 * @offset: the page's byte offset in the block, page aligned
 * @cont: whether the record before, in the same batch, was of this block
 * @snapshot: the page; private to the caller, nobody writes to it meanwhile
 * @state: what is known of the page at the destination; changed to what is
 *	known once the record has been applied
 * @kind: set to how the page was sent
 *
 * If @state->known is not %XBZ_KNOWN_COPY afterwards, the content of a copy
 * means nothing. If it is %XBZ_KNOWN_NOTHING, the destination holds @snapshot,
 * and whoever wants to remember the page copies that.
 *
 * Context: any; a few microseconds.
 * Return: bytes written, 0 for an unchanged page, never more than its raw
 * record.
 */
size_t xbz_record_page(void *out, const struct xbz_block *block, u64 offset,
		       bool cont, const void *snapshot,
		       struct xbz_page_state *state, enum xbz_kind *kind)
{
	u8 *end;

	if (state->known == XBZ_KNOWN_COPY)
		end = xbz_record_copy(out, block, offset, cont, snapshot, state,
				      kind);
	else if (state->known == XBZ_KNOWN_ZERO)
		end = xbz_record_known_zero(out, block, offset, cont, snapshot,
					    state, kind);
	else
		end = xbz_record_unknown(out, block, offset, cont, snapshot,
					 state, kind);
	return end - (u8 *)out;
}
