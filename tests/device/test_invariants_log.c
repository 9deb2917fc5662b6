// SPDX-License-Identifier: GPL-2.0-only
/*
 * The invariants of Documentation/design.rst that are about KVM's dirty log, a
 * test or more for each, named after it. The VM is tests/fakevm's. How logs and
 * regions lie to each other is test_kvmlog.c's. A test fails if its invariant is
 * broken; tests/mutation breaks them.
 */
#include "fakevm.h"

#include <string.h>
#include <unistd.h>

#define SLOT 5

/**
 * struct logged - a session with one slot, which its region is a bit larger than
 * @vm: the VM's file
 * @s: the session
 * @r: the region
 * @slot: the slot
 */
struct logged {
	int vm;
	struct xbzt_session *s;
	struct xbzt_region *r;
	struct xbzt_slot slot;
};

#define BEFORE 70
#define PAGES 1000
#define BEHIND 30

/* A session that is told of manual protect, of a VM that has it or has it not. */
static struct logged logged_open_told(bool manual, bool told)
{
	struct logged l;

	l.vm = xbzt_vm(manual ? XBZ_FAKEVM_MANUAL_PROTECT : 0);
	l.s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = 64 << 20, .vm = l.vm,
		.flags = told ? XBZRLE_SETUP_MANUAL_PROTECT : 0 });
	l.r = xbzt_region(l.s, "ram", BEFORE + PAGES + BEHIND);
	l.slot = xbzt_slot(l.vm, SLOT, xbzt_page(l.r, BEFORE), PAGES);
	assert_int_equal(xbzt_slot_set(l.s, &l.slot, l.r), 0);
	xbzt_dirty_all(l.r);
	xbzt_pass(l.s);
	xbzt_assert_equal(l.r);
	return l;
}

static struct logged logged_open(bool manual)
{
	return logged_open_told(manual, manual);
}

static void logged_close(struct logged *l)
{
	close(l->vm);
	xbzt_close(l->s);
}

static void sync_ok(struct logged *l)
{
	struct xbzrle_sync sync;

	assert_int_equal(xbzt_sync(l->s, &sync), 0);
	assert_int_equal(sync.slots_failed, 0);
}

static void scribble_sync_pass(struct logged *l)
{
	xbzt_slot_scribble(&l->slot, 30);
	sync_ok(l);
	xbzt_pass(l->s);
	xbzt_assert_equal(l->r);
}

/*
 * The guest writes to a page just before its bit is cleared. The log does not
 * have that write; it must be seen all the same. Breaks if a page is read
 * before the log is cleared, with manual protect or without.
 */
static void check_clear_before_snapshot(bool manual)
{
	struct logged l = logged_open(manual);
	unsigned int pass;

	for (pass = 0; pass < 4; pass++) {
		uint64_t value = xbzt_random(&xbzt_rng);
		struct xbz_fakevm_counters before, after;

		xbzt_slot_scribble(&l.slot, pass % 2 ? 100 : 30);
		before = xbzt_vm_counters(l.vm, SLOT);
		xbzt_slot_write_at_clear(&l.slot, XBZ_FAKEVM_WRITE_BEFORE,
					 8 * xbzt_below(&xbzt_rng, 512), value);
		sync_ok(&l);
		xbzt_pass(l.s);
		xbzt_assert_equal(l.r);
		after = xbzt_vm_counters(l.vm, SLOT);
		assert_true(after.written - before.written >= PAGES / 5);
		assert_int_equal(xbzt_slot_nr_dirty(&l.slot), 0);
	}
	logged_close(&l);
}

static void test_invariant_2_clear_before_snapshot(void **state)
{
	(void)state;
	check_clear_before_snapshot(true);
}

static void test_invariant_2_clear_before_snapshot_legacy(void **state)
{
	(void)state;
	check_clear_before_snapshot(false);
}

/*
 * The guest writes just after its bit was cleared, and the log has it. Breaks
 * if that bit is cleared once more before its page is read, or not fetched.
 */
static void test_invariant_2_write_after_clear(void **state)
{
	unsigned int manual;

	(void)state;
	for (manual = 0; manual < 2; manual++) {
		struct logged l = logged_open(manual);
		uint64_t written;

		xbzt_slot_scribble(&l.slot, 50);
		xbzt_slot_write_at_clear(&l.slot, XBZ_FAKEVM_WRITE_AFTER, 16,
					 xbzt_random(&xbzt_rng));
		sync_ok(&l);
		xbzt_pass(l.s);
		written = xbzt_vm_counters(l.vm, SLOT).written;
		assert_true(written > 0);
		assert_int_equal(xbzt_slot_nr_dirty(&l.slot), written);
		sync_ok(&l);
		assert_int_equal(xbzt_nr_dirty(l.r), written);
		xbzt_pass(l.s);
		xbzt_assert_equal(l.r);
		logged_close(&l);
	}
}

/*
 * Breaks if a page whose log cannot be cleared is taken from the bitmap, or
 * sent before the log is clear.
 */
static void test_invariant_3_clear_fails(void **state)
{
	static const int errors[] = { EFAULT, ENOENT, EINVAL, ENXIO, EINTR };
	struct logged l = logged_open(true);
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(errors); i++) {
		struct xbzrle_encode arg = { 0 };
		uint64_t dirty;

		xbzt_slot_scribble(&l.slot, 50);
		sync_ok(&l);
		dirty = xbzt_nr_dirty(l.r);
		xbzt_vm_inject(l.vm, XBZ_FAKEVM_CLEAR, errors[i], 0, 1, i & 1);
		assert_int_equal(xbzt_encode_raw(l.s, 0, &arg), 0);
		assert_int_equal(arg.status, XBZRLE_STATUS_LOG);
		assert_int_equal(arg.fault_region, l.r->id);
		assert_true(xbzt_is_dirty(l.r, arg.fault_page));
		assert_int_equal(arg.bytes, 0);
		assert_int_equal(xbzt_nr_dirty(l.r), dirty);
		/* The guest writes until the log is really clear. */
		xbzt_slot_write_at_clear(&l.slot, XBZ_FAKEVM_WRITE_BEFORE, 0,
					 xbzt_random(&xbzt_rng));
		xbzt_pass(l.s);
		if (i & 1) /* it was clear, and what came then is in the log */
			scribble_sync_pass(&l);
		else
			xbzt_assert_equal(l.r);
	}
	logged_close(&l);
}

/* Breaks if a log that could not be fetched is forgotten. */
static void test_invariant_3_fetch_fails(void **state)
{
	struct logged l = logged_open(true);
	struct xbzrle_sync sync;

	(void)state;
	xbzt_slot_scribble(&l.slot, 50);
	xbzt_vm_inject(l.vm, XBZ_FAKEVM_GET, EINTR, 0, 1, false);
	assert_int_equal(xbzt_sync(l.s, &sync), 0);
	assert_int_equal(sync.slots_failed, 1);
	assert_int_equal(sync.failed_slot, SLOT);
	assert_int_equal(sync.failed_errno, EINTR);
	sync_ok(&l);
	xbzt_pass(l.s);
	xbzt_assert_equal(l.r);
	logged_close(&l);
}

/*
 * Without manual protect a GET that fails late has cleared the log, and which
 * bits it had nobody knows. Breaks if not all of the slot's pages become dirty,
 * also if the session was told of manual protect that the VM does not have.
 */
static void check_fetch_fails_legacy(bool told)
{
	struct logged l = logged_open_told(false, told);
	struct xbzrle_sync sync;

	xbzt_slot_scribble(&l.slot, 50);
	xbzt_vm_inject(l.vm, XBZ_FAKEVM_GET, EFAULT, 0, 1, true);
	assert_int_equal(xbzt_sync(l.s, &sync), 0);
	assert_int_equal(sync.slots_failed, 1);
	assert_int_equal(sync.failed_errno, EFAULT);
	assert_int_equal(sync.new_dirty, PAGES);
	assert_int_equal(xbzt_nr_dirty(l.r), PAGES);
	assert_int_equal(xbzt_slot_nr_dirty(&l.slot), 0);
	xbzt_pass(l.s);
	xbzt_assert_equal(l.r);
	logged_close(&l);
}

static void test_invariant_3_fetch_fails_legacy(void **state)
{
	(void)state;
	check_fetch_fails_legacy(false);
	check_fetch_fails_legacy(true);
}

/*
 * Breaks if the log of a slot is touched that the session was not given, or was
 * given and gave back; if anything but GET and CLEAR is called; or if a bit is
 * cleared that was not fetched before.
 */
static void test_invariant_4_one_harvester(void **state)
{
	struct logged l = logged_open(true);
	struct xbzt_slot other = xbzt_slot(l.vm, SLOT + 1, l.r->mem, BEFORE);
	struct xbz_fakevm_counters before, after;

	(void)state;
	xbzt_slot_dirty_all(&other);
	scribble_sync_pass(&l);
	assert_int_equal(xbzt_clear(l.s, l.r, 0, l.r->nr_pages), 0);
	after = xbzt_vm_counters(l.vm, other.id);
	assert_int_equal(after.gets + after.clears, 0);
	assert_int_equal(xbzt_slot_nr_dirty(&other), BEFORE);

	/* What is written after a SYNC is the next one's. */
	xbzt_slot_scribble(&l.slot, 20);
	sync_ok(&l);
	xbzt_slot_scribble(&l.slot, 20);
	xbzt_pass(l.s);
	after = xbzt_vm_counters(l.vm, SLOT);
	assert_int_equal(after.unseen, 0);
	assert_true(after.cleared > 0);
	assert_true(xbzt_slot_nr_dirty(&l.slot) > 0);
	scribble_sync_pass(&l);

	/* Fetched, given back, and only then encoded. */
	xbzt_slot_scribble(&l.slot, 50);
	sync_ok(&l);
	before = xbzt_vm_counters(l.vm, XBZ_FAKEVM_ALL_SLOTS);
	assert_int_equal(xbzt_slot_del(l.s, SLOT), 0);
	xbzt_pass(l.s);
	sync_ok(&l);
	assert_int_equal(xbzt_clear(l.s, l.r, 0, l.r->nr_pages), 0);
	after = xbzt_vm_counters(l.vm, XBZ_FAKEVM_ALL_SLOTS);
	assert_int_equal(after.gets, before.gets);
	assert_int_equal(after.clears, before.clears);
	assert_int_equal(after.unseen, 0);
	assert_int_equal(after.others, 0);
	assert_int_equal(after.foreign, 0);
	xbzt_assert_equal(l.r);
	logged_close(&l);
}

/* Breaks if a bit that was fetched displaces one that was set by hand. */
static void test_invariant_5_sources_united(void **state)
{
	unsigned int manual;
	uint64_t page;

	(void)state;
	for (manual = 0; manual < 2; manual++) {
		struct logged l = logged_open(manual);
		struct xbzrle_sync sync;

		/* Another source: every third page, also outside of the slot. */
		for (page = 0; page < l.r->nr_pages; page += 3) {
			xbzt_page(l.r, page)[5]++;
			xbzt_dirty(l.r, page);
		}
		/* KVM: every fifth of the slot's. */
		for (page = 0; page < PAGES; page += 5) {
			xbzt_page(l.r, BEFORE + page)[6]++;
			xbzt_slot_dirty(&l.slot, page);
		}
		assert_int_equal(xbzt_sync(l.s, &sync), 0);
		for (page = 0; page < l.r->nr_pages; page++) {
			bool kvm = page >= BEFORE && page < BEFORE + PAGES &&
				   !((page - BEFORE) % 5);

			assert_int_equal(xbzt_is_dirty(l.r, page),
					 kvm || !(page % 3));
		}
		/* 70 + 1000 + 30 pages; of the 200 of KVM's 67 were set. */
		assert_int_equal(sync.new_dirty, 133);
		xbzt_pass(l.s);
		xbzt_assert_equal(l.r);
		logged_close(&l);
	}
}

/*
 * Breaks if pages that a hint has taken out (after XBZRLE_CLEAR) come back with
 * the next SYNC, or are sent.
 */
static void test_invariant_5_removed_pages_stay_away(void **state)
{
	struct logged l = logged_open(true);
	struct xbzrle_sync sync;
	uint64_t page, before;

	(void)state;
	xbzt_slot_dirty_all(&l.slot);
	sync_ok(&l);
	before = l.s->total.pages;
	assert_int_equal(xbzt_clear(l.s, l.r, BEFORE + 100, 200), 0);
	for (page = 0; page < 200; page++)
		xbzt_undirty(l.r, BEFORE + 100 + page);
	assert_int_equal(xbzt_sync(l.s, &sync), 0);
	assert_int_equal(xbzt_nr_dirty(l.r), PAGES - 200);
	xbzt_pass(l.s);
	assert_int_equal(l.s->total.pages - before, PAGES - 200);
	logged_close(&l);
}

/*
 * Breaks if a bit that was taken out without XBZRLE_CLEAR is cleared in KVM's
 * log: nobody has sent that page, and nobody has said that it need not be.
 */
static void test_invariant_5_without_clear_they_come_back(void **state)
{
	struct logged l = logged_open(true);
	uint64_t page;

	(void)state;
	xbzt_slot_scribble(&l.slot, 100);
	sync_ok(&l);
	for (page = 300; page < 400; page++)
		xbzt_undirty(l.r, BEFORE + page);
	/* The log is cleared here, for the pages that are sent. */
	xbzt_pass(l.s);
	assert_int_equal(xbzt_slot_nr_dirty(&l.slot), 100);
	sync_ok(&l);
	assert_int_equal(xbzt_nr_dirty(l.r), 100);
	xbzt_pass(l.s);
	xbzt_assert_equal(l.r);
	logged_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invariant_2_clear_before_snapshot),
		cmocka_unit_test(test_invariant_2_clear_before_snapshot_legacy),
		cmocka_unit_test(test_invariant_2_write_after_clear),
		cmocka_unit_test(test_invariant_3_clear_fails),
		cmocka_unit_test(test_invariant_3_fetch_fails),
		cmocka_unit_test(test_invariant_3_fetch_fails_legacy),
		cmocka_unit_test(test_invariant_4_one_harvester),
		cmocka_unit_test(test_invariant_5_sources_united),
		cmocka_unit_test(test_invariant_5_removed_pages_stay_away),
		cmocka_unit_test(test_invariant_5_without_clear_they_come_back),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
