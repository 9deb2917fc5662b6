// SPDX-License-Identifier: GPL-2.0-only
/*
 * The length of the parse, exhaustively where pages are small enough, and the
 * model that all other tests trust, against plain enumeration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <xbzrle/codec.h>

#include "model.h"

#define PAGE XBZ_PAGE_SIZE

/* Least bytes from @at on, by trying every zrun and nzrun that is legal. */
static size_t enumerate(const u8 *changed, size_t n, size_t at, size_t two)
{
	size_t best = (size_t)1 << 30, zrun, nzrun, i, cost;

	for (i = at; i < n && !changed[i]; i++)
		;
	if (i == n)
		return 0;
	for (zrun = at ? 1 : 0; at + zrun <= i; zrun++) {
		for (nzrun = 1; at + zrun + nzrun <= n; nzrun++) {
			cost = (zrun < two ? 1 : 2) + (nzrun < two ? 1 : 2) + nzrun +
			       enumerate(changed, n, at + zrun + nzrun, two);
			if (cost < best)
				best = cost;
		}
	}
	return best;
}

/*
 * Fails if the dynamic programming in the model is wrong: all pages of up to
 * 11 bytes, with the border between short and long lengths moved down.
 */
static void model_is_minimal(void **state)
{
	u8 changed[11];
	size_t n, two, i;
	unsigned int bits;

	(void)state;
	for (n = 1; n <= sizeof(changed); n++) {
		for (two = 1; two <= 5; two++) {
			for (bits = 0; bits < 1u << n; bits++) {
				for (i = 0; i < n; i++)
					changed[i] = bits >> i & 1;
				if (minimum_size(changed, n, two) !=
				    enumerate(changed, n, 0, two))
					fail_msg("n %zu, two %zu, %x", n, two, bits);
			}
		}
	}
}

/*
 * @bits are the changes from @at on, behind a run of @run changed bytes and
 * before another of @run; @run may be 0.
 */
static void check_pattern(unsigned int bits, size_t width, size_t at, size_t run)
{
	static u8 old[PAGE], cur[PAGE], changed[PAGE], ref[PAGE], out[PAGE];
	size_t end = at + 2 * run + width, least, i;
	int got;

	memset(changed, 0, end);
	memset(changed + at, 1, run);
	for (i = 0; i < width; i++)
		changed[at + run + i] = bits >> i & 1;
	memset(changed + at + run + width, 1, run);

	for (i = 0; i < end; i++)
		cur[i] = old[i] ^ changed[i];
	memcpy(ref, old, PAGE);
	cur[PAGE - 1] = 0;
	least = minimum_size(changed, end, 128);
	got = xbz_encode(out, sizeof(out), ref, cur);
	if ((size_t)got != least && !(bits == 0 && !run))
		fail_msg("%x at %zu, runs of %zu: %d, minimum %zu", bits, at, run, got, least);
	if (got > 0) {
		assert_true(xbz_decode(old, out, got) > 0);
		assert_memory_equal(old, cur, PAGE);
	}
	memset(old, 0, PAGE);
	memset(cur, 0, PAGE);
}

/*
 * Fails if the encoder's parse is not the shortest for some pattern of 12
 * bytes over a word border, alone or between runs whose lengths are just
 * below, at and above the border between short and long.
 */
static void all_patterns(void **state)
{
	static const size_t run[] = { 0, 58, 61, 63, 64, 117, 122, 126, 127, 128, 140 };
	size_t i, at;
	unsigned int bits;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(run); i++)
		for (at = 0; at <= 60; at += 5)
			for (bits = 0; bits < 1u << 12; bits += at % 3 ? 7 : 1)
				check_pattern(bits, 12, at, run[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model_is_minimal),
		cmocka_unit_test(all_patterns),
	};
	int failed = 0;

	run_with_every_codec(failed, "codec parse", tests);
	return failed;
}
