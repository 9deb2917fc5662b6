// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of lib/core: records, unaligned words of bitmaps, positions of a
 * ring. The reader of records here is written from Documentation/wire-format.rst
 * and shares nothing with the writer but the payload's decoder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <xbzrle/codec.h>

#include "core/bitmap.h"
#include "core/record.h"
#include "core/ring.h"

#define PAGE XBZ_PAGE_SIZE

static uint64_t rng_state;

static uint64_t rnd(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

/* A quarter of the bits. */
static uint64_t rnd_sparse(void)
{
	uint64_t half = rnd();

	return half & rnd();
}

/* The last @bytes bytes in front of a page that traps. */
static void *guarded(size_t bytes)
{
	size_t pages = (bytes + PAGE - 1) / PAGE;
	char *p = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + pages * PAGE, PAGE, PROT_NONE), 0);
	return p + pages * PAGE - bytes;
}

/* Fails if an honest consumer is refused, or one that lies is believed. */
static void test_ring_room(void **state)
{
	const u64 size = 64, bases[] = { 0, 1000, ~0ULL - 40 };
	u64 room, prod, seen, cons, i;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (prod = 0; prod <= size; prod++) {
			for (seen = 0; seen <= prod; seen++) {
				for (cons = 0; cons <= size + 2; cons++) {
					bool ok = cons >= seen && cons <= prod;

					room = 12345;
					assert_int_equal(ok, xbz_ring_room(
						bases[i] + prod, bases[i] + seen,
						bases[i] + cons, size, &room));
					assert_int_equal(room, ok ?
						size - (prod - cons) : 12345);
				}
			}
		}
	}
	assert_false(xbz_ring_room(10, 5, 4, size, &room));
	assert_false(xbz_ring_room(10, 5, ~0ULL, size, &room));
	assert_false(xbz_ring_room(10, 5, 1ULL << 63, size, &room));
}

/* Fails if a size that is no power of two, or outside the bounds, passes. */
static void test_ring_size(void **state)
{
	(void)state;
	assert_true(xbz_ring_size_ok(64, 64, 256));
	assert_true(xbz_ring_size_ok(256, 64, 256));
	assert_false(xbz_ring_size_ok(32, 64, 256));
	assert_false(xbz_ring_size_ok(512, 64, 256));
	assert_false(xbz_ring_size_ok(96, 64, 256));
	assert_int_equal(xbz_ring_offset(1000, 256), 1000 % 256);
}

/*
 * Fails if a bit goes to the wrong place, a new one is counted twice or an old
 * one at all, or the word behind is touched without need (it traps).
 */
static void test_bitmap_or(void **state)
{
	u64 *map = guarded(4 * sizeof(u64));
	unsigned int bit, i, round;

	(void)state;
	for (round = 0; round < 20000; round++) {
		u64 before[4], word = rnd_sparse() & rnd();
		u64 fresh = 0, want[4];

		bit = rnd() % 256;
		for (i = 0; i < 4; i++) {
			before[i] = rnd_sparse();
			want[i] = before[i];
			map[i] = before[i];
		}
		for (i = 0; i < 64; i++) {
			if (!(word >> i & 1))
				continue;
			if (bit + i >= 256) {
				word &= ~(1ULL << i);
				continue;
			}
			if (!(before[(bit + i) / 64] >> (bit + i) % 64 & 1))
				fresh++;
			want[(bit + i) / 64] |= 1ULL << (bit + i) % 64;
		}
		assert_int_equal(xbz_bitmap_or(map, bit, word), fresh);
		assert_memory_equal(map, want, sizeof(want));
	}
}

/* Fails if a bit comes from the wrong place, or one too many. */
static void test_bitmap_fetch(void **state)
{
	u64 *map = guarded(4 * sizeof(u64));
	unsigned int bit, n, i;

	(void)state;
	for (i = 0; i < 4; i++)
		map[i] = rnd();
	for (bit = 0; bit < 256; bit++) {
		for (n = 1; n <= 64 && bit + n <= 256; n++) {
			u64 want = 0;

			for (i = 0; i < n; i++)
				if (map[(bit + i) / 64] >> (bit + i) % 64 & 1)
					want |= 1ULL << i;
			assert_int_equal(xbz_bitmap_fetch(map, bit, n), want);
		}
	}
}

/* A destination: applies one record at a time, strictly. */
struct dst {
	unsigned char page[PAGE];
	u64 offset;
	char name[256];
};

static u64 get_be64(const unsigned char *p)
{
	u64 v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* Returns the record's bytes. */
static size_t apply_one(struct dst *d, const unsigned char *p)
{
	const unsigned char *start = p;
	u64 word = get_be64(p);
	unsigned int len;

	p += 8;
	assert_int_equal(word & ~0xfffULL, d->offset);
	if (!(word & 0x20)) {
		len = *p++;
		assert_int_equal(len, strlen(d->name));
		assert_memory_equal(p, d->name, len);
		p += len;
	}
	switch (word & 0xfff & ~0x20) {
	case 0x02:
		assert_int_equal(*p++, 0);
		memset(d->page, 0, PAGE);
		break;
	case 0x08:
		memcpy(d->page, p, PAGE);
		p += PAGE;
		break;
	case 0x40:
		assert_int_equal(*p++, 1);
		len = p[0] << 8 | p[1];
		p += 2;
		assert_in_range(len, 1, 4092);
		assert_true(xbz_decode(d->page, p, len) > 0);
		p += len;
		break;
	default:
		fail_msg("flags 0x%llx", (unsigned long long)(word & 0xfff));
	}
	return p - start;
}

static void make_page(unsigned char *page, const unsigned char *old)
{
	unsigned int i, n;

	switch (rnd() % 7) {
	case 0:
		memset(page, 0, PAGE);
		break;
	case 1:
		memcpy(page, old, PAGE);
		break;
	case 2:
		for (i = 0; i < PAGE; i++)
			page[i] = rnd();
		break;
	case 3: /* sparse against zero */
		memset(page, 0, PAGE);
		for (n = rnd() % 300; n; n--)
			page[rnd() % PAGE] = rnd();
		break;
	default:
		memcpy(page, old, PAGE);
		for (n = 1 + rnd() % 1200; n; n--)
			page[rnd() % PAGE] ^= 1 + rnd() % 255;
	}
}

static size_t head_size(const struct dst *d, bool cont)
{
	return cont ? 8 : 9 + strlen(d->name);
}

/*
 * The whole of the cache's correctness: fails if after any record the
 * destination does not hold the snapshot, or the state claims to know what the
 * destination does not hold, or a record is longer than the raw page's or its
 * bound, or has a header of the other stream, or a byte is written behind that (it
 * traps).
 */
static void test_record_keeps_state(void **state)
{
	static unsigned char snapshot[PAGE], zero[PAGE], copy[PAGE];
	enum xbz_known known = XBZ_KNOWN_NOTHING;
	struct dst d = { .offset = 0x7ffffff000ULL };
	unsigned int kinds[5] = {}, round, i;

	(void)state;
	for (round = 0; round < 30000; round++) {
		bool cont = rnd() & 1, cont_whole = rnd() % 8 ? cont : !cont;
		u32 max_delta = rnd() & 1 ? 0 : 1 + rnd() % (rnd() & 1 ? 64 : 4200);
		size_t max, used, got = 0;
		struct xbz_record rec;
		struct xbz_block block;
		unsigned char *out;

		memset(d.name, 'n', sizeof(d.name));
		d.name[round % 3 ? 1 + rnd() % 20 : 255] = '\0';
		block.len = strlen(d.name);
		block.name = d.name;
		max = head_size(&d, cont && cont_whole) + PAGE;
		out = guarded(max);

		make_page(snapshot, d.page);
		/* Eviction is allowed at any time. */
		if (rnd() % 4 == 0)
			known = XBZ_KNOWN_NOTHING;
		rec = (struct xbz_record){
			.block = &block,
			.offset = d.offset,
			.cont = cont,
			.cont_whole = cont_whole,
			.max_delta = max_delta,
			.snapshot = snapshot,
			.copy = known == XBZ_KNOWN_COPY ? copy : NULL,
			.known = known,
		};
		used = xbz_record_page(out, &rec);
		known = rec.known;
		assert_true(used <= max);
		while (got < used)
			got += apply_one(&d, out + got);
		assert_int_equal(got, used);
		assert_memory_equal(d.page, snapshot, PAGE);

		if (known == XBZ_KNOWN_ZERO)
			assert_memory_equal(d.page, zero, PAGE);
		if (known == XBZ_KNOWN_COPY)
			assert_memory_equal(d.page, copy, PAGE);
		assert_int_equal(rec.kind == XBZ_SENT_SAME, used == 0);
		if (used)
			assert_int_equal(!(out[7] & 0x20), rec.kind == XBZ_SENT_RAW ?
						   !cont_whole : !cont);
		if (max_delta && (rec.kind == XBZ_SENT_DELTA ||
				  rec.kind == XBZ_SENT_ZERO_BASED))
			assert_true(used <= head_size(&d, cont) + 3 + max_delta);
		if (rec.kind == XBZ_SENT_DELTA || rec.kind == XBZ_SENT_ZERO_BASED)
			assert_true(used < max);
		kinds[rec.kind]++;
		if (known == XBZ_KNOWN_NOTHING && rnd() & 1) {
			memcpy(copy, snapshot, PAGE);
			known = XBZ_KNOWN_COPY;
		}
		munmap((void *)((uintptr_t)out & ~(uintptr_t)(PAGE - 1)),
		       ((max + PAGE - 1) / PAGE + 1) * PAGE);
	}
	/* All that can happen has happened, or this tests nothing. */
	for (i = 0; i < 5; i++)
		assert_true(kinds[i] > 500);
}

/*
 * The least bound that a delta against zero of so many bytes keeps: a page with so few
 * bytes of 4096 is compressed to 64 bytes and as much less than the bound.
 */
static unsigned int zero_base_needs(size_t bytes)
{
	return PAGE + 64 - 64 * PAGE / bytes;
}

/* Fails if a bound is missed by a byte, or unchanged and zero pages obey it, too. */
static void test_record_bound(void **state)
{
	static const unsigned char zero[PAGE];
	static unsigned char page[PAGE], copy[PAGE], out[9 + 255 + PAGE];
	const struct xbz_block block = { .len = 2, .name = "pc" };
	struct xbz_record rec = {
		.block = &block,
		.cont = true,
		.cont_whole = true,
		.snapshot = page,
		.copy = copy,
	};
	static const enum xbz_known knowns[] = {
		XBZ_KNOWN_NOTHING, XBZ_KNOWN_ZERO, XBZ_KNOWN_COPY,
	};
	unsigned int i, len = 300;
	size_t most;

	(void)state;
	for (i = 0; i < 3; i++) {
		memset(page, 0, PAGE);
		memset(page + 100, 7, len);
		/* zrun, nzrun of two bytes, and a zero record before */
		most = 1 + 2 + len + (knowns[i] == XBZ_KNOWN_NOTHING ? 9 : 0);
		if (knowns[i] != XBZ_KNOWN_COPY)
			most = zero_base_needs(most);
		for (rec.max_delta = most + 1; rec.max_delta >= most - 1; rec.max_delta--) {
			memset(copy, 0, PAGE);
			rec.known = knowns[i];
			xbz_record_page(out, &rec);
			assert_int_equal(rec.kind == XBZ_SENT_RAW, rec.max_delta < most);
			if (knowns[i] == XBZ_KNOWN_COPY)
				assert_memory_equal(copy, page, PAGE);
		}
		rec.max_delta = 1;
		rec.known = knowns[i];
		memcpy(copy, page, PAGE);
		rec.snapshot = zero;
		assert_true(xbz_record_page(out, &rec) <= 9);
		assert_int_equal(rec.known, XBZ_KNOWN_ZERO);
		rec.known = XBZ_KNOWN_COPY;
		memset(copy, 0, PAGE);
		assert_int_equal(xbz_record_page(out, &rec), 0);
		rec.snapshot = page;
	}
}

/* Fails if a header is not what QEMU reads, to the byte. */
static void test_record_bytes(void **state)
{
	static const unsigned char zero[PAGE];
	static unsigned char page[PAGE], copy[PAGE], out[9 + 255 + PAGE];
	static const unsigned char full[] = {
		0, 0, 0, 1, 0x23, 0x45, 0x60, 0x40, 2, 'p', 'c',
		1, 0, 4, 100, 2, 7, 8,
	};
	static const unsigned char cont[] = {
		0, 0, 0, 1, 0x23, 0x45, 0x60, 0x22, 0,
	};
	const struct xbz_block block = { .len = 2, .name = "pc" };
	struct xbz_record rec = {
		.block = &block,
		.offset = 0x123456000ULL,
		.snapshot = page,
		.copy = copy,
		.known = XBZ_KNOWN_COPY,
	};

	(void)state;
	memset(copy, 1, PAGE);
	memset(page, 1, PAGE);
	page[100] = 7;
	page[101] = 8;
	assert_int_equal(xbz_record_page(out, &rec), sizeof(full));
	assert_memory_equal(out, full, sizeof(full));
	rec.cont = true;
	rec.snapshot = zero;
	assert_int_equal(xbz_record_page(out, &rec), sizeof(cont));
	assert_memory_equal(out, cont, sizeof(cont));
	assert_int_equal(rec.known, XBZ_KNOWN_ZERO);
}

/* Fails if a cached page makes a record longer than no cached page would. */
static void test_record_long(void **state)
{
	static unsigned char page[PAGE], copy[PAGE], out[9 + 255 + PAGE];
	const struct xbz_block block = { .len = 2, .name = "pc" };
	struct xbz_record rec = {
		.block = &block,
		.cont = true,
		.cont_whole = true,
		.snapshot = page,
		.copy = copy,
	};
	unsigned int i, filled;
	size_t plain, with;

	(void)state;
	/* Other content than before, at other places; the last overflows. */
	for (filled = 300; filled <= 1200; filled += 100) {
		memset(page, 0, PAGE);
		memset(copy, 0, PAGE);
		for (i = 0; i < filled; i++) {
			page[i] = 1 + i % 255;
			copy[PAGE - 1 - i] = 1 + i % 255;
		}
		if (filled == 1200)
			memset(copy, 0xff, PAGE);
		rec.known = XBZ_KNOWN_NOTHING;
		plain = xbz_record_page(out, &rec);
		rec.known = XBZ_KNOWN_COPY;
		with = xbz_record_page(out, &rec);
		assert_int_equal(rec.known, XBZ_KNOWN_COPY);
		assert_memory_equal(copy, page, PAGE);
		if (2 * filled >= XBZ_DELTA_LONG)
			assert_int_equal(with, plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_room),
		cmocka_unit_test(test_ring_size),
		cmocka_unit_test(test_bitmap_or),
		cmocka_unit_test(test_bitmap_fetch),
		cmocka_unit_test(test_record_keeps_state),
		cmocka_unit_test(test_record_bytes),
		cmocka_unit_test(test_record_bound),
		cmocka_unit_test(test_record_long),
	};
	const char *seed = getenv("XBZ_SEED");

	rng_state = seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ULL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
