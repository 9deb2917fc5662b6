// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which ioctls each kind of file has, and how every ioctl takes its argument:
 * sizes, flags, reserved words, pointers.
 * Each misuse is tried on each ioctl with an argument that is valid otherwise,
 * then the valid call is made, and then the session has to do its work. What
 * the members mean is test_errors.c's.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

union arg {
	struct {
		uint32_t size;
		uint32_t flags;
	} head;
	struct xbzrle_info info;
	struct xbzrle_setup setup;
	struct xbzrle_region region;
	struct xbzrle_region_del region_del;
	struct xbzrle_slot slot;
	struct xbzrle_slot_del slot_del;
	struct xbzrle_sync sync;
	struct xbzrle_clear clear;
	struct xbzrle_encode encode;
	struct xbzrle_invalidate invalidate;
	struct xbzrle_cache cache;
	struct xbzrle_counters counters;
};

/* Where an ioctl's valid argument comes from. */
static void make_info(struct xbzt_fixture *f, union arg *arg)
{
	(void)f;
	(void)arg;
}

static void make_setup(struct xbzt_fixture *f, union arg *arg)
{
	(void)f;
	arg->setup.page_shift = XBZRLE_PAGE_SHIFT;
	arg->setup.nr_queues = 1;
	arg->setup.ring_bytes = XBZT_RING_MIN;
	arg->setup.vm_fd = -1;
}

static void make_region(struct xbzt_fixture *f, union arg *arg)
{
	arg->region.addr = (uintptr_t)f->free;
	arg->region.nr_pages = FIXTURE_FREE;
	memcpy(arg->region.name, "new", sizeof("new"));
}

static void make_region_del(struct xbzt_fixture *f, union arg *arg)
{
	arg->region_del.region = f->spare->id;
}

static void make_slot(struct xbzt_fixture *f, union arg *arg)
{
	arg->slot.slot = FIXTURE_SLOT + 1;
	arg->slot.region = f->spare->id;
	arg->slot.nr_pages = 3;
}

static void make_slot_del(struct xbzt_fixture *f, union arg *arg)
{
	(void)f;
	arg->slot_del.slot = FIXTURE_SLOT;
}

static void make_sync(struct xbzt_fixture *f, union arg *arg)
{
	arg->sync.scratch = (uintptr_t)f->s->scratch;
	arg->sync.scratch_bytes = f->s->scratch_bytes;
}

static void make_clear(struct xbzt_fixture *f, union arg *arg)
{
	arg->clear.region = f->ram->id;
	arg->clear.nr_pages = 100;
	arg->clear.scratch = (uintptr_t)f->s->scratch;
	arg->clear.scratch_bytes = f->s->scratch_bytes;
}

static void make_encode(struct xbzt_fixture *f, union arg *arg)
{
	arg->encode.max_pages = 1;
	arg->encode.scratch = (uintptr_t)f->s->scratch;
	arg->encode.scratch_bytes = f->s->scratch_bytes;
}

static void make_invalidate(struct xbzt_fixture *f, union arg *arg)
{
	arg->invalidate.region = f->ram->id;
	arg->invalidate.nr_pages = 100;
}

static void make_cache(struct xbzt_fixture *f, union arg *arg)
{
	(void)f;
	arg->cache.cache_bytes = 1 << 20;
}

static void make_counters(struct xbzt_fixture *f, union arg *arg)
{
	(void)f;
	arg->counters.queue = 1;
}

#define NO_RESERVED (~0U)

/**
 * struct call - an ioctl
 * @name: for messages
 * @cmd: its number
 * @size: of its argument, as this program was compiled
 * @ver0: of its argument in the first version, as the header says
 * @ver0_end: the same, from the last member of the first version and its size
 * @flags: the known ones
 * @reserved: where the word that must be zero is, or NO_RESERVED
 * @make: fills in a valid argument but for its head
 */
static const struct call {
	const char *name;
	unsigned int cmd;
	uint32_t size;
	uint32_t ver0;
	uint32_t ver0_end;
	uint32_t flags;
	uint32_t reserved;
	void (*make)(struct xbzt_fixture *f, union arg *arg);
} calls[] = {
#define END_OF(_struct, _member, _bytes) \
	(offsetof(struct _struct, _member) + (_bytes))
#define CALL(_cmd, _struct, _ver0, _end, _flags, _reserved, _make) \
	{ #_cmd, XBZRLE_##_cmd, sizeof(struct _struct), \
	  XBZRLE_##_ver0##_SIZE_VER0, _end, _flags, _reserved, _make }
#define RESERVED(_struct) offsetof(struct _struct, reserved)
	CALL(INFO, xbzrle_info, INFO, END_OF(xbzrle_info, log_block_pages_max, 4),
	     0, NO_RESERVED, make_info),
	CALL(SETUP, xbzrle_setup, SETUP, END_OF(xbzrle_setup, ring_stride, 8),
	     XBZRLE_SETUP_MANUAL_PROTECT | XBZRLE_SETUP_DEFAULT_CACHE |
		     XBZRLE_SETUP_DEFAULT_QUEUES,
	     NO_RESERVED, make_setup),
	CALL(REGION_SET, xbzrle_region, REGION, END_OF(xbzrle_region, name, 256), 0,
	     RESERVED(xbzrle_region), make_region),
	CALL(REGION_DEL, xbzrle_region_del, REGION_DEL,
	     END_OF(xbzrle_region_del, reserved, 4), 0,
	     RESERVED(xbzrle_region_del), make_region_del),
	CALL(SLOT_SET, xbzrle_slot, SLOT, END_OF(xbzrle_slot, nr_pages, 8), 0,
	     NO_RESERVED, make_slot),
	CALL(SLOT_DEL, xbzrle_slot_del, SLOT_DEL,
	     END_OF(xbzrle_slot_del, reserved, 4), 0, RESERVED(xbzrle_slot_del),
	     make_slot_del),
	CALL(SYNC, xbzrle_sync, SYNC, END_OF(xbzrle_sync, reserved, 4), 0,
	     RESERVED(xbzrle_sync), make_sync),
	CALL(CLEAR, xbzrle_clear, CLEAR, END_OF(xbzrle_clear, scratch_bytes, 8), 0,
	     RESERVED(xbzrle_clear), make_clear),
	CALL(ENCODE, xbzrle_encode, ENCODE, END_OF(xbzrle_encode, fault_page, 8),
	     XBZRLE_ENCODE_LAST_STAGE | XBZRLE_ENCODE_WHOLE_APART,
	     RESERVED(xbzrle_encode), make_encode),
	CALL(INVALIDATE, xbzrle_invalidate, INVALIDATE,
	     END_OF(xbzrle_invalidate, nr_pages, 8), 0,
	     RESERVED(xbzrle_invalidate), make_invalidate),
	CALL(CACHE, xbzrle_cache, CACHE, END_OF(xbzrle_cache, used_bytes, 8), 0,
	     NO_RESERVED, make_cache),
	CALL(COUNTERS, xbzrle_counters, COUNTERS,
	     END_OF(xbzrle_counters, cache_refused, 8), 0, RESERVED(xbzrle_counters),
	     make_counters),
};

/*
 * Pages for arguments: the second one is not mapped, nor will anything be by
 * itself, so far down. (Forbidding it would not do: UML does not mind.)
 */
static uint8_t *const pages = (uint8_t *)0x20000000;

static int map_page(uint8_t *page)
{
	return mmap(page, XBZT_PAGE, PROT_READ | PROT_WRITE,
		    MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == page ? 0 : -1;
}

/* These are the device's, all others are a session's. */
static bool on_device(const struct call *call)
{
	return call->cmd == XBZRLE_INFO || call->cmd == XBZRLE_SETUP;
}

/**
 * struct trial - one call to be misused
 * @call: which
 * @f: the session it is for
 * @device: the device
 * @fd: where the call belongs: the session's file or the device
 * @arg: its valid argument
 */
struct trial {
	const struct call *call;
	struct xbzt_fixture f;
	int device;
	int fd;
	union arg arg;
};

static void begin(struct trial *t, const struct call *call)
{
	memset(t, 0, sizeof(*t));
	t->call = call;
	t->f = xbzt_fixture();
	t->device = xbzt_device();
	t->fd = on_device(call) ? t->device : t->f.s->fd;
	t->arg.head.size = call->size;
	call->make(&t->f, &t->arg);
}

/* The call: 0 or -errno. A session that it has made is closed at once. */
static int make_call(const struct call *call, int fd, void *arg)
{
	int ret;

	if (call->cmd != XBZRLE_SETUP)
		return xbzt_ioctl(fd, call->cmd, arg);
	ret = xbzt_setup(fd, arg);
	return ret < 0 ? ret : close(ret);
}

static void expect(struct trial *t, void *arg, int ret, const char *what)
{
	int lowest = xbzt_lowest_fd();
	int got = make_call(t->call, t->fd, arg);

	if (got != ret)
		fail_msg("%s, %s: %s instead of %s", t->call->name, what,
			 strerror(-got), strerror(-ret));
	if (xbzt_lowest_fd() != lowest)
		fail_msg("%s, %s: a file is left open", t->call->name, what);
}

/* After the valid call: undo what it did, then the session has to work. */
static void undo(struct trial *t, const union arg *done)
{
	switch (t->call->cmd) {
	case XBZRLE_REGION_DEL:
		xbzt_region_forget(t->f.s, t->f.spare);
		break;
	case XBZRLE_SLOT_DEL:
		assert_int_equal(xbzt_slot_set(t->f.s, &t->f.slot, t->f.ram),
				 0);
		break;
	case XBZRLE_SLOT_SET:
		assert_int_equal(xbzt_slot_del(t->f.s, FIXTURE_SLOT + 1), 0);
		break;
	case XBZRLE_ENCODE:
		xbzt_apply(t->f.s, 0, &done->encode);
		xbzt_release(t->f.s, 0, t->f.s->queues[0].pos);
		break;
	}
	close(t->device);
	xbzt_fixture_done(&t->f);
}

/* What failed before left no trace: the valid call works, and so do others. */
static void end(struct trial *t)
{
	union arg arg = t->arg;

	expect(t, &arg, 0, "valid");
	undo(t, &arg);
}

/* Breaks if a struct that is too short for its ioctl is taken. */
static void test_size_too_small(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		static const uint32_t sizes[] = { 0, 1, 4, 7, 8 };
		union arg arg;
		struct trial t;
		unsigned int j;

		begin(&t, &calls[i]);
		for (j = 0; j < XBZT_ARRAY_SIZE(sizes); j++) {
			arg = t.arg;
			arg.head.size = sizes[j];
			expect(&t, &arg, -EINVAL, "short");
		}
		arg = t.arg;
		arg.head.size = t.call->ver0 - 1;
		expect(&t, &arg, -EINVAL, "one byte short");
		end(&t);
	}
}

/* Further behind than the members that a somewhat newer kernel may know. */
#define NEWER 64

/* Breaks if what the kernel does not know is ignored although it is not zero. */
static void test_size_too_large(void **state)
{
	static uint8_t longer[XBZT_PAGE];
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		const uint32_t sizes[] = { calls[i].size + NEWER, XBZT_PAGE,
					   ~0U, 1U << 31 };
		struct trial t;
		unsigned int j;

		begin(&t, &calls[i]);
		for (j = 0; j < XBZT_ARRAY_SIZE(sizes); j++) {
			memset(longer, 0, sizeof(longer));
			memcpy(longer, &t.arg, t.call->size);
			memcpy(longer, &sizes[j], sizeof(sizes[j]));
			longer[(sizes[j] < XBZT_PAGE ? sizes[j] : XBZT_PAGE) -
			       1] = 1;
			expect(&t, longer, -E2BIG, "long");
		}
		end(&t);
	}
}

/*
 * Breaks if a newer program, whose struct is longer and zero at its end, is
 * refused, or gets more written than the kernel knows.
 */
static void test_size_of_the_future(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		struct {
			union arg arg;
			uint8_t more[NEWER];
		} longer;
		struct trial t;

		begin(&t, &calls[i]);
		memset(&longer, 0, sizeof(longer));
		longer.arg = t.arg;
		longer.arg.head.size = sizeof(longer);
		expect(&t, &longer, 0, "zeros behind");
		assert_int_equal(longer.arg.head.size, sizeof(longer));
		for (size_t at = t.call->size; at < sizeof(longer); at++)
			assert_int_equal(((uint8_t *)&longer)[at], 0);
		undo(&t, &longer.arg);
	}
}

/*
 * Breaks if a struct of the first version is refused, read or written beyond its
 * end, or if a shorter one is taken: behind it no memory is mapped.
 */
static void test_size_of_the_first_version(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		uint32_t ver0 = calls[i].ver0;
		uint8_t *at = pages + XBZT_PAGE - ver0;
		union arg arg;
		struct trial t;

		begin(&t, &calls[i]);
		arg = t.arg;
		arg.head.size = ver0;
		memcpy(at, &arg, ver0);
		expect(&t, at, 0, "first version");
		memcpy(&arg, at, ver0);
		assert_int_equal(arg.head.size, ver0);
		undo(&t, &arg);

		begin(&t, &calls[i]);
		at += sizeof(uint32_t);
		arg = t.arg;
		arg.head.size = ver0 - sizeof(uint32_t);
		memcpy(at, &arg, arg.head.size);
		expect(&t, at, -EINVAL, "before the first version");
		end(&t);
	}
}

/*
 * Breaks if the header's size of a first version is not where its last member
 * ends, or if a number is missing in the table above.
 */
static void test_sizes_in_the_header(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		assert_int_equal(_IOC_NR(calls[i].cmd), i);
		assert_int_equal(calls[i].ver0, calls[i].ver0_end);
		assert_true(calls[i].ver0 <= calls[i].size);
		assert_int_equal(calls[i].ver0 % 8, 0);
	}
	assert_int_equal(i, _IOC_NR(XBZRLE_COUNTERS) + 1);
}

/* Breaks if a flag without a meaning is taken: it could never get one. */
static void test_unknown_flags(void **state)
{
	unsigned int i, bit;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		struct trial t;

		begin(&t, &calls[i]);
		for (bit = 0; bit < 32; bit++) {
			union arg arg = t.arg;

			arg.head.flags = 1U << bit;
			if (!(arg.head.flags & t.call->flags))
				expect(&t, &arg, -EOPNOTSUPP, "flag");
		}
		end(&t);
	}
}

/* Breaks if a reserved word is ignored although it is not zero. */
static void test_reserved_words(void **state)
{
	unsigned int i, bit;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		struct trial t;

		if (calls[i].reserved == NO_RESERVED)
			continue;
		begin(&t, &calls[i]);
		for (bit = 0; bit < 32; bit += 31) {
			union arg arg = t.arg;
			uint32_t word = 1U << bit;

			memcpy((uint8_t *)&arg + t.call->reserved, &word,
			       sizeof(word));
			expect(&t, &arg, -EINVAL, "reserved");
		}
		end(&t);
	}
}

/*
 * Breaks if an argument that cannot be read, or only half, or cannot be written
 * has an effect: the caller would never learn of it.
 */
static void test_bad_pointers(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		uint8_t *half, *word;
		struct trial t;

		begin(&t, &calls[i]);
		expect(&t, NULL, -EFAULT, "NULL");
		expect(&t, (void *)~0xfffUL, -EFAULT, "the kernel's memory");
		expect(&t, pages + XBZT_PAGE, -EFAULT, "not mapped");

		half = pages + XBZT_PAGE - t.call->size / 2 / 8 * 8;
		memcpy(half, &t.arg, pages + XBZT_PAGE - half);
		expect(&t, half, -EFAULT, "half mapped");
		word = pages + XBZT_PAGE - 4;
		memcpy(word, &t.arg, 4);
		expect(&t, word, -EFAULT, "only its size is mapped");
		expect(&t, pages + XBZT_PAGE - 2, -EFAULT, "half a word");

		memcpy(pages, &t.arg, t.call->size);
		mprotect(pages, XBZT_PAGE, PROT_READ);
		expect(&t, pages, -EFAULT, "read-only");
		mprotect(pages, XBZT_PAGE, PROT_READ | PROT_WRITE);
		assert_memory_equal(pages, &t.arg, t.call->size);

		/* The first half can be written, the second cannot. */
		assert_int_equal(map_page(pages + XBZT_PAGE), 0);
		memcpy(half, &t.arg, t.call->size);
		mprotect(pages + XBZT_PAGE, XBZT_PAGE, PROT_READ);
		expect(&t, half, -EFAULT, "half read-only");
		munmap(pages + XBZT_PAGE, XBZT_PAGE);
		end(&t);
	}
}

static void expect_unknown(int fd)
{
	union arg arg = { 0 };
	unsigned int i;

	arg.head.size = sizeof(arg);
	for (i = XBZT_ARRAY_SIZE(calls); i < 0x100; i++)
		assert_int_equal(xbzt_ioctl(fd, _IO(XBZRLE_IOC_TYPE, i), &arg),
				 -ENOTTY);
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		unsigned int nr = _IOC_NR(calls[i].cmd);

		assert_int_equal(xbzt_ioctl(fd, _IO(0xAE, nr), &arg), -ENOTTY);
		assert_int_equal(xbzt_ioctl(fd,
					    _IOC(_IOC_WRITE | _IOC_READ,
						 XBZRLE_IOC_TYPE, nr,
						 calls[i].size),
					    &arg), -ENOTTY);
	}
	assert_int_equal(read(fd, &arg, 8), -1);
	assert_int_equal(write(fd, &arg, 8), -1);
}

/* Breaks if a number that is no ioctl does something, on either kind of file. */
static void test_unknown_ioctls(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	int device = xbzt_device();

	(void)state;
	expect_unknown(f.s->fd);
	expect_unknown(device);
	close(device);
	xbzt_fixture_done(&f);
}

/*
 * Breaks if the device knows more than INFO and SETUP, or if a session knows one
 * of these: each valid call is made on the file to which it does not belong.
 */
static void test_each_file_has_its_own(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(calls); i++) {
		struct trial t;
		union arg arg;
		int other;

		begin(&t, &calls[i]);
		arg = t.arg;
		other = on_device(&calls[i]) ? t.f.s->fd : t.device;
		assert_int_equal(make_call(&calls[i], other, &arg), -ENOTTY);
		assert_memory_equal(&arg, &t.arg, sizeof(arg));
		end(&t);
	}
}

/* Breaks if INFO says something else than the header and the module do. */
static void test_info(void **state)
{
	struct xbzrle_info info = xbzt_info();

	(void)state;
	assert_int_equal(info.abi_version, XBZRLE_ABI_VERSION);
	assert_int_equal(info.page_shift, XBZRLE_PAGE_SHIFT);
	assert_int_equal(info.max_queues, XBZRLE_MAX_QUEUES);
	assert_int_equal(info.max_regions, XBZRLE_MAX_REGIONS);
	assert_int_equal(info.max_slots, XBZRLE_MAX_SLOTS);
	assert_int_equal(info.scratch_min, XBZRLE_SCRATCH_MIN);
	assert_true(info.features & XBZRLE_FEATURE_KVM_LOG);
	assert_true(info.features & XBZRLE_FEATURE_WHOLE_APART);
	assert_int_equal(info.ring_bytes_min, XBZT_RING_MIN);
	assert_true(info.ring_bytes_max > info.ring_bytes_min);
	assert_true(info.memory_max > 0);
	assert_non_null(memchr(info.codec, 0, sizeof(info.codec)));
	assert_int_not_equal(info.codec[0], 0);
	assert_int_equal(info.log_block_pages_min, 512);
	assert_int_equal(info.log_block_pages_max, 32768);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_size_too_small),
		cmocka_unit_test(test_size_too_large),
		cmocka_unit_test(test_size_of_the_future),
		cmocka_unit_test(test_size_of_the_first_version),
		cmocka_unit_test(test_sizes_in_the_header),
		cmocka_unit_test(test_unknown_flags),
		cmocka_unit_test(test_reserved_words),
		cmocka_unit_test(test_bad_pointers),
		cmocka_unit_test(test_unknown_ioctls),
		cmocka_unit_test(test_each_file_has_its_own),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	if (map_page(pages))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
