/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between kernel versions. It is included before every
 * file, so that no other file checks a version.
 */
#ifndef _XBZ_COMPAT_H
#define _XBZ_COMPAT_H

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/version.h>

#ifndef CONFIG_64BIT
#error "xbzrle needs a 64-bit kernel: positions and bitmaps are 64-bit words"
#endif
#if PAGE_SHIFT != 12
#error "xbzrle needs a kernel with pages of 4 KiB: configure CONFIG_PAGE_SIZE_4KB"
#endif

/**
 * xbz_vm_flags_mod() - change the flags of a new VMA
 * @vma: the VMA, from .mmap
 * @set: flags to set
 * @clear: flags to clear
 *
 * Context: the mmap lock is held for writing.
 */
static inline void xbz_vm_flags_mod(struct vm_area_struct *vma, vm_flags_t set,
				    vm_flags_t clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

#endif /* _XBZ_COMPAT_H */
