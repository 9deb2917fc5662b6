// SPDX-License-Identifier: GPL-2.0-only
/*
 * The codec on random and structured pages: round trip, the copy it leaves,
 * output to the byte with traps around every buffer, and the parse's length
 * against the true minimum. Hand-written cases are in test_vectors.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xbzrle/codec.h>

#include "model.h"

#define PAGE XBZ_PAGE_SIZE

static void random_pair(u8 *old, u8 *cur, unsigned int i)
{
	rnd_seed(i);
	if (i % 5 == 4)
		memset(old, 0, PAGE);
	else
		rnd_fill(old, PAGE);
	memcpy(cur, old, PAGE);
	change_page(cur, i % PAGE_SHAPES);
	/* Equal bytes among changes of a whole word, and zero bytes anywhere. */
	if (i % 3 == 2)
		change_page(cur, rnd_below(12));
}

static bool is_zero(const u8 *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

static size_t least_size(const u8 *old, const u8 *cur)
{
	u8 changed[PAGE];
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		changed[i] = old[i] ^ cur[i];
	return minimum_size(changed, PAGE, 128);
}

/* What xbz_encode() must return, from the two pages alone. */
static int expected(const u8 *old, const u8 *cur, size_t least, size_t cap)
{
	if (!memcmp(old, cur, PAGE))
		return XBZ_SAME;
	if (is_zero(cur))
		return XBZ_ZERO;
	if (least > XBZ_DELTA_MAX || least > cap)
		return XBZ_RAW;
	return least;
}

/*
 * Fails if a delta does not turn the old page into the new one, if ref is not
 * the page afterwards whatever the result, if the result is of the wrong kind,
 * if any payload is a byte longer than the grammar's true minimum or longer
 * than the greedy encoder's, or if the decoder reports another coverage than
 * the last changed byte.
 */
static void round_trip(void **state)
{
	static u8 old[PAGE], cur[PAGE], ref[PAGE], out[PAGE];
	unsigned int n = test_rounds(4000), i, last;

	(void)state;
	for (i = 0; i < n; i++) {
		size_t least;
		int got;

		random_pair(old, cur, i);
		least = least_size(old, cur);
		memcpy(ref, old, PAGE);
		got = xbz_encode(out, sizeof(out), ref, cur);
		if (got != expected(old, cur, least, sizeof(out)))
			fail_msg("seed %u: %d, minimum %zu", i, got, least);
		assert_memory_equal(ref, cur, PAGE);
		if (got <= 0)
			continue;

		assert_true((size_t)got <= greedy_size(old, cur));
		for (last = PAGE; old[last - 1] == cur[last - 1]; last--)
			;
		memcpy(ref, old, PAGE);
		assert_int_equal(model_decode(ref, out, got), last);
		assert_memory_equal(ref, cur, PAGE);
		assert_int_equal(xbz_decode(old, out, got), last);
		assert_memory_equal(old, cur, PAGE);
	}
}

/*
 * Fails if a zero-base delta, with or without room for a snapshot, does not
 * turn a zero page into the page, is longer than the minimum, is XBZ_SAME, or
 * if the snapshot is wrong.
 */
static void zero_base_round_trip(void **state)
{
	static u8 old[PAGE], cur[PAGE], ref[PAGE], out[PAGE], page[PAGE];
	static const u8 zero[PAGE];
	unsigned int n = test_rounds(4000), i;

	(void)state;
	for (i = 0; i < n; i++) {
		int want, got, bare;
		size_t least;

		random_pair(old, cur, i);
		/* Many bytes of 0 in all the shapes that changes have. */
		if (i % 2) {
			unsigned int j;

			for (j = 0; j < PAGE; j++)
				cur[j] ^= old[j];
		}
		least = least_size(zero, cur);
		want = is_zero(cur) ? XBZ_ZERO :
		       least > XBZ_ZERO_BASE_MAX ? XBZ_RAW : (int)least;
		rnd_fill(ref, PAGE);
		got = xbz_encode_zero_base(out, sizeof(out), ref, cur);
		if (got != want)
			fail_msg("seed %u: %d, minimum %zu", i, got, least);
		assert_memory_equal(ref, cur, PAGE);
		if (got > 0) {
			memset(page, 0, PAGE);
			assert_true(xbz_decode(page, out, got) > 0);
			assert_memory_equal(page, cur, PAGE);
		}

		bare = xbz_encode_zero_base(out, sizeof(out), NULL, cur);
		if (bare != want)
			fail_msg("seed %u, no ref: %d, minimum %zu", i, bare, least);
		if (bare > 0) {
			memset(page, 0, PAGE);
			assert_true(xbz_decode(page, out, bare) > 0);
			assert_memory_equal(page, cur, PAGE);
		}
	}
}

struct guards {
	struct guarded ref, cur, page;
};

static void guards_alloc(struct guards *g, bool trap_behind)
{
	guard_alloc(&g->ref, PAGE, trap_behind);
	guard_alloc(&g->cur, PAGE, trap_behind);
	guard_alloc(&g->page, PAGE, trap_behind);
}

static void guards_free(struct guards *g)
{
	guard_free(&g->page);
	guard_free(&g->cur);
	guard_free(&g->ref);
}

/* One page into an output of exactly @cap bytes with traps around everything. */
static void bounded(struct guards *g, const u8 *old, const u8 *cur, size_t least,
		    size_t cap, bool trap_behind)
{
	struct guarded out;
	int want, got;

	guard_alloc(&out, cap, trap_behind);
	memcpy(g->ref.buf, old, PAGE);
	memcpy(g->cur.buf, cur, PAGE);
	memcpy(g->page.buf, old, PAGE);

	want = expected(old, cur, least, cap);
	got = xbz_encode(out.buf, cap, g->ref.buf, g->cur.buf);
	assert_int_equal(got, want);
	assert_memory_equal(g->ref.buf, cur, PAGE);
	if (got > 0) {
		/* The decoder's input ends, or begins, at the trap. */
		if (trap_behind)
			memmove(out.buf + cap - got, out.buf, got);
		assert_true(xbz_decode(g->page.buf, out.buf + (trap_behind ? cap - got : 0),
				       got) > 0);
		assert_memory_equal(g->page.buf, cur, PAGE);
	}
	guard_free(&out);
}

/*
 * Fails, by a trap, if any buffer is touched one byte outside, and if a cap of
 * exactly the payload's length is refused or one byte less is not.
 */
static void output_bounds(void **state)
{
	static u8 old[PAGE], cur[PAGE];
	struct guards g[2];
	unsigned int n = test_rounds(420), i, side;

	(void)state;
	guards_alloc(&g[0], false);
	guards_alloc(&g[1], true);
	for (i = 0; i < n; i++) {
		size_t least;

		random_pair(old, cur, i);
		least = least_size(old, cur);
		for (side = 0; side < 2; side++) {
			bounded(&g[side], old, cur, least, least, side);
			if (least)
				bounded(&g[side], old, cur, least, least - 1, side);
			bounded(&g[side], old, cur, least, rnd_below(least + 40), side);
			bounded(&g[side], old, cur, least, XBZ_DELTA_MAX, side);
			bounded(&g[side], old, cur, least, XBZ_DELTA_MAX + rnd_below(100), side);
		}
	}
	guards_free(&g[1]);
	guards_free(&g[0]);
}

/*
 * Fails, by a trap or a wrong kind of result, if the zero-base encoder breaks
 * its bounds: every cap from 0 to two more than the payload.
 */
static void zero_base_bounds(void **state)
{
	static u8 zero[PAGE], cur[PAGE];
	struct guards g;
	unsigned int n = test_rounds(60), i;

	(void)state;
	guards_alloc(&g, true);
	for (i = 0; i < n; i++) {
		size_t least, cap;

		rnd_seed(i);
		memset(zero, 0, PAGE);
		memset(cur, 0, PAGE);
		change_page(cur, 1 + i % (PAGE_SHAPES - 1));
		least = least_size(zero, cur);
		memcpy(g.cur.buf, cur, PAGE);
		for (cap = least > 300 ? least - 20 : 0; cap <= least + 2; cap++) {
			int want = least == 0 ? XBZ_ZERO : cap < least ? XBZ_RAW : (int)least;
			struct guarded out;

			if (want > XBZ_ZERO_BASE_MAX)
				want = XBZ_RAW;
			guard_alloc(&out, cap, true);
			assert_int_equal(xbz_encode_zero_base(out.buf, cap, g.ref.buf,
							      g.cur.buf), want);
			assert_memory_equal(g.ref.buf, cur, PAGE);
			assert_int_equal(xbz_encode_zero_base(out.buf, cap, NULL,
							      g.cur.buf), want);
			guard_free(&out);
		}
	}
	guards_free(&g);
}

/* Fails if a buffer's alignment matters for the result. */
static void unaligned_buffers(void **state)
{
	static u8 old[PAGE], cur[PAGE], ref[PAGE + 16], now[PAGE + 16], out[PAGE + 16];
	static u8 want[PAGE];
	unsigned int n = test_rounds(1000), i;

	(void)state;
	for (i = 0; i < n; i++) {
		unsigned int a, b, c;
		int len;

		random_pair(old, cur, i);
		memcpy(ref, old, PAGE);
		len = xbz_encode(want, XBZ_DELTA_MAX, ref, cur);

		a = rnd_below(16);
		b = rnd_below(16);
		c = rnd_below(16);
		memcpy(ref + a, old, PAGE);
		memcpy(now + b, cur, PAGE);
		assert_int_equal(xbz_encode(out + c, XBZ_DELTA_MAX, ref + a, now + b), len);
		assert_memory_equal(ref + a, cur, PAGE);
		if (len > 0)
			assert_memory_equal(out + c, want, len);
	}
}

/*
 * Fails if the decoder and the plain model of its rules disagree on a payload
 * that was good until a few of its bytes changed or its end was cut off, on
 * whether it is legal or on what it does to the page; and, by a trap, if
 * either buffer is touched outside.
 */
static void broken_payloads(void **state)
{
	static u8 old[PAGE], cur[PAGE], ref[PAGE], out[PAGE], want[PAGE];
	unsigned int n = test_rounds(20000), i, k;
	struct guarded page, in;
	int len, got;

	(void)state;
	guard_alloc(&page, PAGE, true);
	guard_alloc(&in, PAGE, true);
	for (i = 0; i < n; i++) {
		random_pair(old, cur, i);
		memcpy(ref, old, PAGE);
		len = xbz_encode(out, sizeof(out), ref, cur);
		if (len <= 0)
			continue;
		for (k = rnd_below(3); k; k--)
			out[rnd_below(rnd_below(2) ? len : 1 + len / 50)] = rnd() >> 40;
		len -= rnd_below(2) ? 0 : rnd_below(len);

		memcpy(want, old, PAGE);
		memcpy(page.buf, old, PAGE);
		memcpy(in.buf + PAGE - len, out, len);
		got = xbz_decode(page.buf, in.buf + PAGE - len, len);
		assert_int_equal(got, model_decode(want, out, len));
		if (got > 0)
			assert_memory_equal(page.buf, want, PAGE);
	}
	guard_free(&in);
	guard_free(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(zero_base_round_trip),
		cmocka_unit_test(output_bounds),
		cmocka_unit_test(zero_base_bounds),
		cmocka_unit_test(unaligned_buffers),
		cmocka_unit_test(broken_payloads),
	};
	int failed = 0;

	run_with_every_codec(failed, "codec random", tests);
	return failed;
}
