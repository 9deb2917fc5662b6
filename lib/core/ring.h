/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of a ring's positions, as pure functions, so that tests run
 * outside the kernel. Positions count bytes since the ring's creation and never
 * wrap in practice (2^64 bytes). Sizes are powers of two.
 */
#ifndef _XBZ_CORE_RING_H
#define _XBZ_CORE_RING_H

#include "codec/freestanding.h"

/**
 * xbz_ring_size_ok() - check the requested size of a ring
 * @size: requested bytes
 * @min: smallest size
 * @max: largest size
 *
 * Return: true for a power of two within the bounds.
 */
static inline bool xbz_ring_size_ok(u64 size, u64 min, u64 max)
{
	return size >= min && size <= max && !(size & (size - 1));
}

/**
 * xbz_ring_offset() - convert a position to an offset in the ring
 * @pos: position in bytes
 * @size: the ring's size
 *
 * Return: bytes from the ring's start.
 */
static inline u64 xbz_ring_offset(u64 pos, u64 size)
{
	return pos & (size - 1);
}

/**
 * xbz_ring_room() - check the consumer's position and compute the free bytes
 * @prod: the producer's position, the producer's private copy
 * @seen: the consumer's position that was loaded last
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
