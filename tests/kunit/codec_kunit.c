// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of the codec: the vectors of the unit tests, and random pages,
 * with the very objects that the module is made of. What needs traps, threads
 * or a model of the minimum is left to the unit tests.
 */
#include <linux/errno.h>
#include <linux/string.h>
#include <kunit/test.h>

#include <xbzrle/codec.h>

#include "../unit/vectors.h"
#include "codec.h"
#include "codec_kunit.h"

/* One suite for each variant, as each is the module's when it is in use. */
static const char *codec_before;

static int codec_init(struct kunit *test, const char *name)
{
	codec_before = xbz_codec_name();
	if (xbz_codec_use(name))
		kunit_skip(test, "this processor has no %s", name);
	KUNIT_ASSERT_STREQ(test, xbz_codec_name(), name);
	test->priv = kunit_kzalloc(test, sizeof(struct xbz_vec_room), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static void codec_exit(struct kunit *test)
{
	xbz_codec_use(codec_before);
}

/* Fails if any rule of the grammar or of merging is broken in the encoder. */
static void codec_encode_vectors(struct kunit *test)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(xbz_encode_vecs); i++) {
		const char *err = xbz_vec_check_encode(test->priv, &xbz_encode_vecs[i]);

		if (err)
			KUNIT_FAIL(test, "%s: %s", xbz_encode_vecs[i].name, err);
	}
}

/* Fails if the decoder takes what it must refuse, or refuses what is legal. */
static void codec_decode_vectors(struct kunit *test)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(xbz_decode_vecs); i++) {
		const char *err = xbz_vec_check_decode(test->priv, &xbz_decode_vecs[i]);

		if (err)
			KUNIT_FAIL(test, "%s: %s", xbz_decode_vecs[i].name, err);
	}
}

/* Fails if an unchanged page is not XBZ_SAME, or one that became 0 not XBZ_ZERO. */
static void codec_same_and_zero(struct kunit *test)
{
	struct xbz_vec_room *r = test->priv;

	KUNIT_EXPECT_EQ(test, xbz_encode(r->out, XBZ_DELTA_MAX, r->ref, r->cur), XBZ_SAME);
	KUNIT_EXPECT_EQ(test, xbz_encode_zero_base(r->out, XBZ_DELTA_MAX, r->ref, r->cur),
			XBZ_ZERO);
	KUNIT_EXPECT_EQ(test, xbz_encode_zero_base(r->out, XBZ_DELTA_MAX, NULL, r->cur),
			XBZ_ZERO);

	xbz_vec_fill(r->ref, 1);
	KUNIT_EXPECT_EQ(test, xbz_encode(r->out, XBZ_DELTA_MAX, r->ref, r->cur), XBZ_ZERO);
	KUNIT_EXPECT_EQ(test, memcmp(r->ref, r->cur, XBZ_PAGE_SIZE), 0);

	xbz_vec_fill(r->ref, 1);
	xbz_vec_fill(r->cur, 1);
	KUNIT_EXPECT_EQ(test, xbz_encode(r->out, XBZ_DELTA_MAX, r->ref, r->cur), XBZ_SAME);
}

static u32 next_random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void change_some(u8 *page, u32 *state)
{
	u32 n = next_random(state) % 400;

	while (n--) {
		u32 at = next_random(state) % XBZ_PAGE_SIZE;
		u32 len = 1 + next_random(state) % (n % 8 ? 8 : 160);

		for (; len && at < XBZ_PAGE_SIZE; at++, len--)
			page[at] = next_random(state) >> 24;
	}
}

/*
 * Fails if a delta or a zero-base delta does not give back the page, if ref is
 * not the page afterwards, or if a payload is longer than the longest that pays.
 */
static void codec_round_trip(struct kunit *test)
{
	struct xbz_vec_room *r = test->priv;
	u32 state = 1;
	int i, got;

	for (i = 0; i < 3000; i++) {
		memcpy(r->old, r->cur, XBZ_PAGE_SIZE);
		memcpy(r->ref, r->cur, XBZ_PAGE_SIZE);
		if (i % 16 == 15)
			memset(r->cur, 0, XBZ_PAGE_SIZE);
		change_some(r->cur, &state);

		got = xbz_encode(r->out, sizeof(r->out), r->ref, r->cur);
		KUNIT_ASSERT_LE(test, got, XBZ_DELTA_MAX);
		KUNIT_ASSERT_EQ(test, memcmp(r->ref, r->cur, XBZ_PAGE_SIZE), 0);
		if (got > 0) {
			KUNIT_ASSERT_GT(test, xbz_decode(r->old, r->out, got), 0);
			KUNIT_ASSERT_EQ(test, memcmp(r->old, r->cur, XBZ_PAGE_SIZE), 0);
		}

		got = xbz_encode_zero_base(r->out, sizeof(r->out), i % 2 ? r->ref : NULL, r->cur);
		KUNIT_ASSERT_LE(test, got, XBZ_ZERO_BASE_MAX);
		KUNIT_ASSERT_NE(test, got, XBZ_SAME);
		if (got > 0) {
			memset(r->old, 0, XBZ_PAGE_SIZE);
			KUNIT_ASSERT_GT(test, xbz_decode(r->old, r->out, got), 0);
			KUNIT_ASSERT_EQ(test, memcmp(r->old, r->cur, XBZ_PAGE_SIZE), 0);
		}
	}
}

/* KUnit keeps a case's log in it, so each suite has cases of its own. */
#define XBZ_CODEC_SUITE(variant)					\
static int variant##_init(struct kunit *test)				\
{									\
	return codec_init(test, #variant);				\
}									\
									\
static struct kunit_case variant##_cases[] = {				\
	KUNIT_CASE(codec_encode_vectors),				\
	KUNIT_CASE(codec_decode_vectors),				\
	KUNIT_CASE(codec_same_and_zero),				\
	KUNIT_CASE(codec_round_trip),					\
	{}								\
};									\
									\
struct kunit_suite xbz_codec_##variant##_suite = {			\
	.name = "xbz_codec_" #variant,					\
	.init = variant##_init,						\
	.exit = codec_exit,						\
	.test_cases = variant##_cases,					\
}

XBZ_CODEC_SUITE(portable);
XBZ_CODEC_SUITE(avx2);
XBZ_CODEC_SUITE(avx512);
