/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_FAKEVM_VM_H
#define _XBZ_FAKEVM_VM_H

#include "xbz_fakevm.h"

#include <linux/kvm.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

struct mm_struct;

/**
 * struct xbz_fakevm_writer - writes at a clear
 * @pages: the pages still to be written, NULL if there never were any
 * @offset: where in the page
 * @value: what
 */
struct xbz_fakevm_writer {
	unsigned long *pages;
	u32 offset;
	u64 value;
};

/**
 * struct xbz_fakevm_memslot - a slot
 * @addr: its memory, in the VM's address space
 * @nr_pages: its size
 * @dirty: the log
 * @given: bits of the log that GET has given out
 * @buffer: what GET answers, and what CLEAR was asked
 * @writer: by XBZ_FAKEVM_WRITE_*
 * @count: its counters
 */
struct xbz_fakevm_memslot {
	unsigned long addr;
	unsigned long nr_pages;
	unsigned long *dirty;
	unsigned long *given;
	unsigned long *buffer;
	struct xbz_fakevm_writer writer[2];
	struct xbz_fakevm_counters count;
};

/**
 * struct xbz_fakevm - a VM
 * @lock: guards all of it
 * @mm: whose it is
 * @manual_protect: GET clears nothing
 * @slots: struct xbz_fakevm_memslot by number
 * @inject: which calls have to fail, by XBZ_FAKEVM_GET or _CLEAR
 * @count: its counters
 * @hold: GET waits, without @lock
 * @released: where it does
 */
struct xbz_fakevm {
	struct mutex lock;
	struct mm_struct *mm;
	bool manual_protect;
	struct xarray slots;
	struct xbz_fakevm_inject inject[2];
	struct xbz_fakevm_counters count;
	bool hold;
	wait_queue_head_t released;
};

int xbz_fakevm_create(const struct xbz_fakevm_create *arg);

unsigned long xbz_fakevm_bitmap_bytes(const struct xbz_fakevm_memslot *slot);
int xbz_fakevm_get_log(struct xbz_fakevm *vm, const struct kvm_dirty_log *log);
int xbz_fakevm_clear_log(struct xbz_fakevm *vm,
			 const struct kvm_clear_dirty_log *log);

int xbz_fakevm_scan(struct xbz_fakevm_scan *arg);

#endif /* _XBZ_FAKEVM_VM_H */
