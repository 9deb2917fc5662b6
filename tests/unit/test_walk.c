// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the walk through a batch: batches made by xbz_record_page() come to
 * pieces that add up, and hostile bytes lead nowhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xbzrle/codec.h>
#include <xbzrle/walk.h>

#include "core/record.h"
#include "model.h"

#define PAGE XBZ_PAGE_SIZE
#define RECORDS 40
#define BATCH_MAX (RECORDS * (9 + 255 + PAGE))

static const struct xbz_block blocks[] = {
	{ .len = 6, .name = "pc.ram" },
	{ .len = 1, .name = "x" },
	{ .len = 8, .name = "vga.vram" },
};

/**
 * struct made - a batch and what went into it
 * @bytes: the batch
 * @len: its size
 * @nr: number of records
 * @kind: of a record
 * @block: its block
 * @offset: its page's offset
 * @page: its page
 * @begin: where in @bytes it begins; the last is @len
 */
struct made {
	u8 bytes[BATCH_MAX];
	size_t len;
	unsigned int nr;
	enum xbz_kind kind[RECORDS];
	const struct xbz_block *block[RECORDS];
	u64 offset[RECORDS];
	u8 page[RECORDS][PAGE];
	size_t begin[RECORDS + 1];
};

/* As kmod/encode.c makes one, with XBZRLE_ENCODE_WHOLE_APART. */
static void make_batch(struct made *m)
{
	const struct xbz_block *last = NULL, *last_whole = NULL;
	unsigned int i;

	m->len = 0;
	m->nr = 1 + rnd_below(RECORDS);
	for (i = 0; i < m->nr; i++) {
		static u8 copy[PAGE];
		const struct xbz_block *block = &blocks[rnd_below(4) ? 0 : rnd_below(3)];
		struct xbz_record rec = {
			.block = block,
			.offset = (u64)rnd_below(1 << 30) * PAGE,
			.cont = last == block,
			.cont_whole = last_whole == block,
			.max_delta = rnd_below(2) ? 0 : 1 + rnd_below(300),
			.snapshot = m->page[i],
			.copy = copy,
			.known = rnd_below(3),
		};

		rnd_fill(copy, PAGE);
		memcpy(m->page[i], copy, PAGE);
		change_page(m->page[i], rnd_below(PAGE_SHAPES));
		m->begin[i] = m->len;
		m->len += xbz_record_page(m->bytes + m->len, &rec);
		m->kind[i] = rec.kind;
		m->block[i] = block;
		m->offset[i] = rec.offset;
		if (rec.kind == XBZ_SENT_RAW)
			last_whole = block;
		else if (rec.kind != XBZ_SENT_SAME)
			last = block;
	}
	m->begin[i] = m->len;
}

/* The bytes of records that follow each other and are not whole; *i moves. */
static size_t expect_stream(const struct made *m, unsigned int *i)
{
	size_t from = m->begin[*i];

	while (*i < m->nr && m->kind[*i] != XBZ_SENT_RAW)
		++*i;
	return m->begin[*i] - from;
}

/*
 * Fails if a page is missed, or is another one, or of another block, or if what is
 * left is not what was there before, in order.
 */
static void test_pieces(void **state)
{
	static struct made m;
	unsigned int round, i, whole = 0;

	(void)state;
	for (round = 0; round < test_rounds(2000); round++) {
		struct xbz_piece piece;
		struct xbz_walk w;

		make_batch(&m);
		xbz_walk_begin(&w, m.bytes, m.len);
		for (i = 0; i < m.nr;) {
			size_t from = m.begin[i], stream = expect_stream(&m, &i);

			if (stream) {
				assert_int_equal(xbz_walk_next(&w, &piece), 1);
				assert_null(piece.name);
				assert_ptr_equal(piece.data, m.bytes + from);
				assert_int_equal(piece.bytes, stream);
			}
			if (i == m.nr)
				break;
			assert_int_equal(xbz_walk_next(&w, &piece), 1);
			assert_int_equal(piece.bytes, PAGE);
			assert_memory_equal(piece.data, m.page[i], PAGE);
			assert_int_equal(piece.offset, m.offset[i]);
			assert_int_equal(piece.name_len, m.block[i]->len);
			assert_memory_equal(piece.name, m.block[i]->name, piece.name_len);
			i++;
			whole++;
		}
		assert_int_equal(xbz_walk_next(&w, &piece), 0);
		assert_int_equal(xbz_walk_next(&w, &piece), 0);
	}
	assert_true(whole > round);
}

/* Returns whether the whole of @bytes was taken. */
static bool walk_all(const u8 *bytes, size_t len)
{
	const u8 *end = bytes + len;
	struct xbz_piece piece;
	struct xbz_walk w;
	size_t taken = 0;
	int ret;

	xbz_walk_begin(&w, bytes, len);
	while ((ret = xbz_walk_next(&w, &piece)) == 1) {
		const u8 *data = piece.data;

		assert_true(data >= bytes && piece.bytes <= (size_t)(end - data));
		assert_true(piece.bytes > 0);
		if (piece.name) {
			assert_int_equal(piece.bytes, PAGE);
			assert_in_range(piece.name_len, 1, 255);
			assert_true(piece.name >= bytes && piece.name + piece.name_len <= data);
			assert_int_equal(piece.offset % PAGE, 0);
		}
		taken += piece.bytes;
		assert_true(taken <= len);
	}
	if (ret)
		assert_int_equal(ret, -EBADMSG);
	return !ret;
}

/*
 * Fails if a byte outside of the batch is read (it traps), or a piece lies outside,
 * whatever the batch holds and wherever it is cut off.
 */
static void test_hostile(void **state)
{
	static struct made m;
	unsigned int round, i, good = 0, bad = 0;

	(void)state;
	for (round = 0; round < test_rounds(3000); round++) {
		struct guarded g;
		size_t len;

		make_batch(&m);
		len = rnd_below(2) ? m.len : rnd_below(m.len + 1);
		guard_alloc(&g, len, true);
		memcpy(g.buf, m.bytes, len);
		for (i = rnd_below(4); i && len; i--)
			g.buf[m.begin[rnd_below(m.nr)] % len] = rnd();
		for (i = rnd_below(4); i && len > 20; i--)
			g.buf[(m.begin[rnd_below(m.nr)] + rnd_below(20)) % len] ^=
				1 << rnd_below(8);
		if (walk_all(g.buf, len))
			good++;
		else
			bad++;
		guard_free(&g);
	}
	assert_true(good > round / 20);
	assert_true(bad > round / 20);
}

/* Fails if a record that cannot be is taken for one. */
static void test_malformed(void **state)
{
	static const struct {
		size_t len;
		u8 bytes[16];
	} bad[] = {
		/* continues nothing: zero, delta */
		{ 9, { 0, 0, 0, 0, 0, 0, 0, 0x22, 0 } },
		{ 15, { 0, 0, 0, 0, 0, 0, 0, 0x60, 1, 0, 4, 1, 1, 1, 1 } },
		/* no name, a name that is not all there */
		{ 10, { 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0 } },
		{ 11, { 0, 0, 0, 0, 0, 0, 0, 0x02, 9, 'x', 0 } },
		/* no kind, two kinds, a flag that is none of ours */
		{ 11, { 0, 0, 0, 0, 0, 0, 0, 0x00, 1, 'x', 0 } },
		{ 11, { 0, 0, 0, 0, 0, 0, 0, 0x42, 1, 'x', 0 } },
		{ 11, { 0, 0, 0, 0, 0, 0, 2, 0x02, 1, 'x', 0 } },
		/* zero that is not, delta of nothing, of another encoding, too long */
		{ 11, { 0, 0, 0, 0, 0, 0, 0, 0x02, 1, 'x', 1 } },
		{ 13, { 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 'x', 1, 0, 0 } },
		{ 16, { 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 'x', 2, 0, 3, 1, 1, 1 } },
		{ 16, { 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 'x', 1, 0, 4, 1, 1, 1 } },
		/* a header that is cut off, a page without a byte */
		{ 7, { 0, 0, 0, 0, 0, 0, 0 } },
		{ 10, { 0, 0, 0, 0, 0, 0, 0, 0x08, 1, 'x' } },
	};
	static u8 page[8 + PAGE] = { [7] = 0x28 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (walk_all(bad[i].bytes, bad[i].len))
			fail_msg("malformed batch %u is taken", i);
	/* A whole record that continues nothing. */
	assert_false(walk_all(page, sizeof(page)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_malformed),
	};
	const char *seed = getenv("XBZ_SEED");

	rnd_seed(seed ? strtoull(seed, NULL, 0) : 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
