// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory shared with a session's process: pages of order 0 that are contiguous
 * to the kernel by vmap(), for bitmaps and rings; and a queue's ring. A ring has
 * one producer, this module under the queue's lock, and one consumer, the
 * process. Its data is mapped twice in a row on both sides, as in
 * kernel/bpf/ringbuf.c, so that a batch that wraps is still contiguous.
 *
 * Memory ordering of the positions:
 *
 *   producer                            consumer
 *   (A) load-acquire cons->pos          (C) load-acquire prod->pos
 *       write data                          read data
 *   (B) store-release prod->pos         (D) store-release cons->pos
 *
 * (B) pairs with (C): the data is visible when its position is. (D) pairs with
 * (A): data is overwritten only after it was read. A consumer that takes
 * positions from ENCODE's result needs no (C): the ioctl's return orders it.
 */
#include "ring.h"
#include "memory.h"
#include "reap.h"

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xbzrle.h>

static void xbz_pages_free(struct xbz_pages *p)
{
	unsigned long i;

	if (p->vaddr)
		vunmap(p->vaddr);
	for (i = 0; p->page && i < p->nr && p->page[i]; i++) {
		xbz_mem_page_free(p->account, p->page[i]);
		cond_resched();
	}
	xbz_mem_free(p->account, p->page, p->nr + p->twice, sizeof(*p->page));
	xbz_account_put(p->account);
	kfree(p);
}

static void xbz_pages_reap(struct work_struct *work)
{
	struct xbz_pages *p = container_of(work, struct xbz_pages, reap);
	struct xbz_account *a = xbz_account_get(p->account);

	xbz_pages_free(p);
	xbz_reap_owes(a, -1);
	xbz_account_put(a);
}

/**
 * xbz_pages_new() - allocate and map zeroed pages
 * @a: the account to charge
 * @nr: number of pages, bounded by the caller
 * @twice: number of pages at the end to map a second time behind it
 *
 * Context: may sleep.
 * Return: the pages, to be released with xbz_pages_put(), or NULL.
 */
struct xbz_pages *xbz_pages_new(struct xbz_account *a, unsigned long nr,
				unsigned long twice)
{
	struct xbz_pages *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	unsigned long i;

	if (!p)
		return NULL;
	refcount_set(&p->refs, 1);
	INIT_WORK(&p->reap, xbz_pages_reap);
	p->account = xbz_account_get(a);
	p->page = xbz_mem_zalloc(a, nr + twice, sizeof(*p->page), false);
	if (!p->page)
		goto err_free;
	p->nr = nr;
	p->twice = twice;

	if (!xbz_mem_pages(a, p->page, nr))
		goto err_free;
	for (i = 0; i < twice; i++)
		p->page[nr + i] = p->page[nr - twice + i];

	p->vaddr = vmap(p->page, nr + twice, VM_MAP, PAGE_KERNEL);
	if (!p->vaddr)
		goto err_free;
	return p;

err_free:
	/* A process that is being killed does not wait for it. */
	xbz_pages_put(p);
	return NULL;
}

/**
 * xbz_pages_put() - release pages
 * @p: from xbz_pages_new(), or NULL
 *
 * The last reference has them wiped and freed. Before that a process has them mapped,
 * so they stay charged.
 *
 * Context: any.
 */
void xbz_pages_put(struct xbz_pages *p)
{
	if (!p || !refcount_dec_and_test(&p->refs))
		return;
	xbz_reap_owes(p->account, 1);
	xbz_reap(&p->reap);
}

/* A mapping is split. */
static void xbz_pages_vm_open(struct vm_area_struct *vma)
{
	struct xbz_pages *p = vma->vm_private_data;

	refcount_inc(&p->refs);
}

static void xbz_pages_vm_close(struct vm_area_struct *vma)
{
	xbz_pages_put(vma->vm_private_data);
}

static const struct vm_operations_struct xbz_pages_vm_ops = {
	.open = xbz_pages_vm_open,
	.close = xbz_pages_vm_close,
};

/**
 * xbz_pages_mmap() - map all of the pages into a process
 * @p: the pages
 * @vma: a new shared VMA of exactly their size
 * @writable: whether the process may ever write to them
 *
 * Inserts struct pages, which a socket can pin, unlike remap_pfn_range().
 *
 * Context: from .mmap, the mmap lock is held for writing.
 * Return: 0, -EINVAL for a private mapping or another size, -EPERM for an
 * executable mapping or a writable one of read-only pages, or -ENOMEM.
 */
int xbz_pages_mmap(struct xbz_pages *p, struct vm_area_struct *vma,
		   bool writable)
{
	unsigned long nr = p->nr + p->twice;
	int ret;

	if (!(vma->vm_flags & VM_SHARED) || vma_pages(vma) != nr)
		return -EINVAL;
	if (vma->vm_flags & (writable ? VM_EXEC : VM_EXEC | VM_WRITE))
		return -EPERM;

	xbz_vm_flags_mod(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP,
			 writable ? VM_MAYEXEC : VM_MAYEXEC | VM_MAYWRITE);
	/*
	 * On failure, the caller unmaps what was inserted. The VMA has that size, so
	 * -EFAULT is a page table that could not be allocated.
	 */
	ret = vm_insert_pages(vma, vma->vm_start, p->page, &nr);
	if (ret)
		return ret == -EFAULT ? -ENOMEM : ret;
	refcount_inc(&p->refs);
	vma->vm_private_data = p;
	vma->vm_ops = &xbz_pages_vm_ops;
	return 0;
}

/**
 * xbz_ring_init() - create a ring
 * @ring: a zeroed ring
 * @a: the account to charge
 * @size: bytes, checked by the caller
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int xbz_ring_init(struct xbz_ring *ring, struct xbz_account *a, u64 size)
{
	unsigned long nr = size >> PAGE_SHIFT;

	ring->cons_pages = xbz_pages_new(a, 1, 0);
	if (!ring->cons_pages)
		return -ENOMEM;
	ring->prod_pages = xbz_pages_new(a, 1 + nr, nr);
	if (!ring->prod_pages)
		goto err_cons;

	ring->cons = ring->cons_pages->vaddr;
	ring->prod = ring->prod_pages->vaddr;
	ring->data = ring->prod_pages->vaddr + PAGE_SIZE;
	ring->size = size;
	return 0;

err_cons:
	xbz_pages_put(ring->cons_pages);
	ring->cons_pages = NULL;
	return -ENOMEM;
}

/**
 * xbz_ring_destroy() - free a ring
 * @ring: the ring, or a zeroed one
 *
 * Context: any.
 */
void xbz_ring_destroy(struct xbz_ring *ring)
{
	xbz_pages_put(ring->prod_pages);
	xbz_pages_put(ring->cons_pages);
}

/**
 * xbz_ring_reserve() - read the consumer's position
 * @ring: the ring
 * @room: set to the free bytes
 *
 * Context: the queue's lock is held.
 * Return: 0, or -EPIPE if the consumer's position is invalid.
 */
int xbz_ring_reserve(struct xbz_ring *ring, u64 *room)
{
	/* (A), pairs with (D). Read once: the process can change it any time. */
	u64 cons = smp_load_acquire(&ring->cons->pos);

	if (!xbz_ring_room(ring->pos, ring->seen, cons, ring->size, room))
		return -EPIPE;
	ring->seen = cons;
	return 0;
}

/**
 * xbz_ring_publish() - hand bytes to the consumer
 * @ring: the ring
 * @bytes: number of bytes, at most what was reserved
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
		return xbz_pages_mmap(ring->cons_pages, vma, true);
	case 1:
		return xbz_pages_mmap(ring->prod_pages, vma, false);
	default:
		return -EINVAL;
	}
}
