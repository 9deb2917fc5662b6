// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the size of batches, lib/libxbzrle/pace.h: links and limits are
 * numbers here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libxbzrle/pace.h"

#define MIB (1 << 20)
#define FIRST (64 << 10)

/* Where the size gets to at a link of so many bytes in a second. */
static uint64_t settled(struct xbzrle_pace p, uint64_t link)
{
	uint64_t batch = FIRST;
	unsigned int i;

	for (i = 0; i < 64; i++) {
		p.bytes = batch;
		p.ns = batch * 1000000000 / link;
		batch = xbzrle_pace_batch(batch, &p);
		assert_true(batch <= xbzrle_pace_most(&p));
		assert_true(batch >= XBZRLE_PACE_MIN);
	}
	return batch;
}

/* Fails if a fast link gets small batches, or the ring is not divided. */
static void test_fast_link(void **state)
{
	struct xbzrle_pace p = { .ring_bytes = 16 * MIB, .nr_queues = 1 };

	(void)state;
	assert_int_equal(settled(p, 10000ULL * MIB), 512 << 10);
	p.ring_bytes = MIB;
	assert_int_equal(settled(p, 10000ULL * MIB), 256 << 10);
	p.ring_bytes = 64 << 10;
	assert_int_equal(settled(p, 10000ULL * MIB), 16 << 10);
}

/* Fails if a write may take longer than it should at whatever link. */
static void test_slow_link(void **state)
{
	struct xbzrle_pace p = { .ring_bytes = 16 * MIB, .nr_queues = 4 };
	uint64_t link, batch;

	(void)state;
	for (link = 2 * MIB; link < 10000ULL * MIB; link += link / 3) {
		batch = settled(p, link);
		assert_true(batch * 1000 / link <= XBZRLE_PACE_NS / 1000000);
		/* And it is not smaller than need be. */
		assert_true(batch == XBZRLE_PACE_MAX ||
			    batch * 1000000000 / link >= XBZRLE_PACE_NS / 8);
	}
	assert_int_equal(settled(p, 1000), XBZRLE_PACE_MIN);
}

/* Fails if a batch, or all that wait, are too much of a window. */
static void test_window(void **state)
{
	struct xbzrle_pace p = { .ring_bytes = MIB };
	uint64_t most;

	(void)state;
	for (p.nr_queues = 1; p.nr_queues <= 64; p.nr_queues++) {
		for (p.window = 64 * MIB; p.window; p.window /= 3) {
			most = xbzrle_pace_most(&p);
			if (most == XBZRLE_PACE_MIN)
				continue;
			assert_true(most <= p.window / 16);
			assert_true(most * XBZRLE_PACE_AHEAD * p.nr_queues <= p.window / 2);
		}
		assert_int_equal(xbzrle_pace_most(&p), MIB / 4);
	}
	/* A limit that is set holds for the next batch. */
	p = (struct xbzrle_pace){ .ring_bytes = MIB, .nr_queues = 1, .window = 160000 };
	assert_int_equal(xbzrle_pace_batch(256 << 10, &p), 10000);
}

/* Fails if nothing written, or a little that took no time, says anything. */
static void test_small_writes(void **state)
{
	struct xbzrle_pace p = { .ring_bytes = MIB, .nr_queues = 2, .ns = 100000000 };

	(void)state;
	assert_int_equal(xbzrle_pace_batch(FIRST, &p), FIRST);
	p.bytes = 100;
	p.ns = 1000;
	assert_int_equal(xbzrle_pace_batch(FIRST, &p), FIRST);
	/* A little that took long does. */
	p.ns = 100000000;
	assert_int_equal(xbzrle_pace_batch(FIRST, &p), FIRST / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_link),
		cmocka_unit_test(test_slow_link),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_small_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
