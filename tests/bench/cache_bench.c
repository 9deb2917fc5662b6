// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replays a trace against caches of several sizes: QEMU's own, made of its own files,
 * LRU, CLOCK as it is in plain caches, and the policy of lib/core, with and without
 * packed copies; and computes the optimum. Prints JSON.
 *
 *   cache_bench --trace FILE [--qemu SIDE.so] [--percent 1,5,10] [--no-optimum]
 *
 * Counted are the passes after the first, which has all pages.
 */
#include "bench.h"
#include "trace.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/policy.h"

#define MAX_SIZES 16
#define RAW_RECORD (8 + PAGE_BYTES)
#define ZERO_RECORD 9
/* What kmod/packed.c puts before a packed copy, and what it rounds their sum up to. */
#define PACKED_HEAD 10
#define PACKED_STEP 64

/**
 * struct result - what a cache did
 * @bytes: on the wire
 * @hits: pages that were sent with a copy of theirs
 * @memory: bytes of copies and of what is kept of them, at most
 * @packs: pages that were packed
 * @unpacks: and unpacked
 */
struct result {
	u64 bytes;
	u64 hits;
	u64 memory;
	u64 packs;
	u64 unpacks;
};

void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("cache_bench: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static const struct event *before_of(const struct trace *t, const u32 *last, u32 page)
{
	return last[page] == NO_EVENT ? NULL : &t->events[last[page]];
}

static u32 *array32(u32 nr, int value)
{
	u32 *p = malloc((nr + 1) * sizeof(*p));

	if (!p)
		die("no memory");
	memset(p, value, (nr + 1) * sizeof(*p));
	return p;
}

static u32 pow2_floor(u32 n)
{
	u32 size = 1;

	while (2 * size <= n)
		size *= 2;
	return size;
}

static void take(void *opaque, const void *p, size_t len)
{
	(void)opaque;
	(void)p;
	(void)len;
}

/* It uses its cache from the second pass on, and knows powers of two only. */
static struct result run_qemu(const struct trace *t, const struct qemu_side *side, u32 pages)
{
	static const u8 zero[PAGE_BYTES];
	struct sink sink = { .take = take };
	struct qemu_save *save = side->open(pages, 0, &sink);
	struct result r = { .memory = (u64)pages * PAGE_BYTES };
	u32 i;

	for (i = t->second; i < t->nr; i++) {
		const struct event *e = &t->events[i];
		size_t bytes = side->save_any(save, e->page, e->zero ? zero : e->content,
					      e->pass);

		r.bytes += bytes;
		r.hits += bytes < RAW_RECORD && !e->zero;
	}
	side->close(save);
	return r;
}

/**
 * struct ring - pages in an order
 * @next: by page, and of the ring's head
 * @prev: likewise
 * @head: the ring's head
 * @in: whether a page is in it
 * @used: CLOCK: whether a page was used since it was looked at
 * @nr: pages in it
 */
struct ring {
	u32 *next;
	u32 *prev;
	u32 head;
	u8 *in;
	u8 *used;
	u32 nr;
};

static void ring_take(struct ring *r, u32 page)
{
	r->next[r->prev[page]] = r->next[page];
	r->prev[r->next[page]] = r->prev[page];
	r->in[page] = 0;
	r->nr--;
}

static void ring_add(struct ring *r, u32 page)
{
	u32 tail = r->prev[r->head];

	r->prev[page] = tail;
	r->next[page] = r->head;
	r->next[tail] = page;
	r->prev[r->head] = page;
	r->in[page] = 1;
	r->used[page] = 0;
	r->nr++;
}

/* CLOCK gives up after so many steps, as a kernel does. */
static bool ring_evict(struct ring *r, bool clock)
{
	u32 steps, page;

	for (steps = 0; steps < 16 && r->nr; steps++) {
		page = r->next[r->head];
		ring_take(r, page);
		if (!clock || !r->used[page])
			return true;
		ring_add(r, page);
	}
	return false;
}

/* LRU, without pages that overflow, or CLOCK. */
static struct result run_list(const struct trace *t, u32 limit, bool clock)
{
	struct ring ring = {
		.next = array32(t->pages, 0),
		.prev = array32(t->pages, 0),
		.head = t->pages,
		.in = calloc(t->pages + 1, 1),
		.used = calloc(t->pages + 1, 1),
	};
	struct result r = { .memory = (u64)limit * PAGE_BYTES };
	u32 *last = array32(t->pages, 0xff);
	u32 i;

	ring.next[ring.head] = ring.head;
	ring.prev[ring.head] = ring.head;
	for (i = 0; i < t->nr; i++) {
		const struct event *e = &t->events[i], *before = before_of(t, last, e->page);
		bool in = ring.in[e->page];

		if (e->pass > 1) {
			r.bytes += in || (before && before->zero) ? e->delta : e->plain;
			r.hits += in;
		}
		last[e->page] = i;
		if (in && clock && !e->zero) {
			ring.used[e->page] = 1;
			continue;
		}
		if (in)
			ring_take(&ring, e->page);
		if (e->zero || (in && e->delta_kind == XBZ_SENT_RAW))
			continue;
		if (ring.nr < limit || ring_evict(&ring, clock))
			ring_add(&ring, e->page);
	}
	free(ring.next);
	free(ring.prev);
	free(ring.in);
	free(ring.used);
	free(last);
	return r;
}

struct ours {
	struct xbz_policy policy;
	const struct trace *t;
	u32 pass;
	enum packer packer;
	/* By page: its event that was sent last, or is to be sent next. */
	u32 *last;
	u64 *words;
	struct result r;
};

static bool is_pending(void *opaque, u64 key)
{
	const struct ours *o = opaque;
	u32 last = o->last[key], next;

	next = last == NO_EVENT ? NO_EVENT : o->t->events[last].next;
	return next != NO_EVENT && o->t->events[next].pass == o->pass;
}

/* Units of the packed copy of the page as it was sent; more than whole if it does not pack. */
static u32 pack(struct ours *o, u32 page)
{
	const struct event *e = &o->t->events[o->last[page]];

	u32 steps = (e->packed[o->packer] + PACKED_HEAD + PACKED_STEP - 1) / PACKED_STEP;

	o->r.packs++;
	return xbz_policy_units(steps * PACKED_STEP);
}

static bool packs(u32 units)
{
	return units <= XBZ_POLICY_WHOLE * 3 / 4;
}

/*
 * What kmod/cache.c does between lookup and commit, but that packed copies stay where they
 * are and nothing is left at the ends of pages; see the design's section.
 */
static void ours_store(struct ours *o, struct xbz_policy_page *page, u32 entry)
{
	struct xbz_policy *p = &o->policy;
	enum xbz_grade grade = page->wish;
	u32 units = XBZ_POLICY_WHOLE, victim, tries;
	enum xbz_action action;

	if (grade == XBZ_GRADE_WHOLE && entry != XBZ_POLICY_NONE &&
	    !(xbz_policy_hot(p, entry)->flags & XBZ_HOT_PACKED))
		return;
	if (grade == XBZ_GRADE_PACKED) {
		/* It is not packed for nothing. */
		units = p->packed_units / 256;
		action = xbz_policy_make_room(p, page, grade, units, &victim);
		if (action == XBZ_ACTION_REFUSE)
			goto out_refused;
		units = pack(o, page->key);
		if (!packs(units)) {
			xbz_policy_hard_page(p, page);
			grade = XBZ_GRADE_WHOLE;
			units = XBZ_POLICY_WHOLE;
		}
	}
	for (tries = 0; tries < 8; tries++) {
		action = xbz_policy_make_room(p, page, grade, units, &victim);
		if (action == XBZ_ACTION_DONE || action == XBZ_ACTION_REFUSE)
			break;
		if (action == XBZ_ACTION_PACK) {
			u32 got = pack(o, xbz_policy_cold(p, victim)->key);

			if (packs(got))
				xbz_policy_resize(p, victim, XBZ_GRADE_PACKED, got, 0);
			else
				xbz_policy_hard(p, victim);
			continue;
		}
		xbz_policy_remove(p, victim);
	}
	if (action != XBZ_ACTION_DONE)
		goto out_refused;
	xbz_policy_lookup(p, page->word, &entry);
	if (entry != XBZ_POLICY_NONE) {
		xbz_policy_resize(p, entry, grade, units, 0);
		return;
	}
	if (p->nr == p->room)
		xbz_policy_add(p, calloc(1, sizeof(struct xbz_policy_block)));
	xbz_policy_insert(p, page, grade, units, 0);
	return;

out_refused:
	xbz_policy_lookup(p, page->word, &entry);
	if (entry != XBZ_POLICY_NONE)
		xbz_policy_remove(p, entry);
}

static void ours_event(struct ours *o, u32 i)
{
	const struct event *e = &o->t->events[i];
	struct xbz_policy_page page = { .word = &o->words[e->page], .key = e->page };
	enum xbz_grade grade;
	u32 entry;

	grade = xbz_policy_lookup(&o->policy, page.word, &entry);
	page.bytes = grade == XBZ_GRADE_NOTHING ? e->plain : e->delta;
	page.known = grade == XBZ_GRADE_NOTHING ? XBZ_KNOWN_NOTHING :
		     grade == XBZ_GRADE_ZERO ? XBZ_KNOWN_ZERO : XBZ_KNOWN_COPY;
	page.kind = grade == XBZ_GRADE_NOTHING ? e->plain_kind : e->delta_kind;
	if (e->pass > 1) {
		o->r.bytes += page.bytes;
		o->r.hits += page.known == XBZ_KNOWN_COPY;
		o->r.unpacks += grade == XBZ_GRADE_PACKED;
	}
	o->last[e->page] = i;
	xbz_policy_sent(&o->policy, &page);
	if (page.wish == XBZ_GRADE_WHOLE || page.wish == XBZ_GRADE_PACKED) {
		ours_store(o, &page, entry);
	} else {
		if (entry != XBZ_POLICY_NONE)
			xbz_policy_remove(&o->policy, entry);
		if (page.wish == XBZ_GRADE_ZERO)
			xbz_policy_set_zero(page.word);
	}
	if (o->r.memory < o->policy.used)
		o->r.memory = o->policy.used;
}

static struct result run_ours(const struct trace *t, u32 limit, enum packer packer,
			      u32 pack_cost)
{
	struct ours o = { .t = t, .pass = 1, .packer = packer };
	struct xbz_policy_block *block;
	u32 i;

	xbz_policy_init(&o.policy, 1);
	o.policy.limit = limit * XBZ_POLICY_WHOLE;
	o.policy.pack_cost = pack_cost;
	o.policy.pending = is_pending;
	o.policy.opaque = &o;
	o.policy.blocks = calloc(o.policy.limit / XBZ_POLICY_BLOCK + 2, sizeof(void *));
	o.last = array32(t->pages, 0xff);
	o.words = calloc(t->pages, sizeof(*o.words));
	for (i = 0; i < t->nr; i++) {
		while (o.pass < t->events[i].pass) {
			xbz_policy_pass(&o.policy);
			o.pass++;
		}
		ours_event(&o, i);
	}
	o.policy.nr = 0;
	while ((block = xbz_policy_spare(&o.policy)))
		free(block);
	free(o.policy.blocks);
	free(o.last);
	free(o.words);
	o.r.memory *= XBZ_POLICY_UNIT;
	return o.r;
}

static u64 raw_bytes(const struct trace *t)
{
	u64 bytes = 0;
	u32 i;

	for (i = t->second; i < t->nr; i++)
		bytes += t->events[i].zero ? ZERO_RECORD : RAW_RECORD;
	return bytes;
}

static u64 plain_bytes(const struct trace *t)
{
	return run_list(t, 0, false).bytes;
}

static void print_result(const char *name, struct result r)
{
	printf(", \"%s\": {\"bytes\": %llu, \"hits\": %llu, \"memory\": %llu", name,
	       (unsigned long long)r.bytes, (unsigned long long)r.hits,
	       (unsigned long long)r.memory);
	printf(", \"packs\": %llu, \"unpacks\": %llu}", (unsigned long long)r.packs,
	       (unsigned long long)r.unpacks);
}

static void run(const struct trace *t, const struct qemu_side *side, const double *percents,
		unsigned int nr, u32 pack_cost, bool optimum)
{
	u32 sizes[MAX_SIZES];
	u64 saved[MAX_SIZES] = { 0 }, learned[MAX_SIZES] = { 0 };
	unsigned int i;

	for (i = 0; i < nr; i++) {
		sizes[i] = t->ever * percents[i] / 100;
		if (!sizes[i])
			sizes[i] = 1;
	}
	if (optimum) {
		trace_optimum(t, true, sizes, nr, saved);
		trace_optimum(t, false, sizes, nr, learned);
	}
	printf("{\"ever\": %u, \"events\": %u, \"raw\": %llu, \"plain\": %llu, \"sizes\": [",
	       t->ever, t->nr - t->second, (unsigned long long)raw_bytes(t),
	       (unsigned long long)plain_bytes(t));
	for (i = 0; i < nr; i++) {
		printf("%s{\"percent\": %g, \"pages\": %u", i ? ", " : "", percents[i],
		       sizes[i]);
		if (side) {
			u32 floor = pow2_floor(sizes[i]);

			print_result("qemu", run_qemu(t, side, floor));
			print_result("qemu_above", run_qemu(t, side, floor < sizes[i] ?
							    2 * floor : floor));
		}
		print_result("lru", run_list(t, sizes[i], false));
		print_result("clock", run_list(t, sizes[i], true));
		print_result("whole", run_ours(t, sizes[i], PACKER_LZ4, PAGE_BYTES));
		print_result("packed", run_ours(t, sizes[i], PACKER_LZ4, pack_cost));
		print_result("zstd", run_ours(t, sizes[i], PACKER_ZSTD, 4 * pack_cost));
		if (optimum)
			printf(", \"optimum\": %llu, \"learned\": %llu",
			       (unsigned long long)(plain_bytes(t) - saved[i]),
			       (unsigned long long)(plain_bytes(t) - learned[i]));
		printf("}");
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "trace", required_argument, NULL, 't' },
		{ "qemu", required_argument, NULL, 'q' },
		{ "percent", required_argument, NULL, 'p' },
		{ "pack-cost", required_argument, NULL, 'c' },
		{ "no-optimum", no_argument, NULL, 'n' },
		{ 0 },
	};
	double percents[MAX_SIZES] = { 1, 5, 10, 25, 50 };
	const struct qemu_side *side = NULL;
	const char *path = NULL;
	unsigned int nr = 5;
	bool optimum = true;
	/* At 1 Gbit/s; LZ4 takes about 5 us to pack a page and to unpack it. */
	u32 pack_cost = 64;
	struct trace t;
	char *p;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't':
			path = optarg;
			break;
		case 'q':
			side = theirs_load(optarg);
			break;
		case 'p':
			for (nr = 0, p = strtok(optarg, ","); p && nr < MAX_SIZES;
			     p = strtok(NULL, ","))
				percents[nr++] = atof(p);
			break;
		case 'c':
			pack_cost = atoi(optarg);
			break;
		case 'n':
			optimum = false;
			break;
		default:
			return 2;
		}
	}
	if (!path || optind != argc)
		die("cache_bench needs --trace FILE, and nothing else");
	trace_load(&t, path);
	run(&t, side, percents, nr, pack_cost, optimum);
	return 0;
}
