// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the cache keeps when it is too small, and what becomes of its memory.
 */
#include "harness.h"

#include <string.h>

/* 16 MiB, of whole chunks for each of eight queues. */
#define CACHE_PAGES 4096

static struct xbzrle_counters counters(struct xbzt_session *s)
{
	struct xbzrle_counters c;

	xbzt_counters(s, XBZRLE_ALL_QUEUES, &c);
	return c;
}

/*
 * A pass over pages that are full of data, of which the guest has changed a few
 * bytes: the next one, as SYNC begins it.
 */
static void next_pass(struct xbzt_session *s, struct xbzt_region *r)
{
	struct xbzrle_sync sync;
	uint64_t page;

	for (page = 0; page < r->nr_pages; page++)
		xbzt_guest_write(xbzt_page(r, page), XBZT_SPARSE, &xbzt_rng);
	assert_int_equal(xbzt_sync(s, &sync), 0);
	xbzt_dirty_all(r);
	xbzt_pass(s);
}

static void cyclic_scan(unsigned int nr_queues, uint64_t nr_pages)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = nr_queues, .ring_bytes = 1 << 20,
		.cache_bytes = CACHE_PAGES * XBZT_PAGE });
	struct xbzt_region *r = xbzt_region(s, "ram", nr_pages);
	struct xbzrle_counters before, after;
	unsigned int pass;
	uint64_t page;

	for (page = 0; page < nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	after = counters(s);
	/* Room is filled in the first pass. */
	assert_int_equal(after.cache_pages,
			 nr_pages < CACHE_PAGES ? nr_pages : CACHE_PAGES);
	for (pass = 0; pass < 5; pass++) {
		before = after;
		next_pass(s, r);
		after = counters(s);
		assert_true(after.cache_pages <= CACHE_PAGES);
		if (after.cache_hits - before.cache_hits <
		    (nr_pages < CACHE_PAGES ? nr_pages : CACHE_PAGES))
			fail_msg("%u queues, pass %u of %llu pages: %llu hits",
				 nr_queues, pass + 2, (unsigned long long)nr_pages,
				 (unsigned long long)(after.cache_hits -
						      before.cache_hits));
	}
	xbzt_assert_equal(r);
	xbzt_close(s);
}

/*
 * Breaks if a scan over N times the cache, in the order of addresses, hits less
 * than 1/N of its pages, which is what the policy's replay has, too.
 */
static void test_cyclic_scan(void **state)
{
	static const unsigned int queues[] = { 1, 8 };
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(queues); i++) {
		cyclic_scan(queues[i], CACHE_PAGES);
		/* With eight, each queue has as much of it: whole chunks. */
		if (queues[i] == 1)
			cyclic_scan(queues[i], CACHE_PAGES + 1);
		cyclic_scan(queues[i], CACHE_PAGES * 5 / 4);
		cyclic_scan(queues[i], CACHE_PAGES * 2);
	}
}

/*
 * Breaks if pages that are dirty in each pass lose their places to pages that were
 * sent once, or if SYNC begins no pass for the policy.
 */
static void test_hot_pages_stay(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = 256 * XBZT_PAGE });
	struct xbzt_region *cold = xbzt_region(s, "cold", 1024);
	struct xbzt_region *hot = xbzt_region(s, "hot", 200);
	struct xbzrle_counters before, after;
	uint64_t page;
	unsigned int pass;

	(void)state;
	for (page = 0; page < cold->nr_pages; page++)
		xbzt_guest_fill(xbzt_page(cold, page), &xbzt_rng);
	for (page = 0; page < hot->nr_pages; page++)
		xbzt_guest_fill(xbzt_page(hot, page), &xbzt_rng);
	xbzt_dirty_all(cold);
	xbzt_dirty_all(hot);
	xbzt_pass(s);
	/* The room was filled with others; they give way. */
	for (pass = 0; pass < 4; pass++)
		next_pass(s, hot);
	before = counters(s);
	for (page = 0; page < 200; page++)
		xbzt_dirty(cold, 200 * pass + page);
	next_pass(s, hot);
	after = counters(s);
	assert_true(after.cache_hits - before.cache_hits >= 180);
	xbzt_assert_all_equal(s);
	xbzt_close(s);
}

/*
 * Breaks if the counters of hits whose delta does not fit do not add up: each is sent
 * whole, as an overflow, or against zero; and if such a page keeps its place.
 */
static void test_overflows(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = 64 * XBZT_PAGE });
	struct xbzt_region *r = xbzt_region(s, "ram", 20);
	struct xbzrle_counters c;
	uint64_t page;

	(void)state;
	for (page = 0; page < r->nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	/* Other data, half of which is zero: shorter against zero. */
	for (page = 0; page < r->nr_pages; page++) {
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
		if (page < 10)
			memset(xbzt_page(r, page), 0, XBZT_PAGE / 2);
	}
	xbzt_dirty_all(r);
	xbzt_pass(s);
	c = counters(s);
	assert_int_equal(c.cache_hits, 20);
	assert_int_equal(c.zero_based, 10);
	assert_int_equal(c.overflows, 10);
	assert_int_equal(c.pages_raw, 20 + c.overflows);
	assert_int_equal(c.cache_pages, 0);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cyclic_scan),
		cmocka_unit_test(test_hot_pages_stay),
		cmocka_unit_test(test_overflows),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
