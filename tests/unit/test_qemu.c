// SPDX-License-Identifier: GPL-2.0-only
/*
 * The codec against QEMU's own decoder, which is what reads our payloads at the
 * destination: compiled from Debian's source package into a shared object that
 * the environment's XBZ_QEMU_SIDE names; see tests/bench/qemu/.
 */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xbzrle/codec.h>

#include "../bench/qemu/side.h"
#include "model.h"

#define PAGE XBZ_PAGE_SIZE
#define PAGES 300000

static const struct qemu_side *qemu;

static u8 old[PAGE], cur[PAGE], ref[PAGE], theirs[PAGE], ours[PAGE];

static void make_pair(unsigned int seed)
{
	if (seed % 64 == 0)
		rnd_fill(old, PAGE);
	else
		memcpy(old, cur, PAGE);
	memcpy(cur, old, PAGE);
	change_page(cur, seed % PAGE_SHAPES);
	if (seed % 3 == 2)
		change_page(cur, rnd_below(12));
}

/* Fails if QEMU makes another page of a delta than the one that was encoded. */
static void deltas_arrive(void **state)
{
	static u8 out[PAGE];
	unsigned int n = test_rounds(PAGES), deltas = 0, i;

	(void)state;
	rnd_seed(1);
	for (i = 0; i < n; i++) {
		int got;

		make_pair(i);
		memcpy(ref, old, PAGE);
		got = xbz_encode(out, sizeof(out), ref, cur);
		if (got <= 0)
			continue;
		deltas++;
		memcpy(theirs, old, PAGE);
		if (qemu->decode(out, got, theirs) < 0 || memcmp(theirs, cur, PAGE))
			fail_msg("page %u: %d bytes", i, got);
	}
	assert_true(deltas > n / 2);
}

/* The same for deltas against a page that the destination has cleared. */
static void zero_base_arrives(void **state)
{
	static u8 out[PAGE];
	unsigned int n = test_rounds(PAGES / 4), i, j;

	(void)state;
	rnd_seed(2);
	for (i = 0; i < n; i++) {
		int got;

		make_pair(i);
		for (j = 0; j < PAGE; j++)
			ours[j] = old[j] ^ cur[j];
		got = xbz_encode_zero_base(out, sizeof(out), ours, ours);
		if (got <= 0)
			continue;
		memset(theirs, 0, PAGE);
		if (qemu->decode(out, got, theirs) < 0 || memcmp(theirs, ours, PAGE))
			fail_msg("page %u: %d bytes", i, got);
	}
}

/*
 * Fails if one of the decoders takes a payload that the other refuses, or makes
 * another page of it: payloads with bytes changed, cut off and moved.
 */
static void decoders_agree(void **state)
{
	/* QEMU's reads a length's second byte before it looks for the end. */
	static u8 out[PAGE + 8];
	unsigned int n = test_rounds(PAGES), refused = 0, i;

	(void)state;
	rnd_seed(3);
	for (i = 0; i < n; i++) {
		int got, a, b;
		unsigned int k;
		bool taken;

		make_pair(i);
		memcpy(ref, old, PAGE);
		got = xbz_encode(out, PAGE, ref, cur);
		if (got <= 0)
			continue;
		for (k = rnd_below(4); k; k--)
			out[rnd_below(got)] = rnd_below(3) ? rnd() : 0;
		if (rnd_below(4) == 0)
			got = 1 + rnd_below(got);
		memcpy(theirs, old, PAGE);
		memcpy(ours, old, PAGE);
		a = xbz_decode(ours, out, got);
		b = qemu->decode(out, got, theirs);
		taken = a >= 0;
		if (taken ? a != b || memcmp(ours, theirs, PAGE) : b >= 0)
			fail_msg("page %u: %d bytes, ours %d, QEMU's %d", i, got, a, b);
		refused += !taken;
	}
	assert_true(refused > n / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deltas_arrive),
		cmocka_unit_test(zero_base_arrives),
		cmocka_unit_test(decoders_agree),
	};
	const char *path = getenv("XBZ_QEMU_SIDE");
	void *handle = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	int failed = 0;

	qemu = handle ? dlsym(handle, QEMU_SIDE_NAME) : NULL;
	if (!qemu) {
		fprintf(stderr, "XBZ_QEMU_SIDE names no QEMU's codec: %s\n",
			path ? dlerror() : "it is not set; see make check-interop");
		return 1;
	}
	run_with_every_codec(failed, "codec and QEMU", tests);
	return failed;
}
