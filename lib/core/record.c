// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chooses a page's record and writes it. The format is QEMU's (migration/ram.c,
 * ram_load_precopy() reads it), so that a stock destination understands it.
 *
 * Whatever is chosen, the destination holds the snapshot after applying it, and
 * rec->known says so: the correctness of the cache rests on that alone.
 */
#include "core/record.h"

#include <xbzrle/codec.h>

/* Bytes that a whole page takes where it is compressed, besides what its own become. */
#define XBZ_WHOLE_FIXED 64

static size_t xbz_head_size(const struct xbz_block *block, bool cont)
{
	return cont ? XBZ_HEAD_CONT : XBZ_HEAD_CONT + 1 + block->len;
}

static u8 *xbz_put_head(u8 *p, const struct xbz_record *rec, bool cont,
			unsigned int flag)
{
	const struct xbz_block *block = rec->block;

	xbz_put_be64(p, rec->offset | flag | (cont ? XBZ_FLAG_CONTINUE : 0));
	p += XBZ_HEAD_CONT;
	if (cont)
		return p;
	*p++ = block->len;
	memcpy(p, block->name, block->len);
	return p + block->len;
}

static u8 *xbz_put_zero(u8 *p, struct xbz_record *rec, enum xbz_kind kind)
{
	rec->kind = kind;
	p = xbz_put_head(p, rec, rec->cont, XBZ_FLAG_ZERO);
	*p++ = 0;
	return p;
}

static u8 *xbz_put_raw(u8 *p, struct xbz_record *rec)
{
	rec->kind = XBZ_SENT_RAW;
	p = xbz_put_head(p, rec, rec->cont_whole, XBZ_FLAG_PAGE);
	memcpy(p, rec->snapshot, XBZ_PAGE_SIZE);
	return p + XBZ_PAGE_SIZE;
}

/* The payload is in place already, where the header's size puts it. */
static u8 *xbz_put_delta(u8 *p, struct xbz_record *rec, bool cont,
			 enum xbz_kind kind, size_t len)
{
	rec->kind = kind;
	p = xbz_put_head(p, rec, cont, XBZ_FLAG_XBZRLE);
	*p++ = XBZ_DELTA_ENCODING;
	xbz_put_be16(p, len);
	return p + 2 + len;
}

static u8 *xbz_put_nothing(u8 *p, struct xbz_record *rec)
{
	rec->kind = XBZ_SENT_SAME;
	return p;
}

/* Room for a payload, with @more bytes of records besides it. */
static size_t xbz_payload_cap(u32 bound, size_t most, size_t more)
{
	if (!bound)
		return most;
	if (bound <= more)
		return 0;
	return bound - more < most ? bound - more : most;
}

/*
 * What a delta against zero may have. A bound says what becomes of a whole page, which
 * is compressed; but of a page with few bytes that are not zero, all of which such a
 * delta has, less becomes in proportion. What they take besides is all that can be saved.
 */
static u32 xbz_zero_base_bound(u32 max_delta)
{
	u32 bound;

	if (!max_delta || max_delta >= XBZ_PAGE_SIZE)
		return max_delta;
	bound = XBZ_WHOLE_FIXED * XBZ_PAGE_SIZE /
		(XBZ_PAGE_SIZE - max_delta + XBZ_WHOLE_FIXED);
	return bound < max_delta ? bound : max_delta;
}

/* With the page as its own snapshot nothing is copied nor written to. */
static int xbz_payload_zero_base(void *payload, size_t cap, const void *snapshot)
{
	return xbz_encode_zero_base(payload, cap, (void *)snapshot, snapshot);
}

/* A page of which nothing is known: made zero first where that is shorter. */
static u8 *xbz_record_unknown(u8 *p, struct xbz_record *rec)
{
	size_t more = XBZ_ZERO_BODY + XBZ_HEAD_CONT;
	u8 *payload = p + xbz_head_size(rec->block, rec->cont) + more +
		      XBZ_DELTA_HEAD;
	size_t cap = xbz_payload_cap(xbz_zero_base_bound(rec->max_delta),
				     XBZ_ZERO_BASE_PAYS, more);
	int ret = xbz_payload_zero_base(payload, cap, rec->snapshot);

	if (ret == XBZ_RAW)
		return xbz_put_raw(p, rec);
	if (ret == XBZ_ZERO) {
		rec->known = XBZ_KNOWN_ZERO;
		return xbz_put_zero(p, rec, XBZ_SENT_ZERO);
	}
	p = xbz_put_zero(p, rec, XBZ_SENT_ZERO_BASED);
	return xbz_put_delta(p, rec, true, XBZ_SENT_ZERO_BASED, ret);
}

/*
 * Whether a delta against zero may be short. A page full of data costs an encoding in
 * vain, so one word of each 128 bytes is looked at.
 */
static bool xbz_is_sparse(const u8 *page)
{
	unsigned int at, zeros = 0;

	for (at = 0; at < XBZ_PAGE_SIZE; at += 128)
		zeros += !xbz_load64(page + at);
	return zeros >= XBZ_SPARSE_WORDS;
}

/*
 * A long delta, of a page with other content than before: against zero it may be
 * shorter. That is tried behind the delta, in what it leaves of the room for a page.
 */
static u8 *xbz_record_long(u8 *p, struct xbz_record *rec, size_t len)
{
	size_t head = xbz_head_size(rec->block, rec->cont);
	size_t more = XBZ_ZERO_BODY + XBZ_HEAD_CONT;
	u8 *payload = p + head + XBZ_DELTA_HEAD;
	size_t cap = XBZ_PAGE_SIZE - XBZ_DELTA_HEAD - len;
	int ret;

	if (!xbz_is_sparse(rec->snapshot))
		return xbz_put_delta(p, rec, rec->cont, XBZ_SENT_DELTA, len);
	if (cap > len - more)
		cap = len - more;
	ret = xbz_payload_zero_base(payload + len, cap, rec->snapshot);
	if (ret <= 0 || ret + more >= len)
		return xbz_put_delta(p, rec, rec->cont, XBZ_SENT_DELTA, len);
	memmove(payload + more, payload + len, ret);
	p = xbz_put_zero(p, rec, XBZ_SENT_ZERO_BASED);
	return xbz_put_delta(p, rec, true, XBZ_SENT_ZERO_BASED, ret);
}

/* A cached page: the codec brings the copy up to date. */
static u8 *xbz_record_copy(u8 *p, struct xbz_record *rec)
{
	u8 *payload = p + xbz_head_size(rec->block, rec->cont) + XBZ_DELTA_HEAD;
	size_t cap = xbz_payload_cap(rec->max_delta, XBZ_DELTA_MAX, 0);
	int ret = xbz_encode(payload, cap, rec->copy, rec->snapshot);

	switch (ret) {
	case XBZ_SAME:
		return xbz_put_nothing(p, rec);
	case XBZ_ZERO:
		rec->known = XBZ_KNOWN_ZERO;
		return xbz_put_zero(p, rec, XBZ_SENT_ZERO);
	case XBZ_RAW:
		if (xbz_is_sparse(rec->snapshot))
			return xbz_record_unknown(p, rec);
		return xbz_put_raw(p, rec);
	default:
		if (ret >= XBZ_DELTA_LONG)
			return xbz_record_long(p, rec, ret);
		return xbz_put_delta(p, rec, rec->cont, XBZ_SENT_DELTA, ret);
	}
}

/* A page that is zero at the destination: a delta needs no copy. */
static u8 *xbz_record_known_zero(u8 *p, struct xbz_record *rec)
{
	u8 *payload = p + xbz_head_size(rec->block, rec->cont) + XBZ_DELTA_HEAD;
	size_t cap = xbz_payload_cap(xbz_zero_base_bound(rec->max_delta),
				     XBZ_DELTA_MAX, 0);
	int ret = xbz_payload_zero_base(payload, cap, rec->snapshot);

	if (ret == XBZ_ZERO)
		return xbz_put_nothing(p, rec);
	rec->known = XBZ_KNOWN_NOTHING;
	if (ret == XBZ_RAW)
		return xbz_put_raw(p, rec);
	return xbz_put_delta(p, rec, rec->cont, XBZ_SENT_DELTA, ret);
}

/**
 * xbz_record_page() - write the record that updates the destination's page
 * @out: room for the longest record: header, name and a page
 * @rec: the page and what is known of it; see struct xbz_record
 *
 * Context: any; a few microseconds.
 * Return: bytes written, 0 for an unchanged page, never more than its raw
 * record, if both kinds of records continue a block or both do not.
 */
size_t xbz_record_page(void *out, struct xbz_record *rec)
{
	u8 *end;

	if (rec->known == XBZ_KNOWN_COPY)
		end = xbz_record_copy(out, rec);
	else if (rec->known == XBZ_KNOWN_ZERO)
		end = xbz_record_known_zero(out, rec);
	else
		end = xbz_record_unknown(out, rec);
	return end - (u8 *)out;
}
