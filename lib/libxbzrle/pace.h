/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How large a batch should be, as a function of what became of the last ones:
 * pure, so that it is tested without a session.
 *
 * A large batch costs less per byte. But a consumer looks at its clock and at
 * its rate limit between batches, and what is encoded ahead is old by the time
 * it is sent: a page that changes again meanwhile has to be sent again.
 */
#ifndef XBZRLE_LIB_PACE_H
#define XBZRLE_LIB_PACE_H

#include <stdint.h>

#define XBZRLE_PACE_MIN 4096
#define XBZRLE_PACE_MAX (512 << 10)
/* How long writing a batch may take: a tenth of QEMU's clock. */
#define XBZRLE_PACE_NS 5000000
/* Batches of a queue that wait for the consumer while another is made. */
#define XBZRLE_PACE_AHEAD 2
/* Parts of a rate limit's window, one queue alone. */
#define XBZRLE_PACE_PARTS 16

/**
 * struct xbzrle_pace - what a batch's size follows from
 * @ring_bytes: size of a queue's ring
 * @nr_queues: how many of them share the consumer
 * @window: bytes that the consumer may send between two looks at its rate limit,
 *	or 0 for no limit
 * @bytes: bytes that it wrote last, or 0 if it did not write
 * @ns: nanoseconds that this took
 */
struct xbzrle_pace {
	uint64_t ring_bytes;
	unsigned int nr_queues;
	uint64_t window;
	uint64_t bytes;
	uint64_t ns;
};

/**
 * xbzrle_pace_most() - the largest batch that may be
 * @p: what it follows from
 *
 * A quarter of the ring, so that making, waiting and writing overlap; and so
 * little of the window that it is missed by a sixteenth at most, and that all
 * that waits in all queues is not more than half of it.
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
 * xbzrle_pace_batch() - how large the next batches should be
 * @batch: how large they were
 * @p: what became of them
 *
 * Half as large if a write took too long, which can happen once; twice as large
 * if twice as much would not have taken that long either.
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
