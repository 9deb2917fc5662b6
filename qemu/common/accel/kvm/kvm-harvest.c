/*
 * Handing KVM's dirty logs to a harvester: which slots it gets, and when they
 * change hands.
 *
 * A slot is offered if migration is the only client of its log.  Display
 * memory has a second one, which needs QEMU to see the bits.  A slot that gains
 * such a client comes back at once and stays QEMU's until the next start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "exec/xbzrle-compat.h"
#include "exec/kvm_harvest.h"
#include "kvm-harvest.h"

/* Private memory of a guest has no log.  Older versions have none of it. */
#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD 0
#endif

/* Written with the BQL and kml_slots_lock held, read with either. */
static struct {
    const KVMHarvestOps *ops;
    void *opaque;
} harvester;

static uint32_t kvm_slot_id(const KVMSlot *mem)
{
    return mem->slot | (mem->as_id << 16);
}

/*
 * What QEMU once fetched of the log and has not cleared yet is out of date
 * whenever the reader changes.  Clearing by it would lose bits; forgetting it
 * only leaves them set.
 */
static void kvm_slot_forget_fetched(KVMSlot *mem)
{
    if (mem->dirty_bmap) {
        memset(mem->dirty_bmap, 0, mem->dirty_bmap_size);
    }
}

static void kvm_slot_offer(KVMSlot *mem)
{
    RAMBlock *rb;
    ram_addr_t offset;

    if (!mem->memory_size || !(mem->flags & KVM_MEM_LOG_DIRTY_PAGES) ||
        (mem->flags & KVM_MEM_GUEST_MEMFD)) {
        return;
    }

    RCU_READ_LOCK_GUARD();
    rb = qemu_ram_block_from_host(mem->ram, false, &offset);
    if (!rb || memory_region_get_dirty_log_mask(rb->mr) !=
               1 << DIRTY_MEMORY_MIGRATION) {
        return;
    }
    mem->harvested = harvester.ops->slot_add(harvester.opaque,
                                             kvm_slot_id(mem), rb, offset,
                                             mem->memory_size);
    if (mem->harvested) {
        kvm_slot_forget_fetched(mem);
    }
}

static void kvm_slot_take_back(KVMSlot *mem)
{
    if (mem->harvested) {
        harvester.ops->slot_del(harvester.opaque, kvm_slot_id(mem));
        mem->harvested = false;
        kvm_slot_forget_fetched(mem);
    }
}

void kvm_harvest_slot_added(KVMSlot *mem)
{
    if (harvester.ops) {
        kvm_slot_offer(mem);
    }
}

void kvm_harvest_slot_removing(KVMSlot *mem)
{
    kvm_slot_take_back(mem);
}

void kvm_harvest_log_start(KVMMemoryListener *kml,
                           MemoryRegionSection *section, int mask)
{
    hwaddr start = section->offset_within_address_space;
    hwaddr last = start + int128_get64(section->size) - 1;
    int i;

    if (!harvester.ops || mask == 1 << DIRTY_MEMORY_MIGRATION) {
        return;
    }

    QEMU_LOCK_GUARD(&kml_slots_lock);
    for (i = 0; i < kml->nr_slots_allocated; i++) {
        KVMSlot *mem = &kml->slots[i];

        if (mem->memory_size && mem->start_addr <= last &&
            mem->start_addr + mem->memory_size - 1 >= start) {
            kvm_slot_take_back(mem);
        }
    }
}

static void kvm_for_each_slot(void (*func)(KVMSlot *mem))
{
    KVMState *s = kvm_state;
    int as, i;

    for (as = 0; as < s->nr_as; as++) {
        KVMMemoryListener *kml = s->as[as].ml;

        for (i = 0; kml && i < kml->nr_slots_allocated; i++) {
            func(&kml->slots[i]);
        }
    }
}

bool kvm_harvest_possible(int *vmfd, bool *manual_protect)
{
    if (!kvm_enabled() || kvm_state->kvm_dirty_ring_size) {
        return false;
    }
    *vmfd = kvm_state->vmfd;
    *manual_protect = kvm_state->manual_dirty_log_protect;
    return true;
}

void kvm_harvest_start(const KVMHarvestOps *ops, void *opaque)
{
    assert(bql_locked());
    assert(!harvester.ops);

    QEMU_LOCK_GUARD(&kml_slots_lock);
    harvester.ops = ops;
    harvester.opaque = opaque;
    kvm_for_each_slot(kvm_slot_offer);
}

void kvm_harvest_stop(void)
{
    assert(bql_locked());
    if (!harvester.ops) {
        return;
    }

    QEMU_LOCK_GUARD(&kml_slots_lock);
    kvm_for_each_slot(kvm_slot_take_back);
    harvester.ops = NULL;
    harvester.opaque = NULL;
}
