// SPDX-License-Identifier: GPL-2.0-only
/* QEMU's side as a contender; what it does is in qemu/side.c. */
#include "bench.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

struct theirs {
	const struct page_set *set;
	const struct qemu_side *side;
	struct qemu_save *save;
};

/**
 * theirs_load() - load one version of QEMU
 * @path: the shared object
 *
 * Each has QEMU's names for itself. Does not return if it cannot be loaded.
 */
const struct qemu_side *theirs_load(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct qemu_side *side = handle ? dlsym(handle, QEMU_SIDE_NAME) : NULL;

	if (!side)
		die("%s", dlerror());
	return side;
}

static void restore(void *state, size_t first, size_t nr)
{
	struct theirs *t = state;
	size_t i;

	for (i = first; i < first + nr; i++)
		t->side->load(t->save, i, t->set->old + i * PAGE_BYTES);
}

static void touch(void *state, size_t first, size_t nr,
		  void (*visit)(const void *p, size_t len))
{
	struct theirs *t = state;
	size_t i;

	for (i = first; i < first + nr; i++)
		visit(t->side->cached(t->save, i), PAGE_BYTES);
	visit(t->set->cur + first * PAGE_BYTES, nr * PAGE_BYTES);
}

static void run(void *state, size_t first, size_t nr)
{
	struct theirs *t = state;
	size_t i;

	for (i = first; i < first + nr; i++)
		t->side->save(t->save, i, t->set->cur + i * PAGE_BYTES);
}

static void finish(void *state)
{
	struct theirs *t = state;

	t->side->flush(t->save);
}

/**
 * theirs_add() - QEMU's save path, with one of its encoders
 * @c: receives it
 * @set: the pages
 * @side: the version of QEMU
 * @encoder: which of its encoders
 * @sink: gets the stream
 */
void theirs_add(struct contender *c, const struct page_set *set,
		const struct qemu_side *side, unsigned int encoder, struct sink *sink)
{
	struct theirs *t = calloc(1, sizeof(*t));

	if (!t)
		die("no memory");
	t->set = set;
	t->side = side;
	t->save = side->open(set->nr, encoder, sink);
	restore(t, 0, set->nr);

	*c = (struct contender){
		.kind = "qemu-encode",
		.state = t,
		.restore = restore,
		.touch = touch,
		.run = run,
		.finish = finish,
	};
	snprintf(c->name, sizeof(c->name), "%s %s", side->version,
		 side->encoders[encoder]);
}
