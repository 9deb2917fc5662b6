// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty bits, batches and passes of the tests: see harness.h.
 */
#include "harness.h"

#include <string.h>

static uint64_t bit_of(uint64_t page)
{
	return 1ULL << page % 64;
}

void xbzt_dirty(struct xbzt_region *r, uint64_t page)
{
	__atomic_fetch_or(&r->bitmap[page / 64], bit_of(page),
			  __ATOMIC_SEQ_CST);
}

void xbzt_undirty(struct xbzt_region *r, uint64_t page)
{
	__atomic_fetch_and(&r->bitmap[page / 64], ~bit_of(page),
			   __ATOMIC_SEQ_CST);
}

bool xbzt_is_dirty(const struct xbzt_region *r, uint64_t page)
{
	return __atomic_load_n(&r->bitmap[page / 64], __ATOMIC_SEQ_CST) &
	       bit_of(page);
}

void xbzt_dirty_all(struct xbzt_region *r)
{
	uint64_t page;

	for (page = 0; page < r->nr_pages; page++)
		xbzt_dirty(r, page);
}

uint64_t xbzt_nr_dirty(const struct xbzt_region *r)
{
	uint64_t page, n = 0;

	for (page = 0; page < r->nr_pages; page++)
		n += xbzt_is_dirty(r, page);
	return n;
}

void xbzt_scribble(struct xbzt_session *s, unsigned int percent)
{
	uint64_t page;
	unsigned int i;

	for (i = 0; i < s->nr_regions; i++) {
		struct xbzt_region *r = s->regions[i];

		for (page = 0; r && page < r->nr_pages; page++) {
			if (xbzt_below(&xbzt_rng, 100) >= percent)
				continue;
			xbzt_guest_write_any(xbzt_page(r, page), &xbzt_rng);
			xbzt_dirty(r, page);
		}
	}
}

int xbzt_encode_raw(struct xbzt_session *s, unsigned int queue,
		    struct xbzrle_encode *arg)
{
	arg->size = sizeof(*arg);
	arg->queue = queue;
	arg->scratch = (uintptr_t)s->scratch;
	arg->scratch_bytes = s->scratch_bytes;
	return xbzt_ioctl(s->fd, XBZRLE_ENCODE, arg);
}

static void check_batch(struct xbzt_session *s, unsigned int queue,
			const struct xbzrle_encode *arg)
{
	struct xbzt_queue *q = &s->queues[queue];

	assert_int_not_equal(arg->status, 0);
	assert_int_equal(arg->pos, q->pos);
	assert_true(arg->bytes <= s->setup.ring_bytes);
	/* Pairs with the module's release; other batches may have come since. */
	assert_true(__atomic_load_n(&q->prod->pos, __ATOMIC_ACQUIRE) >=
		    arg->pos + arg->bytes);
	assert_int_equal(arg->pages, arg->pages_same + arg->pages_zero +
				     arg->pages_delta + arg->pages_raw);
	if (arg->max_pages)
		assert_true(arg->pages <= arg->max_pages);
	if (arg->budget)
		assert_true(arg->bytes < arg->budget + XBZRLE_RECORD_MAX);
}

void xbzt_apply(struct xbzt_session *s, unsigned int queue,
		const struct xbzrle_encode *arg)
{
	struct xbzt_queue *q = &s->queues[queue];
	struct xbzt_applied applied;

	check_batch(s, queue, arg);
	s->dest.whole_apart = arg->flags & XBZRLE_ENCODE_WHOLE_APART;
	if (xbzt_dest_apply(&s->dest, queue,
			    q->data + (arg->pos & (s->setup.ring_bytes - 1)),
			    arg->bytes, &applied))
		fail_msg("%s", s->dest.error);
	assert_int_equal(applied.pages_zero, arg->pages_zero);
	assert_int_equal(applied.pages_delta, arg->pages_delta);
	assert_int_equal(applied.pages_raw, arg->pages_raw);
	q->pos = arg->pos + arg->bytes;

	s->total.bytes += arg->bytes;
	s->total.pages += arg->pages;
	s->total.pages_same += arg->pages_same;
	s->total.pages_zero += arg->pages_zero;
	s->total.pages_delta += arg->pages_delta;
	s->total.pages_raw += arg->pages_raw;
}

void xbzt_release(struct xbzt_session *s, unsigned int queue, uint64_t pos)
{
	__atomic_store_n(&s->queues[queue].cons->pos, pos, __ATOMIC_RELEASE);
}

void xbzt_encode(struct xbzt_session *s, unsigned int queue,
		 struct xbzrle_encode *arg)
{
	int ret = xbzt_encode_raw(s, queue, arg);

	if (ret)
		fail_msg("ENCODE of queue %u: %s", queue, strerror(-ret));
	xbzt_apply(s, queue, arg);
	xbzt_release(s, queue, arg->pos + arg->bytes);
}

void xbzt_pass_with(struct xbzt_session *s, const struct xbzrle_encode *arg)
{
	const uint32_t more = XBZRLE_STATUS_BUDGET | XBZRLE_STATUS_FULL |
			      XBZRLE_STATUS_SIGNAL;
	unsigned int first = xbzt_below(&xbzt_rng, s->setup.nr_queues);
	unsigned int i;

	for (i = 0; i < s->setup.nr_queues; i++) {
		unsigned int queue = (first + i) % s->setup.nr_queues;
		struct xbzrle_encode batch;

		do {
			batch = *arg;
			xbzt_encode(s, queue, &batch);
			if (batch.status & ~(more | XBZRLE_STATUS_IDLE))
				fail_msg("status 0x%x at page %llu of region %u",
					 batch.status,
					 (unsigned long long)batch.fault_page,
					 batch.fault_region);
		} while (!(batch.status & XBZRLE_STATUS_IDLE));
	}
}

void xbzt_pass(struct xbzt_session *s)
{
	static const struct xbzrle_encode plain;

	xbzt_pass_with(s, &plain);
}

bool xbzt_differs(const struct xbzt_region *r, uint64_t page)
{
	return memcmp(xbzt_page(r, page), xbzt_dest_page(r, page), XBZT_PAGE);
}

uint64_t xbzt_find_difference(const struct xbzt_region *r, uint64_t page)
{
	while (page < r->nr_pages && !xbzt_differs(r, page))
		page++;
	return page;
}

void xbzt_assert_equal(const struct xbzt_region *r)
{
	uint64_t page = xbzt_find_difference(r, 0);
	const uint8_t *src = xbzt_page(r, page);
	const uint8_t *dst = xbzt_dest_page(r, page);
	unsigned int i = 0;

	if (page == r->nr_pages)
		return;
	while (src[i] == dst[i])
		i++;
	fail_msg("region %s, page %llu, byte %u: 0x%02x here, 0x%02x there (XBZ_SEED=%llu)",
		 r->name, (unsigned long long)page, i, src[i], dst[i],
		 (unsigned long long)xbzt_seed);
}

void xbzt_assert_all_equal(const struct xbzt_session *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_regions; i++)
		if (s->regions[i])
			xbzt_assert_equal(s->regions[i]);
}

void xbzt_assert_works(struct xbzt_session *s)
{
	uint64_t page[XBZT_ARRAY_SIZE(s->regions)] = { 0 };
	unsigned int i;

	for (i = 0; i < s->nr_regions; i++) {
		struct xbzt_region *r = s->regions[i];

		if (!r)
			continue;
		page[i] = xbzt_below(&xbzt_rng, r->nr_pages);
		xbzt_page(r, page[i])[xbzt_below(&xbzt_rng, XBZT_PAGE)]++;
		xbzt_dirty(r, page[i]);
	}
	xbzt_pass(s);
	for (i = 0; i < s->nr_regions; i++)
		if (s->regions[i])
			assert_false(xbzt_differs(s->regions[i], page[i]));
}
