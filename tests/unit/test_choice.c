// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the choice between a delta and a whole page. `make bench-wire` says
 * what it is worth on real pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <xbzrle/choice.h>
#include <xbzrle/codec.h>

#include "codec/freestanding.h"

/* A channel with zstd, on a guest that compresses well. */
#define WHOLE_BYTES 700
#define WHOLE_NS 12000

/* Fails if the guess at the start weighs on what is learned. */
static void test_first(void **state)
{
	struct xbz_choice c;

	(void)state;
	xbz_choice_init(&c, 2);
	xbz_choice_learn(&c, 128, 128 * WHOLE_BYTES, 128 * WHOLE_NS);
	assert_in_range(xbz_choice_max_delta(&c), WHOLE_BYTES - 32, WHOLE_BYTES + 8);
}

static struct xbz_choice learned(__u64 bytes, __u64 ns)
{
	struct xbz_choice c;
	int i;

	xbz_choice_init(&c, 2);
	for (i = 0; i < 100; i++)
		xbz_choice_learn(&c, 128, 128 * bytes, 128 * ns);
	return c;
}

/* Fails if a guess is taken for knowledge: then deltas are as without channels. */
static void test_unknown(void **state)
{
	struct xbz_choice c;

	(void)state;
	xbz_choice_init(&c, 0);
	assert_int_equal(xbz_choice_max_delta(&c), XBZ_DELTA_MAX);
	assert_true(xbz_choice_apart(&c));
	/* Nothing sent says nothing. */
	xbz_choice_learn(&c, 0, 1000, 1000);
	xbz_choice_sent(&c, 1000000, 0, 0);
	xbz_choice_sent(&c, 0, 1000, 1000);
	assert_int_equal(xbz_choice_max_delta(&c), XBZ_DELTA_MAX);
}

/* Fails if on a slow link a delta longer than the packed page is sent. */
static void test_slow_link(void **state)
{
	struct xbz_choice c = learned(WHOLE_BYTES, WHOLE_NS);
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++)
		xbz_choice_sent(&c, 12500000, 128 * WHOLE_BYTES, 128 * WHOLE_NS);
	assert_true(xbz_choice_apart(&c));
	assert_in_range(xbz_choice_max_delta(&c), WHOLE_BYTES - 32, WHOLE_BYTES + 8);
}

/* Fails if on a fast link processors compress what a delta, or the page, would do. */
static void test_fast_link(void **state)
{
	struct xbz_choice c = learned(WHOLE_BYTES, WHOLE_NS);
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++)
		xbz_choice_sent(&c, 12500000000, 128 * WHOLE_BYTES, 128 * WHOLE_NS);
	assert_false(xbz_choice_apart(&c));
	assert_in_range(xbz_choice_max_delta(&c), XBZ_DELTA_MAX - 16, XBZ_DELTA_MAX);

	/* Without compression the channels are as cheap as the stream. */
	c = learned(4104, 400);
	for (i = 0; i < 100; i++)
		xbz_choice_sent(&c, 12500000000, 128 * 4104, 128 * 400);
	assert_true(xbz_choice_apart(&c));
}

/* Fails if the price does not come back when the link becomes short again. */
static void test_changes(void **state)
{
	struct xbz_choice c = learned(WHOLE_BYTES, WHOLE_NS);
	unsigned int i, before;

	(void)state;
	for (i = 0; i < 1000; i++)
		xbz_choice_sent(&c, 12500000000, 1000, 1000000);
	before = xbz_choice_max_delta(&c);
	for (i = 0; i < 20; i++)
		xbz_choice_sent(&c, 12500000, 1000000, 1000);
	assert_true(xbz_choice_max_delta(&c) != before);
	assert_in_range(xbz_choice_max_delta(&c), WHOLE_BYTES - 32, WHOLE_BYTES + 8);
	/* What the channels make follows, too. */
	for (i = 0; i < 100; i++)
		xbz_choice_learn(&c, 1, 200, WHOLE_NS);
	assert_in_range(xbz_choice_max_delta(&c), 150, 210);
}

/* Fails if any input, however absurd, makes a bound that ENCODE has no use for. */
static void test_any_input(void **state)
{
	static const __u64 values[] = {
		0, 1, 999, 1000000, 12500000000, 1ULL << 40, ~0ULL >> 20,
	};
	const unsigned int n = ARRAY_SIZE(values);
	unsigned int i, j, k;

	(void)state;
	for (i = 0; i < n; i++) {
		for (j = 0; j < n; j++) {
			for (k = 0; k < n; k++) {
				struct xbz_choice c;

				xbz_choice_init(&c, i);
				xbz_choice_learn(&c, 1 + j, values[k], values[i]);
				xbz_choice_sent(&c, values[i], values[j], values[k]);
				assert_in_range(xbz_choice_max_delta(&c), 1, XBZ_DELTA_MAX);
				assert_in_range(c.price, 0, XBZ_CHOICE_ONE);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_slow_link),
		cmocka_unit_test(test_fast_link),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_any_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
