/*
 * kvm-harvest.c for targets without KVM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/kvm_harvest.h"

bool kvm_harvest_possible(int *vmfd, bool *manual_protect)
{
    return false;
}

void kvm_harvest_start(const KVMHarvestOps *ops, void *opaque)
{
}

void kvm_harvest_stop(void)
{
}
