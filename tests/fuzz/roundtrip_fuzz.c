// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any pair of pages through encoder and decoder, by each variant that this
 * processor runs. Fails if a buffer is touched outside, if a delta does not give
 * back the page, if ref is not the page, if a payload is longer than the greedy
 * one's or, where both fit, than its cap, or is not that of the other variants.
 *
 * The input is a cap, and then spans of a skip, a length and a way to change
 * the bytes: short inputs make whole pages, and every byte matters.
 */
#include <stdlib.h>
#include <string.h>

#include <xbzrle/codec.h>

#include "../unit/model.h"
#include "fuzz.h"

#define PAGE XBZ_PAGE_SIZE

/* The one that always runs comes first. */
static const char *const variants[] = { "portable", "avx2", "avx512" };

static void check(bool good)
{
	if (!good)
		abort();
}

static u8 *buffer(size_t len)
{
	u8 *p = malloc(len);

	check(p);
	return p;
}

struct input {
	const u8 *p;
	size_t left;
};

static unsigned int take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static void change(u8 *old, u8 *cur, struct input *in)
{
	size_t at = 0;

	while (in->left && at < PAGE) {
		unsigned int how = take(in);
		size_t skip = take(in), len = 1 + take(in);

		at += skip << (how & 4);
		len <<= how >> 3 & 3;
		for (; len && at < PAGE; at++, len--) {
			if (how & 1)
				old[at] = 0;
			cur[at] = how & 2 ? 0 : old[at] + 1 + (how >> 5);
		}
	}
}

/* The first variant says what the others have to say. */
static void compare(bool first, u8 *payload, int *said, const u8 *out, int got)
{
	if (first) {
		*said = got;
		if (got > 0)
			memcpy(payload, out, got);
	}
	check(got == *said && (got <= 0 || !memcmp(out, payload, got)));
}

static void round_trip(const u8 *old, const u8 *cur, size_t cap, unsigned int nr,
		       bool first)
{
	static u8 payload[2][PAGE];
	static int said[2];
	u8 *ref = buffer(PAGE), *out = buffer(cap), *page = buffer(PAGE);
	size_t greedy = greedy_size(old, cur);
	int got;

	memcpy(ref, old, PAGE);
	memcpy(page, old, PAGE);
	got = xbz_encode(out, cap, ref, cur);
	compare(first, payload[nr], &said[nr], out, got);
	check(!memcmp(ref, cur, PAGE));
	check((got == XBZ_SAME) == !greedy);
	if (got == XBZ_RAW)
		check(greedy > XBZ_DELTA_MAX || greedy > cap);
	if (got > 0) {
		check((size_t)got <= greedy && (size_t)got <= cap && got <= XBZ_DELTA_MAX);
		check(xbz_decode(page, out, got) > 0);
		check(!memcmp(page, cur, PAGE));
	}
	free(page);
	free(out);
	free(ref);
}

static void zero_base(const u8 *cur, size_t cap)
{
	u8 *ref = buffer(PAGE), *out = buffer(cap), *page = buffer(PAGE);
	int got, bare;

	memset(page, 0, PAGE);
	bare = xbz_encode_zero_base(out, cap, NULL, cur);
	if (bare > 0)
		check(xbz_decode(page, out, bare) > 0 && !memcmp(page, cur, PAGE));

	memset(page, 0, PAGE);
	got = xbz_encode_zero_base(out, cap, ref, cur);
	check(got == bare && got != XBZ_SAME);
	check(!memcmp(ref, cur, PAGE));
	if (got > 0)
		check(xbz_decode(page, out, got) > 0 && !memcmp(page, cur, PAGE));
	free(page);
	free(out);
	free(ref);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 *old = buffer(PAGE), *cur = buffer(PAGE);
	struct input in = { data, size };
	size_t cap, i;

	cap = take(&in);
	cap |= take(&in) << 8;
	cap %= PAGE + 1;
	for (i = 0; i < PAGE; i++)
		old[i] = 1 + i % 251;
	memcpy(cur, old, PAGE);
	change(old, cur, &in);
	for (i = 0; size && i < PAGE && data[size - 1] & 1; i++)
		cur[i] ^= old[i];

	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		if (xbz_codec_select(variants[i]))
			continue;
		round_trip(old, cur, cap, 0, !i);
		round_trip(old, cur, XBZ_DELTA_MAX, 1, !i);
		zero_base(cur, cap);
	}
	free(cur);
	free(old);
	return 0;
}
