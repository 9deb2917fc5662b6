// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data path without KVM: bits set by hand, batches decoded into a copy of
 * the memory. Errors and the ten invariants have programs of their own. Fails
 * if the copy differs, or a counter or a ring's position is wrong.
 */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* A chunk has 512 pages, a word of a bitmap 64; hardly any of these fit. */
static void add_regions(struct xbzt_session *s)
{
	static const struct {
		const char *name;
		uint64_t nr_pages;
	} regions[] = {
		{ "pc.ram", 1531 }, { "one", 1 }, { "vga.vram", 64 },
		{ "/rom@etc/acpi/tables", 63 }, { "x", 513 },
	};
	char longest[256];
	unsigned int i;

	for (i = 0; i < XBZT_ARRAY_SIZE(regions); i++)
		xbzt_dirty_all(xbzt_region(s, regions[i].name,
					   regions[i].nr_pages));
	memset(longest, 'n', 255);
	longest[255] = 0;
	xbzt_dirty_all(xbzt_region(s, longest, 65));
}

/*
 * Passes over memory that changes in all shapes. Breaks if any record, any
 * cached copy, any bit or any ring position is wrong in any of these setups.
 */
static void run_passes(const struct xbzt_config *config, unsigned int passes)
{
	struct xbzt_session *s = xbzt_open(config);
	unsigned int pass;

	add_regions(s);
	for (pass = 0; pass < passes; pass++) {
		struct xbzrle_encode how = { 0 };

		xbzt_scribble(s, pass % 3 ? 40 : 5);
		if (pass % 4 == 1)
			how.budget = 1 + xbzt_below(&xbzt_rng, 50000);
		if (pass % 4 == 2)
			how.max_pages = 1 + xbzt_below(&xbzt_rng, 100);
		if (pass % 5 == 4)
			how.flags = XBZRLE_ENCODE_LAST_STAGE;
		if (pass % 3 == 1)
			how.flags |= XBZRLE_ENCODE_WHOLE_APART;
		if (pass % 2)
			how.max_delta = 1 + xbzt_below(&xbzt_rng, 3000);
		xbzt_pass_with(s, &how);
		xbzt_assert_all_equal(s);
	}
	xbzt_close(s);
}

static void test_one_queue(void **state)
{
	(void)state;
	run_passes(&(struct xbzt_config){ .cache_bytes = 64 << 20,
					  .ring_bytes = 1 << 20 }, 12);
}

static void test_four_queues(void **state)
{
	(void)state;
	run_passes(&(struct xbzt_config){ .nr_queues = 4,
					  .cache_bytes = 64 << 20,
					  .ring_bytes = 1 << 20 }, 12);
}

static void test_most_queues(void **state)
{
	(void)state;
	run_passes(&(struct xbzt_config){ .nr_queues = XBZRLE_MAX_QUEUES,
					  .cache_bytes = 64 << 20,
					  .ring_bytes = XBZT_RING_MIN }, 8);
}

/* Breaks if a batch that wraps around the ring is not contiguous. */
static void test_smallest_ring(void **state)
{
	(void)state;
	run_passes(&(struct xbzt_config){ .cache_bytes = 64 << 20,
					  .ring_bytes = XBZT_RING_MIN }, 12);
}

/* Breaks if something relies on a copy that was evicted or never kept. */
static void test_tiny_cache(void **state)
{
	(void)state;
	run_passes(&(struct xbzt_config){ .cache_bytes = 7 * XBZT_PAGE }, 12);
	run_passes(&(struct xbzt_config){ .nr_queues = 4,
					  .cache_bytes = 400 * XBZT_PAGE }, 12);
}

static void test_no_cache(void **state)
{
	(void)state;
	run_passes(&(struct xbzt_config){ .nr_queues = 3 }, 8);
}

/* Breaks if a limit that no host has overflows on the way. */
static void test_endless_cache(void **state)
{
	(void)state;
	run_passes(&(struct xbzt_config){ .cache_bytes = ~0ULL }, 6);
}

/* Breaks if a clean page is sent, or a page twice. */
static void test_only_dirty_pages(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 2000);
	struct xbzrle_encode arg = { 0 };
	uint64_t page;

	(void)state;
	for (page = 0; page < r->nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	for (page = 3; page < r->nr_pages; page += 97)
		xbzt_dirty(r, page);
	xbzt_pass(s);
	for (page = 0; page < r->nr_pages; page++) {
		bool sent = page >= 3 && (page - 3) % 97 == 0;

		assert_int_equal(xbzt_differs(r, page), !sent);
	}
	assert_int_equal(s->total.pages, (r->nr_pages - 3 + 96) / 97);

	xbzt_encode(s, 0, &arg);
	assert_int_equal(arg.status, XBZRLE_STATUS_IDLE);
	assert_int_equal(arg.pages, 0);
	assert_int_equal(arg.bytes, 0);
	xbzt_close(s);
}

/*
 * Breaks if the cache saves nothing (no deltas for small changes), if an
 * unchanged page is sent, or if a page that becomes zero is not sent so.
 */
static void test_small_changes_are_small(void **state)
{
	const uint64_t n = 300;
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = 64 << 20 });
	struct xbzt_region *r = xbzt_region(s, "ram", n);
	uint64_t page, before;

	(void)state;
	for (page = 0; page < n; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	assert_int_equal(s->total.pages_raw, n);

	before = s->total.bytes;
	for (page = 0; page < n; page++)
		xbzt_page(r, page)[1000]++;
	xbzt_dirty_all(r);
	xbzt_pass(s);
	assert_int_equal(s->total.pages_delta, n);
	assert_true(s->total.bytes - before < 20 * n);

	before = s->total.bytes;
	xbzt_dirty_all(r);
	xbzt_pass(s);
	assert_int_equal(s->total.pages_same, n);
	assert_int_equal(s->total.bytes, before);

	memset(r->mem, 0, n * XBZT_PAGE);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	assert_int_equal(s->total.pages_zero, n);

	/* What is known as zero needs no copy for a delta. */
	for (page = 0; page < n; page++)
		xbzt_page(r, page)[7] = 1;
	xbzt_dirty_all(r);
	xbzt_pass(s);
	assert_int_equal(s->total.pages_delta, 2 * n);
	assert_int_equal(s->total.pages_raw, n);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

/*
 * Breaks if a bound on deltas is not kept, or what is known of a page that is sent
 * whole because of it is not what the destination has.
 */
static void test_bound(void **state)
{
	const uint64_t n = 300;
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = 64 << 20 });
	struct xbzt_region *r = xbzt_region(s, "ram", n);
	struct xbzrle_encode how = { .max_delta = 400 };
	uint64_t page, pass;

	(void)state;
	for (page = 0; page < n; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	xbzt_pass_with(s, &how);
	assert_int_equal(s->total.pages_raw, n);
	for (pass = 1; pass < 4; pass++) {
		for (page = 0; page < n; page++)
			memset(xbzt_page(r, page), pass, page % 2 ? 500 : 50);
		xbzt_dirty_all(r);
		xbzt_pass_with(s, &how);
		assert_int_equal(s->total.pages_delta, pass * (n / 2));
		assert_int_equal(s->total.pages_raw, n + pass * (n / 2));
		xbzt_assert_equal(r);
	}
	xbzt_close(s);
}

/*
 * Breaks if a batch does not say how many SYNCs there were, or a struct of the first
 * version is not taken any more.
 */
static void test_encode_grew(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 100);
	struct xbzrle_encode arg = { .size = XBZRLE_ENCODE_SIZE_VER0 };
	struct xbzrle_sync sync;
	unsigned int i;

	(void)state;
	arg.pass = 12345;
	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_ENCODE, &arg), 0);
	assert_int_equal(arg.pass, 12345);
	for (i = 0; i < 3; i++) {
		arg = (struct xbzrle_encode){ 0 };
		xbzt_dirty(r, i);
		xbzt_encode(s, 0, &arg);
		assert_int_equal(arg.pass, i);
		assert_int_equal(xbzt_sync(s, &sync), 0);
		assert_int_equal(sync.pass, i + 1);
	}
	xbzt_close(s);
}

/* Breaks if delta against zero is not used without a cache. */
static void test_delta_against_zero(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 100);
	struct xbzrle_counters c;
	uint64_t page;

	(void)state;
	for (page = 0; page < r->nr_pages; page++)
		memset(xbzt_page(r, page) + 100, 0x11, 200);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	assert_int_equal(s->total.pages_delta, r->nr_pages);
	xbzt_counters(s, XBZRLE_ALL_QUEUES, &c);
	assert_int_equal(c.zero_based, r->nr_pages);
	xbzt_close(s);
}

/* Breaks if a counter does not say what ENCODE said. */
static void test_counters(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 3, .cache_bytes = 64 << 20 });
	struct xbzrle_counters all, one, sum = { 0 };
	unsigned int pass, q;

	(void)state;
	add_regions(s);
	for (pass = 0; pass < 5; pass++) {
		xbzt_scribble(s, 30);
		xbzt_pass(s);
	}
	xbzt_counters(s, XBZRLE_ALL_QUEUES, &all);
	for (q = 0; q < s->setup.nr_queues; q++) {
		xbzt_counters(s, q, &one);
		sum.pages_raw += one.pages_raw;
		sum.bytes += one.bytes;
		sum.cache_hits += one.cache_hits;
		sum.cache_misses += one.cache_misses;
		assert_int_equal(one.bytes, s->queues[q].pos);
	}
	assert_int_equal(all.pages_same, s->total.pages_same);
	assert_int_equal(all.pages_zero, s->total.pages_zero);
	assert_int_equal(all.pages_delta, s->total.pages_delta);
	assert_int_equal(all.pages_raw, s->total.pages_raw);
	assert_int_equal(all.bytes, s->total.bytes);
	assert_int_equal(all.pages_raw, sum.pages_raw);
	assert_int_equal(all.bytes, sum.bytes);
	assert_int_equal(all.cache_hits, sum.cache_hits);
	assert_int_equal(all.cache_hits + all.cache_misses, s->total.pages);
	assert_int_equal(all.cache_misses, sum.cache_misses);
	assert_true(all.cache_pages <= all.cache_limit);
	assert_true(all.bytes_delta < all.bytes);
	xbzt_close(s);
}

/* Breaks if INVALIDATE keeps anything: the bypass has made it wrong. */
static void test_invalidate(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = 64 << 20 });
	struct xbzt_region *r = xbzt_region(s, "ram", 1200);
	struct xbzrle_invalidate arg = { .size = sizeof(arg), .region = r->id };
	unsigned int pass;

	(void)state;
	xbzt_dirty_all(r);
	for (pass = 0; pass < 6; pass++) {
		xbzt_scribble(s, 50);
		xbzt_pass(s);
		xbzt_assert_equal(r);

		/* Somebody else sends some pages, with another content. */
		arg.first_page = xbzt_below(&xbzt_rng, r->nr_pages);
		arg.nr_pages = 1 + xbzt_below(&xbzt_rng,
					      r->nr_pages - arg.first_page);
		memset(xbzt_dest_page(r, arg.first_page), 0xee,
		       arg.nr_pages * XBZT_PAGE);
		assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_INVALIDATE, &arg), 0);
		for (uint64_t i = 0; i < arg.nr_pages; i++)
			xbzt_dirty(r, arg.first_page + i);
	}
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

/* Breaks if a region's number or memory, used again, finds old copies. */
static void test_regions_come_and_go(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = 64 << 20 });
	uint8_t *mem = xbzt_memory(700);
	struct xbzt_region *r;
	unsigned int i;

	(void)state;
	xbzt_dirty_all(xbzt_region(s, "stays", 300));
	for (i = 0; i < 6; i++) {
		r = xbzt_region_at(s, "comes", 100 + 100 * i, mem);
		assert_int_equal(r->id, 1);
		xbzt_dirty_all(r);
		xbzt_scribble(s, 60);
		/* Not all of it, so that the cursor stays inside. */
		if (i % 2) {
			struct xbzrle_encode some = { .max_pages = 77 };

			xbzt_encode(s, i / 2 % 2, &some);
		} else {
			xbzt_pass(s);
			xbzt_assert_all_equal(s);
		}
		xbzt_region_del(s, r);
	}
	xbzt_assert_works(s);
	xbzt_close(s);
}

static void *write_while_encoding(void *p)
{
	struct xbzt_session *s = p;
	struct xbzt_rng rng;

	xbzt_rng_seed(&rng, xbzt_seed + 1);
	while (!__atomic_load_n(&s->total.flags, __ATOMIC_RELAXED)) {
		struct xbzt_region *r = s->regions[xbzt_below(&rng,
							     s->nr_regions)];
		uint64_t page = xbzt_below(&rng, r->nr_pages);

		xbzt_guest_write_any(xbzt_page(r, page), &rng);
		xbzt_dirty(r, page);
	}
	return NULL;
}

/* Breaks if a bit that is set while its page is being encoded is lost. */
static void test_writer_runs_along(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = 64 << 20 });
	pthread_t writer;
	unsigned int pass;

	(void)state;
	add_regions(s);
	assert_int_equal(pthread_create(&writer, NULL, write_while_encoding, s),
			 0);
	for (pass = 0; pass < 200; pass++) {
		struct xbzrle_encode some = { .max_pages = 50 };

		xbzt_encode(s, pass % 2, &some);
	}
	__atomic_store_n(&s->total.flags, 1, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	xbzt_pass(s);
	xbzt_assert_all_equal(s);
	xbzt_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_queue),
		cmocka_unit_test(test_four_queues),
		cmocka_unit_test(test_most_queues),
		cmocka_unit_test(test_smallest_ring),
		cmocka_unit_test(test_tiny_cache),
		cmocka_unit_test(test_no_cache),
		cmocka_unit_test(test_endless_cache),
		cmocka_unit_test(test_only_dirty_pages),
		cmocka_unit_test(test_small_changes_are_small),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_encode_grew),
		cmocka_unit_test(test_delta_against_zero),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_invalidate),
		cmocka_unit_test(test_regions_come_and_go),
		cmocka_unit_test(test_writer_runs_along),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
