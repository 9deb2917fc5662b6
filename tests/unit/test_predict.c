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

#define ALL 100000
#define ZERO_BYTES 9
#define WHOLE_BYTES 4104
#define RAW(pages) ((uint64_t)(pages) * XBZ_PAGE_SIZE)

/* Sends pages in batches, as a session does. */
static void send(struct xbz_predict *p, uint64_t pages, uint64_t bytes_each)
{
	for (; pages > 100; pages -= 100)
		xbz_predict_sent(p, 100, 100 * bytes_each);
	xbz_predict_sent(p, pages, pages * bytes_each);
}

/* The setup's sync, the first pass, and the sync behind it. */
static struct xbz_predict first_pass(uint64_t dirty)
{
	struct xbz_predict p = { 0 };

	xbz_predict_sync(&p, 0, ALL);
	send(&p, ALL / 2, ZERO_BYTES);
	send(&p, ALL / 2, WHOLE_BYTES);
	xbz_predict_sync(&p, dirty, dirty);
	return p;
}

/* A whole pass of @pages, and the sync behind it, after which as many are dirty. */
static void pass(struct xbz_predict *p, uint64_t pages, uint64_t bytes_each)
{
	send(p, pages, bytes_each);
	xbz_predict_sync(p, pages, pages);
}

/* Fails if anything is promised by the first pass, however often it is synced. */
static void test_first_pass(void **state)
{
	struct xbz_predict p = { 0 };
	unsigned int i;

	(void)state;
	assert_int_equal(xbz_predict_bytes(&p, 1000), RAW(1000));
	xbz_predict_sync(&p, 0, ALL);
	for (i = 0; i < 9; i++) {
		send(&p, ALL / 10, ZERO_BYTES);
		assert_int_equal(xbz_predict_bytes(&p, ALL), RAW(ALL));
		xbz_predict_sync(&p, 10, ALL);
		assert_int_equal(xbz_predict_bytes(&p, ALL), RAW(ALL));
	}
	/* Its end is sent behind a sync, and is no second pass. */
	send(&p, ALL / 10, ZERO_BYTES);
	xbz_predict_sync(&p, 1000, 1000);
	assert_int_equal(xbz_predict_bytes(&p, 1000), RAW(1000));
	send(&p, 900, 20);
	assert_int_equal(xbz_predict_bytes(&p, 100), RAW(100));
	xbz_predict_sync(&p, 500, 600);
	assert_int_equal(xbz_predict_bytes(&p, 600), RAW(600));
	send(&p, 600, 20);
	xbz_predict_sync(&p, 500, 500);
	assert_int_equal(xbz_predict_bytes(&p, 500), 500 * 20);
}

/* Fails if pages are expected to take what those took that lie before them. */
static void test_order(void **state)
{
	struct xbz_predict p = first_pass(4000);

	(void)state;
	send(&p, 3000, 20);
	send(&p, 1000, WHOLE_BYTES);
	xbz_predict_sync(&p, 4000, 4000);
	send(&p, 3000, 20);
	assert_in_range(xbz_predict_bytes(&p, 1000), RAW(1000) - 1000, RAW(1000));
	/* A sync in the middle changes nothing of that. */
	xbz_predict_sync(&p, 1, 1001);
	assert_in_range(xbz_predict_bytes(&p, 1001), RAW(1000) - 1000, RAW(1001));
}

/* Fails if a pass that takes more than the one before is not noticed before it is over. */
static void test_more_than_before(void **state)
{
	struct xbz_predict p = first_pass(1000);

	(void)state;
	pass(&p, 1000, 20);
	pass(&p, 1000, 20);
	send(&p, 500, 2000);
	assert_in_range(xbz_predict_bytes(&p, 500), 500 * 2000, 501 * 2000);
}

/* Fails if what pages take now does not outweigh what they took before. */
static void test_adapts(void **state)
{
	struct xbz_predict p = first_pass(1000);
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++)
		pass(&p, 1000, 2000);
	assert_int_equal(xbz_predict_bytes(&p, 1000), 2000 * 1000);
	pass(&p, 1000, 100);
	assert_int_equal(xbz_predict_bytes(&p, 1000), 100 * 1000);
}

/* Fails if passes of a few pages erase what is known, or never say anything. */
static void test_small_passes(void **state)
{
	struct xbz_predict p = first_pass(10);
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++)
		pass(&p, 10, 100);
	assert_int_equal(xbz_predict_bytes(&p, 1000), RAW(1000));
	for (i = 0; i < 100; i++)
		pass(&p, i % 11, 100);
	assert_int_equal(xbz_predict_bytes(&p, 1000), 100 * 1000);
}

/* Fails if something is known of pages whose copies were dropped. */
static void test_forgets(void **state)
{
	struct xbz_predict p = first_pass(1000);

	(void)state;
	pass(&p, 1000, 20);
	assert_int_equal(xbz_predict_bytes(&p, 1000), 20 * 1000);
	send(&p, 500, 20);
	xbz_predict_forget(&p);
	assert_int_equal(xbz_predict_bytes(&p, 500), RAW(500));
	pass(&p, 500, WHOLE_BYTES);
	assert_int_equal(xbz_predict_bytes(&p, 1000), RAW(1000));
}

/*
 * Fails if more than the pages themselves is predicted, nothing for pages that took
 * nothing, which would pass for no page, or if a sum overflows.
 */
static void test_bounds(void **state)
{
	const uint64_t most = (1ULL << 40) - 1;
	struct xbz_predict p = first_pass(most);

	(void)state;
	pass(&p, most, WHOLE_BYTES);
	assert_int_equal(xbz_predict_bytes(&p, most), RAW(most));
	pass(&p, most, 0);
	assert_int_equal(xbz_predict_bytes(&p, most), 1);
	assert_int_equal(xbz_predict_bytes(&p, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_pass),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_more_than_before),
		cmocka_unit_test(test_adapts),
		cmocka_unit_test(test_small_passes),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
