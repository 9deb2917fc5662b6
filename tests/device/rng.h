/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random numbers that can be had again: xorshift64*, seeded by XBZ_SEED. What
 * is done with them is elsewhere.
 */
#ifndef XBZT_RNG_H
#define XBZT_RNG_H

#include <stdint.h>

struct xbzt_rng {
	uint64_t state;
};

/* Scrambles the seed, so that neighbouring seeds give unlike sequences. */
static inline void xbzt_rng_seed(struct xbzt_rng *rng, uint64_t seed)
{
	seed += 0x9e3779b97f4a7c15ULL;
	seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9ULL;
	seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebULL;
	rng->state = (seed ^ (seed >> 31)) | 1;
}

static inline uint64_t xbzt_random(struct xbzt_rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return rng->state * 0x2545f4914f6cdd1dULL;
}

/* 0 to @n - 1; the bias does not matter here. */
static inline uint64_t xbzt_below(struct xbzt_rng *rng, uint64_t n)
{
	return (xbzt_random(rng) >> 11) % n;
}

#endif /* XBZT_RNG_H */
