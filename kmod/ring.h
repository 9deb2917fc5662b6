/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_RING_H
#define _XBZ_RING_H

#include "pages.h"

#include <linux/sizes.h>
#include <linux/types.h>

struct vm_area_struct;
struct xbzrle_ring_cons;
struct xbzrle_ring_prod;

#define XBZ_RING_MIN SZ_64K
#define XBZ_RING_MAX SZ_256M

/**
 * struct xbz_ring - a queue's ring
 * @cons_pages: the consumer's page, which the process may write
 * @prod_pages: the producer's page and the data, twice; read-only to it
 * @cons: the consumer's position; untrusted
 * @prod: the producer's position for the process to read
 * @data: the data, 2 * @size bytes that repeat after @size
 * @size: a power of two
 * @pos: the producer's position; the process cannot reach this one
 * @seen: the consumer's position when it was last looked at
 */
struct xbz_ring {
	struct xbz_pages cons_pages;
	struct xbz_pages prod_pages;
	struct xbzrle_ring_cons *cons;
	struct xbzrle_ring_prod *prod;
	u8 *data;
	u64 size;
	u64 pos;
	u64 seen;
};

int xbz_ring_init(struct xbz_ring *ring, u64 size);
void xbz_ring_destroy(struct xbz_ring *ring);
int xbz_ring_reserve(struct xbz_ring *ring, u64 *room);
void *xbz_ring_at(const struct xbz_ring *ring, u64 ahead);
void xbz_ring_publish(struct xbz_ring *ring, u64 bytes);
int xbz_ring_mmap(struct xbz_ring *ring, struct vm_area_struct *vma,
		  unsigned long pgoff);

#endif /* _XBZ_RING_H */
