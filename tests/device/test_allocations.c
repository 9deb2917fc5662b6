// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory runs out: of each call that allocates, its first allocation fails, then
 * its second, and so on, by the kernel's fault injection. Whichever it is, the
 * call fails with -ENOMEM or does without, and the session is as good as before.
 * Needs a kernel that can inject faults, as the rig's uml and debug can.
 */
#include "fakevm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* More than any call has. */
#define ALLOCATIONS_MAX 2000

/* A number written here makes that allocation of this thread fail, once. */
static int fail_nth = -1;

static void set_attribute(const char *attribute, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", attribute);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return;
	assert_int_equal(write(fd, value, strlen(value)), strlen(value));
	close(fd);
}

/* By default only atomic allocations fail, and a lot is printed. */
static int group_setup(void **state)
{
	(void)state;
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	set_attribute("failslab/ignore-gfp-wait", "N");
	set_attribute("failslab/verbose", "0");
	set_attribute("fail_page_alloc/ignore-gfp-wait", "N");
	set_attribute("fail_page_alloc/ignore-gfp-highmem", "N");
	set_attribute("fail_page_alloc/min-order", "0");
	set_attribute("fail_page_alloc/verbose", "0");
	return 0;
}

static void arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	assert_int_equal(pwrite(fail_nth, text, n, 0), n);
}

/* Whether the allocation that was to fail has been asked for. */
static bool disarm(void)
{
	char text[16] = "";

	assert_true(pread(fail_nth, text, sizeof(text) - 1, 0) > 0);
	arm(0);
	return atoi(text) == 0;
}

/**
 * struct step - a call that allocates
 * @call: makes it; 0 or -errno
 * @finish: after a call that succeeded, with memory: looks at what it did and
 *	undoes it
 * @min: so many allocations of its are the module's at least
 */
struct step {
	int (*call)(struct xbzt_session *s);
	void (*finish)(struct xbzt_session *s);
	unsigned int min;
};

#define SLOT 1
#define MORE_PAGES 1024

static int vm;
static struct xbzt_region *region;
static struct xbzt_slot slot;
static uint8_t *more;

static struct xbzrle_region region_arg;

static int region_call(struct xbzt_session *s)
{
	region_arg = (struct xbzrle_region){
		.size = sizeof(region_arg),
		.addr = (uintptr_t)more,
		.nr_pages = MORE_PAGES,
		.name = "more",
	};
	return xbzt_ioctl(s->fd, XBZRLE_REGION_SET, &region_arg);
}

static void region_finish(struct xbzt_session *s)
{
	struct xbzrle_region_del arg = { .size = sizeof(arg),
					 .region = region_arg.region };

	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_DEL, &arg), 0);
}

static int slot_call(struct xbzt_session *s)
{
	struct xbzrle_slot arg = {
		.size = sizeof(arg),
		.slot = 7,
		.region = region->id,
		.nr_pages = region->nr_pages,
	};

	return xbzt_ioctl(s->fd, XBZRLE_SLOT_SET, &arg);
}

static void slot_finish(struct xbzt_session *s)
{
	struct xbzrle_slot_del arg = { .size = sizeof(arg), .slot = 7 };

	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_SLOT_DEL, &arg), 0);
}

static void *mapping;

static int map_call(struct xbzt_session *s)
{
	mapping = xbzt_map(s->fd, s->setup.ring_offset + XBZT_PAGE,
			   XBZT_PAGE + 2 * s->setup.ring_bytes, false);
	return mapping ? 0 : -errno;
}

static void map_finish(struct xbzt_session *s)
{
	munmap(mapping, XBZT_PAGE + 2 * s->setup.ring_bytes);
}

/* What failed in one slot's place failed. */
static int sync_call(struct xbzt_session *s)
{
	struct xbzrle_sync sync;
	int ret;

	xbzt_slot_dirty(&slot, 3);
	ret = xbzt_sync(s, &sync);
	return ret ? ret : -(int)sync.failed_errno;
}

static void sync_finish(struct xbzt_session *s)
{
	(void)s;
	assert_true(xbzt_is_dirty(region, 3));
	assert_true(xbzt_slot_is_dirty(&slot, 3));
}

/* KVM's error is the kernel's log's; the caller gets EIO for all of them. */
static int clear_call(struct xbzt_session *s)
{
	int ret = xbzt_clear(s, region, 0, region->nr_pages);

	return ret == -EIO ? -ENOMEM : ret;
}

static void clear_finish(struct xbzt_session *s)
{
	(void)s;
	assert_int_equal(xbzt_slot_nr_dirty(&slot), 0);
}

/* It shrinks and grows. */
static int cache_call(struct xbzt_session *s)
{
	int ret = xbzt_cache(s, 0);

	return ret ? ret : xbzt_cache(s, 1 << 20);
}

static void cache_finish(struct xbzt_session *s)
{
	(void)s;
}

static struct xbzrle_encode batch;

/* Fills the cache as it goes. */
static int encode_call(struct xbzt_session *s)
{
	batch = (struct xbzrle_encode){ .max_pages = 8 };
	return xbzt_encode_raw(s, 0, &batch);
}

/* What was encoded is right, and what was not is still dirty. */
static void encode_finish(struct xbzt_session *s)
{
	unsigned int page;

	xbzt_apply(s, 0, &batch);
	xbzt_release(s, 0, batch.pos + batch.bytes);
	for (page = 0; page < 8; page++)
		if (!xbzt_is_dirty(region, page))
			assert_false(xbzt_differs(region, page));
}

/* What was cached is dropped, by the caller if it cannot be left to the reaper. */
static int invalidate_call(struct xbzt_session *s)
{
	struct xbzrle_invalidate arg = { .size = sizeof(arg),
					 .nr_pages = region->nr_pages };
	int ret = encode_call(s);

	return ret ? ret : xbzt_ioctl(s->fd, XBZRLE_INVALIDATE, &arg);
}

/* It was for a reason: the destination has something else now. */
static void invalidate_finish(struct xbzt_session *s)
{
	unsigned int page;

	encode_finish(s);
	for (page = 0; page < 8; page++) {
		memset(xbzt_dest_page(region, page), 0xee, XBZT_PAGE);
		xbzt_dirty(region, page);
	}
	xbzt_pass(s);
	for (page = 0; page < 8; page++)
		assert_false(xbzt_differs(region, page));
}

static const struct step step_region = { region_call, region_finish, 3 };
static const struct step step_slot = { slot_call, slot_finish, 1 };
static const struct step step_map = { map_call, map_finish, 0 };
static const struct step step_sync = { sync_call, sync_finish, 0 };
static const struct step step_clear = { clear_call, clear_finish, 0 };
static const struct step step_cache = { cache_call, cache_finish, 0 };
static const struct step step_encode = { encode_call, encode_finish, 1 };
static const struct step step_invalidate = { invalidate_call, invalidate_finish, 3 };

/* A session with a region, some of which is dirty, in the slot's log, too. */
static struct xbzt_session *session(void)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = 1 << 20, .vm = vm,
		.flags = XBZRLE_SETUP_MANUAL_PROTECT });
	struct xbzrle_sync sync;
	unsigned int page;

	region = xbzt_region(s, "ram", 2048);
	/* The guest's own pages are not what is to run out. */
	memset(region->mem, 1, region->nr_pages * XBZT_PAGE);
	for (page = 0; page < 8; page++) {
		xbzt_guest_write_any(xbzt_page(region, page), &xbzt_rng);
		xbzt_dirty(region, page);
	}
	slot = xbzt_slot(vm, SLOT, region->mem, region->nr_pages);
	assert_int_equal(xbzt_slot_set(s, &slot, region), 0);
	xbzt_slot_dirty(&slot, 5);
	assert_int_equal(xbzt_sync(s, &sync), 0);
	return s;
}

static void run(const struct step *step)
{
	unsigned int nth, failed = 0;
	bool fired = true;

	for (nth = 1; fired && nth < ALLOCATIONS_MAX; nth++) {
		struct xbzt_session *s = session();
		int ret;

		arm(nth);
		ret = step->call(s);
		fired = disarm();
		if (ret && (ret != -ENOMEM || !fired))
			fail_msg("allocation %u: %s", nth, strerror(-ret));
		failed += ret != 0;
		if (!ret)
			step->finish(s);
		/* Once more, with memory. */
		assert_int_equal(step->call(s), 0);
		step->finish(s);
		xbzt_assert_works(s);
		xbzt_close(s);
	}
	nth -= 2;
	print_message("%u allocations, %u of them fatal to the call\n", nth,
		      failed);
	assert_in_range(nth, step->min, ALLOCATIONS_MAX - 3);
}

static void run_step(const struct step *step)
{
	if (fail_nth < 0)
		fail_msg("no /proc/thread-self/fail-nth: CONFIG_FAULT_INJECTION is not set");
	vm = xbzt_vm(XBZ_FAKEVM_MANUAL_PROTECT);
	more = xbzt_memory(MORE_PAGES);
	run(step);
	munmap(more, MORE_PAGES * XBZT_PAGE);
	close(vm);
}

/* Breaks if a region that is half made is forgotten, or used. */
static void test_region(void **state)
{
	(void)state;
	run_step(&step_region);
}

/* Breaks if a slot that is half made is forgotten, or used. */
static void test_slot(void **state)
{
	(void)state;
	run_step(&step_slot);
}

/* Breaks if a mapping that is half made keeps pages. */
static void test_map(void **state)
{
	(void)state;
	run_step(&step_map);
}

/* Breaks if a log that cannot be fetched is forgotten. */
static void test_sync(void **state)
{
	(void)state;
	run_step(&step_sync);
}

/* Breaks if a log that cannot be cleared is taken for clear. */
static void test_clear(void **state)
{
	(void)state;
	run_step(&step_clear);
}

/* Breaks if a smaller cache needs memory. */
static void test_cache(void **state)
{
	(void)state;
	run_step(&step_cache);
}

/* Breaks if a page whose copy cannot be kept is lost, or its copy is wrong. */
static void test_encode(void **state)
{
	(void)state;
	run_step(&step_encode);
}

/* Breaks if what is known of pages is kept because the reaper cannot be asked. */
static void test_invalidate(void **state)
{
	(void)state;
	run_step(&step_invalidate);
}

/* Pages of the guest, and of the cache while it is as large as it gets. */
#define PACKED_PAGES 700
#define PACKED_CACHE 400

/*
 * Breaks if a packed copy is lost, or is not what the destination has, where memory is
 * refused at any point, or the cache gets another size in between.
 */
static void test_packed(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = PACKED_CACHE * XBZT_PAGE });
	struct xbzt_region *r = xbzt_region(s, "ram", PACKED_PAGES);
	struct xbzrle_counters c;
	unsigned int round, packed = 0;
	uint64_t page;

	(void)state;
	if (fail_nth < 0)
		fail_msg("no /proc/thread-self/fail-nth: CONFIG_FAULT_INJECTION is not set");
	for (page = 0; page < r->nr_pages; page++)
		xbzt_guest_text(xbzt_page(r, page), &xbzt_rng);
	xbzt_dirty_all(r);
	for (round = 0; round < 60; round++) {
		if (!xbzt_below(&xbzt_rng, 3))
			assert_int_equal(xbzt_cache(s, (100 + xbzt_below(&xbzt_rng, 300)) *
						       XBZT_PAGE), 0);
		do {
			batch = (struct xbzrle_encode){
				.max_pages = 1 + xbzt_below(&xbzt_rng, 50) };
			arm(1 + xbzt_below(&xbzt_rng, 60));
			assert_int_equal(xbzt_encode_raw(s, 0, &batch), 0);
			disarm();
			xbzt_apply(s, 0, &batch);
			xbzt_release(s, 0, batch.pos + batch.bytes);
		} while (!(batch.status & XBZRLE_STATUS_IDLE));
		xbzt_assert_equal(r);
		xbzt_counters(s, 0, &c);
		packed += c.cache_packed > 0;
		for (page = 0; page < r->nr_pages; page++) {
			if (xbzt_below(&xbzt_rng, 3))
				continue;
			if (xbzt_below(&xbzt_rng, 8))
				xbzt_guest_write(xbzt_page(r, page), XBZT_SPARSE,
						 &xbzt_rng);
			else if (xbzt_below(&xbzt_rng, 2))
				xbzt_guest_text(xbzt_page(r, page), &xbzt_rng);
			else
				xbzt_guest_write_any(xbzt_page(r, page), &xbzt_rng);
			xbzt_dirty(r, page);
		}
	}
	assert_true(packed > round / 2);
	xbzt_counters(s, 0, &c);
	assert_true(c.cache_hits > 0);
	assert_true(c.cache_refused > 0);
	xbzt_close(s);
	xbzt_assert_all_freed();
}

/* Breaks if a session that is half made is leaked, or keeps the device from the next. */
static void test_open_and_setup(void **state)
{
	unsigned int nth;

	(void)state;
	if (fail_nth < 0)
		fail_msg("no /proc/thread-self/fail-nth: CONFIG_FAULT_INJECTION is not set");
	vm = xbzt_vm(0);
	for (nth = 1; nth < ALLOCATIONS_MAX; nth++) {
		struct xbzrle_setup setup = {
			.size = sizeof(setup),
			.page_shift = XBZRLE_PAGE_SHIFT,
			.nr_queues = 3,
			.ring_bytes = XBZT_RING_MIN,
			.cache_bytes = 1 << 20,
			.vm_fd = vm,
			.name = "test",
		};
		int device, fd;
		bool fired;

		arm(nth);
		device = open("/dev/xbzrle", O_RDWR | O_CLOEXEC);
		fd = device < 0 ? -errno : xbzt_setup(device, &setup);
		fired = disarm();
		if (fd < 0 && (fd != -ENOMEM || !fired))
			fail_msg("allocation %u: %s", nth, strerror(-fd));
		if (fd >= 0)
			close(fd);
		xbzt_assert_all_freed();
		if (device >= 0) {
			fd = xbzt_setup(device, &setup);
			assert_true(fd >= 0);
			close(fd);
			close(device);
		}
		if (!fired)
			break;
	}
	assert_in_range(nth, 20, ALLOCATIONS_MAX - 1);
	close(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_and_setup),
		cmocka_unit_test(test_region),
		cmocka_unit_test(test_slot),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_invalidate),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
