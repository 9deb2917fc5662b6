// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invariant 9: secrets die with the session. What the process can still see of
 * a dead session it looks at; for the rest xbz_fakevm looks through all memory
 * for a page that only the guest had.
 */
#include "fakevm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGES 200

static bool all_zero(const uint8_t *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

/* Breaks if a bitmap is given back with what it held. */
static void test_invariant_9_bitmap(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 3000);
	struct xbzrle_region_del arg = { .size = sizeof(arg), .region = r->id };

	(void)state;
	memset(r->bitmap, 0xff, r->bitmap_bytes);
	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_DEL, &arg), 0);
	/* The mapping is there still; nothing reads it any more. */
	assert_true(all_zero((uint8_t *)r->bitmap, r->bitmap_bytes));
	memset(r->bitmap, 0xff, r->bitmap_bytes);
	xbzt_region_forget(s, r);
	xbzt_region(s, "ram", 100);
	xbzt_assert_works(s);
	xbzt_close(s);
}

/*
 * Breaks if a ring's pages are given back with what they held. A pipe keeps
 * them from being free, as a socket does that has not sent all yet.
 */
static void test_invariant_9_ring(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.ring_bytes = XBZT_RING_MIN });
	struct xbzt_region *r = xbzt_region(s, "ram", 10);
	struct iovec iov = { (void *)s->queues[0].data, 8 * XBZT_PAGE };
	uint8_t sent[8 * XBZT_PAGE];
	struct xbzrle_encode arg = { 0 };
	uint64_t page;
	int fds[2];

	(void)state;
	for (page = 0; page < r->nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	xbzt_encode(s, 0, &arg);
	assert_true(arg.bytes > sizeof(sent));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(vmsplice(fds[1], &iov, 1, 0), sizeof(sent));
	/* The session is freed here: nothing refers to its file any more. */
	xbzt_close(s);
	assert_int_equal(read(fds[0], sent, sizeof(sent)), sizeof(sent));
	assert_true(all_zero(sent, sizeof(sent)));
	close(fds[0]);
	close(fds[1]);
}

/**
 * struct secret - a session that has sent a guest's secret
 * @seed: which one
 * @s: the session
 * @r: its region; neither here nor at the destination the secret is left
 */
struct secret {
	uint64_t seed;
	struct xbzt_session *s;
	struct xbzt_region *r;
};

static struct secret secret_open(uint64_t cache_bytes)
{
	struct secret x = { .seed = xbzt_random(&xbzt_rng) };
	uint64_t page;

	x.s = xbzt_open(&(struct xbzt_config){ .cache_bytes = cache_bytes,
					       .ring_bytes = XBZT_RING_MIN });
	x.r = xbzt_region(x.s, "ram", PAGES);
	/* A page that was collapsed into a huge one would leave its old self. */
	madvise(x.r->mem, PAGES * XBZT_PAGE, MADV_NOHUGEPAGE);
	madvise(x.r->block.mem, PAGES * XBZT_PAGE, MADV_NOHUGEPAGE);
	for (page = 0; page < PAGES; page++)
		xbzt_secret_plant(xbzt_page(x.r, page), x.seed);
	xbzt_dirty_all(x.r);
	xbzt_pass(x.s);
	memset(x.r->mem, 0, PAGES * XBZT_PAGE);
	memset(x.r->block.mem, 0, PAGES * XBZT_PAGE);
	return x;
}

/*
 * Breaks if anything of the guest's memory is left in free pages after the
 * session: cached copies, rings, the page that was being encoded.
 */
static void test_invariant_9_closed_session(void **state)
{
	struct secret x = secret_open(64 << 20);
	struct xbzrle_counters c;

	(void)state;
	/* While it is open the copies are there: the search does find them. */
	xbzt_counters(x.s, 0, &c);
	assert_int_equal(c.cache_pages, PAGES);
	assert_true(xbzt_secret_found(x.seed) >= PAGES);
	xbzt_close(x.s);
	assert_int_equal(xbzt_secret_found(x.seed), 0);
}

/*
 * Encodes something else, so that nothing but the copies has the secret: all of
 * the pages'.
 */
static void overwrite_ring(struct secret *x)
{
	struct xbzt_region *r = xbzt_region(x->s, "else", 20);
	struct xbzrle_counters c;
	uint64_t page;

	xbzt_counters(x->s, 0, &c);
	assert_int_equal(c.cache_pages, PAGES);

	for (page = 0; page < r->nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	xbzt_pass(x->s);
}

/* Breaks if copies that a smaller cache has dropped are free with content. */
static void test_invariant_9_smaller_cache(void **state)
{
	struct secret x = secret_open(64 << 20);

	(void)state;
	overwrite_ring(&x);
	assert_int_equal(xbzt_cache(x.s, 0), 0);
	assert_int_equal(xbzt_secret_found(x.seed), 0);
	xbzt_close(x.s);
}

/* Breaks if copies that were invalidated are free with content. */
static void test_invariant_9_invalidated(void **state)
{
	struct secret x = secret_open(64 << 20);
	struct xbzrle_invalidate arg = {
		.size = sizeof(arg), .region = x.r->id, .nr_pages = PAGES };

	(void)state;
	overwrite_ring(&x);
	assert_int_equal(xbzt_ioctl(x.s->fd, XBZRLE_INVALIDATE, &arg), 0);
	assert_int_equal(xbzt_secret_found(x.seed), 0);
	xbzt_close(x.s);
}

/* Breaks if the copies of a region outlive it. */
static void test_invariant_9_deleted_region(void **state)
{
	struct secret x = secret_open(64 << 20);

	(void)state;
	overwrite_ring(&x);
	xbzt_region_del(x.s, x.r);
	assert_int_equal(xbzt_secret_found(x.seed), 0);
	xbzt_close(x.s);
}

/* Breaks if a page that becomes zero leaves its copy in free memory. */
static void test_invariant_9_page_becomes_zero(void **state)
{
	struct secret x = secret_open(64 << 20);

	(void)state;
	overwrite_ring(&x);
	xbzt_dirty_all(x.r);
	xbzt_pass(x.s);
	assert_int_equal(xbzt_secret_found(x.seed), 0);
	xbzt_close(x.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invariant_9_bitmap),
		cmocka_unit_test(test_invariant_9_ring),
		cmocka_unit_test(test_invariant_9_closed_session),
		cmocka_unit_test(test_invariant_9_smaller_cache),
		cmocka_unit_test(test_invariant_9_invalidated),
		cmocka_unit_test(test_invariant_9_deleted_region),
		cmocka_unit_test(test_invariant_9_page_becomes_zero),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
