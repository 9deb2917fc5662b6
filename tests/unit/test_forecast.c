// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the forecast: migrations of guests with random settings are played, and
 * what was forecast after their second pass is compared with what came.
 */
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xbzrle/codec.h>
#include <xbzrle/forecast.h>
#include <xbzrle/predict.h>

#define SEED 20261129
#define GUESTS 100
#define PAGES_MAX 65536
#define ZERO_BYTES 9
#define WHOLE_BYTES 4104
#define RAW(pages) ((uint64_t)(pages) * XBZ_PAGE_SIZE)
/* The guest writes, and the link carries, in turn. */
#define TICK 0.002
/* QEMU looks at what is left so often. */
#define LOOK_TICKS 25
#define MS_OF(ticks) ((uint64_t)((ticks) * TICK * 1e3 + 0.5))

enum kind { FIXED, CYCLIC, SAW_TOOTH, RANDOM, PLATEAU, KINDS };

static const char *const kind_names[] = { "fixed", "cyclic", "saw-tooth", "random", "plateau" };

struct guest {
	enum kind kind;
	unsigned int pages, set;		/* of memory, those that are written to */
	unsigned int extent;			/* these are so many together */
	double rate;				/* in a second */
	double busy, calm;			/* seconds; a tenth of the rate when calm */
	double page_bytes;			/* the mean of a dirty page */
	double link;				/* bytes in a second */
	unsigned int downtime_ms;
};

/* A migration as QEMU does it. */
struct run {
	const struct guest *g;
	uint64_t random;
	unsigned char dirty[PAGES_MAX], fresh[PAGES_MAX], sent[PAGES_MAX];
	unsigned int place[PAGES_MAX];
	unsigned int scan, at;
	uint64_t nr_dirty, nr_fresh, ticks;
	double writes, room;
	struct xbz_predict predict;
	struct xbz_forecast_pass pass;
};

/* xorshift64, by Marsaglia 2003. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static double between(uint64_t *state, double low, double high)
{
	return low + (high - low) * (next(state) >> 11) / 9007199254740992.0;
}

static struct guest make_guest(uint64_t *state, enum kind kind)
{
	struct guest g = { .kind = kind, .pages = between(state, 16384, PAGES_MAX) };
	double load;

	g.link = between(state, 2e6, 32e6);
	g.downtime_ms = between(state, 50, 1000);
	g.set = g.pages * between(state, 0.02, 0.4);
	g.page_bytes = kind == RANDOM || kind == PLATEAU ? WHOLE_BYTES : between(state, 20, 2000);
	/* Bytes that get dirty while the link carries one. */
	load = exp2(between(state, -4, 3));
	if (kind == RANDOM)
		g.set = g.pages;
	if (kind == PLATEAU)
		load = between(state, 0.6, 0.9);
	if (kind == SAW_TOOTH) {
		g.busy = between(state, 1, 6);
		g.calm = between(state, 1, 12);
	}
	g.rate = load * g.link / g.page_bytes;
	g.extent = 1U << (unsigned int)between(state, 0, 10);
	return g;
}

/* Extents of the memory, in any order, until there are as many pages as it takes. */
static void place_set(struct run *r)
{
	const struct guest *g = r->g;
	unsigned int extents = g->pages / g->extent, order[PAGES_MAX], i, j, n;

	for (i = 0; i < PAGES_MAX; i++)
		order[i] = i;
	for (i = extents; i > 1; i--) {
		j = next(&r->random) % i;
		n = order[i - 1];
		order[i - 1] = order[j];
		order[j] = n;
	}
	for (i = 0, n = 0; n < g->set; i = i + 1 < extents ? i + 1 : 0)
		for (j = 0; j < g->extent && n < g->set; j++)
			r->place[n++] = order[i] * g->extent + j;
}

static void write_page(struct run *r)
{
	const struct guest *g = r->g;
	unsigned int page;

	if (g->kind == FIXED || g->kind == RANDOM) {
		page = r->place[next(&r->random) % g->set];
	} else {
		page = r->place[r->at];
		r->at = (r->at + 1) % g->set;
	}
	/* What is sent later in this pass has it. */
	if (r->dirty[page] || r->fresh[page])
		return;
	r->fresh[page] = 1;
	r->nr_fresh++;
}

static void guest_tick(struct run *r)
{
	const struct guest *g = r->g;
	double second = r->ticks * TICK, period = g->busy + g->calm;
	double rate = g->rate;

	if (g->kind == SAW_TOOTH && second - period * (uint64_t)(second / period) >= g->busy)
		rate /= 10;
	/* More than all of it in a tick is no more than all of it. */
	r->writes += rate * TICK;
	if (r->writes > 4 * g->set)
		r->writes = 4 * g->set;
	for (; r->writes >= 1; r->writes--)
		write_page(r);
}

/* Pages differ from the mean by up to a half; what was never sent is whole or zero. */
static unsigned int bytes_of(struct run *r, unsigned int page)
{
	if (!r->sent[page])
		return page % 3 ? WHOLE_BYTES : ZERO_BYTES;
	if (r->g->page_bytes == WHOLE_BYTES)
		return WHOLE_BYTES;
	return r->g->page_bytes * (0.5 + (page * 2654435761U >> 8) % 1024 / 1024.0);
}

static void link_tick(struct run *r)
{
	uint64_t pages = 0, bytes = 0;
	unsigned int one;

	r->room += r->g->link * TICK;
	while (r->nr_dirty && r->room > 0) {
		if (r->dirty[r->scan]) {
			one = bytes_of(r, r->scan);
			r->dirty[r->scan] = 0;
			r->sent[r->scan] = 1;
			r->nr_dirty--;
			pages++;
			bytes += one;
			r->room -= one;
		}
		r->scan = (r->scan + 1) % r->g->pages;
	}
	if (r->room > 0)
		r->room = 0;
	xbz_predict_sent(&r->predict, pages, bytes);
	r->pass.pages += pages;
	r->pass.bytes += bytes;
}

/* Ends a pass, and begins the next one. */
static struct xbz_forecast_pass sync_log(struct run *r)
{
	struct xbz_forecast_pass over = r->pass;
	unsigned int i;

	over.ns = r->ticks * (uint64_t)(TICK * 1e9) - over.ns;
	over.fresh = r->nr_fresh;
	for (i = 0; r->nr_fresh && i < r->g->pages; i++)
		r->dirty[i] |= r->fresh[i];
	memset(r->fresh, 0, r->g->pages);
	r->nr_dirty += r->nr_fresh;
	xbz_predict_sync(&r->predict, r->nr_fresh, r->nr_dirty);
	r->nr_fresh = 0;
	r->pass = (struct xbz_forecast_pass){
		.number = over.number + 1,
		.ns = r->ticks * (uint64_t)(TICK * 1e9),
		.dirty = r->nr_dirty,
	};
	return over;
}

/* Until it fits, or is too long; the forecast is that after the second pass. */
static bool migrate(struct run *r, struct xbz_forecast_result *said, uint64_t *ms)
{
	const uint64_t room = r->g->link * r->g->downtime_ms / 1e3;
	uint64_t asked = 0;
	struct xbz_forecast f = { 0 };
	struct xbz_forecast_pass over;

	*said = (struct xbz_forecast_result){ 0 };
	place_set(r);
	memset(r->dirty, 1, r->g->pages);
	r->nr_dirty = r->g->pages;
	r->pass.dirty = r->nr_dirty;
	r->pass.number = 1;
	xbz_predict_sync(&r->predict, 0, r->nr_dirty);
	for (;;) {
		if (r->ticks % LOOK_TICKS == 0 &&
		    xbz_predict_bytes(&r->predict, r->nr_dirty) <= room) {
			over = sync_log(r);
			xbz_forecast_pass(&f, &over);
			if (!said->verdict) {
				xbz_forecast_look(&f, r->g->downtime_ms, 0, said);
				asked = r->ticks;
			}
			*ms = MS_OF(r->ticks - asked);
			if (xbz_predict_bytes(&r->predict, r->nr_dirty) <= room)
				return true;
		}
		if (said->verdict && MS_OF(r->ticks - asked) > XBZ_FORECAST_MS)
			return false;
		r->ticks++;
		guest_tick(r);
		link_tick(r);
	}
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* Whether it came as forecast: in seconds, as a user counts them, and within a factor. */
static bool as_said(const struct xbz_forecast_result *said, bool done, uint64_t ms)
{
	if (!done || said->verdict != XBZ_FORECAST_CONVERGES)
		return !done && said->verdict != XBZ_FORECAST_CONVERGES;
	return apart(said->ms, ms) <= 2000 + 2 * (said->ms < ms ? said->ms : ms);
}

static bool play(const struct guest *g, uint64_t random, struct xbz_forecast_result *said,
		 uint64_t *ms)
{
	struct run *r = calloc(1, sizeof(*r));
	bool done;

	assert_non_null(r);
	r->g = g;
	r->random = random;
	done = migrate(r, said, ms);
	free(r);
	return done;
}

/*
 * Fails if fewer than 95 of 100 migrations come as forecast after the second pass, or if
 * one kind of guest alone is forecast by chance.
 */
static void test_guests(void **state)
{
	unsigned int kind, i, all, right, sum = 0, sum_right = 0;
	struct xbz_forecast_result said;
	uint64_t random = SEED, ms;
	struct guest g;
	bool done;

	(void)state;
	for (kind = 0; kind < KINDS; kind++) {
		all = 0;
		right = 0;
		for (i = 0; i < GUESTS; i++) {
			g = make_guest(&random, kind);
			done = play(&g, next(&random), &said, &ms);
			/* It was over before there was a forecast. */
			if (said.verdict == XBZ_FORECAST_UNKNOWN)
				continue;
			all++;
			right += as_said(&said, done, ms);
		}
		print_message("%s: %u of %u\n", kind_names[kind], right, all);
		assert_true(right * 100 >= all * 85);
		sum += all;
		sum_right += right;
	}
	assert_true(sum_right * 100 >= sum * 95);
}

/* Fails if what would make it does not. */
static void test_remedies(void **state)
{
	unsigned int i, links = 0, links_right = 0, downtimes = 0, downtimes_right = 0;
	struct xbz_forecast_result said, again;
	uint64_t random = SEED, ms;
	struct guest g, other;

	(void)state;
	for (i = 0; i < GUESTS; i++) {
		g = make_guest(&random, i % 2 ? FIXED : CYCLIC);
		if (play(&g, next(&random), &said, &ms) || said.verdict == XBZ_FORECAST_CONVERGES)
			continue;
		assert_true(said.downtime_ms > g.downtime_ms);
		assert_true(said.bandwidth > said.link);
		/* Some more than the least, which is just enough. */
		other = g;
		other.link = said.bandwidth * 1.25;
		links++;
		links_right += play(&other, next(&random), &again, &ms);
		other = g;
		other.downtime_ms = said.downtime_ms * 1.25;
		downtimes++;
		downtimes_right += play(&other, next(&random), &again, &ms);
	}
	print_message("bandwidth: %u of %u, downtime: %u of %u\n", links_right, links,
		      downtimes_right, downtimes);
	assert_true(links >= 10);
	assert_true(links_right * 10 >= links * 9);
	assert_true(downtimes_right * 10 >= downtimes * 9);
}

/* A pass of a second of a guest that makes all of its set dirty, and the first one. */
static struct xbz_forecast saturated(uint64_t set, uint64_t page_bytes)
{
	struct xbz_forecast_pass pass = {
		.number = 1,
		.ns = 10000000000,
		.dirty = 100000,
		.pages = 100000,
		.bytes = RAW(100000),
		.fresh = set,
	};
	struct xbz_forecast f = { 0 };

	xbz_forecast_pass(&f, &pass);
	pass = (struct xbz_forecast_pass){
		.number = 2,
		.ns = 1000000000,
		.dirty = set,
		.pages = set,
		.bytes = set * page_bytes,
		.fresh = set,
	};
	xbz_forecast_pass(&f, &pass);
	return f;
}

/* Fails if something is said of a guest of which only the first pass is known. */
static void test_unknown(void **state)
{
	const struct xbz_forecast_result none = { 0 };
	struct xbz_forecast f = saturated(10000, 2000), first = { 0 };
	struct xbz_forecast_result r;

	(void)state;
	xbz_forecast_look(&first, 300, 0, &r);
	assert_memory_equal(&r, &none, sizeof(r));
	xbz_forecast_pass(&first, &f.passes[0]);
	xbz_forecast_look(&first, 300, 0, &r);
	assert_memory_equal(&r, &none, sizeof(r));
	/* The second one sends what the first one has left. */
	f.passes[1].dirty += 1000;
	f.passes[1].pages = 1000;
	xbz_forecast_look(&f, 300, 0, &r);
	assert_memory_equal(&r, &none, sizeof(r));
}

/* Fails if a cache is recommended that does not help, or none where one does. */
static void test_cache(void **state)
{
	struct xbz_forecast f = saturated(10000, 2000);
	struct xbz_forecast_result r;

	(void)state;
	/* 20 MB a second; all of it would take 10 MB, or 200 KB. */
	xbz_forecast_look(&f, 100, 0, &r);
	assert_int_equal(r.verdict, XBZ_FORECAST_FASTER);
	assert_int_equal(r.cache_bytes, 0);
	xbz_forecast_look(&f, 100, 1900, &r);
	assert_int_equal(r.cache_bytes, 0);
	xbz_forecast_look(&f, 100, 20, &r);
	assert_in_range(r.cache_bytes, RAW(10000), RAW(11000));
	assert_in_range(r.page_bytes, 1999, 2001);
	assert_in_range(r.set, 10000, 11000);
	/* It converges without. */
	xbz_forecast_look(&f, 5000, 20, &r);
	assert_int_equal(r.verdict, XBZ_FORECAST_CONVERGES);
	assert_int_equal(r.passes, 0);
	assert_int_equal(r.cache_bytes, 0);
}

/*
 * Fails if the reasons are confused: what is dirtied faster than sent, and less than that
 * but never little enough.
 */
static void test_reasons(void **state)
{
	struct xbz_forecast f = { 0 };
	struct xbz_forecast_result r;
	struct xbz_forecast_pass pass = {
		.ns = 100000000,
		.dirty = 10000,
		.pages = 1000,
		.bytes = RAW(1000),
		.fresh = 1000,
	};
	unsigned int i;

	(void)state;
	/* As many as are sent, of as many more that are clean. */
	for (i = 0; i < XBZ_FORECAST_PASSES; i++) {
		pass.number = 10 + i;
		xbz_forecast_pass(&f, &pass);
	}
	xbz_forecast_look(&f, 50, 0, &r);
	assert_int_equal(r.verdict, XBZ_FORECAST_FASTER);
	/* A tenth less: in time, which it is not given. */
	for (i = 0; i < XBZ_FORECAST_PASSES; i++) {
		pass.number = 20 + i;
		pass.dirty = 500000 - i * 20;
		pass.fresh = 980;
		xbz_forecast_pass(&f, &pass);
	}
	xbz_forecast_look(&f, 50, 0, &r);
	assert_int_equal(r.verdict, XBZ_FORECAST_LATER);
}

#define VALUES 5

/* Fails if a number that cannot be overflows, or makes it play for ever. */
static void test_bounds(void **state)
{
	const uint64_t values[VALUES] = { 0, 1, 64, 1 << 20, UINT64_MAX };
	struct xbz_forecast_result r;
	uint64_t random = SEED;
	unsigned int i, j;

	(void)state;
	for (i = 0; i < 2000; i++) {
		struct xbz_forecast f = { 0 };

		for (j = 0; j < 1 + i % 9; j++) {
			const struct xbz_forecast_pass pass = {
				.number = j + 1,
				.ns = values[next(&random) % VALUES],
				.dirty = values[next(&random) % VALUES],
				.pages = values[next(&random) % VALUES],
				.bytes = values[next(&random) % VALUES],
				.fresh = values[next(&random) % VALUES],
			};

			xbz_forecast_pass(&f, &pass);
		}
		xbz_forecast_look(&f, values[next(&random) % VALUES],
				  values[next(&random) % VALUES], &r);
		assert_true(r.verdict <= XBZ_FORECAST_LATER);
		assert_true(r.ms <= XBZ_FORECAST_MS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guests),
		cmocka_unit_test(test_remedies),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
