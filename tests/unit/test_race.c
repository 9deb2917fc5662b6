// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page that is written while it is encoded. The one property under test is
 * that a page is read once: the copy that the encoder keeps and the page that
 * the destination decodes are the same.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <xbzrle/codec.h>

#include "model.h"

#define PAGE XBZ_PAGE_SIZE

/*
 * How often the page must have changed under the encoder, and how long that
 * may take on a machine that is busy with other things.
 */
#define ENOUGH 300
#define ROUNDS 20000
#define SECONDS 60

static u64 live[PAGE / 8];
static atomic_bool stop;

/* Waves of a few bytes, so that deltas stay short enough to be deltas. */
static void *keep_writing(void *arg)
{
	u64 n = 0;

	(void)arg;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		unsigned int i;

		n++;
		for (i = n % 3; i < PAGE / 8; i += 5)
			__atomic_store_n(&live[i], n % 16 == 15 ? 0 : n * 0x0100010000010001ULL,
					 __ATOMIC_RELAXED);
	}
	return NULL;
}

struct counts {
	unsigned int rounds, delta, moved;
	time_t begin;
};

/* False once enough was seen, or when it takes too long. */
static bool count(struct counts *c, int got, const u8 *ref)
{
	if (!c->rounds++)
		c->begin = time(NULL);
	if (got > 0)
		c->delta++;
	/* The page went on while it was encoded: the race did take place. */
	if (memcmp(ref, live, PAGE))
		c->moved++;
	if (c->rounds < ROUNDS)
		return true;
	return (c->delta < ENOUGH || c->moved < ENOUGH) && time(NULL) - c->begin < SECONDS;
}

/*
 * Fails if a byte of the page is read twice, for comparing and for emitting or
 * storing: then the decoded page and ref differ sooner or later.
 */
static void encode_live_page(void **state)
{
	static u8 ref[PAGE], dst[PAGE], out[XBZ_DELTA_MAX];
	struct counts c = { 0 };
	int got;

	(void)state;
	do {
		got = xbz_encode(out, sizeof(out), ref, live);
		if (got > 0)
			assert_true(xbz_decode(dst, out, got) > 0);
		else if (got == XBZ_RAW)
			memcpy(dst, ref, PAGE);
		else if (got == XBZ_ZERO)
			memset(dst, 0, PAGE);
		assert_memory_equal(dst, ref, PAGE);
	} while (count(&c, got, ref));
	assert_true(c.delta >= ENOUGH);
	assert_true(c.moved >= ENOUGH);
}

/* The same for delta against zero; without ref, that what comes is legal. */
static void encode_live_page_zero_base(void **state)
{
	static u8 ref[PAGE], dst[PAGE], out[XBZ_DELTA_MAX];
	struct counts c = { 0 };
	int got, bare;

	(void)state;
	do {
		got = xbz_encode_zero_base(out, sizeof(out), ref, live);
		if (got != XBZ_RAW) {
			memset(dst, 0, PAGE);
			if (got > 0)
				assert_true(xbz_decode(dst, out, got) > 0);
			assert_memory_equal(dst, ref, PAGE);
		}
		bare = xbz_encode_zero_base(out, sizeof(out), NULL, live);
		if (bare > 0)
			assert_true(xbz_decode(dst, out, bare) > 0);
	} while (count(&c, got, ref));
	assert_true(c.delta >= ENOUGH);
	assert_true(c.moved >= ENOUGH);
}

static int start_writer(void **state)
{
	static pthread_t thread;

	atomic_store(&stop, false);
	*state = &thread;
	return pthread_create(&thread, NULL, keep_writing, NULL);
}

static int stop_writer(void **state)
{
	atomic_store(&stop, true);
	return pthread_join(*(pthread_t *)*state, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(encode_live_page, start_writer, stop_writer),
		cmocka_unit_test_setup_teardown(encode_live_page_zero_base, start_writer,
						stop_writer),
	};
	int failed = 0;

	run_with_every_codec(failed, "codec race", tests);
	return failed;
}
