/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_RING_H
#define _XBZ_RING_H

#include "core/ring.h"

#include <linux/refcount.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct page;
struct vm_area_struct;
struct xbz_account;
struct xbzrle_ring_cons;
struct xbzrle_ring_prod;

#define XBZ_RING_MIN SZ_64K
#define XBZ_RING_MAX SZ_256M

/**
 * struct xbz_pages - pages that the kernel and a process map as one range
 * @refs: the owner, and each mapping of a process
 * @reap: wipes and frees all of it
 * @account: the account to charge; referenced, as a mapping may outlive the session
 * @page: the pages
 * @nr: number of pages
 * @twice: number of pages at the end that are mapped a second time behind it
 * @vaddr: the kernel's mapping of @nr + @twice pages
 */
struct xbz_pages {
	refcount_t refs;
	struct work_struct reap;
	struct xbz_account *account;
	struct page **page;
	unsigned long nr;
	unsigned long twice;
	void *vaddr;
};

struct xbz_pages *xbz_pages_new(struct xbz_account *a, unsigned long nr,
				unsigned long twice);
void xbz_pages_put(struct xbz_pages *p);
int xbz_pages_mmap(struct xbz_pages *p, struct vm_area_struct *vma,
		   bool writable);

/**
 * struct xbz_ring - a queue's ring
 * @cons_pages: the consumer's page, which the process may write
 * @prod_pages: the producer's page and the data, twice; read-only to the process
 * @cons: the consumer's position; untrusted
 * @prod: the producer's position as the process reads it
 * @data: the data, 2 * @size bytes that repeat after @size
 * @size: a power of two
 * @pos: the producer's position; not in shared memory
 * @seen: the consumer's position at the last xbz_ring_reserve()
 */
struct xbz_ring {
	struct xbz_pages *cons_pages;
	struct xbz_pages *prod_pages;
	struct xbzrle_ring_cons *cons;
	struct xbzrle_ring_prod *prod;
	u8 *data;
	u64 size;
	u64 pos;
	u64 seen;
};

int xbz_ring_init(struct xbz_ring *ring, struct xbz_account *a, u64 size);
void xbz_ring_destroy(struct xbz_ring *ring);
int xbz_ring_reserve(struct xbz_ring *ring, u64 *room);
void xbz_ring_publish(struct xbz_ring *ring, u64 bytes);
int xbz_ring_mmap(struct xbz_ring *ring, struct vm_area_struct *vma,
		  unsigned long pgoff);

/**
 * xbz_ring_at() - the address to write to
 * @ring: the ring
 * @ahead: bytes behind the producer's position, less than the ring's size
 *
 * Return: the address; the reserved room behind it is contiguous.
 */
static inline void *xbz_ring_at(const struct xbz_ring *ring, u64 ahead)
{
	return ring->data + xbz_ring_offset(ring->pos + ahead, ring->size);
}

#endif /* _XBZ_RING_H */
