// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the prediction of what dirty pages will take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <xbzrle/codec.h>
#include <xbzrle/predict.h>

#define RAW(pages) ((uint64_t)(pages) * XBZ_PAGE_SIZE)

/* Sends a pass in batches, as a session does. */
static void pass(struct xbz_predict *p, uint64_t pages, uint64_t bytes_each)
{
	for (; pages > 100; pages -= 100)
		xbz_predict_sent(p, 100, 100 * bytes_each);
	xbz_predict_sent(p, pages, pages * bytes_each);
	xbz_predict_pass(p);
}

/* Fails if something is promised of which nothing is known. */
static void test_unknown(void **state)
{
	struct xbz_predict p = { 0 };

	(void)state;
	assert_int_equal(xbz_predict_bytes(&p, 1000), RAW(1000));
	/* Whole and zero pages of the first pass are no deltas. */
	xbz_predict_sent(&p, 5000, 9 * 5000);
	assert_int_equal(xbz_predict_bytes(&p, 1000), RAW(1000));
	xbz_predict_pass(&p);
	assert_int_equal(xbz_predict_bytes(&p, 1000), RAW(1000));
	/* Nor are a few pages enough. */
	xbz_predict_sent(&p, 10, 200);
	assert_int_equal(xbz_predict_bytes(&p, 1000), RAW(1000));
	assert_int_equal(xbz_predict_bytes(&p, 0), 0);
}

/* Fails if the pages of a pass do not say what its other pages will take. */
static void test_within_a_pass(void **state)
{
	struct xbz_predict p = { 0 };

	(void)state;
	pass(&p, 10000, 4104);
	xbz_predict_sent(&p, 200, 200 * 100);
	assert_int_equal(xbz_predict_bytes(&p, 1000), 1000 * 100);
}

/* Fails if what pages take now does not soon outweigh what they took before. */
static void test_forgets(void **state)
{
	struct xbz_predict p = { 0 };
	unsigned int i;

	(void)state;
	pass(&p, 10000, 4104);
	for (i = 0; i < 10; i++)
		pass(&p, 1000, 2000);
	for (i = 0; i < 4; i++)
		pass(&p, 1000, 100);
	assert_in_range(xbz_predict_bytes(&p, 1000), 100 * 1000, 115 * 1000);
	for (i = 0; i < 4; i++)
		pass(&p, 1000, 2000);
	assert_in_range(xbz_predict_bytes(&p, 1000), 1700 * 1000, 2000 * 1000);
}

/* Fails if a pass in which nothing was sent erases what is known. */
static void test_empty_passes(void **state)
{
	struct xbz_predict p = { 0 };
	unsigned int i;

	(void)state;
	pass(&p, 10000, 4104);
	pass(&p, 1000, 100);
	for (i = 0; i < 100; i++)
		pass(&p, i % 2, 100);
	assert_int_equal(xbz_predict_bytes(&p, 1000), 100 * 1000);
}

/* Fails if more than the pages themselves is predicted, or a sum overflows. */
static void test_bounds(void **state)
{
	const uint64_t most = (1ULL << 40) - 1;
	struct xbz_predict p = { 0 };

	(void)state;
	pass(&p, 1000, 4104);
	xbz_predict_sent(&p, most, most * 4104);
	assert_int_equal(xbz_predict_bytes(&p, most), RAW(most));
	xbz_predict_pass(&p);
	xbz_predict_sent(&p, most, most * 20);
	assert_in_range(xbz_predict_bytes(&p, most), RAW(most) / 3, RAW(most));
	/* A fraction of a byte is a byte. */
	p = (struct xbz_predict){ .passes = 1 };
	xbz_predict_sent(&p, 1 << 20, 1 << 10);
	assert_int_equal(xbz_predict_bytes(&p, 1), 0);
	xbz_predict_sent(&p, 0, 1 << 13);
	assert_int_equal(xbz_predict_bytes(&p, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_within_a_pass),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_empty_passes),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
