/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page as far as it is known without the base: of each byte, what it is, or which byte of
 * the base it is.
 */
#ifndef XBZIMG_SKETCH_H
#define XBZIMG_SKETCH_H

#include "copies.h"
#include "group.h"

/**
 * struct sketch - a page
 * @bytes: of the page, where they are known
 * @from: which byte of the base each other one is; SKETCH_KNOWN where they are known
 * @sum: lower bits of the page's, if not all of it is known
 */
struct sketch {
	uint8_t bytes[FORMAT_PAGE];
	uint64_t from[FORMAT_PAGE];
	uint32_t sum;
};

#define SKETCH_KNOWN UINT64_MAX

/* The page of the base in the same place. */
void sketch_base(struct sketch *sketch, uint64_t page);
void sketch_zero(struct sketch *sketch);

/**
 * struct sketch_source - how sketches are had of what a record rests on
 * @get: the sketch of a page, until the next call; or NULL
 * @arg: for it
 */
struct sketch_source {
	const struct sketch *(*get)(void *arg, uint64_t page, struct error *err);
	void *arg;
};

/**
 * sketch_apply() - apply a record
 * @sketch: of the page that it rests on
 * @record: of a group that is sound
 * @source: for %FORMAT_COPIES
 * @err: says why it failed
 *
 * Return: false if there is no source, or the record does not give what it says.
 */
bool sketch_apply(struct sketch *sketch, const struct record *record,
		  const struct sketch_source *source, struct error *err);

/**
 * struct drawing - a record that is made, and memory for it
 * @record: points into the rest
 * @content: of the record
 * @literals: of the record
 */
struct drawing {
	struct record record;
	uint8_t content[FORMAT_PAGE * COPY_BYTES_MAX];
	uint8_t literals[FORMAT_PAGE];
};

/**
 * sketch_draw() - the record that makes the base's page this one
 * @sketch: of the page
 * @page: its number
 * @drawing: receives the record
 *
 * Return: false if none is needed.
 */
bool sketch_draw(const struct sketch *sketch, uint64_t page, struct drawing *drawing);

#endif /* XBZIMG_SKETCH_H */
