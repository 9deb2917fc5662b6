/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The size of batches, as a pure function of the last writes, so that tests
 * need no session.
 *
 * A large batch costs less per byte. But a consumer checks its clock and its
 * rate limit between batches, and a batch that is encoded ahead ages: a page
 * that changes before its batch is sent has to be sent again.
 */
#ifndef XBZRLE_LIB_PACE_H
#define XBZRLE_LIB_PACE_H

#include <stdint.h>

#define XBZRLE_PACE_MIN 4096
#define XBZRLE_PACE_MAX (512 << 10)
/* Upper bound on the time to write a batch: a tenth of QEMU's clock. */
#define XBZRLE_PACE_NS 5000000
/* Batches of a queue that wait for the consumer while the next is encoded. */
#define XBZRLE_PACE_AHEAD 2
/* Batches that a rate limit's window has room for, with few queues. */
#define XBZRLE_PACE_PARTS 16

/**
 * struct xbzrle_pace - the inputs of a batch's size
 * @ring_bytes: size of a queue's ring
 * @nr_queues: number of queues that share the consumer
 * @window: bytes that the consumer may send between two checks of its rate
 *	limit, or 0 for no limit
 * @bytes: size of its last write, or 0 if there was none
 * @ns: nanoseconds that this write took
 */
struct xbzrle_pace {
	uint64_t ring_bytes;
	unsigned int nr_queues;
	uint64_t window;
	uint64_t bytes;
	uint64_t ns;
};

/**
 * xbzrle_pace_most() - upper bound on a batch's size
 * @p: the inputs
 *
 * A quarter of the ring, so that encoding, waiting and writing overlap. Of the
 * window so little that the rate limit is missed by a sixteenth at most, and
 * that the batches that wait in all queues are at most half of it. These bounds
 * do not apply below XBZRLE_PACE_MIN.
 *
 * Return: bytes.
 */
static inline uint64_t xbzrle_pace_most(const struct xbzrle_pace *p)
{
	uint64_t parts = 2 * XBZRLE_PACE_AHEAD * (uint64_t)p->nr_queues;
	uint64_t most = p->ring_bytes / 4;

	if (most > XBZRLE_PACE_MAX)
		most = XBZRLE_PACE_MAX;
	if (parts < XBZRLE_PACE_PARTS)
		parts = XBZRLE_PACE_PARTS;
	if (p->window && most > p->window / parts)
		most = p->window / parts;
	return most > XBZRLE_PACE_MIN ? most : XBZRLE_PACE_MIN;
}

/**
 * xbzrle_pace_batch() - size of the next batches
 * @batch: size of the last ones
 * @p: the inputs
 *
 * Halves the size if a write took longer than XBZRLE_PACE_NS. Only halves,
 * since a single slow write may be an accident. Doubles it if twice as many
 * bytes would not have taken longer either.
 *
 * Return: bytes.
 */
static inline uint64_t xbzrle_pace_batch(uint64_t batch, const struct xbzrle_pace *p)
{
	uint64_t most = xbzrle_pace_most(p);

	if (p->bytes && p->ns > XBZRLE_PACE_NS)
		batch /= 2;
	else if (p->bytes >= batch && p->ns <= XBZRLE_PACE_NS / 2)
		batch *= 2;
	if (batch < XBZRLE_PACE_MIN)
		batch = XBZRLE_PACE_MIN;
	return batch < most ? batch : most;
}

#endif /* XBZRLE_LIB_PACE_H */
