// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two deltas as one: see compose.h. A payload has new bytes, not differences: so a byte of
 * the page is that of the newer one if it has it, else of the older one, else unchanged.
 */
#include "compose.h"

#include <stdbool.h>
#include <string.h>

struct sketch {
	uint8_t bytes[FORMAT_PAGE];
	bool known[FORMAT_PAGE];
};

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

static void draw(struct sketch *sketch, const uint8_t *payload, unsigned int length)
{
	const uint8_t *end = payload + length;
	unsigned int pos = 0, run;

	while (payload < end) {
		payload = get_length(payload, &run);
		pos += run;
		payload = get_length(payload, &run);
		memcpy(sketch->bytes + pos, payload, run);
		memset(sketch->known + pos, true, run);
		payload += run;
		pos += run;
	}
}

static unsigned int run_of(const struct sketch *sketch, unsigned int pos, bool known)
{
	unsigned int end = pos;

	while (end < FORMAT_PAGE && sketch->known[end] == known)
		end++;
	return end - pos;
}

unsigned int compose(uint8_t *out, const uint8_t *older, unsigned int older_length,
		     const uint8_t *newer, unsigned int newer_length)
{
	struct sketch sketch = { };
	unsigned int pos = 0, same, run;
	uint8_t *at = out;

	draw(&sketch, older, older_length);
	draw(&sketch, newer, newer_length);
	if (run_of(&sketch, 0, true) == FORMAT_PAGE) {
		memcpy(out, sketch.bytes, FORMAT_PAGE);
		return 0;
	}
	for (;;) {
		same = run_of(&sketch, pos, false);
		if (pos + same == FORMAT_PAGE)
			return at - out;
		run = run_of(&sketch, pos + same, true);
		at = put_length(at, same);
		at = put_length(at, run);
		memcpy(at, sketch.bytes + pos + same, run);
		at += run;
		pos += same + run;
	}
}
