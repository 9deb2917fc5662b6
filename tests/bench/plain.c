// SPDX-License-Identifier: GPL-2.0-only
/*
 * What memory allows: a copy of the pages, and the least that any encoder has
 * to do, to read the old and the new page and compare all of them.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

typedef u64 vector __attribute__((vector_size(64), aligned(64)));

struct plain {
	const struct page_set *set;
	u8 *to;
	size_t differ;
};

static struct plain *plain_new(const struct page_set *set)
{
	struct plain *p = calloc(1, sizeof(*p));

	if (!p)
		die("no memory");
	p->set = set;
	return p;
}

static void restore(void *state, size_t first, size_t nr)
{
	(void)state;
	(void)first;
	(void)nr;
}

static void memcpy_touch(void *state, size_t first, size_t nr,
			 void (*visit)(const void *p, size_t len))
{
	struct plain *p = state;

	visit(p->to + first * PAGE_BYTES, nr * PAGE_BYTES);
	visit(p->set->cur + first * PAGE_BYTES, nr * PAGE_BYTES);
}

static void memcpy_run(void *state, size_t first, size_t nr)
{
	struct plain *p = state;
	size_t i;

	for (i = first; i < first + nr; i++)
		memcpy(p->to + i * PAGE_BYTES, p->set->cur + i * PAGE_BYTES, PAGE_BYTES);
}

/**
 * memcpy_add() - memcpy() of each page
 * @c: receives it
 * @set: the pages
 */
void memcpy_add(struct contender *c, const struct page_set *set)
{
	struct plain *p = plain_new(set);

	p->to = pages_alloc(set->nr);
	*c = (struct contender){
		.kind = "memcpy",
		.state = p,
		.restore = restore,
		.touch = memcpy_touch,
		.run = memcpy_run,
	};
}

static void limit_touch(void *state, size_t first, size_t nr,
			void (*visit)(const void *p, size_t len))
{
	struct plain *p = state;

	visit(p->set->old + first * PAGE_BYTES, nr * PAGE_BYTES);
	visit(p->set->cur + first * PAGE_BYTES, nr * PAGE_BYTES);
}

/* Whether a page differs, without an early end. */
__attribute__((target_clones("avx512f", "avx2", "default")))
static bool compare_page(const u8 *old, const u8 *cur)
{
	const vector *a = (const vector *)old;
	const vector *b = (const vector *)cur;
	vector any[4] = { { 0 } };
	unsigned int i, j;
	u64 bits = 0;

	for (i = 0; i < PAGE_BYTES / sizeof(vector); i += 4) {
#pragma GCC unroll 4
		for (j = 0; j < 4; j++)
			any[j] |= a[i + j] ^ b[i + j];
	}
	any[0] |= any[1] | any[2] | any[3];
	for (i = 0; i < 8; i++)
		bits |= any[0][i];
	return bits;
}

static void limit_run(void *state, size_t first, size_t nr)
{
	struct plain *p = state;
	size_t i;

	for (i = first; i < first + nr; i++)
		p->differ += compare_page(p->set->old + i * PAGE_BYTES,
					  p->set->cur + i * PAGE_BYTES);
}

/**
 * limit_add() - read both pages and compare them
 * @c: receives it
 * @set: the pages
 */
void limit_add(struct contender *c, const struct page_set *set)
{
	*c = (struct contender){
		.kind = "limit",
		.state = plain_new(set),
		.restore = restore,
		.touch = limit_touch,
		.run = limit_run,
	};
}
