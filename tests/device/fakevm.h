/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The test's side of tests/fakevm: a VM with a dirty log and no guest. The
 * guest's writes are the test's: it writes to the memory and says so.
 */
#ifndef XBZT_FAKEVM_H
#define XBZT_FAKEVM_H

#include "harness.h"

#include <xbz_fakevm.h>

/**
 * struct xbzt_slot - a memslot
 * @vm: its VM's file
 * @id: its number
 * @mem: its memory
 * @nr_pages: its size
 * @words: of a bitmap
 */
struct xbzt_slot {
	int vm;
	uint32_t id;
	uint8_t *mem;
	uint64_t nr_pages;
	size_t words;
};

/* Makes a VM of this process; @flags are XBZ_FAKEVM_*. Returns its file. */
int xbzt_vm(uint32_t flags);

/* The same, called otherwise than KVM's are. */
int xbzt_vm_named(uint32_t flags, const char *name);

/* Adds a slot to the VM; one that is there is replaced. */
struct xbzt_slot xbzt_slot(int vm, uint32_t id, uint8_t *mem,
			   uint64_t nr_pages);
void xbzt_slot_gone(const struct xbzt_slot *slot);

/* Tells the session of the slot, which lies in @r; 0 or -errno. */
int xbzt_slot_set(struct xbzt_session *s, const struct xbzt_slot *slot,
		  const struct xbzt_region *r);
int xbzt_slot_del(struct xbzt_session *s, uint32_t id);

/* The guest wrote to a page: its bit is set in the log. */
void xbzt_slot_dirty(const struct xbzt_slot *slot, uint64_t page);

/* The same for each @step-th page from @page on. */
void xbzt_slot_dirty_each(const struct xbzt_slot *slot, uint64_t page,
			  uint64_t step);
void xbzt_slot_dirty_all(const struct xbzt_slot *slot);

/* Writes in some shape to @percent of the pages and logs it. */
void xbzt_slot_scribble(const struct xbzt_slot *slot, unsigned int percent);

bool xbzt_slot_is_dirty(const struct xbzt_slot *slot, uint64_t page);
uint64_t xbzt_slot_nr_dirty(const struct xbzt_slot *slot);

/* At the next clear of each page its word at @offset is written. */
void xbzt_slot_write_at_clear(const struct xbzt_slot *slot, uint32_t when,
			      uint32_t offset, uint64_t value);

/* The next call after @skip fails; see struct xbz_fakevm_inject. */
void xbzt_vm_inject(int vm, uint32_t call, uint32_t error, uint32_t skip,
		    uint32_t count, bool late);

/* While it is held, no call of GET returns. */
void xbzt_vm_hold(int vm, bool hold);

/* @slot: its number or XBZ_FAKEVM_ALL_SLOTS. */
struct xbz_fakevm_counters xbzt_vm_counters(int vm, uint32_t slot);

/* Plants a secret in a page, and looks for it in all memory. */
void xbzt_secret_plant(uint8_t *page, uint64_t seed);
uint64_t xbzt_secret_found(uint64_t seed);

/* The same with one that packs, and is looked for in packed copies, too: slow. */
void xbzt_secret_plant_twice(uint8_t *page, uint64_t seed);
uint64_t xbzt_secret_found_anywhere(uint64_t seed);

#endif /* XBZT_FAKEVM_H */
