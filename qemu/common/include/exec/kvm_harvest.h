/*
 * Handing KVM's dirty logs to a harvester.
 *
 * A memslot's log can be consumed by one reader only: QEMU's memory listener,
 * or a harvester that registers here and takes over slot by slot.  What it
 * does with the bits is its own business; finding the slots and handing them
 * over and back in time is kvm-harvest.c's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_KVM_HARVEST_H
#define QEMU_KVM_HARVEST_H

#include "exec/cpu-common.h"
#include "exec/xbzrle-compat.h"

/**
 * KVMHarvestOps: what a harvester does
 *
 * Both are called with the BQL and the lock of KVM's slots held.
 *
 * @slot_add: offers a slot.  Its memory is @size bytes at @offset of @rb.
 *     Returns true if the harvester takes it, which means that nobody else
 *     fetches or clears its log until @slot_del; otherwise it stays QEMU's.
 * @slot_del: takes a slot back.  QEMU fetches its log from now on.
 * @slot: the slot as KVM's ioctls number it
 */
typedef struct KVMHarvestOps {
    bool (*slot_add)(void *opaque, uint32_t slot, RAMBlock *rb,
                     ram_addr_t offset, uint64_t size);
    void (*slot_del)(void *opaque, uint32_t slot);
} KVMHarvestOps;

/**
 * kvm_harvest_possible: whether there are logs that can be harvested
 *
 * @vmfd: set to the VM's file descriptor
 * @manual_protect: set to whether clearing a log is an ioctl of its own
 *
 * False without KVM, and with the dirty ring, which has one reader by design.
 */
bool kvm_harvest_possible(int *vmfd, bool *manual_protect);

/**
 * kvm_harvest_start: offer all slots to a harvester, and all new ones later
 *
 * @ops: the harvester
 * @opaque: passed to it
 *
 * Only slots whose log is for migration alone are offered, so dirty tracking
 * must have been started before.  Called with the BQL held.
 */
void kvm_harvest_start(const KVMHarvestOps *ops, void *opaque);

/**
 * kvm_harvest_stop: take all slots back and forget the harvester
 *
 * Does nothing if there is none.  Called with the BQL held.
 */
void kvm_harvest_stop(void);

#endif
