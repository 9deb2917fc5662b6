// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be mapped of a session and what cannot, and what becomes of the
 * mappings.
 */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int try(int fd, uint64_t offset, size_t bytes, int prot, int flags)
{
	void *p = mmap(NULL, bytes, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, bytes);
	return 0;
}

/* Breaks if anything but the documented ranges can be mapped. */
static void test_offsets_and_sizes(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	const uint64_t ring = f.s->setup.ring_offset;
	const uint64_t stride = f.s->setup.ring_stride;
	const size_t prod = XBZT_PAGE + 2 * XBZT_RING_MIN;
	struct xbzrle_region arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)f.free,
		.nr_pages = 1,
		.name = "new",
	};
	const int ro = PROT_READ, rw = PROT_READ | PROT_WRITE;
	uint64_t bitmap;

	(void)state;
#define EXPECT_MMAP(ret, ...) \
	assert_int_equal(try(f.s->fd, __VA_ARGS__, MAP_SHARED), ret)
	/* In front of the rings, if there is anything. */
	if (ring) {
		EXPECT_MMAP(-EINVAL, 0, XBZT_PAGE, ro);
		EXPECT_MMAP(-EINVAL, ring - XBZT_PAGE, XBZT_PAGE, ro);
	}
	EXPECT_MMAP(-EINVAL, ring + stride - XBZT_PAGE, XBZT_PAGE, ro);
	EXPECT_MMAP(-EINVAL, ring + 2 * XBZT_PAGE, XBZT_PAGE, ro);
	EXPECT_MMAP(-EINVAL, ring + 2 * stride, XBZT_PAGE, rw);
	EXPECT_MMAP(-EINVAL, ring + 1000000 * stride, XBZT_PAGE, rw);
	EXPECT_MMAP(-EINVAL, (1ULL << 63) - XBZT_PAGE, XBZT_PAGE, rw);

	/* The consumer's page. */
	EXPECT_MMAP(0, ring, XBZT_PAGE, rw);
	EXPECT_MMAP(0, ring + stride, XBZT_PAGE, ro);
	EXPECT_MMAP(-EINVAL, ring, 2 * XBZT_PAGE, rw);
	EXPECT_MMAP(-EINVAL, ring, XBZT_PAGE + prod, ro);

	/* The producer's page and the data. */
	EXPECT_MMAP(0, ring + XBZT_PAGE, prod, ro);
	EXPECT_MMAP(0, ring + stride + XBZT_PAGE, prod, ro);
	EXPECT_MMAP(-EINVAL, ring + XBZT_PAGE, prod - XBZT_PAGE, ro);
	EXPECT_MMAP(-EINVAL, ring + XBZT_PAGE, prod + XBZT_PAGE, ro);
	EXPECT_MMAP(-EINVAL, ring + XBZT_PAGE, XBZT_PAGE, ro);
	EXPECT_MMAP(-EPERM, ring + XBZT_PAGE, prod, rw);
	EXPECT_MMAP(-EPERM, ring + XBZT_PAGE, prod, PROT_WRITE);

	assert_int_equal(xbzt_ioctl(f.s->fd, XBZRLE_REGION_SET, &arg), 0);
	bitmap = arg.bitmap_offset;
	assert_int_equal(arg.bitmap_bytes, XBZT_PAGE);
	EXPECT_MMAP(0, bitmap, XBZT_PAGE, rw);
	EXPECT_MMAP(0, bitmap, XBZT_PAGE, ro);
	EXPECT_MMAP(-EINVAL, bitmap, 2 * XBZT_PAGE, rw);
	EXPECT_MMAP(-EINVAL, bitmap + XBZT_PAGE, XBZT_PAGE, rw);
	EXPECT_MMAP(-EINVAL, bitmap + (bitmap - ring), XBZT_PAGE, rw);
	EXPECT_MMAP(-EINVAL, bitmap + stride, XBZT_PAGE, rw);
	xbzt_fixture_done(&f);
}

/* Breaks if a mapping is private or executable, or if the file can be opened anew. */
static void test_kinds_of_mappings(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	const uint64_t ring = f.s->setup.ring_offset;
	const size_t prod = XBZT_PAGE + 2 * XBZT_RING_MIN;
	char path[64];

	(void)state;
	assert_int_equal(try(f.s->fd, ring, XBZT_PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE), -EINVAL);
	assert_int_equal(try(f.s->fd, ring + XBZT_PAGE, prod, PROT_READ,
			     MAP_PRIVATE), -EINVAL);
	assert_int_equal(try(f.s->fd, ring + XBZT_PAGE, prod,
			     PROT_READ | PROT_EXEC, MAP_SHARED), -EPERM);
	assert_int_equal(try(f.s->fd, ring, XBZT_PAGE,
			     PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED),
			 -EPERM);
	assert_int_equal(mprotect(f.s->queues[0].cons, XBZT_PAGE,
				  PROT_READ | PROT_EXEC), -1);
	assert_int_equal(mprotect((void *)f.s->queues[0].data, XBZT_PAGE,
				  PROT_READ | PROT_EXEC), -1);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f.s->fd);
	assert_int_equal(open(path, O_RDONLY | O_CLOEXEC), -1);
	xbzt_fixture_done(&f);
}

/* Breaks if there is something to map of the device, with sessions or without. */
static void test_device_has_no_mappings(void **state)
{
	struct xbzrle_setup setup = {
		.size = sizeof(setup),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = 1,
		.ring_bytes = XBZT_RING_MIN,
		.vm_fd = -1,
	};
	int device = xbzt_device(), fd;

	(void)state;
	assert_int_equal(try(device, 0, XBZT_PAGE, PROT_READ, MAP_SHARED),
			 -ENODEV);
	fd = xbzt_setup(device, &setup);
	assert_true(fd >= 0);
	assert_int_equal(try(device, setup.ring_offset, XBZT_PAGE,
			     PROT_READ | PROT_WRITE, MAP_SHARED), -ENODEV);
	assert_int_equal(try(fd, setup.ring_offset, XBZT_PAGE,
			     PROT_READ | PROT_WRITE, MAP_SHARED), 0);
	close(fd);
	close(device);
}

/* What a 32-bit caller can pass to mmap(): a number of pages of 32 bits. */
#define OFFSET_MAX (1ULL << 44)

/* The largest bitmap: that of all pages that a session can have. */
#define BITMAP_BYTES_MAX (1ULL << 29)

/*
 * Breaks if anything lies where a 32-bit caller cannot map it, or if two mappings
 * overlap when each is as large as it can be.
 */
static void test_offsets_fit_32_bits(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = XBZRLE_MAX_QUEUES });
	const uint64_t ring_max = 2 * XBZT_PAGE + 2 * xbzt_info().ring_bytes_max;
	const uint64_t ring = s->setup.ring_offset;
	const uint64_t stride = s->setup.ring_stride;
	const uint64_t ring_end = ring + (XBZRLE_MAX_QUEUES - 1) * stride +
				  ring_max;
	uint8_t *mem = xbzt_memory(XBZRLE_MAX_REGIONS);
	uint64_t offsets[XBZRLE_MAX_REGIONS];
	unsigned int i, j;

	(void)state;
	assert_true(stride >= ring_max);
	assert_true(ring_end <= OFFSET_MAX);
	for (i = 0; i < XBZRLE_MAX_REGIONS; i++) {
		struct xbzrle_region arg = {
			.size = sizeof(arg),
			.addr = (uintptr_t)mem + i * XBZT_PAGE,
			.nr_pages = 1,
		};

		snprintf((char *)arg.name, sizeof(arg.name), "r%u", i);
		assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_SET, &arg), 0);
		offsets[i] = arg.bitmap_offset;
		assert_int_equal(arg.bitmap_bytes, XBZT_PAGE);
		assert_true(arg.bitmap_offset + BITMAP_BYTES_MAX <= OFFSET_MAX);
		assert_true(arg.bitmap_offset >= ring_end ||
			    arg.bitmap_offset + BITMAP_BYTES_MAX <= ring);
		for (j = 0; j < i; j++)
			assert_true(offsets[i] >= offsets[j] + BITMAP_BYTES_MAX ||
				    offsets[j] >= offsets[i] + BITMAP_BYTES_MAX);
		assert_int_equal(try(s->fd, arg.bitmap_offset, XBZT_PAGE,
				     PROT_READ | PROT_WRITE, MAP_SHARED), 0);
	}
	xbzt_close(s);
	munmap(mem, XBZRLE_MAX_REGIONS * XBZT_PAGE);
}

/* Breaks if a mapping can be made to show more than was mapped. */
static void test_mremap(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 3);
	void *p;

	(void)state;
	assert_ptr_equal(mremap(s->queues[0].cons, XBZT_PAGE, 2 * XBZT_PAGE,
				MREMAP_MAYMOVE), MAP_FAILED);
	assert_ptr_equal(mremap(r->bitmap, XBZT_PAGE, 2 * XBZT_PAGE,
				MREMAP_MAYMOVE), MAP_FAILED);
	assert_ptr_equal(mremap(r->bitmap, 0, XBZT_PAGE, MREMAP_MAYMOVE),
			 MAP_FAILED);
	/* To move it is fine. */
	p = mmap(NULL, XBZT_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	assert_ptr_equal(mremap(r->bitmap, XBZT_PAGE, XBZT_PAGE,
				MREMAP_MAYMOVE | MREMAP_FIXED, p), p);
	r->bitmap = p;
	xbzt_dirty_all(r);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

/* Breaks if the data's second mapping is not the first, byte for byte. */
static void test_data_is_there_twice(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.ring_bytes = XBZT_RING_MIN });
	struct xbzt_region *r = xbzt_region(s, "ram", 40);
	const uint8_t *data = s->queues[0].data;
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		xbzt_scribble(s, 100);
		xbzt_dirty_all(r);
		xbzt_pass(s);
		assert_memory_equal(data, data + XBZT_RING_MIN, XBZT_RING_MIN);
	}
	xbzt_close(s);
}

static int is_mapped(const void *p, size_t bytes)
{
	return !msync((void *)p, bytes, MS_ASYNC);
}

static int look_from_child(void *p)
{
	struct xbzt_fixture *f = p;
	const struct xbzt_queue *q = &f->s->queues[0];

	if (is_mapped(q->cons, XBZT_PAGE))
		return 1;
	if (is_mapped(q->prod, XBZT_PAGE) || is_mapped(q->data, XBZT_PAGE))
		return 2;
	if (is_mapped(f->ram->bitmap, f->ram->bitmap_bytes))
		return 3;
	/* It is another address space, the guest's memory is a copy. */
	return is_mapped(f->ram->mem, XBZT_PAGE) ? 0 : 4;
}

/* Breaks if a child inherits the mappings: it could move the consumer. */
static void test_fork_does_not_inherit(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();

	(void)state;
	assert_true(is_mapped(f.s->queues[0].cons, XBZT_PAGE));
	assert_int_equal(xbzt_in_child(look_from_child, &f), 0);
	xbzt_fixture_done(&f);
}

/*
 * Breaks if the pages go before their last mapping does: after close there is
 * no session to ask, but what is mapped can be read and written.
 */
static void test_mappings_outlive_the_file(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.ring_bytes = 1 << 20 });
	struct xbzt_region *r = xbzt_region(s, "ram", 100);
	struct xbzrle_encode arg = { 0 };
	struct xbzt_applied applied;

	(void)state;
	xbzt_scribble(s, 100);
	xbzt_dirty_all(r);
	assert_int_equal(xbzt_encode_raw(s, 0, &arg), 0);
	close(s->fd);
	s->fd = -1;
	assert_int_equal(s->queues[0].prod->pos, arg.bytes);
	assert_int_equal(xbzt_dest_apply(&s->dest, 0, s->queues[0].data,
					 arg.bytes, &applied), 0);
	xbzt_assert_equal(r);
	xbzt_dirty_all(r);
	xbzt_release(s, 0, arg.bytes);
	/* And the other way round: the ring first, the file last. */
	xbzt_close(s);

	s = xbzt_open(NULL);
	munmap(s->queues[0].cons, XBZT_PAGE);
	r = xbzt_region(s, "ram", 10);
	xbzt_dirty_all(r);
	memset(&arg, 0, sizeof(arg));
	assert_int_equal(xbzt_encode_raw(s, 0, &arg), 0);
	assert_int_equal(arg.pages, 10);
	s->queues[0].cons = xbzt_map(s->fd, s->setup.ring_offset, XBZT_PAGE,
				     true);
	xbzt_apply(s, 0, &arg);
	xbzt_release(s, 0, s->queues[0].pos);
	xbzt_assert_works(s);
	xbzt_close(s);
}

/* Breaks if a region is only what it was when it was added: memory moves. */
static void test_guest_memory_is_replaced(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = 1 << 20 });
	struct xbzt_region *r = xbzt_region(s, "ram", 50);
	unsigned int i;

	(void)state;
	xbzt_dirty_all(r);
	for (i = 0; i < 5; i++) {
		uint64_t page = xbzt_below(&xbzt_rng, 40);

		xbzt_scribble(s, 100);
		xbzt_pass(s);
		assert_ptr_equal(mmap(xbzt_page(r, page), 10 * XBZT_PAGE,
				      PROT_READ | PROT_WRITE,
				      MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
				      -1, 0), xbzt_page(r, page));
		xbzt_dirty_all(r);
		xbzt_pass(s);
		xbzt_assert_equal(r);
	}
	xbzt_close(s);
}

/* Breaks if the module's own pages as guest memory are more than memory. */
static void test_ring_as_guest_memory(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 20);
	struct xbzrle_region arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)s->queues[0].prod,
		.nr_pages = 1 + 2 * s->setup.ring_bytes / XBZT_PAGE,
		.name = "ring",
	};
	struct xbzrle_region_del del = { .size = sizeof(del) };
	struct xbzrle_encode batch = { 0 };
	uint64_t *bitmap;

	(void)state;
	xbzt_dirty_all(r);
	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_SET, &arg), 0);
	bitmap = xbzt_map(s->fd, arg.bitmap_offset, arg.bitmap_bytes, true);
	assert_non_null(bitmap);
	memset(bitmap, 0xff, arg.bitmap_bytes);
	assert_int_equal(xbzt_encode_raw(s, 0, &batch), 0);
	xbzt_release(s, 0, batch.pos + batch.bytes);
	s->queues[0].pos = batch.pos + batch.bytes;
	munmap(bitmap, arg.bitmap_bytes);
	del.region = arg.region;
	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_DEL, &del), 0);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	xbzt_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets_and_sizes),
		cmocka_unit_test(test_kinds_of_mappings),
		cmocka_unit_test(test_device_has_no_mappings),
		cmocka_unit_test(test_offsets_fit_32_bits),
		cmocka_unit_test(test_mremap),
		cmocka_unit_test(test_data_is_there_twice),
		cmocka_unit_test(test_fork_does_not_inherit),
		cmocka_unit_test(test_mappings_outlive_the_file),
		cmocka_unit_test(test_guest_memory_is_replaced),
		cmocka_unit_test(test_ring_as_guest_memory),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
