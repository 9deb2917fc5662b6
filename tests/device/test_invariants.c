// SPDX-License-Identifier: GPL-2.0-only
/*
 * The invariants of Documentation/design.rst that need no VM, a test or more
 * for each, named after it. Those about KVM's log are in test_invariants_log.c,
 * the one about secrets in test_secrets.c. A test fails if its invariant is
 * broken; tests/mutation breaks them.
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define CACHE (64 << 20)

/* What a helper thread shares with its test; threads assert nothing. */
struct helper {
	struct xbzt_session *s;
	struct xbzt_region *r;
	unsigned int round;
	unsigned int done;
	bool stop;
	int error;
};

static void start(pthread_t *thread, void *(*run)(void *), struct helper *h)
{
	assert_int_equal(pthread_create(thread, NULL, run, h), 0);
}

static bool stopped(struct helper *h)
{
	return __atomic_load_n(&h->stop, __ATOMIC_ACQUIRE);
}

static int stop(pthread_t thread, struct helper *h)
{
	__atomic_store_n(&h->stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	return h->error;
}

/*
 * The ring itself as guest memory, so that the page being encoded is written to
 * by its own record. Breaks if a page is read more than once for an encoding:
 * what is read before the record is made is at the destination, what is read
 * after it would be in the module's copy.
 */
static void test_invariant_1_page_is_read_once(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = CACHE });
	const uint64_t nr_pages = s->setup.ring_bytes / XBZT_PAGE;
	struct xbzt_region *fill = xbzt_region(s, "fill", nr_pages);
	struct xbzt_region *r = xbzt_region_at(s, "ring", nr_pages,
					       (uint8_t *)s->queues[0].data);
	struct xbzrle_counters c;
	uint64_t page, round;

	(void)state;
	/* Something to begin with, so that the first records are raw. */
	for (page = 0; page < nr_pages; page++)
		xbzt_guest_fill(xbzt_page(fill, page), &xbzt_rng);
	xbzt_dirty_all(fill);
	xbzt_pass(s);

	for (round = 0; round < 200; round++) {
		uint8_t before[XBZT_PAGE];

		/* Where the record is going to be. */
		/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): a ring has pages */
		page = s->queues[0].pos / XBZT_PAGE % nr_pages;
		memcpy(before, xbzt_page(r, page), XBZT_PAGE);
		xbzt_dirty(r, page);
		xbzt_pass(s);
		assert_memory_equal(xbzt_dest_page(r, page), before, XBZT_PAGE);
		/* Against the copy: what the record wrote to the page is new. */
		memcpy(before, xbzt_page(r, page), XBZT_PAGE);
		xbzt_dirty(r, page);
		xbzt_pass(s);
		assert_memory_equal(xbzt_dest_page(r, page), before, XBZT_PAGE);
		/* Now and then something else, to get on around the ring. */
		if (round % 3 == 2) {
			xbzt_dirty(fill, round % nr_pages);
			xbzt_guest_fill(xbzt_page(fill, round % nr_pages),
					&xbzt_rng);
			xbzt_pass(s);
		}
	}
	xbzt_counters(s, 0, &c);
	assert_true(c.cache_hits > 100);
	xbzt_close(s);
}

/* Each round, each word of the region is written once. */
static void *sweep_each_round(void *p)
{
	struct helper *h = p;
	unsigned int round = 0;

	while (!stopped(h)) {
		uint64_t word, *words = (uint64_t *)h->r->mem;

		if (__atomic_load_n(&h->round, __ATOMIC_ACQUIRE) == round) {
			sched_yield();
			continue;
		}
		round++;
		for (word = 0; word < h->r->nr_pages * 512; word++)
			__atomic_store_n(&words[word], round * 0x100000001,
					 __ATOMIC_RELAXED);
		__atomic_store_n(&h->done, round, __ATOMIC_RELEASE);
	}
	return NULL;
}

/*
 * Breaks if a page is read more than once for an encoding, wherever that is. A
 * word that changed between the reads is in the module's copy and not at the
 * destination; it does not change again, so a quiet pass finds nothing to send
 * there. It takes two CPUs to see it, and some luck each time.
 */
static void test_invariant_1_cache_equals_destination(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = CACHE, .ring_bytes = 1 << 20 });
	struct xbzt_region *r = xbzt_region(s, "ram", 16);
	struct helper h = { .s = s, .r = r };
	pthread_t writer;
	unsigned int round;

	(void)state;
	start(&writer, sweep_each_round, &h);
	for (round = 1; round <= 500; round++) {
		xbzt_dirty_all(r);
		__atomic_store_n(&h.round, round, __ATOMIC_RELEASE);
		xbzt_pass(s);
		while (__atomic_load_n(&h.done, __ATOMIC_ACQUIRE) != round)
			sched_yield();
		xbzt_dirty_all(r);
		xbzt_pass(s);
		xbzt_assert_equal(r);
	}
	stop(writer, &h);
	xbzt_close(s);
}

/*
 * Breaks if the copy is not brought up to date by each kind of record: the
 * next delta, which touches other bytes, would be against something else.
 */
static void test_invariant_1_after_each_kind_of_record(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = CACHE });
	struct xbzt_region *r = xbzt_region(s, "ram",
					    XBZT_NR_SHAPES * XBZT_NR_SHAPES);
	unsigned int second, page, pass;

	(void)state;
	xbzt_dirty_all(r);
	xbzt_pass(s);
	for (pass = 0; pass < 3; pass++) {
		/* Each shape after each shape, then a small change. */
		for (second = 0; second < 3; second++) {
			for (page = 0; page < r->nr_pages; page++) {
				enum xbzt_shape shapes[] = {
					page % XBZT_NR_SHAPES,
					page / XBZT_NR_SHAPES,
					XBZT_LAST,
				};

				xbzt_guest_write(xbzt_page(r, page),
						 shapes[second], &xbzt_rng);
			}
			xbzt_dirty_all(r);
			xbzt_pass(s);
			xbzt_assert_equal(r);
		}
	}
	xbzt_close(s);
}

/* Each bit is in the bitmap or its page has arrived. */
static void assert_no_bit_lost(const struct xbzt_region *r)
{
	uint64_t page = 0;

	while ((page = xbzt_find_difference(r, page)) < r->nr_pages) {
		if (!xbzt_is_dirty(r, page))
			fail_msg("page %llu is neither dirty nor there",
				 (unsigned long long)page);
		page++;
	}
}

/* Fills a region with what has to be sent raw, all of it dirty. */
static struct xbzt_region *raw_region(struct xbzt_session *s, uint64_t nr_pages)
{
	struct xbzt_region *r = xbzt_region(s, "ram", nr_pages);
	uint64_t page;

	for (page = 0; page < nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	return r;
}

/* Breaks if a full ring takes the bit of a page that found no room. */
static void test_invariant_3_ring_full(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.ring_bytes = XBZT_RING_MIN });
	struct xbzt_region *r = raw_region(s, 100);
	struct xbzrle_encode arg;
	uint64_t sent = 0;

	(void)state;
	do {
		/* The second call finds the ring full from the start. */
		memset(&arg, 0, sizeof(arg));
		assert_int_equal(xbzt_encode_raw(s, 0, &arg), 0);
		xbzt_apply(s, 0, &arg);
		assert_int_equal(arg.status, XBZRLE_STATUS_FULL);
		sent += arg.pages;
		assert_int_equal(xbzt_nr_dirty(r), r->nr_pages - sent);
		assert_no_bit_lost(r);
	} while (arg.pages);
	assert_in_range(sent, 1, 15);
	xbzt_release(s, 0, s->queues[0].pos);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

/* Breaks if the end of a batch by budget or by max_pages takes a bit too many. */
static void test_invariant_3_budget(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = raw_region(s, 60);
	struct xbzrle_encode arg;

	(void)state;
	arg = (struct xbzrle_encode){ .max_pages = 7 };
	xbzt_encode(s, 0, &arg);
	assert_int_equal(arg.status, XBZRLE_STATUS_BUDGET);
	assert_int_equal(arg.pages, 7);
	assert_int_equal(xbzt_nr_dirty(r), 53);
	assert_no_bit_lost(r);

	arg = (struct xbzrle_encode){ .budget = 1 };
	xbzt_encode(s, 0, &arg);
	assert_int_equal(arg.status, XBZRLE_STATUS_BUDGET);
	assert_int_equal(arg.pages, 1);

	arg = (struct xbzrle_encode){ .budget = 10 * XBZT_PAGE };
	xbzt_encode(s, 0, &arg);
	assert_int_equal(arg.pages, 10);
	assert_int_equal(xbzt_nr_dirty(r), 42);
	assert_no_bit_lost(r);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

/* Encodes around pages that cannot be read, and once more when they can. */
static void check_fault(struct xbzt_session *s, struct xbzt_region *r,
			uint64_t first, uint64_t nr, void (*mend)(void *),
			void *arg)
{
	uint64_t page, calls;

	/* Twice around: a page that has failed does not hide the others. */
	for (calls = 0; calls < 2 * nr; calls++) {
		struct xbzrle_encode batch = { 0 };

		xbzt_encode(s, 0, &batch);
		assert_int_equal(batch.status, XBZRLE_STATUS_FAULT);
		assert_int_equal(batch.fault_region, r->id);
		assert_int_equal(batch.fault_page, first + calls % nr);
	}
	assert_int_equal(xbzt_nr_dirty(r), nr);
	for (page = first; page < first + nr; page++)
		assert_true(xbzt_is_dirty(r, page));
	mend(arg);
	xbzt_pass(s);
	xbzt_assert_equal(r);
}

static void allow(void *addr)
{
	mprotect(addr, 3 * XBZT_PAGE, PROT_READ | PROT_WRITE);
}

/* Whether this kernel reads for a process what it may not: UML does. */
static bool kernel_reads_protected(const uint8_t *page)
{
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	n = write(fds[1], page, 1);
	close(fds[0]);
	close(fds[1]);
	return n == 1;
}

/* Breaks if the bit of a page that the caller may not read is dropped. */
static void test_invariant_3_page_protected(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = CACHE, .ring_bytes = 1 << 20 });
	struct xbzt_region *r = raw_region(s, 100);
	struct xbzrle_counters c;

	(void)state;
	mprotect(xbzt_page(r, 50), 3 * XBZT_PAGE, PROT_NONE);
	if (kernel_reads_protected(xbzt_page(r, 50))) {
		xbzt_pass(s);
		allow(xbzt_page(r, 50));
		xbzt_assert_equal(r);
	} else {
		check_fault(s, r, 50, 3, allow, xbzt_page(r, 50));
		xbzt_counters(s, 0, &c);
		assert_int_equal(c.faults, 6);
	}
	xbzt_close(s);
}

static void map_again(void *addr)
{
	assert_ptr_equal(mmap(addr, 2 * XBZT_PAGE, PROT_READ | PROT_WRITE,
			      MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 addr);
}

/* Breaks if the bit of a page that is unmapped is dropped. */
static void test_invariant_3_page_unmapped(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = CACHE, .ring_bytes = 1 << 20 });
	struct xbzt_region *r = raw_region(s, 30);

	(void)state;
	munmap(xbzt_page(r, 28), 2 * XBZT_PAGE);
	check_fault(s, r, 28, 2, map_again, xbzt_page(r, 28));
	xbzt_close(s);
}

/* Breaks if the bit of a page that was sent before and is unmapped is dropped. */
static void test_invariant_3_copy_unmapped(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = CACHE, .ring_bytes = 1 << 20 });
	struct xbzt_region *r = raw_region(s, 30);
	struct xbzrle_counters c;

	(void)state;
	xbzt_pass(s);
	xbzt_scribble(s, 100);
	xbzt_dirty_all(r);
	munmap(xbzt_page(r, 28), 2 * XBZT_PAGE);
	check_fault(s, r, 28, 2, map_again, xbzt_page(r, 28));
	xbzt_counters(s, 0, &c);
	assert_int_equal(c.faults, 4);
	assert_int_equal(c.cache_hits, 30);
	xbzt_close(s);
}

static int memfd;

static void grow_again(void *addr)
{
	(void)addr;
	if (ftruncate(memfd, 20 * XBZT_PAGE))
		abort();
}

/* Breaks if the bit of a page behind the end of its file is dropped. */
static void test_invariant_3_file_truncated(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = CACHE, .ring_bytes = 1 << 20 });
	struct xbzt_region *r;
	uint8_t *mem;

	(void)state;
	memfd = memfd_create("guest", MFD_CLOEXEC);
	assert_true(memfd >= 0);
	assert_int_equal(ftruncate(memfd, 20 * XBZT_PAGE), 0);
	mem = mmap(NULL, 20 * XBZT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		   memfd, 0);
	assert_true(mem != MAP_FAILED);
	r = xbzt_region_at(s, "memfd", 20, mem);
	xbzt_scribble(s, 100);
	assert_int_equal(ftruncate(memfd, 15 * XBZT_PAGE), 0);
	check_fault(s, r, 15, 5, grow_again, NULL);
	xbzt_close(s);
	munmap(mem, 20 * XBZT_PAGE);
	close(memfd);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* Breaks if a signal ends a batch and a page that was begun is forgotten. */
static void test_invariant_3_signal(void **state)
{
	const struct itimerval storm = { { 0, 300 }, { 0, 300 } }, calm = { 0 };
	struct sigaction handler = { .sa_handler = on_signal };
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.ring_bytes = 4 << 20 });
	struct xbzt_region *r = raw_region(s, 1000);
	unsigned int seen = 0, round;

	(void)state;
	sigaction(SIGALRM, &handler, NULL);
	setitimer(ITIMER_REAL, &storm, NULL);
	/* Signals come when they like; so many rounds cannot miss them all. */
	for (round = 0; round < 100000 && seen < 3; round++) {
		struct xbzrle_encode arg = { 0 };
		int ret = xbzt_encode_raw(s, 0, &arg);

		/* The lock is waited for in a killable way, so no -EINTR. */
		assert_int_equal(ret, 0);
		xbzt_apply(s, 0, &arg);
		xbzt_release(s, 0, s->queues[0].pos);
		seen += !!(arg.status & XBZRLE_STATUS_SIGNAL);
		assert_no_bit_lost(r);
		if (!xbzt_nr_dirty(r))
			xbzt_dirty_all(r);
	}
	setitimer(ITIMER_REAL, &calm, NULL);
	signal(SIGALRM, SIG_DFL);
	assert_int_equal(seen, 3);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

/* Breaks if a call that fails takes bits. */
static void test_invariant_3_error(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = raw_region(s, 10);
	struct xbzrle_encode arg = { 0 };

	(void)state;
	arg.flags = 1U << 31;
	assert_int_equal(xbzt_encode_raw(s, 0, &arg), -EOPNOTSUPP);
	arg.flags = 0;
	assert_int_equal(xbzt_encode_raw(s, 1, &arg), -ENOENT);
	xbzt_release(s, 0, 12345);
	assert_int_equal(xbzt_encode_raw(s, 0, &arg), -EPIPE);
	assert_int_equal(xbzt_nr_dirty(r), r->nr_pages);
	xbzt_close(s);
}

/* A batch that two threads made, to be put in order afterwards. */
struct batch {
	unsigned int queue;
	struct xbzrle_encode arg;
};

struct maker {
	struct helper h;
	struct batch *batches;
	size_t nr;
	uint64_t seed;
};

#define BATCHES_MAX 4000

static void *make_batches(void *p)
{
	struct maker *m = p;
	struct xbzt_session *s = m->h.s;
	struct xbzt_rng rng;

	xbzt_rng_seed(&rng, m->seed);
	while (!stopped(&m->h) && m->nr < BATCHES_MAX) {
		struct batch *b = &m->batches[m->nr];

		b->queue = xbzt_below(&rng, s->setup.nr_queues);
		b->arg = (struct xbzrle_encode){
			.max_pages = 1 + xbzt_below(&rng, 40) };
		m->h.error = xbzt_encode_raw(s, b->queue, &b->arg);
		if (m->h.error)
			return NULL;
		if (b->arg.bytes)
			m->nr++;
		else
			sched_yield();
	}
	return NULL;
}

static int compare_pos(const void *a, const void *b)
{
	const struct batch *x = a, *y = b;

	return (x->arg.pos > y->arg.pos) - (x->arg.pos < y->arg.pos);
}

/* Applies all batches, each queue's in ring order, the queues mixed at random. */
static void apply_mixed(struct xbzt_session *s, struct batch *batches, size_t nr)
{
	size_t next[XBZRLE_MAX_QUEUES] = { 0 };
	size_t left = nr;

	qsort(batches, nr, sizeof(*batches), compare_pos);
	while (left) {
		unsigned int queue = xbzt_below(&xbzt_rng, s->setup.nr_queues);
		size_t *i = &next[queue];

		while (*i < nr && batches[*i].queue != queue)
			++*i;
		if (*i == nr)
			continue;
		xbzt_apply(s, queue, &batches[*i].arg);
		++*i;
		left--;
	}
}

/*
 * Breaks if a page moves from one queue to another, if two callers encode a
 * queue at once, or if a queue's records are not in the order of its ring: then
 * a delta meets a version of the page that it was not made against. Several
 * versions of a page are in the rings before the first is applied.
 */
static void test_invariant_6_page_order(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 4, .cache_bytes = CACHE, .ring_bytes = 16 << 20 });
	struct maker makers[2] = { 0 };
	pthread_t threads[2];
	struct batch *batches;
	unsigned int i, pass;

	(void)state;
	xbzt_dirty_all(xbzt_region(s, "a", 1100));
	xbzt_dirty_all(xbzt_region(s, "b", 3000));
	xbzt_dirty_all(xbzt_region(s, "c", 7));
	batches = calloc(2 * BATCHES_MAX, sizeof(*batches));
	assert_non_null(batches);
	for (i = 0; i < 2; i++) {
		makers[i].h.s = s;
		makers[i].batches = batches + i * BATCHES_MAX;
		makers[i].seed = xbzt_seed + 10 + i;
		start(&threads[i], make_batches, (struct helper *)&makers[i]);
	}
	for (pass = 0; pass < 8; pass++)
		xbzt_scribble(s, 4);
	for (i = 0; i < 2; i++)
		assert_int_equal(stop(threads[i], &makers[i].h), 0);

	memmove(batches + makers[0].nr, makers[1].batches,
		makers[1].nr * sizeof(*batches));
	apply_mixed(s, batches, makers[0].nr + makers[1].nr);
	for (i = 0; i < s->setup.nr_queues; i++)
		xbzt_release(s, i, s->queues[i].pos);
	free(batches);
	xbzt_pass(s);
	xbzt_assert_all_equal(s);
	xbzt_close(s);
}

/*
 * Breaks if a delta is used that is not shorter than the raw page (the
 * destination's reader looks at each record), or a raw page where a delta is
 * shorter. Changes of all sizes around the limit, with and without a copy.
 */
static void test_invariant_7_never_worse_than_raw(void **state)
{
	static const uint64_t caches[] = { CACHE, 0 };
	char name[256];
	unsigned int i, n;

	(void)state;
	memset(name, 'n', 255);
	name[255] = 0;
	for (i = 0; i < XBZT_ARRAY_SIZE(caches); i++) {
		struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
			.cache_bytes = caches[i] });
		struct xbzt_region *r = xbzt_region(s, name, 600);
		uint64_t page;

		for (page = 0; page < 300; page++)
			xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
		xbzt_dirty_all(r);
		xbzt_pass(s);
		for (page = 0; page < r->nr_pages; page++) {
			uint8_t *p = xbzt_page(r, page);

			/* 3797 to 4096 bytes, in one run or with one gap. */
			for (n = 0; n < XBZT_PAGE - page % 300; n++)
				p[n]++;
			if (page & 1)
				p[xbzt_below(&xbzt_rng, n)]--;
		}
		xbzt_dirty_all(r);
		xbzt_pass(s);
		xbzt_assert_equal(r);
		assert_true(s->total.bytes <=
			    2 * r->nr_pages * (8 + XBZT_PAGE) + 1024);
		if (caches[i])
			assert_true(s->total.pages_delta > 500);
		xbzt_close(s);
	}
}

static void *resize_cache(void *p)
{
	struct helper *h = p;
	struct xbzt_rng rng;

	xbzt_rng_seed(&rng, xbzt_seed + 20);
	while (!stopped(h)) {
		uint64_t bytes = xbzt_below(&rng, 3) ?
				 xbzt_below(&rng, 1200 * XBZT_PAGE) : 0;
		int ret = xbzt_cache(h->s, bytes);

		if (ret)
			h->error = ret;
		sched_yield();
	}
	return NULL;
}

/*
 * Breaks if a copy is dropped while it is used, or if what is known of a page
 * outlives its copy.
 */
static void test_invariant_10_eviction_safe(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = 300 * XBZT_PAGE });
	struct helper h = { .s = s };
	struct xbzrle_counters c;
	pthread_t resizer;
	unsigned int pass;

	(void)state;
	xbzt_dirty_all(xbzt_region(s, "a", 1100));
	xbzt_dirty_all(xbzt_region(s, "b", 63));
	start(&resizer, resize_cache, &h);
	for (pass = 0; pass < 25; pass++) {
		xbzt_scribble(s, 60);
		xbzt_pass(s);
		xbzt_assert_all_equal(s);
	}
	assert_int_equal(stop(resizer, &h), 0);

	/* The same with nobody else, so that each size stays for a pass. */
	for (pass = 0; pass < 10; pass++) {
		uint64_t pages = pass & 1 ? xbzt_below(&xbzt_rng, 100) : 2000;

		assert_int_equal(xbzt_cache(s, pages * XBZT_PAGE), 0);
		xbzt_eventually((xbzt_counters(s, XBZRLE_ALL_QUEUES, &c),
				 c.cache_pages <= pages));
		xbzt_scribble(s, 60);
		xbzt_pass(s);
		xbzt_assert_all_equal(s);
	}
	xbzt_counters(s, XBZRLE_ALL_QUEUES, &c);
	assert_true(c.evictions > 0);
	assert_true(c.cache_hits > 0);
	xbzt_close(s);
}

static void *move_limit(void *p)
{
	struct helper *h = p;
	struct xbzt_rng rng;

	xbzt_rng_seed(&rng, xbzt_seed + 21);
	while (!stopped(h)) {
		int ret = xbzt_set_limit(xbzt_below(&rng, 8));

		if (ret)
			h->error = ret;
		sched_yield();
	}
	return NULL;
}

static int reset_limit(void **state)
{
	(void)state;
	return xbzt_set_limit(0);
}

/*
 * Breaks if a smaller limit of the host's, which drops cached pages from outside
 * at any moment, changes what arrives, or if it drops none.
 */
static void test_invariant_10_limit_safe(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = CACHE });
	struct helper h = { .s = s };
	struct xbzrle_counters c;
	struct xbzt_region *a;
	pthread_t mover;
	unsigned int pass;

	(void)state;
	a = xbzt_region(s, "a", 1500);
	xbzt_dirty_all(a);
	xbzt_dirty_all(xbzt_region(s, "b", 63));
	start(&mover, move_limit, &h);
	for (pass = 0; pass < 15; pass++) {
		xbzt_scribble(s, 60);
		xbzt_pass(s);
		xbzt_assert_all_equal(s);
	}
	assert_int_equal(stop(mover, &h), 0);

	/* With nobody else: at once, and again when it is raised. */
	for (pass = 0; pass < 4; pass++) {
		assert_int_equal(xbzt_set_limit(0), 0);
		xbzt_scribble(s, 60);
		xbzt_dirty_all(a);
		xbzt_pass(s);
		assert_true(xbzt_memory_used() > 3 << 20);
		assert_int_equal(xbzt_set_limit(3), 0);
		xbzt_eventually(xbzt_memory_used() <= 3 << 20);
		xbzt_scribble(s, 60);
		xbzt_pass(s);
		xbzt_assert_all_equal(s);
		assert_true(xbzt_memory_used() <= 3 << 20);
	}
	xbzt_counters(s, XBZRLE_ALL_QUEUES, &c);
	assert_true(c.evictions > 0);
	assert_true(c.cache_hits > 0);
	xbzt_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invariant_1_page_is_read_once),
		cmocka_unit_test(test_invariant_1_cache_equals_destination),
		cmocka_unit_test(test_invariant_1_after_each_kind_of_record),
		cmocka_unit_test(test_invariant_3_ring_full),
		cmocka_unit_test(test_invariant_3_budget),
		cmocka_unit_test(test_invariant_3_page_protected),
		cmocka_unit_test(test_invariant_3_page_unmapped),
		cmocka_unit_test(test_invariant_3_copy_unmapped),
		cmocka_unit_test(test_invariant_3_file_truncated),
		cmocka_unit_test(test_invariant_3_signal),
		cmocka_unit_test(test_invariant_3_error),
		cmocka_unit_test(test_invariant_6_page_order),
		cmocka_unit_test(test_invariant_7_never_worse_than_raw),
		cmocka_unit_test(test_invariant_10_eviction_safe),
		cmocka_unit_test_teardown(test_invariant_10_limit_safe,
					  reset_limit),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
