/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the codec is measured against: slow and plain models made from the
 * format's description, a guarded buffer, and a random generator. Nothing but
 * the names of types is shared with lib/codec/.
 */
#ifndef XBZ_TEST_MODEL_H
#define XBZ_TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "../../lib/codec/freestanding.h"

/* A buffer whose first byte follows, or last byte precedes, a page that traps. */
struct guarded {
	u8 *map;
	size_t map_len;
	u8 *buf;
};

/**
 * guard_alloc() - a buffer of exactly @len bytes with a trap behind or before it
 * @g: receives it
 * @len: bytes
 * @trap_behind: the trap is behind the last byte; otherwise before the first
 */
void guard_alloc(struct guarded *g, size_t len, bool trap_behind);
void guard_free(struct guarded *g);

u64 rnd(void);
void rnd_seed(u64 seed);
static inline unsigned int rnd_below(unsigned int n)
{
	return rnd() % n;
}

void rnd_fill(u8 *p, size_t len);

/* Number of shapes that change_page() knows. */
#define PAGE_SHAPES 14

/**
 * change_page() - change a page in one of the ways that pages change
 * @page: 4096 bytes
 * @shape: which way; below PAGE_SHAPES
 */
void change_page(u8 *page, unsigned int shape);

/**
 * greedy_size() - payload length of the encoder that never merges a gap
 * @old: old page
 * @cur: new page
 */
size_t greedy_size(const u8 *old, const u8 *cur);

/**
 * minimum_size() - least payload length that the grammar allows
 * @changed: one byte for each byte of the page, not 0 where it changed
 * @n: bytes of page, at most 4096
 * @two: the first length that takes two bytes: 128, other values for tests
 *
 * Dynamic programming over every parse, partly merged gaps included; it takes
 * nothing for granted of what emit.c argues.
 */
size_t minimum_size(const u8 *changed, size_t n, size_t two);

/**
 * model_decode() - the decoder's rules, one byte at a time
 * @page: 4096 bytes
 * @in: payload
 * @len: its bytes
 *
 * Return: bytes covered, or -EBADMSG.
 */
int model_decode(u8 *page, const u8 *in, size_t len);

/* The variants of the encoder, the plainest first, the last NULL. */
extern const char *const codec_names[];

/* @n, or as many times more as the environment's XBZ_TEST_SCALE says. */
unsigned int test_rounds(unsigned int n);

/*
 * Run cmocka tests once with every variant that this processor can run, and say
 * which it cannot. Sets @failed to the tests that failed.
 */
#define run_with_every_codec(failed, title, tests) do {				\
	for (size_t _i = 0; codec_names[_i]; _i++) {				\
		char _name[64];							\
										\
		snprintf(_name, sizeof(_name), "%s, %s", title, codec_names[_i]); \
		if (xbz_codec_select(codec_names[_i]))				\
			fprintf(stderr, "%s: not on this processor\n", _name);	\
		else								\
			(failed) += cmocka_run_group_tests_name(_name, tests, NULL, NULL); \
	}									\
} while (0)

#endif /* XBZ_TEST_MODEL_H */
