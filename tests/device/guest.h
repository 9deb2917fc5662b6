/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest does to its pages. Dirty bits are not its business.
 */
#ifndef XBZT_GUEST_H
#define XBZT_GUEST_H

#include "rng.h"

#include <stdint.h>

enum xbzt_shape {
	XBZT_SPARSE,  /* a few single bytes */
	XBZT_WORDS,   /* aligned words are counted up */
	XBZT_RUNS,    /* runs of random lengths and gaps */
	XBZT_COMB,    /* every n-th byte: what encodes worst */
	XBZT_WHOLE,   /* all bytes at random */
	XBZT_ZERO,    /* the page becomes zero */
	XBZT_LAST,    /* one byte, the very last or the very first */
	XBZT_TOUCHED, /* dirty, but as it was */
	XBZT_NR_SHAPES,
};

/**
 * xbzt_guest_write() - write to a page as a guest would
 * @page: the page
 * @shape: how
 * @rng: where the details come from
 */
void xbzt_guest_write(uint8_t *page, enum xbzt_shape shape,
		      struct xbzt_rng *rng);

/* The same in a shape that @rng picks. */
void xbzt_guest_write_any(uint8_t *page, struct xbzt_rng *rng);

/* A page of random bytes that no delta against zero is shorter than. */
void xbzt_guest_fill(uint8_t *page, struct xbzt_rng *rng);

/* A page that LZ4 packs to a quarter, and that no delta against zero is shorter than. */
void xbzt_guest_text(uint8_t *page, struct xbzt_rng *rng);

#endif /* XBZT_GUEST_H */
