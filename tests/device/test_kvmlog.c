// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's dirty log in all the ways in which slots can lie in regions, and with
 * slots that change under the session. The VM is tests/fakevm's. Fails if a bit
 * is lost, or comes out at another page than the one that was written.
 */
#include "fakevm.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The largest log block, which is what a session has by default. */
#define BLOCK_MAX 32768

/**
 * struct machine - a session whose regions are made of slots
 * @vm: the VM's file
 * @s: the session
 * @slots: its slots
 * @nr: how many
 */
struct machine {
	int vm;
	struct xbzt_session *s;
	struct xbzt_slot slots[16];
	unsigned int nr;
};

static struct machine machine_with_blocks(bool manual, unsigned int nr_queues,
					  uint32_t log_block_pages)
{
	struct machine m = { .nr = 0 };

	m.vm = xbzt_vm(manual ? XBZ_FAKEVM_MANUAL_PROTECT : 0);
	m.s = xbzt_open(&(struct xbzt_config){
		.nr_queues = nr_queues, .ring_bytes = 1 << 20,
		.cache_bytes = 64 << 20, .vm = m.vm,
		.log_block_pages = log_block_pages,
		.flags = manual ? XBZRLE_SETUP_MANUAL_PROTECT : 0 });
	return m;
}

static struct machine machine_open(bool manual, unsigned int nr_queues)
{
	return machine_with_blocks(manual, nr_queues, 0);
}

static void machine_close(struct machine *m)
{
	close(m->vm);
	xbzt_close(m->s);
}

static struct xbzt_slot *add_slot(struct machine *m, uint32_t id,
				  struct xbzt_region *r, uint64_t first,
				  uint64_t nr_pages)
{
	struct xbzt_slot *slot = &m->slots[m->nr++];

	*slot = xbzt_slot(m->vm, id, xbzt_page(r, first), nr_pages);
	assert_int_equal(xbzt_slot_set(m->s, slot, r), 0);
	return slot;
}

static void sync_ok(struct machine *m)
{
	struct xbzrle_sync sync;

	assert_int_equal(xbzt_sync(m->s, &sync), 0);
	assert_int_equal(sync.slots_failed, 0);
}

static void scribble_sync_pass(struct machine *m, unsigned int percent)
{
	unsigned int i;

	for (i = 0; i < m->nr; i++)
		xbzt_slot_scribble(&m->slots[i], percent);
	sync_ok(m);
	xbzt_pass(m->s);
	xbzt_assert_all_equal(m->s);
}

/*
 * Slots that begin and end anywhere in a word of the region's bitmap, with gaps
 * and without. Breaks if bits are shifted wrong in either direction: pages
 * would not arrive, or the log would stay dirty.
 */
static void check_unaligned_slots(bool manual)
{
	struct machine m = machine_open(manual, 3);
	struct xbzt_region *a = xbzt_region(m.s, "a", 2000);
	struct xbzt_region *b = xbzt_region(m.s, "b", 100);
	unsigned int i, pass;

	add_slot(&m, 0, a, 0, 1);
	add_slot(&m, 1, a, 1, 63);
	add_slot(&m, 2, a, 64, 64);
	add_slot(&m, 3, a, 129, 640);
	add_slot(&m, 4, a, 769, 127);
	add_slot(&m, 5, a, 1000, 65);
	add_slot(&m, 6, a, 1065, 935);
	add_slot(&m, 7, b, 37, 63);
	xbzt_dirty_all(a);
	xbzt_dirty_all(b);
	for (pass = 0; pass < 12; pass++) {
		scribble_sync_pass(&m, pass % 3 ? 20 : 100);
		for (i = 0; i < m.nr; i++)
			assert_int_equal(xbzt_slot_nr_dirty(&m.slots[i]), 0);
	}
	assert_int_equal(xbzt_vm_counters(m.vm, XBZ_FAKEVM_ALL_SLOTS).unseen,
			 0);
	machine_close(&m);
}

static void test_unaligned_slots(void **state)
{
	(void)state;
	check_unaligned_slots(true);
}

static void test_unaligned_slots_legacy(void **state)
{
	(void)state;
	check_unaligned_slots(false);
}

/* Breaks if CLEAR is called where fetching has cleared already. */
static void test_legacy_needs_no_clear(void **state)
{
	struct machine m = machine_open(false, 1);
	struct xbzt_region *r = xbzt_region(m.s, "r", 300);
	struct xbzrle_counters c;

	(void)state;
	xbzt_dirty_all(r);
	add_slot(&m, 0, r, 10, 200);
	scribble_sync_pass(&m, 50);
	assert_int_equal(xbzt_clear(m.s, r, 0, 300), 0);
	scribble_sync_pass(&m, 50);
	assert_int_equal(xbzt_vm_counters(m.vm, XBZ_FAKEVM_ALL_SLOTS).clears,
			 0);
	xbzt_counters(m.s, XBZRLE_ALL_QUEUES, &c);
	assert_int_equal(c.syncs, 2);
	assert_int_equal(c.log_clears, 0);
	machine_close(&m);
}

/*
 * The same pages in two slots, as SMM's address space has them. Breaks if one
 * log is cleared and the other not, or if one hides what the other has.
 */
static void test_two_slots_show_the_same_pages(void **state)
{
	unsigned int manual, pass;

	(void)state;
	for (manual = 0; manual < 2; manual++) {
		struct machine m = machine_open(manual, 2);
		struct xbzt_region *r = xbzt_region(m.s, "r", 1200);

		xbzt_dirty_all(r);
		add_slot(&m, 2, r, 7, 1100);
		add_slot(&m, 0x10002, r, 30, 1150);
		for (pass = 0; pass < 6; pass++) {
			struct xbzt_slot *slot = &m.slots[pass % 2];

			scribble_sync_pass(&m, 30);
			/* And a change that only one of them has. */
			xbzt_slot_scribble(slot, 30);
			xbzt_slot_write_at_clear(slot, XBZ_FAKEVM_WRITE_BEFORE,
						 0, xbzt_random(&xbzt_rng));
			sync_ok(&m);
			xbzt_pass(m.s);
			xbzt_assert_equal(r);
			assert_int_equal(xbzt_slot_nr_dirty(&m.slots[0]), 0);
			assert_int_equal(xbzt_slot_nr_dirty(&m.slots[1]), 0);
		}
		machine_close(&m);
	}
}

#define LARGE 76800
#define LARGE_FIRST 70000

/* Writes to a page of the large region and logs it, unless it was done. */
static uint64_t write_logged(struct machine *m, uint64_t page, uint8_t *written)
{
	struct xbzt_slot *slot = &m->slots[page >= 13 + LARGE_FIRST];
	uint64_t first = slot == m->slots ? 13 : 13 + LARGE_FIRST;

	if (page < first || page >= first + slot->nr_pages || written[page])
		return 0;
	xbzt_guest_write_any(xbzt_page(m->s->regions[0], page), &xbzt_rng);
	xbzt_slot_dirty(slot, page - first);
	written[page] = 1;
	return 1;
}

/* Some pages here and there, and some where log blocks meet. */
static uint64_t write_sparsely(struct machine *m, uint8_t *written)
{
	unsigned int i;
	uint64_t n = 0;

	for (i = 0; i < 150; i++) {
		n += write_logged(m, xbzt_below(&xbzt_rng, LARGE), written);
		n += write_logged(m, BLOCK_MAX * (1 + i % 2) - 70 +
				     xbzt_below(&xbzt_rng, 140), written);
	}
	return n;
}

/*
 * 300 MiB, of which little is ever touched: several log blocks, and a bitmap that
 * is fetched in several steps. Breaks if a block is cleared that is not due, or
 * one that is due is not; the guest writes until the last moment.
 */
static void check_large_region(bool manual)
{
	static uint8_t written[LARGE];
	struct machine m = machine_open(manual, 4);
	uint8_t *mem = xbzt_memory(LARGE);
	struct xbzt_region *r = xbzt_region_at(m.s, "large", LARGE, mem);
	struct xbzrle_counters c;
	uint64_t page, dirty = 0;
	unsigned int pass;

	madvise(mem, LARGE * XBZT_PAGE, MADV_NOHUGEPAGE);
	madvise(r->block.mem, LARGE * XBZT_PAGE, MADV_NOHUGEPAGE);
	add_slot(&m, 0, r, 13, LARGE_FIRST);
	add_slot(&m, 1, r, 13 + LARGE_FIRST, 6700);
	for (pass = 0; pass < 5; pass++) {
		memset(written, 0, sizeof(written));
		dirty += write_sparsely(&m, written);
		xbzt_slot_write_at_clear(&m.slots[0], XBZ_FAKEVM_WRITE_BEFORE,
					 64, xbzt_random(&xbzt_rng));
		sync_ok(&m);
		xbzt_pass(m.s);
		for (page = 0; page < LARGE; page++)
			if (written[page])
				assert_false(xbzt_differs(r, page));
		assert_int_equal(xbzt_slot_nr_dirty(&m.slots[0]), 0);
		assert_int_equal(xbzt_slot_nr_dirty(&m.slots[1]), 0);
	}
	/* No other page was looked at. */
	assert_int_equal(m.s->total.pages, dirty);
	assert_int_equal(xbzt_vm_counters(m.vm, XBZ_FAKEVM_ALL_SLOTS).unseen,
			 0);
	xbzt_counters(m.s, XBZRLE_ALL_QUEUES, &c);
	assert_int_equal(c.syncs, 5);
	/* Each slot's part of each of the three blocks, once a SYNC. */
	assert_true(c.log_clears <= 5 * (3 + 1));
	assert_true(manual ? c.log_clears >= 5 : !c.log_clears);
	machine_close(&m);
	munmap(mem, LARGE * XBZT_PAGE);
}

static void test_large_region(void **state)
{
	(void)state;
	check_large_region(true);
}

static void test_large_region_legacy(void **state)
{
	(void)state;
	check_large_region(false);
}

/* A page of so many is written to: each log block has some. */
#define APART 61

/*
 * Breaks if a call of CLEAR names more than a log block (the slot's words do not
 * begin where the region's do: one more at either end), if a block is cleared
 * twice in a pass or not at all, or if a write at the last moment is lost.
 */
static void check_log_blocks(uint32_t log_block_pages)
{
	const uint64_t block = log_block_pages ? log_block_pages : BLOCK_MAX;
	const uint64_t end = 13 + LARGE_FIRST;
	uint64_t clears = 0;
	struct machine m = machine_with_blocks(true, 3, log_block_pages);
	uint8_t *mem = xbzt_memory(LARGE);
	struct xbzt_region *r = xbzt_region_at(m.s, "large", LARGE, mem);
	struct xbzt_slot *slot = add_slot(&m, 0, r, 13, LARGE_FIRST);
	struct xbz_fakevm_counters log = { 0 };
	struct xbzrle_counters c;
	unsigned int pass;
	uint64_t page;

	madvise(mem, LARGE * XBZT_PAGE, MADV_NOHUGEPAGE);
	madvise(r->block.mem, LARGE * XBZT_PAGE, MADV_NOHUGEPAGE);
	for (pass = 1; pass <= 3; pass++) {
		uint64_t value = xbzt_random(&xbzt_rng);

		for (page = pass; page < LARGE_FIRST; page += APART)
			xbzt_guest_write_any(slot->mem + page * XBZT_PAGE,
					     &xbzt_rng);
		xbzt_slot_dirty_each(slot, pass, APART);
		xbzt_slot_write_at_clear(slot, XBZ_FAKEVM_WRITE_BEFORE, 64,
					 value);
		sync_ok(&m);
		xbzt_pass(m.s);
		for (page = pass; page < LARGE_FIRST; page += APART)
			assert_false(xbzt_differs(r, 13 + page));
		assert_int_equal(xbzt_slot_nr_dirty(slot), 0);
		clears += (end + block - 1) / block;
		log = xbzt_vm_counters(m.vm, 0);
		assert_int_equal(log.clears, clears);
	}
	/* Two blocks have nothing but what is in one word of KVM's, cleared once. */
	for (page = block; page + 5 < end; page += 2 * block) {
		xbzt_guest_write_any(xbzt_page(r, page - 1), &xbzt_rng);
		xbzt_guest_write_any(xbzt_page(r, page + 5), &xbzt_rng);
		xbzt_slot_dirty(slot, page - 1 - 13);
		xbzt_slot_dirty(slot, page + 5 - 13);
		clears++;
	}
	sync_ok(&m);
	xbzt_pass(m.s);
	assert_int_equal(xbzt_slot_nr_dirty(slot), 0);
	log = xbzt_vm_counters(m.vm, 0);
	assert_int_equal(log.clears, clears);
	assert_int_equal(log.unseen, 0);
	assert_in_range(log.clear_pages_max, block, block + 2 * 64);
	xbzt_counters(m.s, XBZRLE_ALL_QUEUES, &c);
	assert_int_equal(c.log_clears, log.clears);
	machine_close(&m);
	munmap(mem, LARGE * XBZT_PAGE);
}

static void test_log_blocks_smallest(void **state)
{
	(void)state;
	check_log_blocks(512);
}

static void test_log_blocks_between(void **state)
{
	(void)state;
	check_log_blocks(4096);
}

static void test_log_blocks_default(void **state)
{
	(void)state;
	check_log_blocks(0);
}

static void test_log_blocks_largest(void **state)
{
	(void)state;
	check_log_blocks(BLOCK_MAX);
}

/* Breaks if what SYNC says of new bits is not what it set. */
static void test_new_dirty_is_counted(void **state)
{
	struct machine m = machine_open(true, 1);
	struct xbzt_region *r = xbzt_region(m.s, "r", 500);
	struct xbzt_slot *slot = add_slot(&m, 0, r, 100, 300);
	struct xbzrle_sync sync;
	struct xbzrle_counters c;
	unsigned int i;

	(void)state;
	for (i = 0; i < 300; i += 3)
		xbzt_slot_dirty(slot, i);
	for (i = 0; i < 300; i += 6)
		xbzt_dirty(r, 100 + i);
	assert_int_equal(xbzt_sync(m.s, &sync), 0);
	assert_int_equal(sync.new_dirty, 50);
	assert_int_equal(sync.pass, 1);
	/* Not cleared yet, so GET gives them again. */
	assert_int_equal(xbzt_sync(m.s, &sync), 0);
	assert_int_equal(sync.new_dirty, 0);
	assert_int_equal(sync.pass, 2);
	xbzt_counters(m.s, 0, &c);
	assert_int_equal(c.log_dirty, 50);
	assert_int_equal(c.syncs, 2);
	assert_int_equal(xbzt_nr_dirty(r), 100);
	machine_close(&m);
}

/*
 * QEMU deletes a slot in KVM before it tells the session. Breaks if the others
 * are not fetched, if a page of it is lost, or if it ends the session.
 */
static void test_slot_deleted_under_the_session(void **state)
{
	struct machine m = machine_open(true, 2);
	struct xbzt_region *a = xbzt_region(m.s, "a", 700);
	struct xbzt_region *b = xbzt_region(m.s, "b", 300);
	struct xbzt_slot *gone = add_slot(&m, 4, a, 50, 600);
	struct xbzt_slot *stays = add_slot(&m, 5, b, 0, 300);
	struct xbzrle_encode arg = { 0 };
	struct xbzrle_sync sync;
	uint64_t dirty;

	(void)state;
	xbzt_dirty_all(a);
	xbzt_dirty_all(b);
	scribble_sync_pass(&m, 50);

	/* Fetched, but not cleared yet. */
	xbzt_slot_scribble(gone, 100);
	sync_ok(&m);
	xbzt_slot_gone(gone);
	xbzt_slot_scribble(stays, 50);
	assert_int_equal(xbzt_sync(m.s, &sync), 0);
	assert_int_equal(sync.slots_failed, 1);
	assert_int_equal(sync.failed_slot, 4);
	assert_int_equal(sync.failed_errno, ENOENT);

	dirty = xbzt_nr_dirty(a);
	assert_int_equal(dirty, 600);
	/* Queue 0 has the first chunk of a; what cannot be cleared stays. */
	assert_int_equal(xbzt_encode_raw(m.s, 0, &arg), 0);
	assert_true(arg.status & XBZRLE_STATUS_LOG);
	xbzt_apply(m.s, 0, &arg);
	xbzt_release(m.s, 0, m.s->queues[0].pos);
	assert_int_equal(xbzt_nr_dirty(a), dirty);

	assert_int_equal(xbzt_slot_del(m.s, 4), 0);
	xbzt_pass(m.s);
	xbzt_assert_all_equal(m.s);
	machine_close(&m);
}

/* Breaks if a page that cannot be cleared keeps others from being sent. */
static void test_bad_slot_does_not_block_its_queue(void **state)
{
	struct machine m = machine_open(true, 1);
	struct xbzt_region *a = xbzt_region(m.s, "a", 200);
	struct xbzt_region *b = xbzt_region(m.s, "b", 200);
	struct xbzt_slot *gone = add_slot(&m, 4, a, 0, 200);
	unsigned int calls;

	(void)state;
	add_slot(&m, 5, b, 0, 200);
	xbzt_dirty_all(a);
	xbzt_dirty_all(b);
	scribble_sync_pass(&m, 50);

	xbzt_slot_dirty(gone, 77);
	xbzt_slot_dirty(gone, 78);
	xbzt_slot_scribble(&m.slots[1], 50);
	sync_ok(&m);
	xbzt_slot_gone(gone);
	for (calls = 0; calls < 10; calls++) {
		struct xbzrle_encode arg = { 0 };

		xbzt_encode(m.s, 0, &arg);
		assert_true(arg.status & XBZRLE_STATUS_LOG);
		assert_int_equal(arg.fault_region, a->id);
		assert_in_range(arg.fault_page, 77, 78);
	}
	assert_int_equal(xbzt_nr_dirty(a), 2);
	assert_int_equal(xbzt_nr_dirty(b), 0);
	xbzt_assert_equal(b);
	machine_close(&m);
}

/* A slot in KVM, and the session is told of another size. */
static void add_slot_of_two_sizes(struct machine *m, uint32_t id,
				  struct xbzt_region *r, uint64_t first,
				  uint64_t kvms, uint64_t told)
{
	struct xbzt_slot *slot = add_slot(m, id, r, first, kvms);
	struct xbzt_slot other = *slot;

	other.nr_pages = told;
	assert_int_equal(xbzt_slot_del(m->s, id), 0);
	assert_int_equal(xbzt_slot_set(m->s, &other, r), 0);
}

static void assert_slot_failed(struct machine *m, uint32_t id)
{
	struct xbzrle_sync sync;

	assert_int_equal(xbzt_sync(m->s, &sync), 0);
	assert_int_equal(sync.slots_failed, 1);
	assert_int_equal(sync.failed_slot, id);
	assert_int_equal(sync.failed_errno, EOVERFLOW);
}

/*
 * Breaks if a slot of which the session was told another size than KVM's passes
 * for fetched, if others are not fetched because of it, or if a page of it is
 * lost when the session is told the right size.
 */
static void check_slot_of_another_size(bool manual, uint64_t told,
				       uint64_t kvms)
{
	struct machine m = machine_open(manual, 2);
	struct xbzt_region *r = xbzt_region(m.s, "r", 2200);
	struct xbzt_region *other = xbzt_region(m.s, "other", 300);
	const uint64_t common = told < kvms ? told : kvms;
	uint64_t page;

	add_slot(&m, 3, other, 0, 150);
	add_slot_of_two_sizes(&m, 4, r, 50, kvms, told);
	add_slot(&m, 5, other, 150, 150);
	xbzt_dirty_all(r);
	xbzt_dirty_all(other);
	xbzt_pass(m.s);
	for (page = 0; page < m.nr; page++)
		xbzt_slot_scribble(&m.slots[page], 50);
	assert_slot_failed(&m, 4);
	/* GET has cleared what it gave to nobody. */
	assert_true(manual || xbzt_nr_dirty(r) >= common);
	xbzt_pass(m.s);
	xbzt_assert_equal(other);
	if (!manual)
		for (page = 50; page < 50 + common; page++)
			assert_false(xbzt_differs(r, page));
	assert_slot_failed(&m, 4);

	assert_int_equal(xbzt_slot_del(m.s, 4), 0);
	assert_int_equal(xbzt_slot_set(m.s, &m.slots[1], r), 0);
	sync_ok(&m);
	xbzt_pass(m.s);
	for (page = 50; page < 50 + (manual ? kvms : common); page++)
		assert_false(xbzt_differs(r, page));
	assert_int_equal(xbzt_slot_nr_dirty(&m.slots[1]), 0);
	machine_close(&m);
}

/* By a page and by a word and more; where they differ, KVM's words do, too. */
static const struct {
	uint64_t told;
	uint64_t kvms;
} other_sizes[] = {
	{ 640, 641 }, { 640, 703 }, { 640, 704 }, { 640, 705 }, { 640, 2100 },
	{ 639, 641 }, { 1, 65 },    { 65, 64 },	  { 641, 640 }, { 640, 576 },
	{ 640, 100 }, { 640, 1 },
};

static void test_slot_of_another_size(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(other_sizes); i++)
		check_slot_of_another_size(true, other_sizes[i].told,
					   other_sizes[i].kvms);
}

static void test_slot_of_another_size_legacy(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(other_sizes); i++)
		check_slot_of_another_size(false, other_sizes[i].told,
					   other_sizes[i].kvms);
}

/*
 * As many words, so only a bit behind the end shows it. Breaks if SYNC takes such a
 * log for the slot's: the page behind the end would be lost where fetching clears.
 */
static void check_larger_within_a_word(bool manual)
{
	struct machine m = machine_open(manual, 1);
	struct xbzt_region *r = xbzt_region(m.s, "r", 800);
	struct xbzrle_sync sync;
	uint64_t page;

	add_slot_of_two_sizes(&m, 4, r, 50, 640, 600);
	xbzt_slot_dirty_all(&m.slots[0]);
	assert_int_equal(xbzt_sync(m.s, &sync), 0);
	assert_int_equal(sync.slots_failed, 1);
	assert_int_equal(sync.failed_errno, EOVERFLOW);
	for (page = 0; page < r->nr_pages; page++)
		assert_int_equal(xbzt_is_dirty(r, page),
				 !manual && page >= 50 && page < 650);
	machine_close(&m);
}

static void test_slot_larger_within_a_word(void **state)
{
	(void)state;
	check_larger_within_a_word(true);
	check_larger_within_a_word(false);
}

/* Breaks if a slot that KVM has made smaller or larger is more than an error. */
static void test_slot_resized_under_the_session(void **state)
{
	static const uint64_t sizes[] = { 100, 333, 640, 1000 };
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(sizes); i++) {
		struct machine m = machine_open(true, 1);
		struct xbzt_region *r = xbzt_region(m.s, "r", 1100);
		struct xbzt_slot *slot = add_slot(&m, 4, r, 50, 600);
		struct xbzrle_sync sync;
		struct xbzrle_encode arg = { 0 };

		xbzt_dirty_all(r);
		scribble_sync_pass(&m, 50);
		xbzt_slot_scribble(slot, 100);
		sync_ok(&m);
		*slot = xbzt_slot(m.vm, 4, slot->mem, sizes[i]);
		xbzt_slot_scribble(slot, 50);
		assert_int_equal(xbzt_sync(m.s, &sync), 0);
		assert_int_equal(xbzt_encode_raw(m.s, 0, &arg), 0);
		xbzt_apply(m.s, 0, &arg);
		xbzt_release(m.s, 0, m.s->queues[0].pos);

		/* The session is told, and everything has become dirty. */
		assert_int_equal(xbzt_slot_del(m.s, 4), 0);
		assert_int_equal(xbzt_slot_set(m.s, slot, r), 0);
		xbzt_dirty_all(r);
		scribble_sync_pass(&m, 20);
		machine_close(&m);
	}
}

/* Breaks if a slot that comes, goes and comes back finds old bits. */
static void test_slots_come_and_go(void **state)
{
	struct machine m = machine_open(true, 2);
	struct xbzt_region *r = xbzt_region(m.s, "r", 1000);
	struct xbzt_slot *slot = add_slot(&m, 4, r, 0, 500);
	unsigned int i;

	(void)state;
	xbzt_dirty_all(r);
	for (i = 0; i < 8; i++) {
		scribble_sync_pass(&m, 30);
		/* Fetched when it is given back, and encoded without it. */
		xbzt_slot_scribble(slot, 30);
		sync_ok(&m);
		assert_int_equal(xbzt_slot_del(m.s, 4), 0);
		if (i % 2)
			xbzt_pass(m.s);
		*slot = xbzt_slot(m.vm, 4, xbzt_page(r, 100 * i % 500), 500);
		assert_int_equal(xbzt_slot_set(m.s, slot, r), 0);
	}
	scribble_sync_pass(&m, 30);
	machine_close(&m);
}

/* Breaks if the session does not hold the VM's file itself. */
static void test_vm_file_closed(void **state)
{
	struct machine m = machine_open(true, 1);
	struct xbzt_region *r = xbzt_region(m.s, "r", 100);
	struct xbzrle_sync sync;

	(void)state;
	add_slot(&m, 0, r, 0, 100);
	xbzt_dirty_all(r);
	scribble_sync_pass(&m, 50);
	xbzt_slot_scribble(&m.slots[0], 50);
	close(m.vm);
	assert_int_equal(xbzt_sync(m.s, &sync), 0);
	assert_int_equal(sync.slots_failed, 0);
	xbzt_pass(m.s);
	xbzt_assert_equal(r);
	xbzt_close(m.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unaligned_slots),
		cmocka_unit_test(test_unaligned_slots_legacy),
		cmocka_unit_test(test_legacy_needs_no_clear),
		cmocka_unit_test(test_two_slots_show_the_same_pages),
		cmocka_unit_test(test_large_region),
		cmocka_unit_test(test_large_region_legacy),
		cmocka_unit_test(test_log_blocks_smallest),
		cmocka_unit_test(test_log_blocks_between),
		cmocka_unit_test(test_log_blocks_default),
		cmocka_unit_test(test_log_blocks_largest),
		cmocka_unit_test(test_new_dirty_is_counted),
		cmocka_unit_test(test_slot_deleted_under_the_session),
		cmocka_unit_test(test_bad_slot_does_not_block_its_queue),
		cmocka_unit_test(test_slot_of_another_size),
		cmocka_unit_test(test_slot_of_another_size_legacy),
		cmocka_unit_test(test_slot_larger_within_a_word),
		cmocka_unit_test(test_slot_resized_under_the_session),
		cmocka_unit_test(test_slots_come_and_go),
		cmocka_unit_test(test_vm_file_closed),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
