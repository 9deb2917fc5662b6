// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hand-written vectors of vectors.h, and literal bytes for the wire format.
 * Random pages are in test_random.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "vectors.h"

static struct xbz_vec_room room;

/* Fails if any rule of the grammar or of merging is broken in the encoder. */
static void encode_vectors(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(xbz_encode_vecs); i++) {
		const char *err = xbz_vec_check_encode(&room, &xbz_encode_vecs[i]);

		if (err)
			fail_msg("%s: %s", xbz_encode_vecs[i].name, err);
	}
}

/* Fails if the decoder takes what it must refuse, or refuses what is legal. */
static void decode_vectors(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(xbz_decode_vecs); i++) {
		const char *err = xbz_vec_check_decode(&room, &xbz_decode_vecs[i]);

		if (err)
			fail_msg("%s: %s", xbz_decode_vecs[i].name, err);
	}
}

/*
 * Fails if lengths are coded in another byte order, if runs and bytes come in
 * another order, or if bytes are taken from the old page.
 */
static void literal_bytes(void **state)
{
	static const u8 want[] = {
		0x05, 0x01, 0xaa,		/* byte 5 */
		0xac, 0x02, 0x02, 0xbb, 0xcc,	/* 300 equal, bytes 306 and 307 */
		0x03, 0x04, 0x01, 0x02, 0x00, 0x04, /* a gap of 1, merged */
	};
	static u8 ref[XBZ_PAGE_SIZE], cur[XBZ_PAGE_SIZE], out[XBZ_DELTA_MAX];

	(void)state;
	memset(ref, 0, sizeof(ref));
	memset(cur, 0, sizeof(cur));
	cur[5] = 0xaa;
	cur[306] = 0xbb;
	cur[307] = 0xcc;
	cur[311] = 1;
	cur[312] = 2;
	cur[314] = 4;
	assert_int_equal(xbz_encode(out, sizeof(out), ref, cur), sizeof(want));
	assert_memory_equal(out, want, sizeof(want));

	memset(ref, 0, sizeof(ref));
	assert_int_equal(xbz_decode(ref, want, sizeof(want)), 315);
	assert_memory_equal(ref, cur, sizeof(cur));

	assert_int_equal(xbz_encode_zero_base(out, sizeof(out), ref, cur), sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
}

/* Fails if an unchanged page is anything but XBZ_SAME, zero pages included. */
static void same_page(void **state)
{
	static u8 ref[XBZ_PAGE_SIZE], cur[XBZ_PAGE_SIZE], out[XBZ_DELTA_MAX];

	(void)state;
	memset(ref, 0, sizeof(ref));
	memset(cur, 0, sizeof(cur));
	assert_int_equal(xbz_encode(out, sizeof(out), ref, cur), XBZ_SAME);
	xbz_vec_fill(ref, 3);
	xbz_vec_fill(cur, 3);
	assert_int_equal(xbz_encode(out, sizeof(out), ref, cur), XBZ_SAME);
	assert_int_equal(xbz_encode(NULL, 0, ref, cur), XBZ_SAME);
	assert_memory_equal(ref, cur, sizeof(ref));
}

/*
 * Fails if a page that has become zero is sent as a delta or raw, if one byte
 * that is left anywhere goes unnoticed, or if ref is not cleared.
 */
static void zero_page(void **state)
{
	static u8 ref[XBZ_PAGE_SIZE], cur[XBZ_PAGE_SIZE], out[XBZ_DELTA_MAX];
	size_t i;

	(void)state;
	memset(cur, 0, sizeof(cur));
	xbz_vec_fill(ref, 0);
	assert_int_equal(xbz_encode(out, sizeof(out), ref, cur), XBZ_ZERO);
	assert_memory_equal(ref, cur, sizeof(ref));
	ref[17] = 1;
	assert_int_equal(xbz_encode(NULL, 0, ref, cur), XBZ_ZERO);
	assert_memory_equal(ref, cur, sizeof(ref));

	xbz_vec_fill(ref, 0);
	assert_int_equal(xbz_encode_zero_base(out, sizeof(out), ref, cur), XBZ_ZERO);
	assert_memory_equal(ref, cur, sizeof(ref));
	assert_int_equal(xbz_encode_zero_base(NULL, 0, NULL, cur), XBZ_ZERO);

	for (i = 0; i < XBZ_PAGE_SIZE; i++) {
		cur[i] = 0x80;
		assert_int_not_equal(xbz_encode(out, sizeof(out), ref, cur), XBZ_ZERO);
		assert_int_not_equal(xbz_encode_zero_base(out, sizeof(out), ref, cur), XBZ_ZERO);
		assert_int_not_equal(xbz_encode_zero_base(out, sizeof(out), NULL, cur), XBZ_ZERO);
		cur[i] = 0;
	}
}

/*
 * Fails if a zero-base delta is given where it and its zero record together
 * are not shorter than the raw page's record, or refused where they are.
 */
static void zero_base_limit(void **state)
{
	static u8 ref[XBZ_PAGE_SIZE], cur[XBZ_PAGE_SIZE], out[XBZ_PAGE_SIZE];
	const int longest = XBZ_ZERO_BASE_MAX - 3;	/* zrun 1, nzrun 2 bytes */

	(void)state;
	memset(cur, 0, sizeof(cur));
	memset(cur + 9, 0x11, longest);
	assert_int_equal(xbz_encode_zero_base(out, sizeof(out), ref, cur), XBZ_ZERO_BASE_MAX);
	assert_int_equal(xbz_encode_zero_base(out, sizeof(out), NULL, cur), XBZ_ZERO_BASE_MAX);
	assert_true(9 + 11 + XBZ_ZERO_BASE_MAX < 8 + XBZ_PAGE_SIZE);

	cur[9 + longest] = 0x11;
	assert_int_equal(xbz_encode_zero_base(out, sizeof(out), ref, cur), XBZ_RAW);
	assert_memory_equal(ref, cur, sizeof(ref));
	assert_int_equal(xbz_encode_zero_base(out, sizeof(out), NULL, cur), XBZ_RAW);
	assert_true(9 + 11 + XBZ_ZERO_BASE_MAX + 1 >= 8 + XBZ_PAGE_SIZE);
}

/*
 * Fails if the decoder and a plain model of the format's rules ever disagree
 * on five bytes, of which all combinations of border values are tried.
 */
static void all_short_payloads(void **state)
{
	static const u8 edge[] = { 0, 1, 2, 3, 0x1f, 0x20, 0x7f, 0x80, 0x81, 0xfd, 0xff };
	static u8 page[XBZ_PAGE_SIZE], other[XBZ_PAGE_SIZE];
	u8 in[7];
	size_t n = sizeof(edge), total = 1, i, k, len;

	(void)state;
	for (k = 0; k < 5; k++)
		total *= n;
	for (i = 0; i < total; i++) {
		size_t rest = i;

		for (k = 0; k < 5; k++, rest /= n)
			in[k] = edge[rest % n];
		in[5] = 1;
		in[6] = 0xaa;
		for (len = 0; len <= sizeof(in); len++) {
			int got = xbz_decode(page, in, len);

			if (got != model_decode(other, in, len))
				fail_msg("%02x %02x %02x %02x %02x, length %zu: %d",
					 in[0], in[1], in[2], in[3], in[4], len, got);
			assert_memory_equal(page, other, sizeof(page));
		}
	}
}

/* Fails if a rule holds only near the end of a payload, where bytes are few. */
static void decode_far_from_the_end(void **state)
{
	static const struct {
		u8 in[8];
		size_t len;
	} bad[] = {
		{ { 0, 1, 0xaa, 0, 1, 0xbb }, 6 },
		{ { 0, 1, 0xaa, 0x80, 0, 1, 0xbb }, 7 },
		{ { 5, 0 }, 2 },
		{ { 5, 0x80, 0 }, 3 },
		{ { 0x85, 0x80, 0, 1, 0xaa }, 5 },
		{ { 0x85, 0x80, 1, 0xaa }, 4 },
		{ { 5, 0x81, 0x80, 0, 0xaa }, 5 },
		{ { 0xff, 0x7f, 1, 0xaa }, 4 },
		{ { 0xff, 0x1f, 2, 0xaa, 0xbb }, 5 },
		{ { 0xfd, 0x1f, 1, 1, 2, 1, 0xaa }, 7 },
	};
	static const u8 good[] = { 1, 1, 0xcc };
	static u8 page[XBZ_PAGE_SIZE];
	u8 in[80];
	size_t i, len;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(in, bad[i].in, bad[i].len);
		for (len = bad[i].len; len + sizeof(good) <= sizeof(in); len += sizeof(good))
			memcpy(in + len, good, sizeof(good));
		if (xbz_decode(page, in, len) != -EBADMSG)
			fail_msg("case %zu is taken", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encode_vectors),
		cmocka_unit_test(decode_vectors),
		cmocka_unit_test(literal_bytes),
		cmocka_unit_test(same_page),
		cmocka_unit_test(zero_page),
		cmocka_unit_test(zero_base_limit),
		cmocka_unit_test(all_short_payloads),
		cmocka_unit_test(decode_far_from_the_end),
	};
	int failed = 0;

	run_with_every_codec(failed, "codec vectors", tests);
	return failed;
}
