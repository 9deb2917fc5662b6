// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies for a page: see match.h. From left to right, the longest of two is taken: of that
 * which goes on where the last one ended, which takes the fewest bytes, and of one that is
 * found by the hash of the next 8 bytes.
 */
#include "match.h"

#include <string.h>

/* Bytes that a copy has at least, since it takes some itself. */
#define SHORT 4
#define LONG 12
/* One in so many bytes of the pages is in the table. */
#define STEP 4
#define NONE UINT16_MAX

struct match {
	unsigned int from;
	unsigned int length;
};

static uint64_t load(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static unsigned int hash(uint64_t word)
{
	return word * 0x9e3779b97f4a7c15ULL >> 51;
}

/* How many bytes are the same, at most @max. */
static unsigned int same(const uint8_t *one, const uint8_t *other, unsigned int max)
{
	unsigned int n = 0;

	for (; n + 8 <= max; n += 8) {
		uint64_t differ = load(one + n) ^ load(other + n);

		if (differ)
			return n + __builtin_ctzll(differ) / 8;
	}
	while (n < max && one[n] == other[n])
		n++;
	return n;
}

/* Where the pages end that are one after the other in their image, too. */
static unsigned int run_end(const struct matcher *matcher, unsigned int from)
{
	unsigned int i = from / FORMAT_PAGE + 1;

	while (i < matcher->count && matcher->numbers[i] == matcher->numbers[i - 1] + 1 &&
	       matcher->numbers[i] != matcher->base)
		i++;
	return i * FORMAT_PAGE;
}

static void fill_table(struct matcher *matcher)
{
	unsigned int i, end = matcher->count * FORMAT_PAGE;

	memset(matcher->heads, 0xff, sizeof(matcher->heads));
	for (i = end - 8; i < end; i -= STEP)
		matcher->heads[hash(load(matcher->pages + i))] = i;
}

static struct match measure(const struct matcher *matcher, const uint8_t *page, unsigned int pos,
			    unsigned int from)
{
	unsigned int max = run_end(matcher, from) - from;

	if (max > FORMAT_PAGE - pos)
		max = FORMAT_PAGE - pos;
	return (struct match){ from, same(matcher->pages + from, page + pos, max) };
}

/* The copy at a place, of length 0 if there is none. @next is where the last one goes on. */
static struct match find(const struct matcher *matcher, const uint8_t *page, unsigned int pos,
			 unsigned int next)
{
	struct match match = { }, other;
	unsigned int from;
	uint64_t word;

	if (next < matcher->count * FORMAT_PAGE) {
		match = measure(matcher, page, pos, next);
		if (match.length < SHORT)
			match.length = 0;
	}
	if (pos + LONG > FORMAT_PAGE || match.length >= 64)
		return match;
	word = load(page + pos);
	from = matcher->heads[hash(word)];
	if (from == NONE || word == (word << 8 | word >> 56))
		return match;
	other = measure(matcher, page, pos, from);
	if (other.length < LONG || other.length < match.length + LONG)
		return match;
	return other;
}

/* A match may begin before the place where it was found. */
static void grow(const struct matcher *matcher, const uint8_t *page, struct match *match,
		 unsigned int *pos, unsigned int begin)
{
	while (*pos > begin && match->from % FORMAT_PAGE &&
	       page[*pos - 1] == matcher->pages[match->from - 1]) {
		(*pos)--;
		match->from--;
		match->length++;
	}
}

static unsigned int own_page(const struct matcher *matcher, uint64_t number)
{
	unsigned int i;

	for (i = 0; i < matcher->count && matcher->numbers[i] != number; i++)
		;
	return i * FORMAT_PAGE;
}

void match_page(struct matcher *matcher, const uint8_t *page, uint64_t number)
{
	struct copies copies = copies_begin(number);
	unsigned int pos = 0, next = own_page(matcher, number);
	uint8_t *at = matcher->content;

	matcher->copies = 0;
	matcher->literal_count = 0;
	fill_table(matcher);
	while (pos < FORMAT_PAGE) {
		unsigned int begin = copies.pos;
		struct match match = find(matcher, page, pos, next + (pos - begin));
		struct copy copy;

		if (!match.length) {
			pos++;
			continue;
		}
		grow(matcher, page, &match, &pos, begin);
		copy = (struct copy){
			.literals = pos - begin,
			.length = match.length,
			.from = matcher->numbers[match.from / FORMAT_PAGE] * FORMAT_PAGE +
				match.from % FORMAT_PAGE,
		};
		memcpy(matcher->literals + matcher->literal_count, page + begin, copy.literals);
		matcher->literal_count += copy.literals;
		at = copies_put(&copies, at, &copy);
		matcher->copies++;
		pos += match.length;
		next = match.from + match.length;
	}
	memcpy(matcher->literals + matcher->literal_count, page + copies.pos, pos - copies.pos);
	matcher->literal_count += pos - copies.pos;
	matcher->length = at - matcher->content;
	matcher->next = copies.shifts[0] + FORMAT_PAGE;
}
