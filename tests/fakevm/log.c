// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log: KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG after
 * kvm_get_dirty_log_protect() and kvm_clear_dirty_log_protect() in
 * virt/kvm/kvm_main.c, check by check and in their order; and the guest that
 * writes while a bit is being cleared.
 */
#include "vm.h"

#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/* KVM's on x86 */
#define XBZ_FAKEVM_ADDRESS_SPACES 2
#define XBZ_FAKEVM_USER_SLOTS (SHRT_MAX - 3)

unsigned long xbz_fakevm_bitmap_bytes(const struct xbz_fakevm_memslot *slot)
{
	return BITS_TO_LONGS(slot->nr_pages) * sizeof(long);
}

/* Whether this call has to fail, now (late == 0) or after its work. */
static int xbz_fakevm_injected(struct xbz_fakevm *vm, u32 call, bool late)
{
	struct xbz_fakevm_inject *inject = &vm->inject[call];

	if (!inject->error || !!inject->late != late || !inject->count)
		return 0;
	if (inject->skip) {
		inject->skip--;
		return 0;
	}
	inject->count--;
	return -(int)inject->error;
}

static bool xbz_fakevm_slot_legal(u32 slot)
{
	return slot >> 16 < XBZ_FAKEVM_ADDRESS_SPACES &&
	       (u16)slot < XBZ_FAKEVM_USER_SLOTS;
}

/* The guest writes to a page of its own accord, at the worst moment. */
static void xbz_fakevm_guest_writes(struct xbz_fakevm *vm,
				    struct xbz_fakevm_memslot *slot, u32 when,
				    unsigned long page)
{
	struct xbz_fakevm_writer *writer = &slot->writer[when];
	unsigned long addr = slot->addr + page * PAGE_SIZE + writer->offset;

	if (!__test_and_clear_bit(page, writer->pages))
		return;
	if (copy_to_user((void __user *)addr, &writer->value,
			 sizeof(writer->value)))
		return;
	if (when == XBZ_FAKEVM_WRITE_AFTER)
		__set_bit(page, slot->dirty);
	slot->count.written++;
	vm->count.written++;
}

/* Clears one page's bit, and says whether it was set. */
static bool xbz_fakevm_clear_page(struct xbz_fakevm *vm,
				  struct xbz_fakevm_memslot *slot,
				  unsigned long page)
{
	bool was;

	xbz_fakevm_guest_writes(vm, slot, XBZ_FAKEVM_WRITE_BEFORE, page);
	was = __test_and_clear_bit(page, slot->dirty);
	xbz_fakevm_guest_writes(vm, slot, XBZ_FAKEVM_WRITE_AFTER, page);
	return was;
}

static void xbz_fakevm_fetch(struct xbz_fakevm *vm,
			     struct xbz_fakevm_memslot *slot)
{
	unsigned int n = bitmap_weight(slot->dirty, slot->nr_pages);
	unsigned long page;

	memcpy(slot->buffer, slot->dirty, xbz_fakevm_bitmap_bytes(slot));
	slot->count.fetched += n;
	vm->count.fetched += n;
	if (vm->manual_protect) {
		bitmap_or(slot->given, slot->given, slot->dirty,
			  slot->nr_pages);
		return;
	}
	for_each_set_bit(page, slot->buffer, slot->nr_pages)
		xbz_fakevm_clear_page(vm, slot, page);
}

/**
 * xbz_fakevm_get_log() - KVM_GET_DIRTY_LOG
 * @vm: the VM, locked
 * @log: the argument
 *
 * Return: 0, or KVM's error.
 */
int xbz_fakevm_get_log(struct xbz_fakevm *vm, const struct kvm_dirty_log *log)
{
	struct xbz_fakevm_memslot *slot = xa_load(&vm->slots, log->slot);
	int ret;

	vm->count.gets++;
	if (slot)
		slot->count.gets++;
	ret = xbz_fakevm_injected(vm, XBZ_FAKEVM_GET, false);
	if (ret)
		return ret;
	if (!xbz_fakevm_slot_legal(log->slot))
		return -EINVAL;
	if (!slot)
		return -ENOENT;

	xbz_fakevm_fetch(vm, slot);
	ret = xbz_fakevm_injected(vm, XBZ_FAKEVM_GET, true);
	if (ret)
		return ret;
	if (copy_to_user(log->dirty_bitmap, slot->buffer,
			 xbz_fakevm_bitmap_bytes(slot)))
		return -EFAULT;
	return 0;
}

/* The bits of slot->buffer, which begins at page @first. */
static void xbz_fakevm_clear_bits(struct xbz_fakevm *vm,
				  struct xbz_fakevm_memslot *slot,
				  unsigned long first, unsigned long nr)
{
	unsigned long bit;

	for_each_set_bit(bit, slot->buffer, nr) {
		unsigned long page = first + bit;

		if (!xbz_fakevm_clear_page(vm, slot, page))
			continue;
		slot->count.cleared++;
		vm->count.cleared++;
		if (__test_and_clear_bit(page, slot->given))
			continue;
		slot->count.unseen++;
		vm->count.unseen++;
	}
}

/**
 * xbz_fakevm_clear_log() - KVM_CLEAR_DIRTY_LOG
 * @vm: the VM, locked
 * @log: the argument
 *
 * Return: 0, or KVM's error.
 */
int xbz_fakevm_clear_log(struct xbz_fakevm *vm,
			 const struct kvm_clear_dirty_log *log)
{
	struct xbz_fakevm_memslot *slot = xa_load(&vm->slots, log->slot);
	u64 left;
	int ret;

	vm->count.clears++;
	if (slot)
		slot->count.clears++;
	ret = xbz_fakevm_injected(vm, XBZ_FAKEVM_CLEAR, false);
	if (ret)
		return ret;
	if (!xbz_fakevm_slot_legal(log->slot) || log->first_page & 63)
		return -EINVAL;
	if (!slot)
		return -ENOENT;
	if (log->first_page > slot->nr_pages)
		return -EINVAL;
	left = slot->nr_pages - log->first_page;
	if (log->num_pages > left ||
	    (log->num_pages < left && log->num_pages & 63))
		return -EINVAL;

	slot->count.clear_pages_max = max_t(u64, log->num_pages,
					    slot->count.clear_pages_max);
	vm->count.clear_pages_max = max_t(u64, log->num_pages,
					  vm->count.clear_pages_max);
	memset(slot->buffer, 0, xbz_fakevm_bitmap_bytes(slot));
	if (copy_from_user(slot->buffer, log->dirty_bitmap,
			   round_up(log->num_pages, 64) / 8))
		return -EFAULT;
	xbz_fakevm_clear_bits(vm, slot, log->first_page, log->num_pages);
	return xbz_fakevm_injected(vm, XBZ_FAKEVM_CLEAR, true);
}
