// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a page of the guest, once, into a snapshot. Shared memory that was never
 * populated is zero, and stays unpopulated: a fault would allocate a page of shmem or a
 * huge page, on the host that the guest is about to leave.
 *
 * Without faults first: memory that the process has mapped needs no look at its VMA.
 * Only the page cache tells a hole from a page that is not mapped, so that of private
 * mappings, which may have a page elsewhere, is read.
 */
#include "snapshot.h"
#include "compat/hugetlb.h"

#include <linux/cache.h>
#include <linux/fs.h>
#include <linux/hugetlb_inline.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/prefetch.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>
#include <linux/xarray.h>
#include <linux/xbzrle.h>

/* Bytes that are read while the same bytes of the cached page are prefetched. */
#define XBZ_READ_BYTES 1024

/*
 * The codec compares with the cached page next, which seldom is in the CPU's
 * cache: prefetch it in parts while the page is read, so that neither has to
 * wait for all of the other.
 */
static unsigned long xbz_read_mapped(void *snapshot, const void __user *from,
				     const void *copy)
{
	unsigned long left = 0;
	unsigned int at, i;

	pagefault_disable();
	for (at = 0; !left && at < XBZRLE_PAGE_SIZE; at += XBZ_READ_BYTES) {
		for (i = 0; copy && i < XBZ_READ_BYTES; i += SMP_CACHE_BYTES)
			prefetch(copy + at + i);
		left = __copy_from_user_inatomic(snapshot + at, from + at,
						 XBZ_READ_BYTES);
	}
	pagefault_enable();
	return left;
}

/*
 * Whether neither the page cache nor swap has the page of a shared file in memory.
 * Someone may be waiting to fill it (userfaultfd), and behind the file's end there is an
 * error to be found, as there is in a page with an uncorrectable error, which stays in
 * the page cache.
 */
static bool xbz_vma_hole(struct vm_area_struct *vma, unsigned long addr)
{
	pgoff_t index = vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
	const unsigned long shared = VM_READ | VM_SHARED;
	struct address_space *mapping;

	if (!vma->vm_file || (vma->vm_flags & shared) != shared ||
	    userfaultfd_armed(vma))
		return false;
	mapping = vma->vm_file->f_mapping;
	if ((loff_t)index << PAGE_SHIFT >= i_size_read(mapping->host))
		return false;
	if (is_vm_hugetlb_page(vma))
		index = xbz_hugetlb_index(vma, index);
	else if (mapping->host->i_sb->s_magic != TMPFS_MAGIC)
		return false;
	return !xa_load(&mapping->i_pages, index);
}

static bool xbz_hole(unsigned long addr)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool hole;

	if (mmap_read_lock_killable(mm))
		return false;
	vma = find_vma(mm, addr);
	hole = vma && vma->vm_start <= addr && xbz_vma_hole(vma, addr);
	mmap_read_unlock(mm);
	return hole;
}

/**
 * xbz_snapshot_read() - read a page of the guest
 * @snapshot: where to
 * @addr: its address in the calling process, checked with access_ok()
 * @copy: the cached page that the snapshot is compared with next, or NULL
 *
 * Context: may sleep, for as long as the process likes (userfaultfd).
 * Return: 0, or -EFAULT.
 */
int xbz_snapshot_read(void *snapshot, unsigned long addr, const void *copy)
{
	const void __user *from = (const void __user *)addr;

	if (!xbz_read_mapped(snapshot, from, copy))
		return 0;
	if (xbz_hole(addr)) {
		clear_page(snapshot);
		return 0;
	}
	return copy_from_user(snapshot, from, XBZRLE_PAGE_SIZE) ? -EFAULT : 0;
}
