// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the cache's policy, driven as kmod/cache.c drives it. A page's content
 * is its version's number, and a copy is the version that it was taken of: so a wrong
 * copy shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xbzrle/codec.h>

#include "core/policy.h"

#define PAGES 8192
#define RAW 4104
#define DELTA 200

static u64 rng_state;

static u32 rnd(u32 below)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (rng_state >> 20) % below;
}

/**
 * struct shard - a cache and the guest that it is of
 * @dirty: whether a page will be sent in this pass
 * @version: what a page holds at the destination
 * @packed_bytes: what a page packs to
 * @fail_one_in: allocations fail so often; 0: never
 * @hits: pages that were sent with a copy
 * @trace: a digest of all decisions
 */
struct shard {
	struct xbz_policy policy;
	struct xbz_policy_block *blocks[PAGES / XBZ_POLICY_BLOCK * 64 + 2];
	u64 words[PAGES];
	bool dirty[PAGES];
	unsigned long version[PAGES];
	u32 packed_bytes;
	u32 fail_one_in;
	u32 hits;
	u64 trace;
};

static bool is_pending(void *opaque, u64 key)
{
	return ((struct shard *)opaque)->dirty[key];
}

static struct shard *shard_new(u32 pages, u64 seed)
{
	struct shard *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	xbz_policy_init(&s->policy, seed);
	s->policy.limit = pages * XBZ_POLICY_WHOLE;
	s->policy.blocks = s->blocks;
	s->policy.pending = is_pending;
	s->policy.opaque = s;
	s->packed_bytes = 1200;
	return s;
}

static void shard_free(struct shard *s)
{
	struct xbz_policy_block *block;

	s->policy.nr = 0;
	while ((block = xbz_policy_spare(&s->policy)))
		free(block);
	assert_int_equal(s->policy.room, 0);
	free(s);
}

/* Fails if a page is in the cache twice, or memory is counted that is not used. */
static void shard_check(const struct shard *s)
{
	const struct xbz_policy *p = &s->policy;
	u32 used = 0, known = 0, i, entry;

	assert_true(p->nr <= p->room);
	for (i = 0; i < p->nr; i++) {
		const struct xbz_cold *cold = xbz_policy_cold(p, i);

		assert_ptr_equal(cold->word, &s->words[cold->key]);
		xbz_policy_lookup(p, cold->word, &entry);
		assert_int_equal(entry, i);
		assert_int_equal(cold->copy, s->version[cold->key]);
		assert_true(xbz_policy_hot(p, i)->units > 0);
		used += xbz_policy_hot(p, i)->units;
	}
	for (i = 0; i < PAGES; i++) {
		xbz_policy_lookup(p, &s->words[i], &entry);
		known += entry != XBZ_POLICY_NONE;
	}
	assert_int_equal(known, p->nr);
	assert_int_equal(used, p->used);
}

static bool fails(const struct shard *s)
{
	return s->fail_one_in && !rnd(s->fail_one_in);
}

static bool add_block(struct shard *s)
{
	if (s->policy.nr < s->policy.room)
		return true;
	if (fails(s))
		return false;
	xbz_policy_add(&s->policy, malloc(sizeof(struct xbz_policy_block)));
	return true;
}

/* Makes room as it is told, and stores the copy. */
static void shard_store(struct shard *s, struct xbz_policy_page *page)
{
	struct xbz_policy *p = &s->policy;
	u32 units = page->wish == XBZ_GRADE_PACKED ? xbz_policy_units(s->packed_bytes) :
						     XBZ_POLICY_WHOLE;
	enum xbz_action action = XBZ_ACTION_REFUSE;
	u32 entry, victim, tries;

	if (page->wish == XBZ_GRADE_PACKED && fails(s)) {
		xbz_policy_hard_page(p, page);
		units = XBZ_POLICY_WHOLE;
	}
	for (tries = 0; tries < 16; tries++) {
		action = xbz_policy_make_room(p, page, page->wish, units, &victim);
		s->trace = s->trace * 31 + action;
		if (action == XBZ_ACTION_DONE || action == XBZ_ACTION_REFUSE)
			break;
		s->trace = s->trace * 31 + victim;
		if (action == XBZ_ACTION_EVICT)
			xbz_policy_remove(p, victim);
		else if (fails(s))
			xbz_policy_hard(p, victim);
		else
			xbz_policy_resize(p, victim, XBZ_GRADE_PACKED,
					  xbz_policy_units(s->packed_bytes),
					  xbz_policy_cold(p, victim)->copy);
	}
	xbz_policy_lookup(p, page->word, &entry);
	if (action == XBZ_ACTION_DONE && !fails(s)) {
		if (entry != XBZ_POLICY_NONE)
			xbz_policy_resize(p, entry, page->wish, units,
					  s->version[page->key]);
		else if (add_block(s))
			assert_true(xbz_policy_insert(p, page, page->wish, units,
						      s->version[page->key]));
	} else if (entry != XBZ_POLICY_NONE) {
		xbz_policy_remove(p, entry);
	}
}

/* A page is sent: @delta bytes if there is a copy. */
static void shard_send(struct shard *s, u32 number, u32 delta)
{
	struct xbz_policy *p = &s->policy;
	struct xbz_policy_page page = { .word = &s->words[number], .key = number };
	enum xbz_grade grade;
	u32 entry;

	grade = xbz_policy_lookup(p, page.word, &entry);
	if (entry != XBZ_POLICY_NONE) {
		struct xbz_cold *cold = xbz_policy_cold(p, entry);

		/* Cache equals destination. */
		assert_int_equal(cold->copy, s->version[number]);
		cold->copy++;
		page.known = XBZ_KNOWN_COPY;
		page.bytes = delta;
		page.kind = delta == RAW ? XBZ_SENT_RAW : XBZ_SENT_DELTA;
		s->hits++;
	} else {
		page.known = grade == XBZ_GRADE_ZERO ? XBZ_KNOWN_ZERO : XBZ_KNOWN_NOTHING;
		page.bytes = RAW;
		page.kind = XBZ_SENT_RAW;
	}
	s->version[number]++;
	s->dirty[number] = false;
	xbz_policy_sent(p, &page);
	s->trace = s->trace * 31 + page.wish;
	if (page.wish == XBZ_GRADE_NOTHING) {
		if (entry != XBZ_POLICY_NONE)
			xbz_policy_remove(p, entry);
	} else if (page.wish != XBZ_GRADE_WHOLE || grade != XBZ_GRADE_WHOLE) {
		shard_store(s, &page);
	}
}

static void shard_zero(struct shard *s, u32 number)
{
	struct xbz_policy_page page = {
		.word = &s->words[number], .key = number, .kind = XBZ_SENT_ZERO, .bytes = 9,
	};
	u32 entry;

	if (xbz_policy_lookup(&s->policy, page.word, &entry) > XBZ_GRADE_ZERO)
		page.known = XBZ_KNOWN_COPY;
	s->version[number]++;
	s->dirty[number] = false;
	xbz_policy_sent(&s->policy, &page);
	assert_int_equal(page.wish, XBZ_GRADE_ZERO);
	if (entry != XBZ_POLICY_NONE)
		xbz_policy_remove(&s->policy, entry);
	xbz_policy_set_zero(page.word);
}

/* The guest writes to pages @from to @to - 1. */
static void shard_dirty(struct shard *s, u32 from, u32 to)
{
	u32 i;

	for (i = from; i < to; i++)
		s->dirty[i] = true;
}

/* Sends pages @from to @to - 1 in the order of their addresses. */
static void shard_scan(struct shard *s, u32 from, u32 to, u32 delta)
{
	u32 i;

	shard_dirty(s, from, to);
	for (i = from; i < to; i++)
		shard_send(s, i, delta);
}

static void cyclic(u32 cache, u32 pages, bool asks, u32 pack_cost, u32 least)
{
	struct shard *s = shard_new(cache, 1);
	u32 pass;

	if (!asks)
		s->policy.pending = NULL;
	s->policy.pack_cost = pack_cost;
	shard_scan(s, 0, pages, DELTA);
	/* Idle room is filled in the first pass. */
	assert_true(s->policy.used + XBZ_POLICY_WHOLE > s->policy.limit ||
		    s->policy.nr == pages);
	for (pass = 2; pass < 12; pass++) {
		xbz_policy_pass(&s->policy);
		s->hits = 0;
		shard_scan(s, 0, pages, DELTA);
		assert_true(s->policy.used <= s->policy.limit);
		if (s->hits < least)
			fail_msg("pass %u of %u pages, cache %u: %u hits, not %u", pass,
				 pages, cache, s->hits, least);
	}
	shard_check(s);
	shard_free(s);
}

/* Fails if a scan over N times the cache hits less than 1/N, from the second pass on. */
static void test_cyclic(void **state)
{
	static const u32 sizes[] = { 1000, 1001, 1100, 1250, 2000, 4000, 8000 };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		cyclic(1000, sizes[i], true, XBZ_PAGE_SIZE, 1000);
}

/* The same if nothing says which pages will be sent; some are lost while it learns. */
static void test_cyclic_unasked(void **state)
{
	static const u32 sizes[] = { 1000, 1001, 1100, 1250, 2000, 4000 };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		cyclic(1000, sizes[i], false, XBZ_PAGE_SIZE, 950);
}

/* Fails if memory for a page does not hold three of them, once it is short. */
static void test_cyclic_packed(void **state)
{
	(void)state;
	/* The first pass packs what it finds; that is all that fits. */
	cyclic(1000, 4000, true, 64, 2700);
	cyclic(1000, 1000, true, 64, 1000);
}

/* Fails if pages that are dirty all the time are evicted for pages that are not. */
static void test_protects(void **state)
{
	struct shard *s = shard_new(500, 1);
	u32 pass;

	(void)state;
	shard_scan(s, 0, 500, DELTA);
	for (pass = 2; pass < 10; pass++) {
		xbz_policy_pass(&s->policy);
		s->hits = 0;
		shard_dirty(s, 0, 500);
		/* In front of them and behind them, other pages each time. */
		shard_scan(s, 500 * pass, 500 * pass + 250, DELTA);
		shard_scan(s, 0, 500, DELTA);
		shard_scan(s, 500 * pass + 250, 500 * pass + 500, DELTA);
		assert_int_equal(s->hits, 500);
	}
	shard_check(s);
	shard_free(s);
}

/* Fails if pages that are clean for long keep memory that others need. */
static void test_follows(void **state)
{
	struct shard *s = shard_new(500, 1);
	u32 pass;

	(void)state;
	shard_scan(s, 0, 500, DELTA);
	for (pass = 2; pass < 6; pass++) {
		xbz_policy_pass(&s->policy);
		shard_scan(s, 0, 500, DELTA);
	}
	/* The load moves. */
	for (; pass < 14; pass++) {
		xbz_policy_pass(&s->policy);
		s->hits = 0;
		shard_scan(s, 1000, 1500, DELTA);
	}
	assert_true(s->hits >= 450);
	shard_check(s);
	shard_free(s);
}

/* Fails if pages that overflow stay, or keep others out. */
static void test_overflows(void **state)
{
	struct shard *s = shard_new(1000, 1);
	u32 pass;

	(void)state;
	shard_scan(s, 0, 1000, RAW);
	xbz_policy_pass(&s->policy);
	shard_scan(s, 0, 1000, RAW);
	assert_int_equal(s->policy.nr, 0);
	assert_int_equal(s->policy.used, 0);
	for (pass = 3; pass < 12; pass++) {
		xbz_policy_pass(&s->policy);
		s->hits = 0;
		shard_scan(s, 0, 1000, RAW);
		shard_scan(s, 1000, 2000, DELTA);
	}
	assert_true(s->hits >= 950);
	/* Of those that overflow, few are tried again. */
	assert_true(s->hits <= 1100);
	shard_check(s);
	shard_free(s);
}

/* Fails if pages are kept whose deltas take what the link's compression makes of them. */
static void test_other_way(void **state)
{
	struct shard *s = shard_new(1000, 1);
	u32 pass;

	(void)state;
	s->policy.other_max = 800;
	shard_scan(s, 0, 1000, 1000);
	for (pass = 2; pass < 5; pass++) {
		xbz_policy_pass(&s->policy);
		shard_scan(s, 0, 500, 1000);
		shard_scan(s, 500, 1000, 100);
	}
	s->hits = 0;
	xbz_policy_pass(&s->policy);
	shard_scan(s, 0, 500, 1000);
	assert_true(s->hits < 250);
	s->hits = 0;
	shard_scan(s, 500, 1000, 100);
	assert_int_equal(s->hits, 500);
	shard_free(s);
}

/* Fails if a zero page takes memory, or is forgotten. */
static void test_zero(void **state)
{
	struct shard *s = shard_new(100, 1);
	u32 i, entry;

	(void)state;
	shard_scan(s, 0, 100, DELTA);
	for (i = 0; i < 200; i++)
		shard_zero(s, i);
	assert_int_equal(s->policy.used, 0);
	for (i = 0; i < 200; i++)
		assert_int_equal(xbz_policy_lookup(&s->policy, &s->words[i], &entry),
				 XBZ_GRADE_ZERO);
	shard_scan(s, 0, 100, DELTA);
	assert_int_equal(s->policy.nr, 100);
	shard_check(s);
	shard_free(s);
}

/* What a caller may do between two pages, whenever it likes. */
static void disturb(struct shard *s)
{
	struct xbz_policy *p = &s->policy;
	u32 entry, victim, n;

	switch (rnd(6)) {
	case 0:
		p->limit = rnd(2000) * XBZ_POLICY_WHOLE;
		break;
	case 1: /* a shrinker */
		for (n = rnd(100); n && xbz_policy_shrink(p, &victim); n--)
			xbz_policy_remove(p, victim);
		break;
	case 2: /* a page is invalidated */
		n = rnd(PAGES);
		xbz_policy_lookup(p, &s->words[n], &entry);
		if (entry != XBZ_POLICY_NONE)
			xbz_policy_remove(p, entry);
		s->words[n] = 0;
		s->version[n]++;
		break;
	case 3:
		free(xbz_policy_spare(p));
		break;
	case 4:
		xbz_policy_pass(p);
		break;
	default:
		p->pack_cost = rnd(2) ? 64 : XBZ_PAGE_SIZE;
	}
	while (p->used > p->limit && xbz_policy_shrink(p, &victim))
		xbz_policy_remove(p, victim);
}

/* Fails if anything that happens at any time breaks what shard_check() checks. */
static void test_anything(void **state)
{
	struct shard *s = shard_new(1000, 1);
	u32 i;

	(void)state;
	s->fail_one_in = 50;
	for (i = 0; i < 400000; i++) {
		s->packed_bytes = 100 + rnd(3000);
		if (rnd(4000) == 0)
			disturb(s);
		if (rnd(10) == 0)
			shard_zero(s, rnd(PAGES));
		else
			shard_send(s, rnd(rnd(4) ? 1000 : PAGES),
				   rnd(8) ? 20 + rnd(2000) : RAW);
		assert_true(s->policy.used <= s->policy.limit);
		if (i % 5000 == 0)
			shard_check(s);
	}
	shard_check(s);
	/* A shrinker gets all of it. */
	while (xbz_policy_shrink(&s->policy, &i))
		xbz_policy_remove(&s->policy, i);
	assert_int_equal(s->policy.used, 0);
	shard_check(s);
	shard_free(s);
}

static u64 digest(u64 seed)
{
	struct shard *s = shard_new(300, seed);
	u32 pass, i;
	u64 trace;

	s->policy.pack_cost = 64;
	shard_scan(s, 0, 1000, DELTA);
	for (pass = 2; pass < 8; pass++) {
		xbz_policy_pass(&s->policy);
		for (i = 0; i < 2000; i += 1 + (i * 7 + pass) % 5)
			shard_send(s, i, 100 + i % 700);
	}
	trace = s->trace;
	shard_free(s);
	return trace;
}

/* Fails if a run cannot be repeated. */
static void test_repeats(void **state)
{
	(void)state;
	assert_true(digest(7) == digest(7));
	assert_true(digest(7) != digest(8));
}

/* Fails if the books take more than they may. */
static void test_size(void **state)
{
	(void)state;
	assert_true(sizeof(struct xbz_hot) == 8);
	assert_true(sizeof(struct xbz_policy_block) <= XBZ_PAGE_SIZE);
	assert_true(sizeof(struct xbz_policy_block) / XBZ_POLICY_BLOCK <= XBZ_POLICY_UNIT);
	assert_true(sizeof(struct xbz_policy) <= XBZ_PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cyclic),
		cmocka_unit_test(test_cyclic_unasked),
		cmocka_unit_test(test_cyclic_packed),
		cmocka_unit_test(test_protects),
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_overflows),
		cmocka_unit_test(test_other_way),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_anything),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_size),
	};
	const char *seed = getenv("XBZ_SEED");

	rng_state = seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ULL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
