/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * xbz_fakevm: what the device tests need of KVM, without a guest. The module
 * and the tests include this.
 *
 * XBZ_FAKEVM_CREATE makes a file that is a KVM VM to whoever looks: its name,
 * and KVM_CHECK_EXTENSION, KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG with KVM's
 * own rules and errors. The other ioctls of that file are the test's side: its
 * slots, what its guest wrote, which call has to fail, what was called.
 */
#ifndef XBZ_FAKEVM_H
#define XBZ_FAKEVM_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define XBZ_FAKEVM_TYPE 0xBB

/* On /dev/xbz_fakevm */
#define XBZ_FAKEVM_CREATE	_IOW(XBZ_FAKEVM_TYPE, 0, struct xbz_fakevm_create)
#define XBZ_FAKEVM_SCAN		_IOWR(XBZ_FAKEVM_TYPE, 1, struct xbz_fakevm_scan)

/* On a VM */
#define XBZ_FAKEVM_SLOT		_IOW(XBZ_FAKEVM_TYPE, 16, struct xbz_fakevm_slot)
#define XBZ_FAKEVM_BITS		_IOW(XBZ_FAKEVM_TYPE, 17, struct xbz_fakevm_bits)
#define XBZ_FAKEVM_WRITE	_IOW(XBZ_FAKEVM_TYPE, 18, struct xbz_fakevm_write)
#define XBZ_FAKEVM_INJECT	_IOW(XBZ_FAKEVM_TYPE, 19, struct xbz_fakevm_inject)
#define XBZ_FAKEVM_COUNTERS	_IOWR(XBZ_FAKEVM_TYPE, 20, struct xbz_fakevm_counters)
#define XBZ_FAKEVM_HOLD		_IOW(XBZ_FAKEVM_TYPE, 21, struct xbz_fakevm_hold)

/* As if KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 were enabled. */
#define XBZ_FAKEVM_MANUAL_PROTECT	(1U << 0)

/**
 * struct xbz_fakevm_create - XBZ_FAKEVM_CREATE: make a VM, returns its file
 * @flags: XBZ_FAKEVM_MANUAL_PROTECT
 * @reserved: not looked at
 * @name: the file's name; empty for "kvm-vm", as KVM has it
 */
struct xbz_fakevm_create {
	__u32 flags;
	__u32 reserved;
	char name[16];
};

/**
 * struct xbz_fakevm_scan - XBZ_FAKEVM_SCAN: look for a secret in all memory
 * @seed: which secret, see xbz_fakevm_secret()
 * @anywhere: look for one of its words at each byte, as packed copies have it
 * @pages: out: pages that were looked at
 * @found: out: pages that have some word of the secret where the secret has it
 */
struct xbz_fakevm_scan {
	__u64 seed;
	__u64 anywhere;
	__u64 pages;
	__u64 found;
};

/**
 * struct xbz_fakevm_slot - XBZ_FAKEVM_SLOT: add, change or delete a slot
 * @slot: its number, the address space in the upper 16 bits
 * @reserved: not looked at
 * @addr: its memory
 * @nr_pages: its size, 0 to delete it
 *
 * A slot that is added or changed begins with nothing dirty.
 */
struct xbz_fakevm_slot {
	__u32 slot;
	__u32 reserved;
	__u64 addr;
	__u64 nr_pages;
};

/* xbz_fakevm_bits.what */
#define XBZ_FAKEVM_BITS_SET	0 /* the guest wrote: bits are set in the log */
#define XBZ_FAKEVM_BITS_READ	1 /* the log is read, nothing is changed */

/**
 * struct xbz_fakevm_bits - XBZ_FAKEVM_BITS: the log, from the test's side
 * @slot: which slot
 * @what: XBZ_FAKEVM_BITS_*
 * @bitmap: 64-bit words, a bit for each page of the slot
 */
struct xbz_fakevm_bits {
	__u32 slot;
	__u32 what;
	__u64 bitmap;
};

/* xbz_fakevm_write.when */
#define XBZ_FAKEVM_WRITE_BEFORE	0 /* up to the last moment; the log forgets it */
#define XBZ_FAKEVM_WRITE_AFTER	1 /* just after; the log has it */

/**
 * struct xbz_fakevm_write - XBZ_FAKEVM_WRITE: a guest that writes at the clear
 * @slot: which slot
 * @when: XBZ_FAKEVM_WRITE_*: around the moment in which the page's bit in the
 *	log is cleared, by CLEAR or, without manual protect, by GET
 * @bitmap: which pages; each is written once, at the next clear that names it
 * @offset: where in the page
 * @reserved: not looked at
 * @value: what, eight bytes
 */
struct xbz_fakevm_write {
	__u32 slot;
	__u32 when;
	__u64 bitmap;
	__u32 offset;
	__u32 reserved;
	__u64 value;
};

/* xbz_fakevm_inject.call */
#define XBZ_FAKEVM_GET		0
#define XBZ_FAKEVM_CLEAR	1

/**
 * struct xbz_fakevm_inject - XBZ_FAKEVM_INJECT: let calls fail
 * @call: XBZ_FAKEVM_GET or XBZ_FAKEVM_CLEAR
 * @error: positive; 0 for nothing more to fail
 * @skip: calls that do not fail yet
 * @count: calls that fail then
 * @late: not 0: fail when the log has been cleared already
 * @reserved: not looked at
 */
struct xbz_fakevm_inject {
	__u32 call;
	__u32 error;
	__u32 skip;
	__u32 count;
	__u32 late;
	__u32 reserved;
};

/**
 * struct xbz_fakevm_hold - XBZ_FAKEVM_HOLD: hold up KVM_GET_DIRTY_LOG
 * @hold: not 0: calls wait from here on; 0: they go on
 * @reserved: not looked at
 */
struct xbz_fakevm_hold {
	__u32 hold;
	__u32 reserved;
};

#define XBZ_FAKEVM_ALL_SLOTS	(~0U)

/**
 * struct xbz_fakevm_counters - XBZ_FAKEVM_COUNTERS: what was called so far
 * @slot: a slot, since it was made, or XBZ_FAKEVM_ALL_SLOTS
 * @reserved: not looked at
 * @gets: out: calls of KVM_GET_DIRTY_LOG, those that failed included
 * @clears: out: calls of KVM_CLEAR_DIRTY_LOG, the same
 * @fetched: out: bits given to GET
 * @cleared: out: bits cleared by CLEAR
 * @unseen: out: bits cleared by CLEAR that no GET had given out since they
 *	were set: those writes are lost
 * @written: out: pages written by XBZ_FAKEVM_WRITE's doing
 * @clear_pages_max: out: most pages that one call of CLEAR named
 * @held: out: calls that XBZ_FAKEVM_HOLD has held up (of the VM)
 * @others: out: calls of other ioctls of KVM (of the VM)
 * @foreign: out: calls from another address space (of the VM)
 */
struct xbz_fakevm_counters {
	__u32 slot;
	__u32 reserved;
	__u64 gets;
	__u64 clears;
	__u64 fetched;
	__u64 cleared;
	__u64 unseen;
	__u64 written;
	__u64 clear_pages_max;
	__u64 held;
	__u64 others;
	__u64 foreign;
};

/* Word @i of the page-sized secret that belongs to @seed. */
static inline __u64 xbz_fakevm_secret(__u64 seed, unsigned int i)
{
	__u64 x = seed + (i + 1) * 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

#endif /* XBZ_FAKEVM_H */
