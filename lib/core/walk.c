// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the records of a batch, from the format's description. Every length is
 * checked against the batch's end, whoever wrote it.
 */
#include <xbzrle/walk.h>

#include "core/record.h"

#include <xbzrle/codec.h>

#define XBZ_FLAGS_MASK ((u64)XBZ_PAGE_SIZE - 1)

/**
 * struct xbz_head - a record's header and size
 * @kind: XBZ_FLAG_*, without CONTINUE
 * @offset: of the page
 * @name: of its block, NULL if it continues one
 * @name_len: length of @name
 * @bytes: of the record, with its header
 */
struct xbz_head {
	unsigned int kind;
	u64 offset;
	const u8 *name;
	unsigned int name_len;
	size_t bytes;
};

/* Bytes of a record behind its header, where @left follow; 0: malformed. */
static size_t xbz_body_size(unsigned int kind, const u8 *body, size_t left)
{
	size_t len;

	switch (kind) {
	case XBZ_FLAG_ZERO:
		return left && !body[0] ? XBZ_ZERO_BODY : 0;
	case XBZ_FLAG_PAGE:
		return XBZ_PAGE_SIZE;
	case XBZ_FLAG_XBZRLE:
		if (left < XBZ_DELTA_HEAD || body[0] != XBZ_DELTA_ENCODING)
			return 0;
		len = xbz_get_be16(body + 1);
		if (!len || len > XBZ_DELTA_MAX)
			return 0;
		return XBZ_DELTA_HEAD + len;
	default:
		return 0;
	}
}

static int xbz_head_read(const struct xbz_walk *w, struct xbz_head *head)
{
	const u8 *p = w->at;
	size_t left = w->left, body;
	u64 word;

	if (left < XBZ_HEAD_CONT)
		return -EBADMSG;
	word = xbz_get_be64(p);
	p += XBZ_HEAD_CONT;
	left -= XBZ_HEAD_CONT;
	*head = (struct xbz_head){
		.kind = word & XBZ_FLAGS_MASK & ~XBZ_FLAG_CONTINUE,
		.offset = word & ~XBZ_FLAGS_MASK,
	};
	if (!(word & XBZ_FLAG_CONTINUE)) {
		if (!left || !p[0] || left - 1 < p[0])
			return -EBADMSG;
		head->name = p + 1;
		head->name_len = p[0];
		p += 1 + head->name_len;
		left -= 1 + head->name_len;
	}
	body = xbz_body_size(head->kind, p, left);
	if (!body || body > left)
		return -EBADMSG;
	head->bytes = p - w->at + body;
	return 0;
}

static void xbz_walk_skip(struct xbz_walk *w, size_t bytes)
{
	w->at += bytes;
	w->left -= bytes;
}

static int xbz_walk_page(struct xbz_walk *w, const struct xbz_head *head,
			 struct xbz_piece *piece)
{
	if (head->name) {
		w->name = head->name;
		w->name_len = head->name_len;
	}
	if (!w->name)
		return -EBADMSG;
	xbz_walk_skip(w, head->bytes);
	*piece = (struct xbz_piece){
		.data = w->at - XBZ_PAGE_SIZE,
		.bytes = XBZ_PAGE_SIZE,
		.name = w->name,
		.name_len = w->name_len,
		.offset = head->offset,
	};
	return 1;
}

void xbz_walk_begin(struct xbz_walk *w, const void *batch, size_t bytes)
{
	*w = (struct xbz_walk){ .at = batch, .left = bytes };
}

int xbz_walk_next(struct xbz_walk *w, struct xbz_piece *piece)
{
	const u8 *from = w->at;
	struct xbz_head head;

	while (w->left) {
		int ret = xbz_head_read(w, &head);

		if (ret)
			return ret;
		if (head.kind == XBZ_FLAG_PAGE) {
			if (w->at == from)
				return xbz_walk_page(w, &head, piece);
			break;
		}
		if (!head.name && !w->in_stream)
			return -EBADMSG;
		w->in_stream = true;
		xbz_walk_skip(w, head.bytes);
	}
	*piece = (struct xbz_piece){ .data = from, .bytes = w->at - from };
	return w->at != from;
}
