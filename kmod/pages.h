/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_PAGES_H
#define _XBZ_PAGES_H

#include <linux/types.h>

struct page;
struct vm_area_struct;

/**
 * struct xbz_pages - pages that the kernel and a process see as one range
 * @page: the pages
 * @nr: how many
 * @twice: how many at the end appear a second time behind the first
 * @vaddr: @nr + @twice pages in a row, for the kernel
 */
struct xbz_pages {
	struct page **page;
	unsigned long nr;
	unsigned long twice;
	void *vaddr;
};

int xbz_pages_alloc(struct xbz_pages *p, unsigned long nr, unsigned long twice);
void xbz_pages_free(struct xbz_pages *p);
int xbz_pages_mmap(const struct xbz_pages *p, struct vm_area_struct *vma,
		   bool writable);

#endif /* _XBZ_PAGES_H */
