// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: how queues share the pages and go around them, and what a ring makes
 * of its consumer's position. No user memory and no records.
 */
#include "suites.h"

#include "region.h"
#include "ring.h"
#include "session.h"

#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/xbzrle.h>

#define XBZ_TEST_REGIONS 4

struct xbz_queue_test {
	struct xbz_session s;
	struct xbz_region *regions[XBZ_TEST_REGIONS];
	struct xbz_queue queues[3];
};

/* Sizes that end inside a word, a chunk, and that have a hole between. */
static const unsigned long xbz_test_pages[XBZ_TEST_REGIONS] = {
	XBZRLE_CHUNK_PAGES * 3 + 17, 0, 1, XBZRLE_CHUNK_PAGES * 2,
};

static int xbz_queue_test_init(struct kunit *test)
{
	struct xbz_queue_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;
	t->s.regions = t->regions;
	t->s.regions_end = XBZ_TEST_REGIONS;
	t->s.queues = t->queues;
	for (i = 0; i < ARRAY_SIZE(t->queues); i++)
		t->queues[i].index = i;
	for (i = 0; i < XBZ_TEST_REGIONS; i++) {
		struct xbz_region *r;

		if (!xbz_test_pages[i])
			continue;
		r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, r);
		r->id = i;
		r->nr_pages = xbz_test_pages[i];
		r->bitmap = kunit_kzalloc(test,
					  BITS_TO_LONGS(r->nr_pages) * 8 + 8,
					  GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, r->bitmap);
		t->regions[i] = r;
	}
	return 0;
}

/* Takes all that a queue finds in one time around; the bits are cleared. */
static unsigned long xbz_take_round(struct kunit *test, struct xbz_queue *q)
{
	struct xbz_queue_test *t = test->priv;
	struct xbz_place place;
	struct xbz_scan scan;
	unsigned long n = 0;

	xbz_scan_begin(&scan, &t->s, q);
	while (xbz_scan_next(&scan, &place)) {
		KUNIT_EXPECT_PTR_EQ(test, q, xbz_queue_of(&t->s, place.region,
							  place.page));
		KUNIT_EXPECT_TRUE(test, place.page < place.region->nr_pages);
		KUNIT_EXPECT_TRUE(test,
				  __test_and_clear_bit(place.page,
						       (unsigned long *)place.region->bitmap));
		xbz_scan_advance(&scan);
		n++;
	}
	return n;
}

static unsigned long xbz_set_all(struct xbz_queue_test *t)
{
	unsigned long n = 0;
	unsigned int i;

	for (i = 0; i < XBZ_TEST_REGIONS; i++) {
		if (!t->regions[i])
			continue;
		/* And bits behind the end, as a hostile process would. */
		memset(t->regions[i]->bitmap, 0xff,
		       BITS_TO_LONGS(t->regions[i]->nr_pages) * 8 + 8);
		n += t->regions[i]->nr_pages;
	}
	return n;
}

/*
 * Fails if a page is found by two queues or by none, or one behind the end, or
 * if a scan that begins in the middle does not come all the way around.
 */
static void xbz_queues_share_all_pages(struct kunit *test)
{
	struct xbz_queue_test *t = test->priv;
	unsigned int nr, i, start;

	for (nr = 1; nr <= ARRAY_SIZE(t->queues); nr++) {
		for (start = 0; start < 2000; start += 333) {
			unsigned long all = xbz_set_all(t), found = 0;

			t->s.nr_queues = nr;
			for (i = 0; i < nr; i++) {
				t->queues[i].region = start % XBZ_TEST_REGIONS;
				t->queues[i].page = start;
				found += xbz_take_round(test, &t->queues[i]);
			}
			KUNIT_EXPECT_EQ(test, found, all);
		}
	}
}

/* Fails if a scan of nothing does not end, or finds something. */
static void xbz_scan_of_nothing_ends(struct kunit *test)
{
	struct xbz_queue_test *t = test->priv;

	t->s.nr_queues = 1;
	KUNIT_EXPECT_EQ(test, xbz_take_round(test, &t->queues[0]), 0);
	t->s.regions_end = 0;
	KUNIT_EXPECT_EQ(test, xbz_take_round(test, &t->queues[0]), 0);
}

/*
 * Fails if a consumer that moves back or ahead is believed, or an honest one
 * is not, or if more room is given than there is.
 */
static void xbz_ring_checks_its_consumer(struct kunit *test)
{
	struct xbz_ring ring = {};
	u64 room;

	KUNIT_ASSERT_EQ(test, xbz_ring_init(&ring, NULL, XBZ_RING_MIN), 0);
	KUNIT_EXPECT_EQ(test, xbz_ring_reserve(&ring, &room), 0);
	KUNIT_EXPECT_EQ(test, room, XBZ_RING_MIN);

	xbz_ring_publish(&ring, 1000);
	KUNIT_EXPECT_EQ(test, ring.prod->pos, 1000);
	KUNIT_EXPECT_EQ(test, xbz_ring_reserve(&ring, &room), 0);
	KUNIT_EXPECT_EQ(test, room, XBZ_RING_MIN - 1000);
	ring.cons->pos = 600;
	KUNIT_EXPECT_EQ(test, xbz_ring_reserve(&ring, &room), 0);
	KUNIT_EXPECT_EQ(test, room, XBZ_RING_MIN - 400);

	ring.cons->pos = 599;
	KUNIT_EXPECT_EQ(test, xbz_ring_reserve(&ring, &room), -EPIPE);
	ring.cons->pos = 1001;
	KUNIT_EXPECT_EQ(test, xbz_ring_reserve(&ring, &room), -EPIPE);
	ring.cons->pos = ~0ULL;
	KUNIT_EXPECT_EQ(test, xbz_ring_reserve(&ring, &room), -EPIPE);
	ring.cons->pos = 1000;
	KUNIT_EXPECT_EQ(test, xbz_ring_reserve(&ring, &room), 0);
	KUNIT_EXPECT_EQ(test, room, XBZ_RING_MIN);
	xbz_test_reap(ring.prod_pages);
	xbz_test_reap(ring.cons_pages);
}

/* Fails if what wraps at the ring's end is not contiguous, or not the start. */
static void xbz_ring_wraps_in_one_piece(struct kunit *test)
{
	struct xbz_ring ring = {};
	u8 *p;

	KUNIT_ASSERT_EQ(test, xbz_ring_init(&ring, NULL, XBZ_RING_MIN), 0);
	xbz_ring_publish(&ring, XBZ_RING_MIN - 10);
	p = xbz_ring_at(&ring, 0);
	memset(p, 0x11, 30);
	KUNIT_EXPECT_EQ(test, ring.data[XBZ_RING_MIN - 1], 0x11);
	KUNIT_EXPECT_EQ(test, ring.data[19], 0x11);
	KUNIT_EXPECT_EQ(test, ring.data[20], 0);
	KUNIT_EXPECT_PTR_EQ(test, (u8 *)xbz_ring_at(&ring, 10), ring.data);
	xbz_test_reap(ring.prod_pages);
	xbz_test_reap(ring.cons_pages);
}

static struct kunit_case xbz_queue_cases[] = {
	KUNIT_CASE(xbz_queues_share_all_pages),
	KUNIT_CASE(xbz_scan_of_nothing_ends),
	KUNIT_CASE(xbz_ring_checks_its_consumer),
	KUNIT_CASE(xbz_ring_wraps_in_one_piece),
	{}
};

struct kunit_suite xbz_queue_suite = {
	.name = "xbz_queue",
	.init = xbz_queue_test_init,
	.test_cases = xbz_queue_cases,
};
