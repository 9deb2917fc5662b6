// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies as they are in a group: see copies.h. Numbers have 7 bits in each byte, the lowest
 * first. A copy's shift is where it comes from less its place in the page: mostly, it is that
 * of the copy before it, or of one of the two before that with others.
 */
#include "copies.h"

#include <stddef.h>

static const uint8_t *get(const uint8_t *at, const uint8_t *end, uint64_t *number)
{
	unsigned int shift;

	*number = 0;
	for (shift = 0; at < end && shift < 63; shift += 7) {
		*number |= (uint64_t)(*at & 0x7f) << shift;
		if (!(*at++ & 0x80))
			return at;
	}
	return NULL;
}

static uint8_t *put(uint8_t *at, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		*at++ = number | 0x80;
	*at++ = number;
	return at;
}

/* Moves a shift to the front, which @i is the place of, or COPY_SHIFTS of a new one. */
static void use_shift(struct copies *copies, unsigned int i, int64_t shift)
{
	if (i == COPY_SHIFTS)
		i--;
	for (; i; i--)
		copies->shifts[i] = copies->shifts[i - 1];
	copies->shifts[0] = shift;
}

const uint8_t *copies_get(struct copies *copies, const uint8_t *at, const uint8_t *end,
			  struct copy *copy)
{
	uint64_t literals, length, number;
	int64_t shift;

	at = get(at, end, &literals);
	at = at ? get(at, end, &length) : NULL;
	at = at ? get(at, end, &number) : NULL;
	if (!at || literals > FORMAT_PAGE - copies->pos || !length ||
	    length > FORMAT_PAGE - copies->pos - literals)
		return NULL;
	if (number < COPY_SHIFTS) {
		shift = copies->shifts[number];
	} else {
		number -= COPY_SHIFTS;
		shift = (uint64_t)copies->shifts[0] + ((number >> 1) ^ -(number & 1));
		number = COPY_SHIFTS;
	}
	copy->literals = literals;
	copy->length = length;
	copy->from = literals + copies->pos + shift;
	if (copy->from >= 2 * FORMAT_SIZE_MAX)
		return NULL;
	use_shift(copies, number, shift);
	copies->pos += literals + length;
	return at;
}

uint8_t *copies_put(struct copies *copies, uint8_t *at, const struct copy *copy)
{
	int64_t shift = copy->from - copies->pos - copy->literals;
	int64_t change = shift - copies->shifts[0];
	unsigned int i = 0;

	while (i < COPY_SHIFTS && copies->shifts[i] != shift)
		i++;
	at = put(at, copy->literals);
	at = put(at, copy->length);
	at = put(at, i < COPY_SHIFTS ? i : (((uint64_t)change << 1) ^ (change >> 63)) + i);
	use_shift(copies, i, shift);
	copies->pos += copy->literals + copy->length;
	return at;
}
