// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of libxbzrle's sessions: which descriptor a call uses, and what is
 * closed and unmapped when. The kernel is a replacement of ioctl() with memfds
 * for files; descriptors and mappings are real.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <xbzrle/xbzrle.h>

#define RING (64 << 10)
#define STRIDE (1 << 20)
#define QUEUES 3
#define SLOT_PAGES 1000000

/*
 * The module.
 * @device, @session: the last one that a test opened, and SETUP returned
 * @setup: what SETUP was given
 * @file_bytes: size of a session's file
 * @error: of the next ioctl
 * @calls: ioctls of a session
 */
static struct {
	int device;
	int session;
	struct xbzrle_setup setup;
	uint64_t file_bytes;
	int error;
	unsigned int calls;
} module;

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int do_setup(struct xbzrle_setup *arg)
{
	module.setup = *arg;
	arg->session = 1;
	arg->ring_offset = STRIDE;
	arg->ring_stride = STRIDE;
	module.session = memfd_create("session", MFD_CLOEXEC);
	assert_true(module.session >= 0);
	assert_int_equal(ftruncate(module.session, module.file_bytes), 0);
	return module.session;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (module.error) {
		errno = module.error;
		module.error = 0;
		return -1;
	}
	if (request == XBZRLE_INFO || request == XBZRLE_SETUP) {
		struct xbzrle_info *info = arg;

		assert_int_equal(fd, module.device);
		if (request == XBZRLE_SETUP)
			return do_setup(arg);
		info->abi_version = XBZRLE_ABI_VERSION;
		info->scratch_min = XBZRLE_SCRATCH_MIN;
		return 0;
	}
	assert_int_equal(fd, module.session);
	module.calls++;
	if (request == XBZRLE_REGION_SET) {
		struct xbzrle_region *region = arg;

		region->region = 7;
		region->bitmap_offset = 0;
		region->bitmap_bytes = XBZRLE_PAGE_SIZE;
	} else if (request == XBZRLE_SYNC) {
		struct xbzrle_sync *sync = arg;

		assert_true(sync->scratch_bytes >= XBZRLE_SCRATCH_SYNC(SLOT_PAGES));
		assert_int_equal(sync->scratch % 8, 0);
		memset((void *)(uintptr_t)sync->scratch, 0xff, sync->scratch_bytes);
	} else if (request == XBZRLE_ENCODE) {
		struct xbzrle_encode *encode = arg;

		assert_true(encode->scratch_bytes >= XBZRLE_SCRATCH_MIN);
		encode->bytes = 100;
		encode->status = XBZRLE_STATUS_IDLE;
	}
	return 0;
}

static const struct xbzrle_config config = {
	.size = sizeof(config), .flags = XBZRLE_SETUP_MANUAL_PROTECT,
	.nr_queues = QUEUES, .vm_fd = 42, .ring_bytes = RING, .cache_bytes = 123 << 12,
	.log_block_pages = 4096, .name = "unit",
};

static struct xbzrle_session *open_session(void)
{
	struct xbzrle_session *s;

	memset(&module, 0, sizeof(module));
	module.file_bytes = (QUEUES + 1) * STRIDE;
	module.device = memfd_create("device", MFD_CLOEXEC);
	assert_true(module.device >= 0);
	assert_int_equal(xbzrle_session_open_fd(&s, module.device), 0);
	return s;
}

/* Fails if a call before setup reaches the module, or has another error. */
static void before_setup(void **state)
{
	struct xbzrle_counters counters = { .size = sizeof(counters) };
	struct xbzrle_info info = { .size = sizeof(info) };
	struct xbzrle_session *s = open_session();
	struct xbzrle_batch batch;
	uint64_t *bitmap;
	uint32_t region;

	(void)state;
	assert_int_equal(xbzrle_session_info(s, &info), 0);
	assert_int_equal(info.abi_version, XBZRLE_ABI_VERSION);
	assert_int_equal(xbzrle_session_region_add(s, "a", s, 1, &region, &bitmap), -ENOTCONN);
	assert_int_equal(xbzrle_session_region_del(s, 0), -ENOTCONN);
	assert_int_equal(xbzrle_session_slot_set(s, 0, 0, 0, 1), -ENOTCONN);
	assert_int_equal(xbzrle_session_slot_del(s, 0), -ENOTCONN);
	assert_int_equal(xbzrle_session_sync(s, NULL), -ENOTCONN);
	assert_int_equal(xbzrle_session_clear(s, 0, 0, 1), -ENOTCONN);
	assert_int_equal(xbzrle_session_encode(s, 0, 0, 0, 0, &batch), -ENOTCONN);
	assert_int_equal(xbzrle_session_release(s, 0, 0), -ENOTCONN);
	assert_int_equal(xbzrle_session_invalidate(s, 0, 0, 1), -ENOTCONN);
	assert_int_equal(xbzrle_session_cache_resize(s, 0), -ENOTCONN);
	assert_int_equal(xbzrle_session_counters(s, 0, &counters), -ENOTCONN);
	assert_int_equal(module.calls, 0);
	xbzrle_session_close(s);
	assert_false(is_open(module.device));
}

/* Fails if a call uses the wrong descriptor, or a descriptor outlives close. */
static void after_setup(void **state)
{
	struct xbzrle_counters counters = { .size = sizeof(counters) };
	struct xbzrle_info info = { .size = sizeof(info) };
	struct xbzrle_session *s = open_session();
	struct xbzrle_batch batch;
	uint64_t *bitmap;
	uint32_t region;

	(void)state;
	assert_int_equal(xbzrle_session_setup(s, &config), 0);
	assert_int_equal(module.setup.nr_queues, QUEUES);
	assert_int_equal(module.setup.flags, XBZRLE_SETUP_MANUAL_PROTECT);
	assert_int_equal(module.setup.vm_fd, 42);
	assert_int_equal(module.setup.ring_bytes, RING);
	assert_int_equal(module.setup.cache_bytes, 123 << 12);
	assert_int_equal(module.setup.log_block_pages, 4096);
	assert_string_equal((const char *)module.setup.name, "unit");

	assert_int_equal(xbzrle_session_setup(s, &config), -EISCONN);
	assert_int_equal(xbzrle_session_info(s, &info), 0);
	assert_int_equal(xbzrle_session_region_add(s, "a", s, 1, &region, &bitmap), 0);
	assert_int_equal(region, 7);
	bitmap[0] = 1;
	assert_int_equal(xbzrle_session_slot_set(s, 0, region, 0, SLOT_PAGES), 0);
	assert_int_equal(xbzrle_session_slot_set(s, 1, region, 0, 1), 0);
	assert_int_equal(xbzrle_session_sync(s, NULL), 0);
	assert_int_equal(xbzrle_session_clear(s, region, 0, 1), 0);
	assert_int_equal(xbzrle_session_encode(s, QUEUES, 0, 0, 0, &batch), -ENOENT);
	assert_int_equal(xbzrle_session_encode(s, QUEUES - 1, 0, 0, 0, &batch), 0);
	assert_int_equal(batch.bytes, 100);
	assert_int_equal(((const char *)batch.data)[99], 0);
	assert_int_equal(xbzrle_session_release(s, QUEUES - 1, batch.end), 0);
	assert_int_equal(xbzrle_session_invalidate(s, region, 0, 1), 0);
	assert_int_equal(xbzrle_session_cache_resize(s, 0), 0);
	assert_int_equal(xbzrle_session_counters(s, 0, &counters), 0);
	assert_int_equal(xbzrle_session_slot_del(s, 0), 0);
	assert_int_equal(module.calls, 10);
	assert_true(is_open(module.device));
	assert_true(is_open(module.session));
	xbzrle_session_close(s);
	assert_false(is_open(module.device));
	assert_false(is_open(module.session));
}

/* Fails if a setup that fails leaves anything behind, or cannot be repeated. */
static void failed_setup(void **state)
{
	struct xbzrle_session *s = open_session();
	struct xbzrle_config wrong = config;
	struct xbzrle_batch batch;

	(void)state;
	wrong.reserved = 1;
	assert_int_equal(xbzrle_session_setup(s, &wrong), -EINVAL);
	module.error = ERANGE;
	assert_int_equal(xbzrle_session_setup(s, &config), -ERANGE);
	assert_int_equal(xbzrle_session_cache_resize(s, 0), -ENOTCONN);

	/* The first queue's data cannot be mapped, its consumer's page can. */
	wrong = config;
	wrong.ring_bytes = 1ULL << 62;
	assert_int_equal(xbzrle_session_setup(s, &wrong), -ENOMEM);
	assert_false(is_open(module.session));
	assert_int_equal(xbzrle_session_encode(s, 0, 0, 0, 0, &batch), -ENOTCONN);
	assert_int_equal(xbzrle_session_release(s, 0, 0), -ENOTCONN);

	assert_int_equal(xbzrle_session_setup(s, &config), 0);
	assert_int_equal(xbzrle_session_encode(s, 0, 0, 0, 0, &batch), 0);
	xbzrle_session_close(s);
	assert_false(is_open(module.device));
	assert_false(is_open(module.session));
}

/* Fails if the library closes a descriptor that it does not own. */
static void failed_open(void **state)
{
	struct xbzrle_session *s;

	(void)state;
	module.device = memfd_create("device", MFD_CLOEXEC);
	module.error = ENOTTY;
	assert_int_equal(xbzrle_session_open_fd(&s, module.device), -ENOTTY);
	assert_true(is_open(module.device));
	close(module.device);
	xbzrle_session_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_setup),
		cmocka_unit_test(after_setup),
		cmocka_unit_test(failed_setup),
		cmocka_unit_test(failed_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
