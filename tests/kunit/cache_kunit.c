// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: the cache's shard and the pages under it, from inside, where freed pages
 * can still be looked at. tests/device tests what a whole session does with them.
 */
#include "suites.h"

#include "cache.h"
#include "memory.h"
#include "packed.h"
#include "region.h"
#include "ring.h"

#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <linux/xbzrle.h>

#define XBZ_TEST_PAGES (3 * XBZRLE_CHUNK_PAGES)

struct xbz_cache_test {
	struct xbz_cache cache;
	struct xbzrle_counters counters;
	struct xbz_region region;
	struct xbz_region *regions[1];
	u64 *leaf[XBZ_TEST_PAGES / XBZRLE_CHUNK_PAGES];
	u64 bitmap[XBZ_TEST_PAGES / 64];
	void *snapshot;
};

static int xbz_cache_test_init(struct kunit *test)
{
	struct xbz_cache_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->region.nr_pages = XBZ_TEST_PAGES;
	t->region.leaf = t->leaf;
	t->region.bitmap = t->bitmap;
	t->regions[0] = &t->region;
	xbz_cache_init(&t->cache, NULL, &t->counters, t->regions, 0);
	t->snapshot = xbz_cache_page_alloc(NULL, false);
	KUNIT_ASSERT_NOT_NULL(test, t->snapshot);
	test->priv = t;
	return 0;
}

/* What trimming does for a new limit. */
static void xbz_limit(struct xbz_cache_test *t, unsigned long limit)
{
	LIST_HEAD(pages);

	t->counters.cache_limit = limit;
	xbz_cache_take(&t->cache, xbz_cache_excess(&t->cache), ULONG_MAX, &pages);
	xbz_cache_pages_free(NULL, &pages);
}

static void xbz_cache_test_exit(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	unsigned int i;

	xbz_limit(t, 0);
	xbz_cache_destroy(&t->cache);
	xbz_cache_page_free(NULL, t->snapshot);
	for (i = 0; i < ARRAY_SIZE(t->leaf); i++)
		xbz_mem_free(NULL, t->leaf[i], XBZRLE_CHUNK_PAGES,
			     sizeof(*t->leaf[i]));
}

static int xbz_known(struct xbz_cache_test *t, unsigned long page)
{
	void *copy;

	return xbz_cache_lookup(&t->cache, &t->region, page, &copy);
}

static void *xbz_copy(struct xbz_cache_test *t, unsigned long page)
{
	void *copy;

	xbz_cache_lookup(&t->cache, &t->region, page, &copy);
	return copy;
}

static void xbz_commit(struct xbz_cache_test *t, unsigned long page,
		       enum xbz_kind kind, u32 bytes)
{
	struct xbz_policy_page sent = {
		.kind = kind, .bytes = bytes, .known = xbz_known(t, page),
	};

	xbz_cache_commit(&t->cache, &t->region, page, &sent, &t->snapshot);
}

/* A page that no delta against zero makes shorter. */
static void xbz_store(struct xbz_cache_test *t, unsigned long page, u8 byte)
{
	memset(t->snapshot, byte, XBZRLE_PAGE_SIZE);
	xbz_commit(t, page, XBZ_SENT_RAW, XBZ_HEAD_CONT + XBZRLE_PAGE_SIZE);
}

static void xbz_forget(struct xbz_cache_test *t, unsigned long page)
{
	LIST_HEAD(pages);

	xbz_cache_forget(&t->cache, &t->leaf[page / XBZRLE_CHUNK_PAGES]
					   [page % XBZRLE_CHUNK_PAGES], &pages);
	xbz_cache_pages_free(NULL, &pages);
}

/* Fails if an entry is not found by its own number, or with other content. */
static void xbz_cache_finds_what_it_stored(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	static const unsigned long pages[] = { 0, 1, 511, 512, 1535 };
	unsigned int i;

	xbz_limit(t, 100);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		xbz_store(t, pages[i], i + 1);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		KUNIT_ASSERT_EQ(test, xbz_known(t, pages[i]),
				(int)XBZ_KNOWN_COPY);
		KUNIT_EXPECT_NULL(test, memchr_inv(xbz_copy(t, pages[i]), i + 1,
						   XBZRLE_PAGE_SIZE));
	}
	KUNIT_EXPECT_EQ(test, xbz_known(t, 2),
			(int)XBZ_KNOWN_NOTHING);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, (u64)ARRAY_SIZE(pages));
}

/* Fails if a page that became zero keeps its copy, or the count is off. */
static void xbz_cache_zero_needs_no_copy(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;

	xbz_limit(t, 100);
	xbz_store(t, 7, 1);
	xbz_commit(t, 7, XBZ_SENT_ZERO, 9);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 7), (int)XBZ_KNOWN_ZERO);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, 0);
	KUNIT_EXPECT_EQ(test, t->counters.cache_zero, 1);

	xbz_commit(t, 7, XBZ_SENT_SAME, 0);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 7), (int)XBZ_KNOWN_ZERO);
	KUNIT_EXPECT_EQ(test, t->counters.cache_zero, 1);
	xbz_store(t, 7, 2);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 7), (int)XBZ_KNOWN_COPY);
	KUNIT_EXPECT_EQ(test, t->counters.cache_zero, 0);
	xbz_commit(t, 7, XBZ_SENT_ZERO, 9);
	xbz_forget(t, 7);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 7), (int)XBZ_KNOWN_NOTHING);
	KUNIT_EXPECT_EQ(test, t->counters.cache_zero, 0);
}

/* Fails if a page that was forgotten is still known, or its copy still counted. */
static void xbz_cache_forgets(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;

	xbz_limit(t, 100);
	xbz_store(t, 3, 1);
	xbz_store(t, 4, 2);
	xbz_forget(t, 3);
	xbz_forget(t, 3);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 3), (int)XBZ_KNOWN_NOTHING);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 4), (int)XBZ_KNOWN_COPY);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, 1);
	KUNIT_EXPECT_EQ(test, t->cache.policy.nr, 1);
}

/*
 * Fails if the limit is passed, or a page goes that is sent again for certain: one
 * whose bit is set, or one that was sent in this pass with a short delta.
 */
static void xbz_cache_evicts_what_is_idle(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;

	xbz_limit(t, 2);
	xbz_store(t, 0, 1);
	xbz_store(t, 1, 2);
	xbz_cache_pass(&t->cache);
	xbz_commit(t, 0, XBZ_SENT_DELTA, 20);
	t->bitmap[0] = BIT(1);
	xbz_store(t, 2, 3);
	KUNIT_EXPECT_EQ(test, t->counters.evictions, 0);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 2), (int)XBZ_KNOWN_NOTHING);

	t->bitmap[0] = 0;
	xbz_store(t, 3, 4);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, 2);
	KUNIT_EXPECT_EQ(test, t->counters.evictions, 1);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 0), (int)XBZ_KNOWN_COPY);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 1), (int)XBZ_KNOWN_NOTHING);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 3), (int)XBZ_KNOWN_COPY);
}

/* Fails if a copy whose delta overflowed keeps its place. */
static void xbz_cache_drops_what_overflows(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;

	xbz_limit(t, 10);
	xbz_store(t, 0, 1);
	xbz_store(t, 0, 2);
	KUNIT_EXPECT_EQ(test, xbz_known(t, 0), (int)XBZ_KNOWN_NOTHING);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, 0);
}

/* Fails if a smaller limit leaves too much, or drops what still fits. */
static void xbz_cache_resize_keeps_what_fits(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	unsigned long i, found = 0;

	xbz_limit(t, 100);
	for (i = 0; i < 100; i++)
		xbz_store(t, i, i + 1);
	xbz_limit(t, 60);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, 60);
	for (i = 0; i < 100; i++)
		found += xbz_known(t, i) == XBZ_KNOWN_COPY;
	KUNIT_EXPECT_EQ(test, found, 60);
	xbz_limit(t, 200);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, 60);
	xbz_limit(t, 0);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, 0);
	xbz_store(t, 0, 1);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, 0);
}

/*
 * Fails if a copy is freed with a guest's data in it: by a resize, by a page
 * that became zero, or at the session's end.
 */
static void xbz_cache_wipes_what_it_frees(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	void *copy[3];
	unsigned int i;

	xbz_limit(t, 3);
	for (i = 0; i < 3; i++) {
		xbz_store(t, i, 0xaa);
		copy[i] = xbz_copy(t, i);
		KUNIT_ASSERT_NOT_NULL(test, copy[i]);
		/* Ours to look at after it was freed. */
		get_page(virt_to_page(copy[i]));
	}
	xbz_commit(t, 1, XBZ_SENT_ZERO, 9);
	KUNIT_EXPECT_NULL(test, memchr_inv(copy[1], 0, PAGE_SIZE));
	xbz_limit(t, 1);
	xbz_limit(t, 0);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_NULL(test, memchr_inv(copy[i], 0, PAGE_SIZE));
		put_page(virt_to_page(copy[i]));
	}
}

/* A page that packs, the less the longer what repeats in it; or not at all. */
static void xbz_fill(u8 *p, unsigned long page, u32 version)
{
	u32 period = 16 << (page % 9);
	struct rnd_state rng;
	u32 at;

	prandom_seed_state(&rng, (u64)version << 32 | page);
	prandom_bytes_state(&rng, p, period);
	for (at = period; at < XBZRLE_PAGE_SIZE; at++)
		p[at] = p[at - period];
}

/*
 * Sends a page with other content than before, as ENCODE does: whole, or a delta, for
 * which the codec brings the copy up to date.
 */
static void xbz_send(struct kunit *test, unsigned long page, u32 *version, bool insert)
{
	struct xbz_cache_test *t = test->priv;
	struct xbz_policy_page sent = {
		.kind = XBZ_SENT_RAW, .bytes = XBZ_HEAD_CONT + XBZRLE_PAGE_SIZE,
	};
	void *copy;

	sent.known = xbz_cache_lookup(&t->cache, &t->region, page, &copy);
	if (copy) {
		xbz_fill(t->snapshot, page, *version);
		KUNIT_ASSERT_EQ(test, 0, memcmp(copy, t->snapshot, XBZRLE_PAGE_SIZE));
		sent.kind = XBZ_SENT_DELTA;
		sent.bytes = 100;
	}
	xbz_fill(t->snapshot, page, ++*version);
	if (copy)
		memcpy(copy, t->snapshot, XBZRLE_PAGE_SIZE);
	xbz_cache_commit(&t->cache, &t->region, page, &sent,
			 insert ? &t->snapshot : NULL);
}

/* Sends more pages than there is room for, so that some are packed. */
static void xbz_send_many(struct kunit *test, u32 *version)
{
	struct xbz_cache_test *t = test->priv;
	unsigned long page;

	xbz_limit(t, 300);
	for (page = 0; page < 600; page++)
		xbz_send(test, page, &version[page], true);
	KUNIT_ASSERT_NOT_NULL(test, t->cache.packed);
	KUNIT_ASSERT_GT(test, t->counters.cache_packed, 300);
}

static u32 *xbz_versions(struct kunit *test)
{
	u32 *version = kunit_kcalloc(test, XBZ_TEST_PAGES, sizeof(*version), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, version);
	return version;
}

/* What is cached, by the entries and by the packed copies' own lists. */
static void xbz_expect_sums(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	struct xbz_packed *packed = t->cache.packed;
	u64 nr = 0, pages = 0, units = 0;
	unsigned int i;

	for (i = 0; packed && i < XBZ_PACKED_CLASSES; i++) {
		struct xbz_packed_class *class = &packed->classes[i];
		struct list_head *at;

		nr += class->nr;
		units += class->nr * (i + 1) * XBZ_PACKED_STEP / XBZ_POLICY_UNIT;
		list_for_each(at, &class->pages)
			pages++;
	}
	KUNIT_ASSERT_EQ(test, t->counters.cache_packed, nr);
	KUNIT_ASSERT_EQ(test, t->counters.packed_pages, pages);
	KUNIT_ASSERT_EQ(test, t->counters.cache_pages,
			t->cache.policy.nr - nr + pages);
	KUNIT_ASSERT_LE(test, t->counters.cache_pages, t->counters.cache_limit);
	if (packed)
		KUNIT_ASSERT_EQ(test, packed->slack,
				pages * (XBZ_POLICY_WHOLE - 1) - units);
	KUNIT_ASSERT_NULL(test, t->cache.spare);
}

/*
 * Fails if a copy is not found any more when it was packed, or has moved because
 * another one went; if one is used that is of older content; or if memory is counted
 * for something else than it is.
 */
static void xbz_cache_packs_at_random(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	u32 *version = xbz_versions(test);
	struct rnd_state rng;
	unsigned int i;

	prandom_seed_state(&rng, 21);
	xbz_limit(t, 300);
	for (i = 0; i < 30000; i++) {
		u32 r = prandom_u32_state(&rng);
		/* Some are sent more often. */
		unsigned long page = r & 1 ? (r >> 8) % 200 : (r >> 8) % XBZ_TEST_PAGES;

		if (!(i % 3000)) {
			xbz_cache_pass(&t->cache);
			xbz_limit(t, i / 3000 & 1 ? 100 : 100 + r % 300);
		}
		switch (r >> 1 & 31) {
		case 0:
			if (t->leaf[page / XBZRLE_CHUNK_PAGES])
				xbz_forget(t, page);
			break;
		case 1:
			xbz_commit(t, page, XBZ_SENT_ZERO, 9);
			break;
		case 2:
			/* As in the last stage. */
			xbz_send(test, page, &version[page], false);
			break;
		default:
			xbz_send(test, page, &version[page], true);
		}
		if (!(i % 100))
			xbz_expect_sums(test);
	}
	xbz_expect_sums(test);
	KUNIT_EXPECT_GT(test, t->counters.cache_packed, 0);
	xbz_limit(t, 0);
	xbz_expect_sums(test);
	KUNIT_EXPECT_EQ(test, t->counters.cache_pages, 0);
}

/*
 * Fails if a page whose packed copy cannot be brought up to date, as nothing may be
 * added in the last stage, is still known by it; or one that did not change is not.
 */
static void xbz_cache_drops_what_is_stale(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	u32 *version = xbz_versions(test), entry;
	unsigned long page;
	enum xbz_grade grade;

	xbz_send_many(test, version);
	for (page = 0; page < 600; page++) {
		grade = xbz_policy_lookup(&t->cache.policy,
					  &t->leaf[page / XBZRLE_CHUNK_PAGES]
						  [page % XBZRLE_CHUNK_PAGES], &entry);
		if (grade != XBZ_GRADE_PACKED)
			continue;
		if (page & 1) {
			xbz_send(test, page, &version[page], false);
			KUNIT_EXPECT_EQ(test, xbz_known(t, page),
					(int)XBZ_KNOWN_NOTHING);
		} else {
			t->cache.policy.limit = 0;
			xbz_commit(t, page, XBZ_SENT_SAME, 0);
			KUNIT_EXPECT_EQ(test, xbz_known(t, page), (int)XBZ_KNOWN_COPY);
		}
	}
	xbz_expect_sums(test);
}

/* Fails if what is not a copy any more is unpacked. */
static void xbz_cache_uses_no_damaged_copy(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	u32 *version = xbz_versions(test), damaged = 0;
	unsigned long page;
	unsigned int i;

	xbz_send_many(test, version);
	for (i = 0; i < XBZ_PACKED_CLASSES; i++) {
		struct page *p;

		/* But for the heads: literals that are longer than the block. */
		list_for_each_entry(p, &t->cache.packed->classes[i].pages, lru)
			for (page = 0; page < PAGE_SIZE; page++)
				if (page % XBZ_PACKED_STEP >= 10)
					((u8 *)page_address(p))[page] = 0xff;
	}
	for (page = 0; page < 600; page++)
		damaged += xbz_known(t, page) == XBZ_KNOWN_NOTHING;
	KUNIT_EXPECT_GE(test, damaged, t->counters.cache_packed);
	/* They go as any others. */
	for (page = 0; page < 600; page++)
		xbz_commit(t, page, XBZ_SENT_ZERO, 9);
	xbz_expect_sums(test);
	KUNIT_EXPECT_EQ(test, t->counters.cache_packed, 0);
}

/* Fails if packed copies are freed with a guest's data in them, or keep it when they go. */
static void xbz_cache_wipes_packed_copies(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	u32 *version = xbz_versions(test);
	static struct page *kept[300];
	unsigned int i, nr = 0;
	unsigned long page;

	xbz_send_many(test, version);
	for (i = 0; i < XBZ_PACKED_CLASSES; i++) {
		struct page *p;

		list_for_each_entry(p, &t->cache.packed->classes[i].pages, lru) {
			KUNIT_ASSERT_LT(test, nr, ARRAY_SIZE(kept));
			get_page(p);
			kept[nr++] = p;
		}
	}
	/* Whatever is left of them is of the copies that are left. */
	for (page = 0; page < 590; page++)
		xbz_forget(t, page);
	for (i = 0; i < XBZ_PACKED_CLASSES; i++) {
		struct xbz_packed_class *class = &t->cache.packed->classes[i];
		unsigned long end = class->nr * (i + 1) * XBZ_PACKED_STEP % PAGE_SIZE;
		struct page *p = list_last_entry(&class->pages, struct page, lru);

		if (end)
			KUNIT_EXPECT_NULL(test, memchr_inv(page_address(p) + end, 0,
							   PAGE_SIZE - end));
	}
	xbz_limit(t, 0);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(kept[i]), 0, PAGE_SIZE));
		put_page(kept[i]);
	}
}

/* Fails if packing does not get dearer with what the link carries. */
static void xbz_cache_learns_what_packing_costs(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	struct xbz_policy *p = &t->cache.policy;
	const u64 ns = 100 * NSEC_PER_MSEC;
	u32 *version = xbz_versions(test), before;

	xbz_cache_link(&t->cache, ns, 1);
	KUNIT_EXPECT_EQ(test, p->pack_cost, XBZ_POLICY_NO_PACK);
	xbz_send_many(test, version);
	before = p->pack_cost;
	KUNIT_EXPECT_LT(test, before, 100);
	/* 1 Gbit/s; a pass that is younger says nothing. */
	t->counters.bytes += 12500000;
	xbz_cache_link(&t->cache, ns - 1, 8);
	KUNIT_EXPECT_EQ(test, p->pack_cost, before);
	xbz_cache_link(&t->cache, ns, 1);
	KUNIT_EXPECT_EQ(test, p->pack_cost, 78);
	xbz_cache_link(&t->cache, ns, 8);
	KUNIT_EXPECT_EQ(test, p->pack_cost, 625);
	xbz_cache_link(&t->cache, ns, 128);
	KUNIT_EXPECT_EQ(test, p->pack_cost, XBZ_POLICY_NO_PACK);
	xbz_cache_pass(&t->cache);
	xbz_cache_link(&t->cache, ns, 64);
	KUNIT_EXPECT_EQ(test, p->pack_cost, 0);
}

/* Fails if what sessions use of the host's memory is counted wrongly. */
static void xbz_cache_counts_host_memory(struct kunit *test)
{
	struct xbz_cache_test *t = test->priv;
	u64 before = xbz_mem_used();
	unsigned int i;

	xbz_limit(t, 10);
	for (i = 0; i < 20; i++)
		xbz_store(t, i, 1);
	/* Ten copies; their leaf, their entries, and the table of those. */
	KUNIT_EXPECT_EQ(test, xbz_mem_used() - before, 13 * PAGE_SIZE);
	xbz_limit(t, 0);
	KUNIT_EXPECT_EQ(test, xbz_mem_used() - before, 2 * PAGE_SIZE);
}

/*
 * Fails if the second mapping of a ring's data is not the first one's memory,
 * or if pages are freed with a guest's data in them.
 */
static void xbz_pages_are_twice_there_and_wiped(struct kunit *test)
{
	struct xbz_pages *p = xbz_pages_new(NULL, 5, 4);
	struct page *kept;
	u8 *bytes;

	KUNIT_ASSERT_NOT_NULL(test, p);
	bytes = p->vaddr;
	KUNIT_EXPECT_NULL(test, memchr_inv(bytes, 0, 9 * PAGE_SIZE));
	memset(bytes + 3 * PAGE_SIZE, 0x55, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, bytes[PAGE_SIZE], 0x55);
	KUNIT_EXPECT_EQ(test, bytes[2 * PAGE_SIZE], 0);
	KUNIT_EXPECT_EQ(test, bytes[8 * PAGE_SIZE], 0x55);

	kept = p->page[4];
	get_page(kept);
	xbz_test_reap(p);
	KUNIT_EXPECT_NULL(test, memchr_inv(page_address(kept), 0, PAGE_SIZE));
	put_page(kept);
}

static struct kunit_case xbz_cache_cases[] = {
	KUNIT_CASE(xbz_cache_finds_what_it_stored),
	KUNIT_CASE(xbz_cache_zero_needs_no_copy),
	KUNIT_CASE(xbz_cache_forgets),
	KUNIT_CASE(xbz_cache_evicts_what_is_idle),
	KUNIT_CASE(xbz_cache_drops_what_overflows),
	KUNIT_CASE(xbz_cache_resize_keeps_what_fits),
	KUNIT_CASE(xbz_cache_wipes_what_it_frees),
	KUNIT_CASE(xbz_cache_packs_at_random),
	KUNIT_CASE(xbz_cache_drops_what_is_stale),
	KUNIT_CASE(xbz_cache_uses_no_damaged_copy),
	KUNIT_CASE(xbz_cache_wipes_packed_copies),
	KUNIT_CASE(xbz_cache_learns_what_packing_costs),
	KUNIT_CASE(xbz_cache_counts_host_memory),
	KUNIT_CASE(xbz_pages_are_twice_there_and_wiped),
	{}
};

struct kunit_suite xbz_cache_suite = {
	.name = "xbz_cache",
	.init = xbz_cache_test_init,
	.exit = xbz_cache_test_exit,
	.test_cases = xbz_cache_cases,
};
