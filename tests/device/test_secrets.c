// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invariant 9: secrets die with the session. What the process can still see of
 * a dead session it looks at; for the rest xbz_fakevm looks through all memory
 * for a page that only the guest had. Fails if either finds it.
 */
#include "fakevm.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 200

static bool all_zero(const uint8_t *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

/* Sends memory into a pipe, which then has its pages. */
static void into_pipe(const int *fds, const void *p, size_t n)
{
	struct iovec iov = { (void *)p, n };

	assert_int_equal(vmsplice(fds[1], &iov, 1, 0), n);
}

static bool pipe_is_zero(const int *fds, void *buf, size_t n)
{
	assert_int_equal(read(fds[0], buf, n), n);
	return all_zero(buf, n);
}

/*
 * Breaks if a bitmap is given back with what it held, or while the process has it
 * mapped: in any case it is then used by others.
 */
static void test_invariant_9_bitmap(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 40000);
	struct xbzrle_region_del arg = { .size = sizeof(arg), .region = r->id };
	uint64_t used = xbzt_memory_used();
	uint8_t buf[XBZT_PAGE];
	int fds[2];

	(void)state;
	memset(r->bitmap, 0xff, r->bitmap_bytes);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	into_pipe(fds, r->bitmap, sizeof(buf));
	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_DEL, &arg), 0);
	/* The mapping is there still; nothing reads it any more. */
	memset(r->bitmap, 0xff, r->bitmap_bytes);
	xbzt_region_forget(s, r);
	xbzt_eventually(xbzt_memory_used() < used);
	assert_true(pipe_is_zero(fds, buf, sizeof(buf)));
	xbzt_region(s, "ram", 100);
	xbzt_assert_works(s);
	close(fds[0]);
	close(fds[1]);
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
	into_pipe(fds, s->queues[0].data, sizeof(sent));
	/* The session is freed here: nothing refers to its file any more. */
	xbzt_close(s);
	xbzt_assert_all_freed();
	assert_true(pipe_is_zero(fds, sent, sizeof(sent)));
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
	xbzt_eventually(!xbzt_secret_found(x.seed));
}

/* Breaks if a process that is killed leaves more than one that closes its session. */
static void test_invariant_9_killed_process(void **state)
{
	uint64_t seed = 0;
	int fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct secret x = secret_open(64 << 20);

		if (write(fds[1], &x.seed, sizeof(x.seed)) == sizeof(x.seed))
			pause();
		_exit(1);
	}
	assert_int_equal(read(fds[0], &seed, sizeof(seed)), sizeof(seed));
	assert_true(xbzt_secret_found(seed) >= PAGES);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	xbzt_eventually(!xbzt_secret_found(seed));
	xbzt_assert_all_freed();
	close(fds[0]);
	close(fds[1]);
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
	xbzt_eventually(!xbzt_secret_found(x.seed));
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
	xbzt_eventually(!xbzt_secret_found(x.seed));
	xbzt_close(x.s);
}

/* Breaks if the copies of a region outlive it. */
static void test_invariant_9_deleted_region(void **state)
{
	struct secret x = secret_open(64 << 20);

	(void)state;
	overwrite_ring(&x);
	xbzt_region_del(x.s, x.r);
	xbzt_eventually(!xbzt_secret_found(x.seed));
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
	xbzt_eventually(!xbzt_secret_found(x.seed));
	xbzt_close(x.s);
}

/*
 * More pages than there is room for, half of each a secret, the other half the same: so
 * copies of them are packed.
 */
static struct secret secret_packed(void)
{
	struct secret x = { .seed = xbzt_random(&xbzt_rng) };
	struct xbzrle_counters c;
	uint64_t page;

	x.s = xbzt_open(&(struct xbzt_config){ .cache_bytes = PAGES * XBZT_PAGE,
					       .ring_bytes = XBZT_RING_MIN });
	x.r = xbzt_region(x.s, "ram", 2 * PAGES);
	madvise(x.r->mem, 2 * PAGES * XBZT_PAGE, MADV_NOHUGEPAGE);
	madvise(x.r->block.mem, 2 * PAGES * XBZT_PAGE, MADV_NOHUGEPAGE);
	for (page = 0; page < 2 * PAGES; page++)
		xbzt_secret_plant_twice(xbzt_page(x.r, page), x.seed);
	xbzt_dirty_all(x.r);
	xbzt_pass(x.s);
	memset(x.r->mem, 0, 2 * PAGES * XBZT_PAGE);
	memset(x.r->block.mem, 0, 2 * PAGES * XBZT_PAGE);
	xbzt_counters(x.s, 0, &c);
	assert_true(c.cache_packed > PAGES / 2);
	/* A page has one at least. */
	assert_true(xbzt_secret_found_anywhere(x.seed) >= c.packed_pages);
	return x;
}

/* Breaks if packed copies, or what packs them, are free with content. */
static void test_invariant_9_packed(void **state)
{
	struct secret x = secret_packed();
	struct xbzt_region *r;
	uint64_t page;

	(void)state;
	xbzt_close(x.s);
	/* It takes long to look, so once. */
	xbzt_assert_all_freed();
	assert_int_equal(xbzt_secret_found_anywhere(x.seed), 0);

	x = secret_packed();
	r = xbzt_region(x.s, "else", 20);
	for (page = 0; page < r->nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	assert_int_equal(xbzt_cache(x.s, 0), 0);
	/* The ring has whole pages, too. */
	xbzt_dirty_all(r);
	xbzt_pass(x.s);
	xbzt_eventually(xbzt_memory_used() < PAGES / 2 * XBZT_PAGE);
	assert_int_equal(xbzt_secret_found_anywhere(x.seed), 0);
	xbzt_close(x.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invariant_9_bitmap),
		cmocka_unit_test(test_invariant_9_ring),
		cmocka_unit_test(test_invariant_9_closed_session),
		cmocka_unit_test(test_invariant_9_killed_process),
		cmocka_unit_test(test_invariant_9_smaller_cache),
		cmocka_unit_test(test_invariant_9_invalidated),
		cmocka_unit_test(test_invariant_9_deleted_region),
		cmocka_unit_test(test_invariant_9_page_becomes_zero),
		cmocka_unit_test(test_invariant_9_packed),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
