// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of xbz_fakevm: see fakevm.h.
 */
#include "fakevm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int control(unsigned int cmd, void *arg)
{
	int fd = open("/dev/xbz_fakevm", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		fail_msg("/dev/xbz_fakevm: %s", strerror(errno));
	ret = ioctl(fd, cmd, arg);
	if (ret < 0)
		fail_msg("/dev/xbz_fakevm, ioctl 0x%x: %s", cmd,
			 strerror(errno));
	close(fd);
	return ret;
}

static void call(int vm, unsigned int cmd, void *arg)
{
	int ret = xbzt_ioctl(vm, cmd, arg);

	if (ret)
		fail_msg("VM, ioctl 0x%x: %s", cmd, strerror(-ret));
}

int xbzt_vm_named(uint32_t flags, const char *name)
{
	struct xbz_fakevm_create arg = { .flags = flags };

	snprintf(arg.name, sizeof(arg.name), "%s", name);
	return control(XBZ_FAKEVM_CREATE, &arg);
}

int xbzt_vm(uint32_t flags)
{
	return xbzt_vm_named(flags, "");
}

struct xbzt_slot xbzt_slot(int vm, uint32_t id, uint8_t *mem, uint64_t nr_pages)
{
	struct xbzt_slot slot = {
		.vm = vm,
		.id = id,
		.mem = mem,
		.nr_pages = nr_pages,
		.words = (nr_pages + 63) / 64,
	};
	struct xbz_fakevm_slot arg = {
		.slot = id,
		.addr = (uintptr_t)mem,
		.nr_pages = nr_pages,
	};

	call(vm, XBZ_FAKEVM_SLOT, &arg);
	return slot;
}

void xbzt_slot_gone(const struct xbzt_slot *slot)
{
	struct xbz_fakevm_slot arg = { .slot = slot->id };

	call(slot->vm, XBZ_FAKEVM_SLOT, &arg);
}

int xbzt_slot_set(struct xbzt_session *s, const struct xbzt_slot *slot,
		  const struct xbzt_region *r)
{
	struct xbzrle_slot arg = {
		.size = sizeof(arg),
		.slot = slot->id,
		.region = r->id,
		.first_page = (slot->mem - r->mem) / XBZT_PAGE,
		.nr_pages = slot->nr_pages,
	};

	return xbzt_ioctl(s->fd, XBZRLE_SLOT_SET, &arg);
}

int xbzt_slot_del(struct xbzt_session *s, uint32_t id)
{
	struct xbzrle_slot_del arg = { .size = sizeof(arg), .slot = id };

	return xbzt_ioctl(s->fd, XBZRLE_SLOT_DEL, &arg);
}

static uint64_t *bitmap_new(const struct xbzt_slot *slot)
{
	uint64_t *bits = calloc(slot->words, sizeof(*bits));

	assert_non_null(bits);
	return bits;
}

static void bits_call(const struct xbzt_slot *slot, uint32_t what,
		      uint64_t *bits)
{
	struct xbz_fakevm_bits arg = {
		.slot = slot->id,
		.what = what,
		.bitmap = (uintptr_t)bits,
	};

	call(slot->vm, XBZ_FAKEVM_BITS, &arg);
}

void xbzt_slot_dirty_each(const struct xbzt_slot *slot, uint64_t page,
			  uint64_t step)
{
	uint64_t *bits = bitmap_new(slot);

	for (; page < slot->nr_pages; page += step)
		bits[page / 64] |= 1ULL << page % 64;
	bits_call(slot, XBZ_FAKEVM_BITS_SET, bits);
	free(bits);
}

void xbzt_slot_dirty(const struct xbzt_slot *slot, uint64_t page)
{
	xbzt_slot_dirty_each(slot, page, slot->nr_pages);
}

void xbzt_slot_dirty_all(const struct xbzt_slot *slot)
{
	uint64_t *bits = bitmap_new(slot);

	memset(bits, 0xff, slot->words * sizeof(*bits));
	bits_call(slot, XBZ_FAKEVM_BITS_SET, bits);
	free(bits);
}

void xbzt_slot_scribble(const struct xbzt_slot *slot, unsigned int percent)
{
	uint64_t *bits = bitmap_new(slot);
	uint64_t page;

	for (page = 0; page < slot->nr_pages; page++) {
		if (xbzt_below(&xbzt_rng, 100) >= percent)
			continue;
		xbzt_guest_write_any(slot->mem + page * XBZT_PAGE, &xbzt_rng);
		bits[page / 64] |= 1ULL << page % 64;
	}
	bits_call(slot, XBZ_FAKEVM_BITS_SET, bits);
	free(bits);
}

bool xbzt_slot_is_dirty(const struct xbzt_slot *slot, uint64_t page)
{
	uint64_t *bits = bitmap_new(slot);
	bool dirty;

	bits_call(slot, XBZ_FAKEVM_BITS_READ, bits);
	dirty = bits[page / 64] >> page % 64 & 1;
	free(bits);
	return dirty;
}

uint64_t xbzt_slot_nr_dirty(const struct xbzt_slot *slot)
{
	uint64_t *bits = bitmap_new(slot);
	uint64_t n = 0;
	size_t i;

	bits_call(slot, XBZ_FAKEVM_BITS_READ, bits);
	for (i = 0; i < slot->words; i++)
		n += __builtin_popcountll(bits[i]);
	free(bits);
	return n;
}

void xbzt_slot_write_at_clear(const struct xbzt_slot *slot, uint32_t when,
			      uint32_t offset, uint64_t value)
{
	uint64_t *bits = bitmap_new(slot);
	struct xbz_fakevm_write arg = {
		.slot = slot->id,
		.when = when,
		.bitmap = (uintptr_t)bits,
		.offset = offset,
		.value = value,
	};

	memset(bits, 0xff, slot->words * sizeof(*bits));
	call(slot->vm, XBZ_FAKEVM_WRITE, &arg);
	free(bits);
}

void xbzt_vm_inject(int vm, uint32_t which, uint32_t error, uint32_t skip,
		    uint32_t count, bool late)
{
	struct xbz_fakevm_inject arg = {
		.call = which,
		.error = error,
		.skip = skip,
		.count = count,
		.late = late,
	};

	call(vm, XBZ_FAKEVM_INJECT, &arg);
}

void xbzt_vm_hold(int vm, bool hold)
{
	struct xbz_fakevm_hold arg = { .hold = hold };

	call(vm, XBZ_FAKEVM_HOLD, &arg);
}

struct xbz_fakevm_counters xbzt_vm_counters(int vm, uint32_t slot)
{
	struct xbz_fakevm_counters arg = { .slot = slot };

	call(vm, XBZ_FAKEVM_COUNTERS, &arg);
	return arg;
}

void xbzt_secret_plant(uint8_t *page, uint64_t seed)
{
	uint64_t *words = (uint64_t *)page;
	unsigned int i;

	for (i = 0; i < XBZT_PAGE / sizeof(*words); i++)
		words[i] = xbz_fakevm_secret(seed, i);
}

void xbzt_secret_plant_twice(uint8_t *page, uint64_t seed)
{
	xbzt_secret_plant(page, seed);
	memcpy(page + XBZT_PAGE / 2, page, XBZT_PAGE / 2);
}

static uint64_t secret_found(uint64_t seed, bool anywhere)
{
	struct xbz_fakevm_scan arg = { .seed = seed, .anywhere = anywhere };

	control(XBZ_FAKEVM_SCAN, &arg);
	/* It has looked at memory at all: at our own at the least. */
	assert_true(arg.pages > 1000);
	return arg.found;
}

uint64_t xbzt_secret_found(uint64_t seed)
{
	return secret_found(seed, false);
}

uint64_t xbzt_secret_found_anywhere(uint64_t seed)
{
	return secret_found(seed, true);
}
