/*
 * Where the KVM memory listener tells of its slots, for kvm-harvest.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef KVM_HARVEST_INT_H
#define KVM_HARVEST_INT_H

#include "qemu/thread.h"
#if __has_include("system/kvm_int.h")
#include "system/kvm_int.h"
#else
#include "sysemu/kvm_int.h"
#endif

extern QemuMutex kml_slots_lock;

#ifdef CONFIG_LIBXBZRLE

/* A slot exists in KVM now.  Called with kml_slots_lock held. */
void kvm_harvest_slot_added(KVMSlot *mem);

/*
 * A slot is about to be removed; its log is fetched one last time after this.
 * Called with kml_slots_lock held.
 */
void kvm_harvest_slot_removing(KVMSlot *mem);

/*
 * The clients of a section's log are @mask from now on: slots that are not for
 * migration alone any more come back.
 */
void kvm_harvest_log_start(KVMMemoryListener *kml,
                           MemoryRegionSection *section, int mask);

#else

static inline void kvm_harvest_slot_added(KVMSlot *mem)
{
}

static inline void kvm_harvest_slot_removing(KVMSlot *mem)
{
}

static inline void kvm_harvest_log_start(KVMMemoryListener *kml,
                                         MemoryRegionSection *section,
                                         int mask)
{
}

#endif

#endif
