// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue's ring: one producer, this module under the queue's lock, and one
 * consumer, the process that has it mapped. The data is mapped twice in a row
 * on both sides, as kernel/bpf/ringbuf.c does, so that what wraps is still one
 * contiguous range. Records and batches are not known here.
 *
 * Who orders what:
 *
 *   producer                            consumer
 *   (A) load-acquire cons->pos          (C) load-acquire prod->pos
 *       write data                          read data
 *   (B) store-release prod->pos         (D) store-release cons->pos
 *
 * B pairs with C: the data is there when its position is. D pairs with A: data
 * is overwritten only after it was read. A consumer that takes its positions
 * from ENCODE's result needs no C: the ioctl's return orders it.
 */
#include "ring.h"

#include "core/ring.h"

#include <linux/mm.h>
#include <linux/xbzrle.h>

/**
 * xbz_ring_init() - make a ring
 * @ring: a zeroed ring
 * @size: bytes, checked by the caller
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int xbz_ring_init(struct xbz_ring *ring, u64 size)
{
	unsigned long nr = size >> PAGE_SHIFT;
	int ret;

	ret = xbz_pages_alloc(&ring->cons_pages, 1, 0);
	if (ret)
		return ret;
	ret = xbz_pages_alloc(&ring->prod_pages, 1 + nr, nr);
	if (ret)
		goto err_cons;

	ring->cons = ring->cons_pages.vaddr;
	ring->prod = ring->prod_pages.vaddr;
	ring->data = ring->prod_pages.vaddr + PAGE_SIZE;
	ring->size = size;
	return 0;

err_cons:
	xbz_pages_free(&ring->cons_pages);
	return ret;
}

/**
 * xbz_ring_destroy() - free a ring
 * @ring: the ring, or a zeroed one
 *
 * Context: may sleep.
 */
void xbz_ring_destroy(struct xbz_ring *ring)
{
	xbz_pages_free(&ring->prod_pages);
	xbz_pages_free(&ring->cons_pages);
}

/**
 * xbz_ring_reserve() - look how much may be produced
 * @ring: the ring
 * @room: set to the free bytes
 *
 * Context: the queue's lock is held.
 * Return: 0, or -EPIPE if the consumer's position makes no sense.
 */
int xbz_ring_reserve(struct xbz_ring *ring, u64 *room)
{
	/* (A), pairs with (D). Once: the process can change it meanwhile. */
	u64 cons = smp_load_acquire(&ring->cons->pos);

	if (!xbz_ring_room(ring->pos, ring->seen, cons, ring->size, room))
		return -EPIPE;
	ring->seen = cons;
	return 0;
}

/**
 * xbz_ring_at() - where to write
 * @ring: the ring
 * @ahead: bytes behind the producer's position, less than the ring's size
 *
 * Return: the address; the reserved room behind it is contiguous.
 */
void *xbz_ring_at(const struct xbz_ring *ring, u64 ahead)
{
	return ring->data + xbz_ring_offset(ring->pos + ahead, ring->size);
}

/**
 * xbz_ring_publish() - give bytes to the consumer
 * @ring: the ring
 * @bytes: how many, not more than reserved
 *
 * Context: the queue's lock is held.
 */
void xbz_ring_publish(struct xbz_ring *ring, u64 bytes)
{
	ring->pos += bytes;
	/* (B), pairs with (C) */
	smp_store_release(&ring->prod->pos, ring->pos);
}

/**
 * xbz_ring_mmap() - map one of the ring's two parts
 * @ring: the ring
 * @vma: the new VMA
 * @pgoff: page offset from the start of the ring's mmap area
 *
 * Context: from .mmap.
 * Return: 0, -EINVAL for another offset, else see xbz_pages_mmap().
 */
int xbz_ring_mmap(struct xbz_ring *ring, struct vm_area_struct *vma,
		  unsigned long pgoff)
{
	switch (pgoff) {
	case 0:
		return xbz_pages_mmap(&ring->cons_pages, vma, true);
	case 1:
		return xbz_pages_mmap(&ring->prod_pages, vma, false);
	default:
		return -EINVAL;
	}
}
