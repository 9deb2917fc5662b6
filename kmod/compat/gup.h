/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * get_user_pages(), where kernels differ. For snapshot.c only.
 */
#ifndef _XBZ_COMPAT_GUP_H
#define _XBZ_COMPAT_GUP_H

#include <linux/mm.h>

/**
 * xbz_gup_hole() - whether reading a huge page would allocate it
 * @addr: an address in a huge page's VMA of the calling process
 *
 * FOLL_DUMP is how core dumps leave such pages out.
 *
 * Context: the mmap lock is held for reading. May sleep.
 */
static inline bool xbz_gup_hole(unsigned long addr)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	return get_user_pages(addr, 1, FOLL_DUMP, NULL) == -EFAULT;
#else
	return get_user_pages(addr, 1, FOLL_DUMP, NULL, NULL) == -EFAULT;
#endif
}

#endif /* _XBZ_COMPAT_GUP_H */
