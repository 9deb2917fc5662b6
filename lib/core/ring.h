/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of a ring's positions, without the ring: pure, so that it is
 * tested outside the kernel. Positions count bytes since the ring was made and
 * never wrap in practice (2^64 bytes); sizes are powers of two.
 */
#ifndef _XBZ_CORE_RING_H
#define _XBZ_CORE_RING_H

#include "codec/freestanding.h"

/**
 * xbz_ring_size_ok() - whether a ring may have this size
 * @size: bytes asked for
 * @min: smallest size
 * @max: largest size
 */
static inline bool xbz_ring_size_ok(u64 size, u64 min, u64 max)
{
	return size >= min && size <= max && !(size & (size - 1));
}

/**
 * xbz_ring_offset() - where in the ring a position lies
 * @pos: position in bytes
 * @size: the ring's size
 */
static inline u64 xbz_ring_offset(u64 pos, u64 size)
{
	return pos & (size - 1);
}

/**
 * xbz_ring_room() - bytes that may be produced
 * @prod: the producer's position, its own copy
 * @seen: the consumer's position when it was last looked at
 * @cons: the consumer's position, loaded once; untrusted
 * @size: the ring's size
 * @room: set to the free bytes
 *
 * Return: false if @cons moved back or ahead of @prod; @room is not set then.
 */
static inline bool xbz_ring_room(u64 prod, u64 seen, u64 cons, u64 size,
				 u64 *room)
{
	/* Distances from @seen, so that no sum can overflow. */
	if (cons - seen > prod - seen)
		return false;
	*room = size - (prod - cons);
	return true;
}

#endif /* _XBZ_CORE_RING_H */
