/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page cache of huge pages, where kernels differ. For snapshot.c only.
 */
#ifndef _XBZ_COMPAT_HUGETLB_H
#define _XBZ_COMPAT_HUGETLB_H

#include <linux/hugetlb.h>
#include <linux/version.h>

/**
 * xbz_hugetlb_index() - where the page cache has a huge page
 * @vma: a VMA of huge pages
 * @index: a page's offset in the file, in pages
 */
static inline pgoff_t xbz_hugetlb_index(struct vm_area_struct *vma, pgoff_t index)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return index;
#else
	return index >> huge_page_order(hstate_vma(vma));
#endif
}

#endif /* _XBZ_COMPAT_HUGETLB_H */
