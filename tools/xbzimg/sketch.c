// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages without the base: see sketch.h. Records have new bytes and places in the base, not
 * differences: so those of the newer one replace the older one's, and what is copied from a
 * page that has a record is what that record copies or has there.
 */
#include "sketch.h"

#include <string.h>

#include <xbzrle/codec.h>

#include "page.h"

void sketch_base(struct sketch *sketch, uint64_t page)
{
	unsigned int i;

	for (i = 0; i < FORMAT_PAGE; i++)
		sketch->from[i] = page * FORMAT_PAGE + i;
}

static void set_known(struct sketch *sketch, unsigned int pos, const void *bytes,
		      unsigned int length)
{
	memcpy(sketch->bytes + pos, bytes, length);
	memset(sketch->from + pos, 0xff, length * sizeof(*sketch->from));
}

void sketch_zero(struct sketch *sketch)
{
	static const uint8_t zero[FORMAT_PAGE];

	set_known(sketch, 0, zero, FORMAT_PAGE);
}

static bool all_known(const struct sketch *sketch)
{
	unsigned int i;

	for (i = 0; i < FORMAT_PAGE; i++)
		if (sketch->from[i] != SKETCH_KNOWN)
			return false;
	return true;
}

static const uint8_t *get_length(const uint8_t *at, unsigned int *length)
{
	*length = *at & 0x7f;
	if (*at++ & 0x80)
		*length |= *at++ << 7;
	return at;
}

static uint8_t *put_length(uint8_t *at, unsigned int length)
{
	if (length >= 0x80) {
		*at++ = (length & 0x7f) | 0x80;
		length >>= 7;
	}
	*at++ = length;
	return at;
}

/* The payload was decoded before, and so is valid. */
static void apply_payload(struct sketch *sketch, const struct record *record)
{
	const uint8_t *at = record->content, *end = at + record->length;
	unsigned int pos = 0, run;

	while (at < end) {
		at = get_length(at, &run);
		pos += run;
		at = get_length(at, &run);
		set_known(sketch, pos, at, run);
		at += run;
		pos += run;
	}
}

static bool copy_range(struct sketch *sketch, unsigned int pos, uint64_t from,
		       unsigned int length, const struct sketch_source *source,
		       struct error *err)
{
	while (length) {
		unsigned int skip = from % FORMAT_PAGE;
		unsigned int part = min_u64(FORMAT_PAGE - skip, length);
		const struct sketch *other = source->get(source->arg, from / FORMAT_PAGE, err);

		if (!other)
			return false;
		memcpy(sketch->bytes + pos, other->bytes + skip, part);
		memcpy(sketch->from + pos, other->from + skip, part * sizeof(*sketch->from));
		pos += part;
		from += part;
		length -= part;
	}
	return true;
}

static bool apply_copies(struct sketch *sketch, const struct record *record,
			 const struct sketch_source *source, struct error *err)
{
	const uint8_t *at = record->content, *end = at + record->length;
	const uint8_t *literals = record->literals;
	struct copies copies = copies_begin(record->page);
	unsigned int pos = 0;
	struct copy copy;
	uint32_t i;

	for (i = 0; i < record->copies; i++) {
		at = copies_get(&copies, at, end, &copy);
		set_known(sketch, pos, literals, copy.literals);
		literals += copy.literals;
		pos += copy.literals;
		if (!copy_range(sketch, pos, copy.from, copy.length, source, err))
			return false;
		pos += copy.length;
	}
	set_known(sketch, pos, literals, FORMAT_PAGE - pos);
	return true;
}

bool sketch_apply(struct sketch *sketch, const struct record *record,
		  const struct sketch_source *source, struct error *err)
{
	switch (record->kind) {
	case FORMAT_RAW:
		set_known(sketch, 0, record->content, FORMAT_PAGE);
		return true;
	case FORMAT_ZERO:
		sketch_zero(sketch);
		return true;
	case FORMAT_DELTA_ZERO:
		sketch_zero(sketch);
		apply_payload(sketch, record);
		return true;
	case FORMAT_DELTA:
		apply_payload(sketch, record);
		break;
	case FORMAT_COPIES:
		if (!apply_copies(sketch, record, source, err))
			return false;
		break;
	}
	sketch->sum = record->sum;
	return !all_known(sketch) || record_check(record, sketch->bytes, err);
}

/* All bytes are known. */
static void draw_page(const struct sketch *sketch, struct drawing *drawing)
{
	struct record *record = &drawing->record;
	int length = xbz_encode_zero_base(drawing->content, sizeof(drawing->content),
					  drawing->literals, sketch->bytes);

	if (length == XBZ_ZERO)
		return;
	record->kind = length > 0 ? FORMAT_DELTA_ZERO : FORMAT_RAW;
	record->length = length > 0 ? length : FORMAT_PAGE;
	record->content = length > 0 ? drawing->content : sketch->bytes;
}

/* The end of what is known, or not, or is one after the other in the base. */
static unsigned int run_end(const struct sketch *sketch, unsigned int pos)
{
	bool known = sketch->from[pos] == SKETCH_KNOWN;
	unsigned int end = pos + 1;

	while (end < FORMAT_PAGE &&
	       sketch->from[end] == (known ? SKETCH_KNOWN : sketch->from[end - 1] + 1))
		end++;
	return end;
}

/* All other bytes are those of the base's page. */
static void draw_delta(const struct sketch *sketch, struct drawing *drawing)
{
	unsigned int pos = 0, end, same = 0;
	uint8_t *at = drawing->content;

	for (; pos < FORMAT_PAGE; pos = end) {
		end = run_end(sketch, pos);
		if (sketch->from[pos] != SKETCH_KNOWN) {
			same = end - pos;
			continue;
		}
		at = put_length(at, same);
		at = put_length(at, end - pos);
		memcpy(at, sketch->bytes + pos, end - pos);
		at += end - pos;
	}
	drawing->record.kind = FORMAT_DELTA;
	drawing->record.content = drawing->content;
	drawing->record.length = at - drawing->content;
}

static void draw_copies(const struct sketch *sketch, uint64_t page, struct drawing *drawing)
{
	struct copies copies = copies_begin(page);
	struct record *record = &drawing->record;
	uint8_t *at = drawing->content, *literals = drawing->literals;
	unsigned int pos = 0, end, known = 0;

	for (; pos < FORMAT_PAGE; pos = end) {
		struct copy copy = { .literals = known, .from = sketch->from[pos] };

		end = run_end(sketch, pos);
		copy.length = end - pos;
		if (copy.from == SKETCH_KNOWN) {
			memcpy(literals, sketch->bytes + pos, copy.length);
			literals += copy.length;
			known = copy.length;
			continue;
		}
		at = copies_put(&copies, at, &copy);
		record->copies++;
		known = 0;
	}
	record->kind = FORMAT_COPIES;
	record->content = drawing->content;
	record->length = at - drawing->content;
	record->literals = drawing->literals;
	record->literal_count = literals - drawing->literals;
}

bool sketch_draw(const struct sketch *sketch, uint64_t page, struct drawing *drawing)
{
	unsigned int i, known = 0, own = 0;

	for (i = 0; i < FORMAT_PAGE; i++) {
		known += sketch->from[i] == SKETCH_KNOWN;
		own += sketch->from[i] == page * FORMAT_PAGE + i;
	}
	drawing->record = (struct record){
		.page = page,
		.pages = 1,
		.kind = FORMAT_ZERO,
		.sum = sketch->sum,
	};
	if (known == FORMAT_PAGE)
		draw_page(sketch, drawing);
	else if (own + known == FORMAT_PAGE)
		draw_delta(sketch, drawing);
	else
		draw_copies(sketch, page, drawing);
	return own != FORMAT_PAGE;
}
