/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The codec's hand-written vectors and the checks that go with them, for the
 * unit tests and for the KUnit suite alike: no libc, no allocation, no test
 * framework. Random pages and everything that needs a process stay in the unit
 * tests.
 */
#ifndef XBZ_TEST_VECTORS_H
#define XBZ_TEST_VECTORS_H

#include <xbzrle/codec.h>

#include "../../lib/codec/freestanding.h"

#define XBZ_VEC_SPANS 6

/* @skip equal bytes, then @len bytes: of changes, or of an nzrun. */
struct xbz_span {
	u16 skip;
	u16 len;
};

/**
 * struct xbz_encode_vec - changes to a page and the parse that they must give
 * @name: the rule that fails when this vector does
 * @change: the changes, ended by a len of 0
 * @run: the zrun and nzrun of each pair, ended by a len of 0; none for XBZ_RAW
 */
struct xbz_encode_vec {
	const char *name;
	struct xbz_span change[XBZ_VEC_SPANS];
	struct xbz_span run[XBZ_VEC_SPANS];
};

/* Where two parses are equally short, merged is what the encoder gives. */
static const struct xbz_encode_vec xbz_encode_vecs[] = {
	{ "first byte: a zrun of 0 comes first", { {0, 1} }, { {0, 1} } },
	{ "last byte: no trailing zrun needed", { {4095, 1} }, { {4095, 1} } },
	{ "trailing zrun is left out", { {7, 1} }, { {7, 1} } },
	{ "zrun 127 has one byte", { {127, 1} }, { {127, 1} } },
	{ "zrun 128 has two bytes", { {128, 1} }, { {128, 1} } },
	{ "nzrun 127 has one byte", { {3, 127} }, { {3, 127} } },
	{ "nzrun 128 has two bytes", { {3, 128} }, { {3, 128} } },
	{ "run over a word border", { {60, 9} }, { {60, 9} } },
	{ "run up to a word border", { {50, 14} }, { {50, 14} } },
	{ "run from a word border", { {64, 14} }, { {64, 14} } },
	{ "run of two whole words", { {64, 128} }, { {64, 128} } },
	{ "run up to a border, next line unchanged", { {100, 28}, {200, 1} },
	  { {100, 28}, {200, 1} } },
	{ "gap of 1 is merged", { {10, 1}, {1, 1} }, { {10, 3} } },
	{ "gap of 1 over a word border", { {63, 1}, {1, 1} }, { {63, 3} } },
	{ "gap of 1 before a word border", { {62, 1}, {1, 1} }, { {62, 3} } },
	{ "gap of 1 that makes the run long", { {10, 100}, {1, 100} }, { {10, 201} } },
	{ "gap of 2 between short runs", { {10, 1}, {2, 1} }, { {10, 4} } },
	{ "gap of 2 across a word border", { {62, 1}, {2, 1} }, { {62, 4} } },
	{ "gap of 2 before a word border", { {61, 1}, {2, 1} }, { {61, 4} } },
	{ "gap of 2 after a word border", { {63, 1}, {2, 1} }, { {63, 4} } },
	{ "gap of 2 would make a long run of short ones: cut",
	  { {10, 70}, {2, 70} }, { {10, 70}, {2, 70} } },
	{ "chain of short runs: cut where it would get long",
	  { {10, 60}, {2, 60}, {2, 60}, {2, 60} }, { {10, 122}, {2, 122} } },
	{ "gap of 2 between long runs is merged",
	  { {10, 128}, {2, 128} }, { {10, 258} } },
	{ "two long runs at the ends of a chain: merged as a whole",
	  { {10, 128}, {2, 1}, {2, 128} }, { {10, 261} } },
	{ "a gap of 1 makes the run long and so the gap of 2 is merged",
	  { {10, 64}, {1, 64}, {2, 128} }, { {10, 259} } },
	{ "gap of 3 is cut", { {10, 1}, {3, 1} }, { {10, 1}, {3, 1} } },
	{ "gap of 3 is cut between long runs",
	  { {10, 128}, {3, 128} }, { {10, 128}, {3, 128} } },
	{ "gap of 3 across a word border", { {62, 1}, {3, 1} }, { {62, 1}, {3, 1} } },
	{ "equal bytes at the page's end are no gap", { {4092, 1}, {1, 1} },
	  { {4092, 3} } },
	{ "4089 bytes: the longest run that is a delta", { {4, 4089} }, { {4, 4089} } },
	{ "4090 bytes: a delta would be no shorter", { {4, 4090} }, { {0, 0} } },
	{ "all bytes", { {0, 4096} }, { {0, 0} } },
	{ "4092 of payload in two runs", { {0, 3000}, {5, 1086} },
	  { {0, 3000}, {5, 1086} } },
	{ "4093 of payload in two runs", { {0, 3000}, {5, 1087} }, { {0, 0} } },
};

/**
 * struct xbz_decode_vec - a payload, byte by byte, and what must come of it
 * @name: the rule that fails when this vector does
 * @in: the payload; bytes that are not named are 0
 * @len: its length
 * @ret: bytes covered, or -EBADMSG
 */
struct xbz_decode_vec {
	const char *name;
	u8 in[12];
	u16 len;
	int ret;
};

static const struct xbz_decode_vec xbz_decode_vecs[] = {
	{ "one byte at the start", { 0, 1, 0xaa }, 3, 1 },
	{ "two pairs", { 5, 1, 0xaa, 2, 2, 0xbb, 0xcc }, 7, 10 },
	{ "last byte of the page", { 0xff, 0x1f, 1, 0xaa }, 4, 4096 },
	{ "two pairs that end with the page", { 0xfd, 0x1f, 1, 1, 1, 1, 2 }, 7, 4096 },
	{ "lengths padded to two bytes", { 0x85, 0, 0x81, 0, 0xaa }, 5, 6 },
	{ "a first zrun of 0, padded", { 0x80, 0, 1, 0xaa }, 4, 1 },

	{ "empty", { 0 }, 0, -EBADMSG },
	{ "ends after a zrun", { 5 }, 1, -EBADMSG },
	{ "ends inside a zrun's length", { 0x85 }, 1, -EBADMSG },
	{ "ends after an nzrun's length", { 5, 1 }, 2, -EBADMSG },
	{ "ends inside an nzrun's length", { 5, 0x81 }, 2, -EBADMSG },
	{ "ends inside an nzrun", { 5, 3, 1, 2 }, 4, -EBADMSG },
	{ "ends inside the second pair's zrun", { 0, 1, 0xaa, 0x81 }, 4, -EBADMSG },
	{ "trailing zrun", { 0, 1, 0xaa, 5 }, 4, -EBADMSG },
	{ "trailing zrun of two bytes", { 0, 1, 0xaa, 0x85, 1 }, 5, -EBADMSG },
	{ "nzrun of 0", { 5, 0 }, 2, -EBADMSG },
	{ "nzrun of 0, then a good pair", { 5, 0, 1, 1, 0xaa }, 5, -EBADMSG },
	{ "nzrun of 0, padded", { 5, 0x80, 0, 1, 1, 0xaa }, 6, -EBADMSG },
	{ "zrun of 0 that is not first", { 0, 1, 0xaa, 0, 1, 0xbb }, 6, -EBADMSG },
	{ "zrun of 0 that is not first, padded", { 0, 1, 0xaa, 0x80, 0, 1, 0xbb }, 7, -EBADMSG },
	{ "zrun's length of three bytes", { 0x85, 0x80, 0, 1, 0xaa }, 5, -EBADMSG },
	{ "nzrun's length of three bytes", { 5, 0x81, 0x80, 0, 0xaa }, 5, -EBADMSG },
	{ "zrun of the whole page leaves no nzrun", { 0x80, 0x20, 1, 0xaa }, 4, -EBADMSG },
	{ "zrun past the end", { 0x81, 0x20, 1, 0xaa }, 4, -EBADMSG },
	{ "largest zrun", { 0xff, 0x7f, 1, 0xaa }, 4, -EBADMSG },
	{ "nzrun past the end", { 0xff, 0x1f, 2, 0xaa, 0xbb }, 5, -EBADMSG },
	{ "second zrun past the end", { 0xfd, 0x1f, 1, 1, 2, 1, 0xaa }, 7, -EBADMSG },
	{ "second nzrun past the end", { 0xfd, 0x1f, 1, 1, 1, 2, 0xaa, 0xbb }, 8, -EBADMSG },
};

/* The pages that the checks work in; they need no preparation. */
struct xbz_vec_room {
	u8 old[XBZ_PAGE_SIZE];
	u8 cur[XBZ_PAGE_SIZE];
	u8 ref[XBZ_PAGE_SIZE];
	u8 out[XBZ_PAGE_SIZE];
	u8 want[XBZ_PAGE_SIZE];
};

static inline void xbz_vec_fill(u8 *page, unsigned int salt)
{
	unsigned int i;

	for (i = 0; i < XBZ_PAGE_SIZE; i++)
		page[i] = 1 + (i * 7 + i / 256 + salt) % 255;
}

static inline size_t xbz_vec_put_len(u8 *p, unsigned int n)
{
	if (n < 128) {
		p[0] = n;
		return 1;
	}
	p[0] = n % 128 + 128;
	p[1] = n / 128;
	return 2;
}

/* The payload that @run asks for, its bytes taken from @page. */
static inline size_t xbz_vec_payload(u8 *out, const struct xbz_span *run, const u8 *page)
{
	unsigned int pos = 0, i;
	size_t len = 0;

	for (i = 0; i < XBZ_VEC_SPANS && run[i].len; i++) {
		pos += run[i].skip;
		len += xbz_vec_put_len(out + len, run[i].skip);
		len += xbz_vec_put_len(out + len, run[i].len);
		memcpy(out + len, page + pos, run[i].len);
		len += run[i].len;
		pos += run[i].len;
	}
	return len;
}

/* Turns @r->old into @r->cur as the vector says; no byte of either is 0. */
static inline void xbz_vec_pages(struct xbz_vec_room *r, const struct xbz_encode_vec *v)
{
	unsigned int pos = 0, i, j;

	xbz_vec_fill(r->old, 0);
	memcpy(r->cur, r->old, XBZ_PAGE_SIZE);
	memcpy(r->ref, r->old, XBZ_PAGE_SIZE);
	for (i = 0; i < XBZ_VEC_SPANS && v->change[i].len; i++) {
		pos += v->change[i].skip;
		for (j = 0; j < v->change[i].len; j++, pos++)
			r->cur[pos] = r->old[pos] == 255 ? 1 : r->old[pos] + 1;
	}
}

/**
 * xbz_vec_check_encode() - run one encode vector, and decode what it gave
 * @r: room
 * @v: the vector
 *
 * Return: NULL, or what went wrong.
 */
static inline const char *xbz_vec_check_encode(struct xbz_vec_room *r,
					       const struct xbz_encode_vec *v)
{
	size_t want;
	int got;

	xbz_vec_pages(r, v);
	want = xbz_vec_payload(r->want, v->run, r->cur);

	got = xbz_encode(r->out, XBZ_DELTA_MAX, r->ref, r->cur);
	if (memcmp(r->ref, r->cur, XBZ_PAGE_SIZE))
		return "ref is not the snapshot";
	if (!want)
		return got == XBZ_RAW ? NULL : "no delta expected";
	if (got < 0 || (size_t)got != want)
		return "wrong length";
	if (memcmp(r->out, r->want, want))
		return "wrong bytes";

	if (xbz_decode(r->old, r->out, want) < 0)
		return "refused by the decoder";
	if (memcmp(r->old, r->cur, XBZ_PAGE_SIZE))
		return "decoded to another page";
	return NULL;
}

/**
 * xbz_vec_check_decode() - run one decode vector
 * @r: room
 * @v: the vector
 *
 * Return: NULL, or what went wrong.
 */
static inline const char *xbz_vec_check_decode(struct xbz_vec_room *r,
					       const struct xbz_decode_vec *v)
{
	memset(r->old, 0, XBZ_PAGE_SIZE);
	if (xbz_decode(r->old, v->in, v->len) != v->ret)
		return v->ret < 0 ? "not refused" : "wrong count or refused";
	if (v->ret > 0 && r->old[v->ret - 1] != v->in[v->len - 1])
		return "last byte is not where it belongs";
	return NULL;
}

#endif /* XBZ_TEST_VECTORS_H */
