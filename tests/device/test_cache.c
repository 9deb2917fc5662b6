// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the cache keeps when it is too small, and what becomes of its memory.
 * Fails if a page that pays goes for one that does not, if hits depend on the
 * number of queues, or if memory outlives what drops the cache.
 */
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB (1ULL << 20)
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
 * Pages that pack, twice as many as there is room for: a pass over all of them, and what
 * it hit. Of whole copies that is a half.
 */
static uint64_t packed_pass(struct xbzt_session *s, struct xbzt_region *r)
{
	struct xbzrle_counters before = counters(s), after;

	next_pass(s, r);
	after = counters(s);
	assert_true(after.cache_pages <= after.cache_limit);
	assert_true(after.packed_pages <= after.cache_pages);
	xbzt_assert_equal(r);
	return after.cache_hits - before.cache_hits;
}

/*
 * Breaks if copies are not packed where memory is short; if they take more memory than
 * the limit, or more than they are counted for; or if one of them is not what the
 * destination has.
 */
static void test_packs_where_memory_is_short(void **state)
{
	static const unsigned int queues[] = { 1, 8 };
	unsigned int i, pass;
	uint64_t page;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(queues); i++) {
		uint64_t used, hits = 0;
		struct xbzrle_counters c;
		struct xbzt_session *s;
		struct xbzt_region *r;

		xbzt_assert_all_freed();
		s = xbzt_open(&(struct xbzt_config){
			.nr_queues = queues[i], .ring_bytes = 1 << 20,
			.cache_bytes = CACHE_PAGES * XBZT_PAGE });
		r = xbzt_region(s, "ram", 2 * CACHE_PAGES);
		used = xbzt_memory_used();
		for (page = 0; page < r->nr_pages; page++)
			xbzt_guest_text(xbzt_page(r, page), &xbzt_rng);
		xbzt_dirty_all(r);
		xbzt_pass(s);
		for (pass = 0; pass < 5; pass++)
			hits = packed_pass(s, r);
		c = counters(s);
		printf("# %u queues: %llu of %llu hit, %llu packed in %llu of %llu pages\n",
		       queues[i], (unsigned long long)hits,
		       (unsigned long long)r->nr_pages,
		       (unsigned long long)c.cache_packed,
		       (unsigned long long)c.packed_pages,
		       (unsigned long long)c.cache_pages);
		assert_true(hits >= r->nr_pages * 3 / 4);
		/* Besides: words, entries, tables, and what packs. */
		assert_true(xbzt_memory_used() - used <=
			    (c.cache_pages + 2 * r->nr_pages / 100 + queues[i] * 16) *
				    XBZT_PAGE);
		assert_int_equal(xbzt_cache(s, 0), 0);
		xbzt_eventually(!counters(s).cache_packed);
		assert_int_equal(counters(s).packed_pages, 0);
		xbzt_close(s);
	}
}

/*
 * Breaks if pages that do not pack are tried over and over, or lose their places for it.
 */
static void test_pages_that_do_not_pack(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = CACHE_PAGES / 4 * XBZT_PAGE });
	struct xbzt_region *r = xbzt_region(s, "ram", CACHE_PAGES / 2);
	uint64_t page, hits = 0;
	unsigned int pass;

	(void)state;
	for (page = 0; page < r->nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	for (pass = 0; pass < 3; pass++)
		hits = packed_pass(s, r);
	assert_int_equal(counters(s).cache_packed, 0);
	assert_true(hits >= CACHE_PAGES / 4);
	xbzt_close(s);
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

/*
 * Breaks if what a copy saves is not counted against a bound on deltas: with one, whole
 * pages take no more on their way, so a delta that is nearly as long saves nothing.
 */
static void test_bound_on_deltas(void **state)
{
	static const uint32_t bounds[] = { 0, 1000 };
	unsigned int i, pass;
	uint64_t page;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(bounds); i++) {
		const struct xbzrle_encode how = { .max_delta = bounds[i] };
		struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
			.cache_bytes = 64 * XBZT_PAGE });
		struct xbzt_region *r = xbzt_region(s, "ram", 40);
		struct xbzrle_counters c;

		for (page = 0; page < r->nr_pages; page++)
			xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
		for (pass = 0; pass < 2; pass++) {
			/* Half of them change by little. */
			for (page = 0; page < r->nr_pages; page++)
				xbzt_page(r, page)[0]++;
			for (page = 0; page < r->nr_pages / 2; page++) {
				uint8_t *p = xbzt_page(r, page);
				unsigned int n;

				for (n = 0; n < 960; n++)
					p[n]++;
			}
			xbzt_dirty_all(r);
			xbzt_pass_with(s, &how);
		}
		c = counters(s);
		assert_int_equal(c.cache_hits, 40);
		assert_int_equal(c.overflows, 0);
		assert_int_equal(c.cache_pages, bounds[i] ? 20 : 40);
		xbzt_assert_equal(r);
		xbzt_close(s);
	}
}

/* What a process may wait for its cache to be dropped, whatever its size. */
#define DROP_NS 10000000ULL
/* Enough that wiping it takes longer. */
#define DROP_PAGES 65536ULL

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* What drops the cache: the session, if it is still open. */
static struct xbzt_session *drop_by_limit(struct xbzt_session *s)
{
	assert_int_equal(xbzt_cache(s, 0), 0);
	return s;
}

static struct xbzt_session *drop_by_region(struct xbzt_session *s)
{
	struct xbzrle_region_del arg = { .size = sizeof(arg) };

	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_DEL, &arg), 0);
	return s;
}

static struct xbzt_session *drop_by_invalidate(struct xbzt_session *s)
{
	struct xbzrle_invalidate arg = {
		.size = sizeof(arg), .nr_pages = s->regions[0]->nr_pages };

	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_INVALIDATE, &arg), 0);
	return s;
}

static struct xbzt_session *drop_by_close(struct xbzt_session *s)
{
	xbzt_close(s);
	return NULL;
}

/*
 * Whether the call was quick, by the time that its thread has run: on one processor, the
 * reaper takes turns with it. Where all is slow, as an emulator is, against freeing.
 */
static bool drops_quickly(uint8_t *mem, uint64_t nr_pages, const char *name,
			struct xbzt_session *(*drop)(struct xbzt_session *s))
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.ring_bytes = 1 << 20, .cache_bytes = nr_pages * XBZT_PAGE });
	struct xbzt_region *r = xbzt_region_at(s, "ram", nr_pages, mem);
	struct xbzrle_encode batch;
	uint64_t begin, ran, called, freed, cached;

	xbzt_dirty_all(r);
	do {
		memset(&batch, 0, sizeof(batch));
		assert_int_equal(xbzt_encode_raw(s, 0, &batch), 0);
		s->queues[0].pos = batch.pos + batch.bytes;
		xbzt_release(s, 0, s->queues[0].pos);
	} while (!(batch.status & XBZRLE_STATUS_IDLE));
	cached = counters(s).cache_pages;
	assert_true(cached > nr_pages / 2);

	begin = now(CLOCK_MONOTONIC);
	ran = now(CLOCK_THREAD_CPUTIME_ID);
	s = drop(s);
	ran = now(CLOCK_THREAD_CPUTIME_ID) - ran;
	called = now(CLOCK_MONOTONIC) - begin;
	if (s)
		xbzt_eventually(xbzt_memory_used() < 8 * MIB);
	else
		xbzt_assert_all_freed();
	freed = now(CLOCK_MONOTONIC) - begin;
	printf("# %s, %llu MiB: %llu us, %llu us of them its own, freed after %llu us\n",
	       name, (unsigned long long)(cached * XBZT_PAGE / MIB),
	       (unsigned long long)called / 1000, (unsigned long long)ran / 1000,
	       (unsigned long long)freed / 1000);
	if (s)
		xbzt_close(s);
	return ran < DROP_NS || ran < freed / 4;
}

/*
 * Breaks if a call drops or wipes what it leaves behind by itself, or if that is not
 * freed then. Best of some tries: the machine may be busy with something else.
 */
static void test_drops_in_the_background(void **state)
{
	static const struct {
		const char *name;
		struct xbzt_session *(*drop)(struct xbzt_session *s);
	} drops[] = {
		{ "smaller cache", drop_by_limit },
		{ "deleted region", drop_by_region },
		{ "invalidated region", drop_by_invalidate },
		{ "close", drop_by_close },
	};
	uint64_t i, nr_pages = xbzt_info().memory_max / 2 / XBZT_PAGE;
	uint8_t *mem;
	unsigned int n, tries;

	(void)state;
	if (nr_pages > DROP_PAGES)
		nr_pages = DROP_PAGES;
	mem = xbzt_memory(nr_pages);
	for (i = 0; i < nr_pages * XBZT_PAGE / 8; i++)
		((uint64_t *)mem)[i] = i * 0x9e3779b97f4a7c15 + 1;
	for (n = 0; n < XBZT_ARRAY_SIZE(drops); n++) {
		for (tries = 0; tries < 5; tries++)
			if (drops_quickly(mem, nr_pages, drops[n].name,
					  drops[n].drop))
				break;
		assert_true(tries < 5);
	}
	munmap(mem, nr_pages * XBZT_PAGE);
}

static int reset_limit(void **state)
{
	(void)state;
	return xbzt_set_limit(0);
}

/* 16 GiB of addresses, a bitmap of 512 KiB. */
#define VAST_PAGES (4ULL << 20)

/*
 * Breaks if deleting a region uncharges a bitmap that the process still has mapped: then
 * it takes as much of the host's memory as it likes.
 */
static void test_mapped_bitmaps_stay_charged(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	uint8_t *mem = mmap(NULL, VAST_PAGES * XBZT_PAGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t bytes = 0, used = xbzt_memory_used();
	struct xbzrle_region_del del = { .size = sizeof(del) };
	struct xbzrle_region set;
	void *maps[64];
	unsigned int i;
	int ret = 0;

	(void)state;
	assert_true(mem != MAP_FAILED);
	assert_int_equal(xbzt_set_limit(8), 0);
	for (i = 0; i < XBZT_ARRAY_SIZE(maps); i++) {
		set = (struct xbzrle_region){ .size = sizeof(set),
			.addr = (uintptr_t)mem, .nr_pages = VAST_PAGES,
			.name = "vast" };
		ret = xbzt_ioctl(s->fd, XBZRLE_REGION_SET, &set);
		if (ret)
			break;
		bytes = set.bitmap_bytes;
		maps[i] = xbzt_map(s->fd, set.bitmap_offset, bytes, true);
		assert_non_null(maps[i]);
		/* It is the process's until it is unmapped, and in parts. */
		memset(maps[i], 0xff, bytes);
		assert_int_equal(munmap((uint8_t *)maps[i] + XBZT_PAGE, XBZT_PAGE),
				 0);
		del.region = set.region;
		assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_DEL, &del), 0);
		assert_true(xbzt_memory_used() <= 8 * MIB);
		assert_true(xbzt_memory_used() >= (i + 1) * bytes);
	}
	assert_int_equal(ret, -ENOMEM);
	assert_in_range(i, 2, 16);
	while (i--)
		assert_int_equal(munmap(maps[i], bytes), 0);
	xbzt_eventually(xbzt_memory_used() == used);
	munmap(mem, VAST_PAGES * XBZT_PAGE);
	xbzt_assert_works(s);
	xbzt_close(s);
}

/*
 * Breaks if a session cannot follow one that has ended, because what that held is not
 * freed yet.
 */
static void test_the_next_session_waits(void **state)
{
	unsigned int i;

	(void)state;
	assert_int_equal(xbzt_set_limit(64), 0);
	for (i = 0; i < 5; i++) {
		struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
			.ring_bytes = 16 * MIB, .cache_bytes = ~0ULL });
		struct xbzt_region *r = xbzt_region(s, "ram", 64 * MIB / XBZT_PAGE);
		uint64_t page;

		for (page = 0; page < r->nr_pages; page++)
			memset(xbzt_page(r, page), 1 + page % 255, XBZT_PAGE);
		xbzt_dirty_all(r);
		xbzt_pass(s);
		/* The margin may not leave it all of the limit. */
		assert_true(xbzt_memory_used() > 40 * MIB);
		xbzt_close(s);
	}
}

static struct xbzt_region *cached_region(struct xbzt_session *s, uint64_t nr_pages)
{
	struct xbzt_region *r = xbzt_region(s, "ram", nr_pages);
	uint64_t page;

	for (page = 0; page < nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	assert_int_equal(counters(s).cache_pages, nr_pages);
	return r;
}

/*
 * Breaks if a request to drop pages outlives them: those that left with their region are
 * then asked of the pages that are cached next.
 */
static void test_requests_end_with_their_pages(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = 2 * CACHE_PAGES * XBZT_PAGE });
	struct xbzt_region *r = cached_region(s, 2 * CACHE_PAGES);
	unsigned int i;

	(void)state;
	assert_int_equal(xbzt_set_limit(1), 0);
	xbzt_region_del(s, r);
	assert_int_equal(xbzt_set_limit(0), 0);
	xbzt_eventually(xbzt_memory_used() < 8 * MIB);
	r = cached_region(s, 2 * CACHE_PAGES);
	for (i = 0; i < 3; i++)
		next_pass(s, r);
	assert_int_equal(counters(s).cache_pages, r->nr_pages);
	xbzt_close(s);
}

/*
 * Breaks if the end of a session is unsafe while the reaper has work of it already: each
 * is asked to drop its cache, and ends at once, while one that is large is freed.
 */
static void test_ends_with_work_pending(void **state)
{
	unsigned int i, n;

	(void)state;
	for (i = 0; i < 20; i++) {
		struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
			.cache_bytes = CACHE_PAGES * XBZT_PAGE });

		cached_region(s, CACHE_PAGES);
		xbzt_close(s);
		for (n = 0; n < 20; n++) {
			s = xbzt_open(&(struct xbzt_config){ .cache_bytes = MIB });
			assert_int_equal(xbzt_cache(s, 0), 0);
			xbzt_close(s);
		}
	}
	xbzt_assert_all_freed();
}

#define HUGE_PAGES "/proc/sys/vm/nr_hugepages"

static unsigned long read_number(const char *path)
{
	unsigned long n = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		skip();
	assert_int_equal(fscanf(f, "%lu", &n), 1);
	fclose(f);
	return n;
}

static void set_huge_pages(unsigned long n)
{
	FILE *f = fopen(HUGE_PAGES, "we");

	if (!f) {
		skip();
		return;
	}
	fprintf(f, "%lu", n);
	fclose(f);
}

static int reset_huge_pages(void **state)
{
	(void)state;
	if (!access(HUGE_PAGES, W_OK))
		set_huge_pages(0);
	return 0;
}

/*
 * Breaks if the default limit is a share of memory that is reserved for huge pages, or
 * if a cache takes what they leave.
 */
static void test_huge_pages_are_not_counted(void **state)
{
	uint64_t before = xbzt_info().memory_max, huge, after;
	struct xbzt_session *s;
	struct xbzt_region *r;

	(void)state;
	read_number(HUGE_PAGES);
	/* As much as there is, up to nine tenths of the machine's memory. */
	set_huge_pages(before * 4 / 10 * 9 / (2 * MIB));
	huge = read_number(HUGE_PAGES) * 2 * MIB;
	assert_true(huge > before);
	after = xbzt_info().memory_max;
	printf("# %llu MiB of huge pages: a limit of %llu MiB instead of %llu\n",
	       (unsigned long long)(huge / MIB), (unsigned long long)(after / MIB),
	       (unsigned long long)(before / MIB));
	/* Free pages that were on a processor's list are counted now. */
	assert_true(after < before - huge / 4 + before / 8);

	s = xbzt_open(&(struct xbzt_config){ .cache_bytes = ~0ULL });
	r = xbzt_region(s, "ram", 2048);
	xbzt_dirty_all(r);
	xbzt_scribble(s, 100);
	xbzt_pass(s);
	next_pass(s, r);
	assert_true(xbzt_memory_used() <= after + MIB);
	xbzt_assert_equal(r);
	xbzt_close(s);
	set_huge_pages(0);
	assert_true(xbzt_info().memory_max > after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cyclic_scan),
		cmocka_unit_test(test_packs_where_memory_is_short),
		cmocka_unit_test(test_pages_that_do_not_pack),
		cmocka_unit_test(test_hot_pages_stay),
		cmocka_unit_test(test_overflows),
		cmocka_unit_test(test_bound_on_deltas),
		cmocka_unit_test(test_drops_in_the_background),
		cmocka_unit_test_teardown(test_mapped_bitmaps_stay_charged,
					  reset_limit),
		cmocka_unit_test_teardown(test_the_next_session_waits,
					  reset_limit),
		cmocka_unit_test_teardown(test_requests_end_with_their_pages,
					  reset_limit),
		cmocka_unit_test(test_ends_with_work_pending),
		cmocka_unit_test_teardown(test_huge_pages_are_not_counted,
					  reset_huge_pages),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
