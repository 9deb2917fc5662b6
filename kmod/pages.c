// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages shared with the process that owns the session: order 0, zeroed,
 * contiguous to the kernel by vmap(). Rings and bitmaps are made of them; what
 * lies in them is not known here.
 */
#include "pages.h"
#include "memory.h"

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

static void xbz_pages_drop(struct xbz_pages *p)
{
	unsigned long i;

	for (i = 0; i < p->nr && p->page[i]; i++) {
		xbz_mem_page_free(p->page[i]);
		cond_resched();
	}
	xbz_mem_free(p->page, p->nr + p->twice, sizeof(*p->page));
	p->page = NULL;
}

/**
 * xbz_pages_alloc() - allocate and map pages
 * @p: what to fill
 * @nr: number of pages, bounded by the caller
 * @twice: how many of the last ones are mapped a second time behind the end
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int xbz_pages_alloc(struct xbz_pages *p, unsigned long nr, unsigned long twice)
{
	unsigned long i;

	p->page = xbz_mem_zalloc(nr + twice, sizeof(*p->page));
	if (!p->page)
		return -ENOMEM;
	p->nr = nr;
	p->twice = twice;

	for (i = 0; i < nr; i++) {
		p->page[i] = xbz_mem_page();
		if (!p->page[i] || fatal_signal_pending(current))
			goto err_drop;
		clear_highpage(p->page[i]);
		cond_resched();
	}
	for (i = 0; i < twice; i++)
		p->page[nr + i] = p->page[nr - twice + i];

	p->vaddr = vmap(p->page, nr + twice, VM_MAP, PAGE_KERNEL);
	if (!p->vaddr)
		goto err_drop;
	return 0;

err_drop:
	xbz_pages_drop(p);
	return -ENOMEM;
}

/**
 * xbz_pages_free() - unmap, wipe and free pages
 * @p: what xbz_pages_alloc() filled, or all zero
 *
 * A process that has them mapped keeps the wiped pages until it unmaps them.
 *
 * Context: may sleep.
 */
void xbz_pages_free(struct xbz_pages *p)
{
	if (!p->page)
		return;
	vunmap(p->vaddr);
	p->vaddr = NULL;
	xbz_pages_drop(p);
}

/**
 * xbz_pages_mmap() - map all of the pages into a process
 * @p: the pages
 * @vma: a new shared VMA of exactly their size
 * @writable: whether the process may ever write to them
 *
 * vm_insert_page() and not remap_pfn_range(): a socket can pin these.
 *
 * Context: from .mmap, the mmap lock is held for writing.
 * Return: 0, -EINVAL for a private mapping or another size, -EPERM for an
 * executable mapping or a writable one of what is read-only, or -ENOMEM.
 */
int xbz_pages_mmap(const struct xbz_pages *p, struct vm_area_struct *vma,
		   bool writable)
{
	unsigned long i;
	int ret;

	if (!(vma->vm_flags & VM_SHARED) ||
	    vma_pages(vma) != p->nr + p->twice)
		return -EINVAL;
	if (vma->vm_flags & (writable ? VM_EXEC : VM_EXEC | VM_WRITE))
		return -EPERM;

	xbz_vm_flags_mod(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP,
			 writable ? VM_MAYEXEC : VM_MAYEXEC | VM_MAYWRITE);

	for (i = 0; i < p->nr + p->twice; i++) {
		ret = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
				     p->page[i]);
		if (ret)
			return ret;
	}
	return 0;
}
