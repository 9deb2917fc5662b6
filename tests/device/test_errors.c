// SPDX-License-Identifier: GPL-2.0-only
/*
 * The errors that uapi/linux/xbzrle.h lists for each ioctl, each provoked, and
 * that the session works afterwards. How arguments are taken is
 * test_arguments.c's, other processes are test_foreign.c's.
 */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static struct xbzrle_setup good_setup(void)
{
	return (struct xbzrle_setup){
		.size = sizeof(struct xbzrle_setup),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = 1,
		.ring_bytes = XBZT_RING_MIN,
		.vm_fd = -1,
		.name = "test",
	};
}

/* A session that is made is closed at once, and no other file is left open. */
static void expect_setup(int device, struct xbzrle_setup arg, int ret)
{
	int lowest = xbzt_lowest_fd();
	int fd = xbzt_setup(device, &arg);

	if (fd >= 0)
		close(fd);
	assert_int_equal(fd < 0 ? fd : 0, ret);
	assert_int_equal(xbzt_lowest_fd(), lowest);
}

#define EXPECT_SETUP(fd, ret, assign) \
	do { \
		struct xbzrle_setup arg = good_setup(); \
		arg.assign; \
		expect_setup(fd, arg, ret); \
	} while (0)

/* Breaks if a size or a number outside the bounds makes a session. */
static void test_setup_bounds(void **state)
{
	int fd = xbzt_device();

	(void)state;
	EXPECT_SETUP(fd, -EDOM, page_shift = 0);
	EXPECT_SETUP(fd, -EDOM, page_shift = 13);
	EXPECT_SETUP(fd, -EDOM, page_shift = 21);
	EXPECT_SETUP(fd, -EDOM, page_shift = ~0U);
	EXPECT_SETUP(fd, -ERANGE, nr_queues = 0);
	EXPECT_SETUP(fd, -ERANGE, nr_queues = XBZRLE_MAX_QUEUES + 1);
	EXPECT_SETUP(fd, -ERANGE, nr_queues = ~0U);
	EXPECT_SETUP(fd, -ERANGE, ring_bytes = 0);
	EXPECT_SETUP(fd, -ERANGE, ring_bytes = XBZT_RING_MIN / 2);
	EXPECT_SETUP(fd, -ERANGE, ring_bytes = 3 << 20);
	EXPECT_SETUP(fd, -ERANGE, ring_bytes = XBZT_RING_MIN + 1);
	EXPECT_SETUP(fd, -ERANGE, ring_bytes = 1ULL << 29);
	EXPECT_SETUP(fd, -ERANGE, ring_bytes = 1ULL << 63);
	expect_setup(fd, good_setup(), 0);
	close(fd);
}

/* Breaks if a log block of another size is taken, or one within the bounds not. */
static void test_setup_log_block(void **state)
{
	const struct xbzrle_info info = xbzt_info();
	const uint32_t refused[] = {
		1, 2, 64, info.log_block_pages_min - 1,
		info.log_block_pages_min + 1, info.log_block_pages_min / 2,
		3 * info.log_block_pages_min, info.log_block_pages_max - 1,
		info.log_block_pages_max + 1, 2 * info.log_block_pages_max,
		1U << 31, ~0U,
	};
	int fd = xbzt_device();
	uint32_t pages;
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(refused); i++)
		EXPECT_SETUP(fd, -ERANGE, log_block_pages = refused[i]);
	for (pages = info.log_block_pages_min;
	     pages <= info.log_block_pages_max; pages *= 2)
		EXPECT_SETUP(fd, 0, log_block_pages = pages);
	EXPECT_SETUP(fd, 0, log_block_pages = 0);
	close(fd);
}

/* Breaks if a name without an end is read on, or the longest is refused. */
static void test_setup_name(void **state)
{
	struct xbzrle_setup arg = good_setup();
	int fd = xbzt_device();

	(void)state;
	memset(arg.name, 'x', sizeof(arg.name));
	expect_setup(fd, arg, -EINVAL);
	arg.name[sizeof(arg.name) - 1] = 0;
	expect_setup(fd, arg, 0);
	EXPECT_SETUP(fd, 0, name[0] = 0);
	close(fd);
}

/* Breaks if rings that no host has room for are more than an error. */
static void test_setup_without_memory(void **state)
{
	const struct xbzrle_info info = xbzt_info();
	struct xbzrle_setup arg = good_setup();
	int fd = xbzt_device();

	(void)state;
	arg.nr_queues = XBZRLE_MAX_QUEUES;
	arg.ring_bytes = info.ring_bytes_max;
	expect_setup(fd, arg, -ENOMEM);
	xbzt_assert_all_freed();
	expect_setup(fd, good_setup(), 0);
	close(fd);
}

/* Breaks if a session without a number for its file is more than an error. */
static void test_setup_without_files(void **state)
{
	struct xbzrle_setup setup = good_setup();
	struct rlimit files, none;
	int fd = xbzt_device();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = files;
	none.rlim_cur = fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(xbzt_setup(fd, &setup), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	xbzt_assert_all_freed();
	expect_setup(fd, good_setup(), 0);
	close(fd);
}

/* Breaks if a file that is no VM gets KVM's ioctls, or a number any file. */
static void test_setup_vm(void **state)
{
	struct xbzrle_setup setup = good_setup();
	int pipes[2], i, fd = xbzt_device(), session = xbzt_setup(fd, &setup);
	int files[] = {
		open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
		open("/dev/null", O_RDWR | O_CLOEXEC),
		open("/dev/xbz_fakevm", O_RDWR | O_CLOEXEC),
		eventfd(0, EFD_CLOEXEC),
		memfd_create("kvm-vm", MFD_CLOEXEC),
		xbzt_vm_named(0, "kvm-vcpu:0"),
		xbzt_vm_named(0, "kvm-vm2"),
		xbzt_vm_named(0, "kvm-v"),
	};
	int vm = xbzt_vm(0);

	(void)state;
	for (i = 0; i < (int)XBZT_ARRAY_SIZE(files); i++) {
		assert_true(files[i] >= 0);
		EXPECT_SETUP(fd, -EBADFD, vm_fd = files[i]);
		close(files[i]);
		EXPECT_SETUP(fd, -EBADF, vm_fd = files[i]);
	}
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	EXPECT_SETUP(fd, -EBADFD, vm_fd = pipes[0]);
	EXPECT_SETUP(fd, -EBADFD, vm_fd = pipes[1]);
	EXPECT_SETUP(fd, -EBADFD, vm_fd = fd);
	EXPECT_SETUP(fd, -EBADFD, vm_fd = session);
	EXPECT_SETUP(fd, -EBADF, vm_fd = 1 << 20);
	EXPECT_SETUP(fd, -EBADF, vm_fd = 0x7fffffff);
	EXPECT_SETUP(fd, -EINVAL, flags = XBZRLE_SETUP_MANUAL_PROTECT);
	/* It is not called but for what it may be asked. */
	assert_int_equal(xbzt_vm_counters(vm, XBZ_FAKEVM_ALL_SLOTS).others, 0);
	EXPECT_SETUP(fd, 0, vm_fd = vm);
	EXPECT_SETUP(fd, 0, vm_fd = vm);
	assert_int_equal(xbzt_vm_counters(vm, XBZ_FAKEVM_ALL_SLOTS).others, 0);
	close(pipes[0]);
	close(pipes[1]);
	close(vm);
	close(session);
	close(fd);
}

static int region_set(struct xbzt_fixture *f, const void *addr,
		      uint64_t nr_pages, const char *name)
{
	struct xbzrle_region arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)addr,
		.nr_pages = nr_pages,
	};

	snprintf((char *)arg.name, sizeof(arg.name), "%s", name);
	return xbzt_ioctl(f->s->fd, XBZRLE_REGION_SET, &arg);
}

static int region_del(struct xbzt_fixture *f, uint32_t region)
{
	struct xbzrle_region_del arg = { .size = sizeof(arg),
					 .region = region };

	return xbzt_ioctl(f->s->fd, XBZRLE_REGION_DEL, &arg);
}

/* Breaks if a region that cannot be is added. */
static void test_region_set(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	const uint8_t *free = f.free, *ram = f.ram->mem;
	struct xbzrle_region endless = {
		.size = sizeof(endless),
		.addr = (uintptr_t)free,
		.nr_pages = 1,
	};

	(void)state;
	assert_int_equal(region_set(&f, free + 1, 1, "r"), -EINVAL);
	assert_int_equal(region_set(&f, free + 2048, 1, "r"), -EINVAL);
	assert_int_equal(region_set(&f, free, 0, "r"), -EINVAL);
	assert_int_equal(region_set(&f, free, 1, ""), -EINVAL);
	memset(endless.name, 'e', sizeof(endless.name));
	assert_int_equal(xbzt_ioctl(f.s->fd, XBZRLE_REGION_SET, &endless),
			 -EINVAL);

	assert_int_equal(region_set(&f, free, 1, "ram"), -EEXIST);
	assert_int_equal(region_set(&f, ram, 200, "r"), -EEXIST);
	assert_int_equal(region_set(&f, ram, 1, "r"), -EEXIST);
	assert_int_equal(region_set(&f, ram + 199 * XBZT_PAGE, 1, "r"),
			 -EEXIST);
	assert_int_equal(region_set(&f, ram + 100 * XBZT_PAGE, 1, "r"),
			 -EEXIST);
	assert_int_equal(region_set(&f, ram - XBZT_PAGE, 2, "r"), -EEXIST);
	assert_int_equal(region_set(&f, ram + 199 * XBZT_PAGE, 2, "r"),
			 -EEXIST);
	assert_int_equal(region_set(&f, ram - XBZT_PAGE, 300, "r"), -EEXIST);

	/* A prefix of a name is another name. */
	assert_int_equal(region_set(&f, free, 1, "ra"), 0);
	assert_int_equal(region_set(&f, free + XBZT_PAGE, 1, "ram2"), 0);
	assert_int_equal(region_set(&f, free + 2 * XBZT_PAGE, 6, "rest"), 0);
	for (uint32_t id = 2; id < 5; id++)
		assert_int_equal(region_del(&f, id), 0);
	xbzt_fixture_done(&f);
}

/* Breaks if memory that is not there, or not the process's, becomes a region. */
static void test_region_not_mapped(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	uint8_t *hole = xbzt_memory(6);

	(void)state;
	munmap(hole + 3 * XBZT_PAGE, XBZT_PAGE);
	munmap(hole + 5 * XBZT_PAGE, XBZT_PAGE);
	assert_int_equal(region_set(&f, hole + 3 * XBZT_PAGE, 1, "r"), -ENXIO);
	assert_int_equal(region_set(&f, hole, 5, "r"), -ENXIO);
	assert_int_equal(region_set(&f, hole + 4 * XBZT_PAGE, 2, "r"), -ENXIO);
	assert_int_equal(region_set(&f, hole + 3 * XBZT_PAGE, 2, "r"), -ENXIO);
	assert_int_equal(region_set(&f, NULL, 1, "r"), -ENXIO);
	/* The kernel's half of the address space, and across its border. */
	assert_int_equal(region_set(&f, (void *)(1UL << 63), 1, "r"), -ENXIO);
	assert_int_equal(region_set(&f, (void *)0xffffffff81000000, 1, "r"),
			 -ENXIO);
	assert_int_equal(region_set(&f, (void *)~0xfffUL, 1, "r"), -ENXIO);
	assert_int_equal(region_set(&f, (void *)~0xfffUL, 2, "r"), -ENXIO);
	/* More than any session may have, and what overflows in bytes. */
	assert_int_equal(region_set(&f, hole, 1ULL << 40, "r"), -ENOSPC);
	assert_int_equal(region_set(&f, hole, 1ULL << 52, "r"), -ENOSPC);
	assert_int_equal(region_set(&f, hole, ~0ULL, "r"), -ENOSPC);
	assert_int_equal(region_set(&f, hole, 3, "r"), 0);
	assert_int_equal(region_set(&f, hole + 4 * XBZT_PAGE, 1, "q"), 0);
	xbzt_fixture_done(&f);
	munmap(hole, 6 * XBZT_PAGE);
}

/* Breaks if the number of regions has no bound, or a lower one. */
static void test_region_too_many(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	uint8_t *mem = xbzt_memory(XBZRLE_MAX_REGIONS);
	unsigned int i;
	char name[16];

	(void)state;
	for (i = 2; i < XBZRLE_MAX_REGIONS; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		assert_int_equal(region_set(&f, mem + i * XBZT_PAGE, 1, name),
				 0);
	}
	assert_int_equal(region_set(&f, mem, 1, "more"), -ENOSPC);
	xbzt_assert_works(f.s);
	assert_int_equal(region_del(&f, 700), 0);
	assert_int_equal(region_set(&f, mem, 1, "more"), 0);
	assert_int_equal(region_set(&f, mem + XBZT_PAGE, 1, "most"), -ENOSPC);
	for (i = 2; i < XBZRLE_MAX_REGIONS; i++)
		assert_int_equal(region_del(&f, i), 0);
	xbzt_fixture_done(&f);
	munmap(mem, XBZRLE_MAX_REGIONS * XBZT_PAGE);
}

/* Breaks if a region goes while a slot lies in it, or one that is not there. */
static void test_region_del(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	uint32_t spare = f.spare->id;

	(void)state;
	assert_int_equal(region_del(&f, 2), -ENOENT);
	assert_int_equal(region_del(&f, XBZRLE_MAX_REGIONS), -ENOENT);
	assert_int_equal(region_del(&f, ~0U), -ENOENT);
	assert_int_equal(region_del(&f, f.ram->id), -EBUSY);
	assert_int_equal(region_del(&f, spare), 0);
	xbzt_region_forget(f.s, f.spare);
	assert_int_equal(region_del(&f, spare), -ENOENT);
	xbzt_fixture_done(&f);
}

static int slot_set(struct xbzt_session *s, uint32_t slot, uint32_t region,
		    uint64_t first_page, uint64_t nr_pages)
{
	struct xbzrle_slot arg = {
		.size = sizeof(arg),
		.slot = slot,
		.region = region,
		.first_page = first_page,
		.nr_pages = nr_pages,
	};

	return xbzt_ioctl(s->fd, XBZRLE_SLOT_SET, &arg);
}

/* Breaks if a slot reaches out of its region, or is harvested twice. */
static void test_slot_set(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	struct xbzt_session *bare = xbzt_open(NULL);
	unsigned int i;

	(void)state;
	xbzt_region(bare, "ram", 5);
	assert_int_equal(slot_set(bare, 0, 0, 0, 5), -ENODEV);
	xbzt_assert_works(bare);
	xbzt_close(bare);

	assert_int_equal(slot_set(f.s, 9, 2, 0, 1), -ENOENT);
	assert_int_equal(slot_set(f.s, 9, ~0U, 0, 1), -ENOENT);
	assert_int_equal(slot_set(f.s, 9, 0, 0, 0), -ERANGE);
	assert_int_equal(slot_set(f.s, 9, 0, 200, 1), -ERANGE);
	assert_int_equal(slot_set(f.s, 9, 0, 200, 0), -ERANGE);
	assert_int_equal(slot_set(f.s, 9, 0, 0, 201), -ERANGE);
	assert_int_equal(slot_set(f.s, 9, 0, 199, 2), -ERANGE);
	assert_int_equal(slot_set(f.s, 9, 0, 1, ~0ULL), -ERANGE);
	assert_int_equal(slot_set(f.s, 9, 0, ~0ULL, 2), -ERANGE);
	assert_int_equal(slot_set(f.s, 9, 0, ~0ULL, 1), -ERANGE);
	assert_int_equal(slot_set(f.s, FIXTURE_SLOT, 0, 0, 10), -EEXIST);
	assert_int_equal(slot_set(f.s, FIXTURE_SLOT, 1, 0, 10), -EEXIST);
	assert_int_equal(xbzt_slot_del(f.s, 9), -ENOENT);
	assert_int_equal(xbzt_slot_del(f.s, ~0U), -ENOENT);

	/* One is there already. Any number may be a slot's. */
	for (i = 1; i < XBZRLE_MAX_SLOTS; i++)
		assert_int_equal(slot_set(f.s, ~0U - i, 1, i % 10, 1), 0);
	assert_int_equal(slot_set(f.s, 9, 1, 0, 1), -ENOSPC);
	assert_int_equal(xbzt_slot_del(f.s, ~0U - 1), 0);
	assert_int_equal(slot_set(f.s, ~0U, 1, 0, 1), 0);
	assert_int_equal(xbzt_slot_del(f.s, ~0U), 0);
	assert_int_equal(xbzt_slot_del(f.s, ~0U), -ENOENT);
	for (i = 2; i < XBZRLE_MAX_SLOTS; i++)
		assert_int_equal(xbzt_slot_del(f.s, ~0U - i), 0);
	xbzt_fixture_done(&f);
}

/* Breaks if scratch memory is used that cannot hold what goes there. */
static void test_sync(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	const uint64_t need = XBZRLE_SCRATCH_SYNC(FIXTURE_SLOT_PAGES);
	const uint64_t addr = (uintptr_t)f.s->scratch;
	const struct {
		uint64_t scratch, bytes;
		int ret;
	} cases[] = {
		{ addr, 0, -EINVAL },
		{ addr, need - 1, -EINVAL },
		{ addr, need - 8, -EINVAL },
		{ addr + 4, need, -EINVAL },
		{ addr + 1, need, -EINVAL },
		{ 0, need, -EINVAL },
		{ addr, need, 0 },
		{ addr + 8, need, 0 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(cases); i++) {
		struct xbzrle_sync arg = {
			.size = sizeof(arg),
			.scratch = cases[i].scratch,
			.scratch_bytes = cases[i].bytes,
		};

		assert_int_equal(xbzt_ioctl(f.s->fd, XBZRLE_SYNC, &arg),
				 cases[i].ret);
		if (!cases[i].ret)
			assert_int_equal(arg.slots_failed, 0);
	}
	xbzt_fixture_done(&f);
}

#define NR_BAD_SCRATCHES 7

/* Memory to which KVM's struct, or its bitmap, cannot be written. */
static uint8_t *bad_scratches(const struct xbzt_fixture *f, uint64_t *scratches)
{
	uint8_t *mem = xbzt_memory(3);
	const uint64_t bad[NR_BAD_SCRATCHES] = {
		(uintptr_t)mem, /* read-only */
		(uintptr_t)mem + XBZT_PAGE - XBZRLE_SCRATCH_HEAD, /* its head */
		(uintptr_t)mem + 2 * XBZT_PAGE, /* not mapped */
		(uintptr_t)mem + 2 * XBZT_PAGE - XBZRLE_SCRATCH_HEAD, /* half */
		(uintptr_t)f->s->queues[0].prod, /* the module's */
		1UL << 63, /* the kernel's */
		~0UL - 7,
	};

	mprotect(mem, XBZT_PAGE, PROT_READ);
	munmap(mem + 2 * XBZT_PAGE, XBZT_PAGE);
	memcpy(scratches, bad, sizeof(bad));
	return mem;
}

/* Breaks if memory that KVM cannot write to costs bits, or the session. */
static void test_sync_bad_scratch(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	uint64_t scratches[NR_BAD_SCRATCHES];
	uint8_t *mem = bad_scratches(&f, scratches);
	struct xbzrle_sync arg;
	unsigned int i;

	(void)state;
	xbzt_slot_scribble(&f.slot, 40);
	for (i = 0; i < NR_BAD_SCRATCHES; i++) {
		arg = (struct xbzrle_sync){
			.size = sizeof(arg),
			.scratch = scratches[i],
			.scratch_bytes = 1 << 20,
		};
		assert_int_equal(xbzt_ioctl(f.s->fd, XBZRLE_SYNC, &arg), 0);
		assert_int_equal(arg.slots_failed, 1);
		assert_int_equal(arg.failed_slot, FIXTURE_SLOT);
		assert_int_equal(arg.failed_errno, EFAULT);
	}
	xbzt_fixture_done(&f);
	munmap(mem, 2 * XBZT_PAGE);
}

static int clear(struct xbzt_fixture *f, uint32_t region, uint64_t first,
		 uint64_t nr, uint64_t scratch, uint64_t bytes)
{
	struct xbzrle_clear arg = {
		.size = sizeof(arg),
		.region = region,
		.first_page = first,
		.nr_pages = nr,
		.scratch = scratch,
		.scratch_bytes = bytes,
	};

	return xbzt_ioctl(f->s->fd, XBZRLE_CLEAR, &arg);
}

/* Breaks if the log is cleared for pages that the caller did not name right. */
static void test_clear(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	const uint64_t scratch = (uintptr_t)f.s->scratch;
	const uint64_t bytes = XBZRLE_SCRATCH_MIN;
	struct xbzrle_sync sync;

	(void)state;
	xbzt_slot_scribble(&f.slot, 40);
	assert_int_equal(xbzt_sync(f.s, &sync), 0);

	assert_int_equal(clear(&f, 2, 0, 1, scratch, bytes), -ENOENT);
	assert_int_equal(clear(&f, ~0U, 0, 1, scratch, bytes), -ENOENT);
	assert_int_equal(clear(&f, 0, 0, 0, scratch, bytes), -ERANGE);
	assert_int_equal(clear(&f, 0, 0, 201, scratch, bytes), -ERANGE);
	assert_int_equal(clear(&f, 0, 200, 1, scratch, bytes), -ERANGE);
	assert_int_equal(clear(&f, 0, 2, ~0ULL, scratch, bytes), -ERANGE);
	assert_int_equal(clear(&f, 0, ~0ULL, 2, scratch, bytes), -ERANGE);
	assert_int_equal(clear(&f, 0, 0, 200, scratch + 4, bytes), -EINVAL);
	assert_int_equal(clear(&f, 0, 0, 200, scratch, bytes - 1), -EINVAL);
	assert_int_equal(clear(&f, 0, 0, 200, 0, bytes), -EINVAL);
	assert_int_equal(xbzt_vm_counters(f.vm, FIXTURE_SLOT).clears, 0);

	xbzt_vm_inject(f.vm, XBZ_FAKEVM_CLEAR, ENOENT, 0, 1, false);
	assert_int_equal(clear(&f, 0, 0, 200, scratch, bytes), -EIO);
	/* The memory cannot be written to: not what KVM says, but the same. */
	assert_int_equal(clear(&f, 0, 0, 200, 1UL << 63, bytes), -EIO);
	assert_true(xbzt_slot_nr_dirty(&f.slot) > 0);
	assert_int_equal(clear(&f, 0, 0, 200, scratch, bytes), 0);
	assert_int_equal(xbzt_slot_nr_dirty(&f.slot), 0);
	xbzt_fixture_done(&f);
}

/*
 * Breaks if a piece of the log that cannot be cleared, as there is no memory to
 * say it in, is taken for clear: its pages stay dirty, here and in KVM's log.
 */
static void test_clear_bad_scratch(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	uint64_t scratches[NR_BAD_SCRATCHES];
	uint8_t *mem = bad_scratches(&f, scratches);
	uint64_t dirty, logged;
	struct xbzrle_sync sync;
	unsigned int i;

	(void)state;
	xbzt_slot_scribble(&f.slot, 40);
	assert_int_equal(xbzt_sync(f.s, &sync), 0);
	dirty = xbzt_nr_dirty(f.ram);
	logged = xbzt_slot_nr_dirty(&f.slot);
	for (i = 0; i < NR_BAD_SCRATCHES; i++) {
		struct xbzrle_encode batch = {
			.size = sizeof(batch),
			.scratch = scratches[i],
			.scratch_bytes = 1 << 20,
		};

		assert_int_equal(clear(&f, 0, 0, 200, scratches[i], 1 << 20),
				 -EIO);
		assert_int_equal(xbzt_ioctl(f.s->fd, XBZRLE_ENCODE, &batch), 0);
		assert_true(batch.status & XBZRLE_STATUS_LOG);
		assert_int_equal(batch.pages, 0);
		assert_int_equal(xbzt_nr_dirty(f.ram), dirty);
		assert_int_equal(xbzt_slot_nr_dirty(&f.slot), logged);
	}
	xbzt_fixture_done(&f);
	munmap(mem, 2 * XBZT_PAGE);
}

/* Breaks if an ENCODE that cannot be done takes a bit or a byte of the ring. */
static void test_encode(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	struct xbzrle_encode good = {
		.size = sizeof(good),
		.scratch = (uintptr_t)f.s->scratch,
		.scratch_bytes = XBZRLE_SCRATCH_MIN,
	}, arg;
	uint64_t dirty = xbzt_nr_dirty(f.ram);
	struct xbzrle_sync sync;

	(void)state;
#define EXPECT_ENCODE(ret, assign) \
	do { \
		arg = good; \
		arg.assign; \
		assert_int_equal(xbzt_ioctl(f.s->fd, XBZRLE_ENCODE, &arg), \
				 ret); \
	} while (0)
	EXPECT_ENCODE(-ENOENT, queue = 2);
	EXPECT_ENCODE(-ENOENT, queue = ~0U);
	EXPECT_ENCODE(-EINVAL, scratch = 0);
	EXPECT_ENCODE(-EINVAL, scratch += 2);
	EXPECT_ENCODE(-EINVAL, scratch_bytes = 0);
	EXPECT_ENCODE(-EINVAL, scratch_bytes--);
	assert_int_equal(xbzt_nr_dirty(f.ram), dirty);
	assert_int_equal(f.s->queues[0].prod->pos, 0);

	/* Scratch memory that cannot be written to is found out late. */
	xbzt_slot_scribble(&f.slot, 40);
	assert_int_equal(xbzt_sync(f.s, &sync), 0);
	dirty = xbzt_nr_dirty(f.ram);
	EXPECT_ENCODE(0, scratch = 1UL << 63);
	assert_true(arg.status & XBZRLE_STATUS_LOG);
	assert_int_equal(arg.bytes, 0);
	assert_int_equal(xbzt_nr_dirty(f.ram), dirty);
	xbzt_fixture_done(&f);

	/* Without slots none is needed. */
	f.s = xbzt_open(NULL);
	xbzt_dirty_all(xbzt_region(f.s, "ram", 3));
	EXPECT_ENCODE(0, scratch = 0);
	assert_int_equal(arg.pages, 3);
	xbzt_close(f.s);
}

/*
 * Breaks if guest memory with an uncorrectable error is more than an error of its page:
 * the others are encoded, and it is, too, once it was replaced.
 */
static void test_poisoned_memory(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 5);
	uint8_t *bad = xbzt_page(r, 2);
	struct xbzrle_encode arg = { 0 };

	(void)state;
	memset(r->mem, 0x11, 5 * XBZT_PAGE);
	if (madvise(bad, XBZT_PAGE, MADV_HWPOISON)) {
		xbzt_close(s);
		skip();
	}
	xbzt_dirty_all(r);
	assert_int_equal(xbzt_encode_raw(s, 0, &arg), 0);
	assert_true(arg.status & XBZRLE_STATUS_FAULT);
	assert_int_equal(arg.fault_page, 2);
	assert_int_equal(xbzt_nr_dirty(r), 3);
	xbzt_apply(s, 0, &arg);
	xbzt_release(s, 0, s->queues[0].pos);

	assert_ptr_equal(mmap(bad, XBZT_PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), bad);
	memset(bad, 0x22, XBZT_PAGE);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

/* Breaks if more is forgotten than was named, or nothing. */
static void test_invalidate_and_counters(void **state)
{
	static const struct {
		uint32_t region;
		uint64_t first, nr;
		int ret;
	} cases[] = {
		{ 2, 0, 1, -ENOENT },	    { ~0U, 0, 1, -ENOENT },
		{ 0, 0, 0, -ERANGE },	    { 0, 0, 201, -ERANGE },
		{ 0, 200, 1, -ERANGE },	    { 0, 1, ~0ULL, -ERANGE },
		{ 0, ~0ULL, 1, -ERANGE },   { 0, ~0ULL, ~0ULL, -ERANGE },
		{ 0, 199, 1, 0 },	    { 0, 0, 200, 0 },
	};
	struct xbzt_fixture f = xbzt_fixture();
	struct xbzrle_counters c = { .size = sizeof(c) };
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(cases); i++) {
		struct xbzrle_invalidate arg = {
			.size = sizeof(arg),
			.region = cases[i].region,
			.first_page = cases[i].first,
			.nr_pages = cases[i].nr,
		};

		assert_int_equal(xbzt_ioctl(f.s->fd, XBZRLE_INVALIDATE, &arg),
				 cases[i].ret);
	}
	for (c.queue = 2; c.queue; c.queue <<= 1)
		assert_int_equal(xbzt_ioctl(f.s->fd, XBZRLE_COUNTERS, &c),
				 -ENOENT);
	c.queue = ~0U - 1;
	assert_int_equal(xbzt_ioctl(f.s->fd, XBZRLE_COUNTERS, &c), -ENOENT);
	xbzt_fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_setup_bounds),
		cmocka_unit_test(test_setup_log_block),
		cmocka_unit_test(test_setup_name),
		cmocka_unit_test(test_setup_without_memory),
		cmocka_unit_test(test_setup_without_files),
		cmocka_unit_test(test_setup_vm),
		cmocka_unit_test(test_region_set),
		cmocka_unit_test(test_region_not_mapped),
		cmocka_unit_test(test_region_too_many),
		cmocka_unit_test(test_region_del),
		cmocka_unit_test(test_slot_set),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_sync_bad_scratch),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_clear_bad_scratch),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_poisoned_memory),
		cmocka_unit_test(test_invalidate_and_counters),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
