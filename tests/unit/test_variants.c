// SPDX-License-Identifier: GPL-2.0-only
/*
 * The encoder's variants against each other, on ten million pages: the same
 * result, the same bytes, the same copy, and with traps around every buffer not
 * a byte touched outside. The portable one is the measure; that it is right is
 * what the other tests show.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <xbzrle/codec.h>

#include "model.h"

#define PAGE XBZ_PAGE_SIZE

/* Sanitizers make it fifty times slower. */
#ifdef __SANITIZE_ADDRESS__
#define PAGES 200000
#else
#define PAGES 10000000
#endif

/* What one variant makes of a page. */
struct result {
	const char *codec;
	struct guarded ref, out;
	int got;
};

/* Pages with a trap behind the last byte, before the first, or on an odd address. */
enum place { BEHIND, BEFORE, ODD, PLACES };

struct bench {
	struct guarded cur[PLACES];
	struct result results[3];
	unsigned int count;
	u8 old[PAGE], page[PAGE];
};

static u8 *place_page(const struct guarded *g, enum place place)
{
	return g->buf + (place == ODD ? 1 + rnd_below(63) : 0);
}

static void bench_init(struct bench *b)
{
	unsigned int i;

	b->count = 0;
	for (i = 0; codec_names[i]; i++) {
		struct result *r = &b->results[b->count];

		if (xbz_codec_select(codec_names[i]))
			continue;
		b->count++;
		r->codec = codec_names[i];
		guard_alloc(&r->ref, PAGE, true);
		guard_alloc(&r->out, PAGE, true);
	}
	for (i = 0; i < PLACES; i++)
		guard_alloc(&b->cur[i], i == ODD ? PAGE + 64 : PAGE, i != BEFORE);
	rnd_fill(b->old, PAGE);
}

static void bench_free(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < b->count; i++) {
		guard_free(&b->results[i].ref);
		guard_free(&b->results[i].out);
	}
	for (i = 0; i < PLACES; i++)
		guard_free(&b->cur[i]);
}

/* Every variant's result of a page; without @old against zero. */
static void encode_all(struct bench *b, const u8 *old, u8 *cur, size_t cap)
{
	unsigned int i;

	for (i = 0; i < b->count; i++) {
		struct result *r = &b->results[i];
		u8 *out = r->out.buf + PAGE - cap;

		assert_int_equal(xbz_codec_select(r->codec), 0);
		if (old) {
			memcpy(r->ref.buf, old, PAGE);
			r->got = xbz_encode(out, cap, r->ref.buf, cur);
		} else {
			r->got = xbz_encode_zero_base(out, cap, r->ref.buf, cur);
		}
	}
}

/* NULL, or what is wrong. */
static const char *compare_all(const struct bench *b, const u8 *cur, size_t cap)
{
	const struct result *first = &b->results[0];
	unsigned int i;

	for (i = 0; i < b->count; i++) {
		const struct result *r = &b->results[i];

		if (memcmp(r->ref.buf, cur, PAGE))
			return "the copy is not the page";
		if (r->got != first->got)
			return "another result";
		if (r->got > 0 && memcmp(r->out.buf + PAGE - cap, first->out.buf + PAGE - cap,
					 r->got))
			return "other bytes";
	}
	return NULL;
}

static const char *check_one(struct bench *b, unsigned int seed)
{
	enum place place = seed % PLACES;
	u8 *cur = place_page(&b->cur[place], place);
	size_t cap = seed % 4 ? PAGE : rnd_below(PAGE + 1);
	const u8 *out = b->results[0].out.buf + PAGE - cap;
	int got = 0;
	const char *wrong;

	memcpy(cur, b->old, PAGE);
	change_page(cur, seed % PAGE_SHAPES);
	if (seed % 3 == 2)
		change_page(cur, rnd_below(12));

	encode_all(b, b->old, cur, cap);
	wrong = compare_all(b, cur, cap);
	got = b->results[0].got;
	if (!wrong && got > 0) {
		memcpy(b->page, b->old, PAGE);
		if (xbz_decode(b->page, out, got) <= 0 || memcmp(b->page, cur, PAGE))
			wrong = "it does not give back the page";
	}
	if (!wrong && seed % 8 == 0) {
		size_t i;

		for (i = 0; i < PAGE; i++)
			b->page[i] = cur[i] ^ b->old[i];
		memcpy(cur, b->page, PAGE);
		encode_all(b, NULL, cur, cap);
		wrong = compare_all(b, cur, cap);
		/* In place: nobody writes to the page, so it is its own snapshot. */
		got = xbz_encode_zero_base(b->results[0].out.buf + PAGE - cap, cap, cur, cur);
		if (!wrong && (got != b->results[0].got || memcmp(b->page, cur, PAGE)))
			wrong = "in place it is another";
	}
	memcpy(b->old, seed % 8 ? cur : b->page, PAGE);
	if (seed % 64 == 63)
		rnd_fill(b->old, PAGE);
	return wrong;
}

/* The part of all pages that is @worker's; exits 0 if all are right. */
static void work(unsigned int worker, unsigned int workers, unsigned int pages)
{
	static struct bench b;
	const char *wrong;
	unsigned int seed;

	rnd_seed(worker + 1);
	bench_init(&b);
	for (seed = worker; seed < pages; seed += workers) {
		wrong = check_one(&b, seed);
		if (!wrong)
			continue;
		fprintf(stderr, "worker %u of %u, page %u: %s:", worker, workers, seed, wrong);
		for (unsigned int i = 0; i < b.count; i++)
			fprintf(stderr, " %s %d", b.results[i].codec, b.results[i].got);
		fprintf(stderr, "\n");
		_exit(1);
	}
	bench_free(&b);
	_exit(0);
}

/*
 * Fails if any two variants differ in a result, a byte or the copy that they
 * leave, if the decoder does not give back the page, or if a byte outside a
 * buffer is touched.
 */
static void variants_agree(void **state)
{
	unsigned int workers = sysconf(_SC_NPROCESSORS_ONLN), i;
	unsigned int pages = test_rounds(PAGES);
	int status;

	(void)state;
	for (i = 0; i < workers; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid)
			work(i, workers, pages);
	}
	for (i = 0; i < workers; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

/* Fails if a name that is none is taken, or "auto" does not choose the best. */
static void names(void **state)
{
	unsigned int i;
	const char *best = NULL;

	(void)state;
	assert_int_equal(xbz_codec_select("none"), -EINVAL);
	assert_int_equal(xbz_codec_select(""), -EINVAL);
	for (i = 0; codec_names[i]; i++) {
		int ret = xbz_codec_select(codec_names[i]);

		if (ret) {
			assert_int_equal(ret, -EOPNOTSUPP);
			continue;
		}
		best = codec_names[i];
		assert_string_equal(xbz_codec_name(), best);
	}
	assert_int_equal(xbz_codec_select("auto"), 0);
	assert_string_equal(xbz_codec_name(), best);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(variants_agree),
	};

	return cmocka_run_group_tests_name("codec variants", tests, NULL, NULL);
}
