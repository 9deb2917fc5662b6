/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between kernel versions, and nothing else: included
 * in front of every file, so that no other file asks for a version.
 */
#ifndef _XBZ_COMPAT_H
#define _XBZ_COMPAT_H

#include <linux/mm.h>
#include <linux/version.h>

#ifndef CONFIG_64BIT
#error "xbzrle needs a 64-bit kernel: positions and bitmaps are 64-bit words"
#endif

/**
 * xbz_vm_flags_mod() - change the flags of a VMA that is being made
 * @vma: the VMA, as .mmap has it
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
