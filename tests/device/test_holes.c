// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory that was never populated: it arrives as zero, and stays unpopulated.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGES 200UL
#define HUGE_PAGES (2UL << 20 >> 12)

/**
 * struct holes - a session whose guest's memory is a file, mostly holes
 * @fd: the file
 * @s: the session
 * @r: the region
 */
struct holes {
	int fd;
	struct xbzt_session *s;
	struct xbzt_region *r;
};

static struct holes holes_open(unsigned int memfd_flags, uint64_t nr_pages)
{
	struct holes h = {
		.fd = memfd_create("guest", MFD_CLOEXEC | memfd_flags),
		.s = xbzt_open(&(struct xbzt_config){
			.ring_bytes = 1 << 20, .cache_bytes = 1 << 20 }),
	};
	uint8_t *mem;

	assert_true(h.fd >= 0);
	assert_int_equal(ftruncate(h.fd, nr_pages * XBZT_PAGE), 0);
	mem = mmap(NULL, nr_pages * XBZT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		   h.fd, 0);
	assert_true(mem != MAP_FAILED);
	h.r = xbzt_region_at(h.s, "memfd", nr_pages, mem);
	return h;
}

static void holes_close(struct holes *h)
{
	uint8_t *mem = h->r->mem;
	uint64_t bytes = h->r->nr_pages * XBZT_PAGE;

	xbzt_close(h->s);
	munmap(mem, bytes);
	close(h->fd);
}

static uint64_t populated(const struct holes *h)
{
	struct stat st;

	assert_int_equal(fstat(h->fd, &st), 0);
	return st.st_blocks * 512ULL / XBZT_PAGE;
}

/*
 * Breaks if reading holes of shared memory populates them, if a page that the file
 * has passes for a hole because this process has not mapped it, or if a page that
 * becomes a hole keeps its content at the destination.
 */
static void test_shared_memory(void **state)
{
	struct holes h = holes_open(0, PAGES);
	const uint64_t there[] = { 0, 1, 77, PAGES - 1 };
	uint8_t data[XBZT_PAGE];
	unsigned int i;

	(void)state;
	memset(data, 0x5a, sizeof(data));
	for (i = 0; i < XBZT_ARRAY_SIZE(there); i++)
		assert_int_equal(pwrite(h.fd, data, sizeof(data),
					there[i] * XBZT_PAGE), sizeof(data));
	xbzt_dirty_all(h.r);
	xbzt_pass(h.s);
	assert_int_equal(populated(&h), XBZT_ARRAY_SIZE(there));
	for (i = 0; i < XBZT_ARRAY_SIZE(there); i++)
		assert_memory_equal(xbzt_dest_page(h.r, there[i]), data,
				    sizeof(data));

	assert_int_equal(fallocate(h.fd, FALLOC_FL_PUNCH_HOLE |
					 FALLOC_FL_KEEP_SIZE,
				   77 * XBZT_PAGE, XBZT_PAGE), 0);
	xbzt_dirty_all(h.r);
	xbzt_pass(h.s);
	assert_int_equal(populated(&h), XBZT_ARRAY_SIZE(there) - 1);
	xbzt_assert_equal(h.r);
	holes_close(&h);
}

/* Breaks if memory that may not be read passes for zero because it is a hole. */
static void test_holes_without_a_right(void **state)
{
	struct holes h = holes_open(0, PAGES);
	struct xbzrle_encode arg = { 0 };

	(void)state;
	assert_int_equal(mprotect(xbzt_page(h.r, 5), XBZT_PAGE, PROT_NONE), 0);
	xbzt_dirty(h.r, 5);
	assert_int_equal(xbzt_encode_raw(h.s, 0, &arg), 0);
	assert_true(arg.status & XBZRLE_STATUS_FAULT);
	assert_true(xbzt_is_dirty(h.r, 5));
	holes_close(&h);
}

/* Fills the first page that is waited for. */
static void *fill_one(void *opaque)
{
	uint8_t data[XBZT_PAGE];
	struct uffdio_copy copy = { .src = (uintptr_t)data, .len = XBZT_PAGE };
	int uffd = *(int *)opaque;
	struct uffd_msg msg;

	memset(data, 0xa5, sizeof(data));
	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		return "no fault came";
	copy.dst = msg.arg.pagefault.address & -XBZT_PAGE;
	return ioctl(uffd, UFFDIO_COPY, &copy) ? "it was not filled" : NULL;
}

/* Breaks if memory that someone else has yet to fill passes for zero. */
static void test_holes_that_are_filled(void **state)
{
	struct holes h = holes_open(0, PAGES);
	struct uffdio_register reg = {
		.range = { (uintptr_t)h.r->mem, PAGES * XBZT_PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	pthread_t filler;
	void *complaint;

	(void)state;
	if (uffd < 0) {
		holes_close(&h);
		skip();
	}
	assert_int_equal(ioctl(uffd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
	assert_int_equal(pthread_create(&filler, NULL, fill_one, &uffd), 0);
	xbzt_dirty(h.r, 9);
	xbzt_pass(h.s);
	assert_int_equal(pthread_join(filler, &complaint), 0);
	assert_null(complaint);
	assert_int_equal(xbzt_dest_page(h.r, 9)[100], 0xa5);
	close(uffd);
	holes_close(&h);
}

static uint64_t huge_pages(const char *what)
{
	FILE *meminfo = fopen("/proc/meminfo", "r");
	unsigned long value = 0;
	char line[100];

	assert_non_null(meminfo);
	while (fgets(line, sizeof(line), meminfo))
		if (!strncmp(line, what, strlen(what)))
			value = strtoul(line + strlen(what), NULL, 10);
	fclose(meminfo);
	return value;
}

static void set_huge_pages(const char *nr)
{
	int fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	assert_true(write(fd, nr, strlen(nr)) > 0);
	close(fd);
}

/* Breaks if reading huge pages that are not allocated takes them from the pool. */
static void test_huge_pages(void **state)
{
	struct holes h;
	uint64_t free;

	(void)state;
	set_huge_pages("4");
	if (huge_pages("HugePages_Free:") < 3)
		skip();
	h = holes_open(MFD_HUGETLB, 3 * HUGE_PAGES);
	memset(xbzt_page(h.r, HUGE_PAGES), 0x77, XBZT_PAGE);
	free = huge_pages("HugePages_Free:");
	xbzt_dirty_all(h.r);
	xbzt_pass(h.s);
	assert_int_equal(huge_pages("HugePages_Free:"), free);
	assert_int_equal(populated(&h), HUGE_PAGES);
	xbzt_assert_equal(h.r);
	holes_close(&h);
	set_huge_pages("0");
}

/* A loop device of a file; -1 if this kernel has none. */
static int loop_open(int file)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), fd;
	char path[32];

	if (control < 0)
		return -1;
	snprintf(path, sizeof(path), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	close(control);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, LOOP_SET_FD, file), 0);
	return fd;
}

/*
 * Breaks if memory of a block device that the page cache does not have passes for a hole:
 * the device's node is a file of devtmpfs, which is a tmpfs.
 */
static void test_block_device(void **state)
{
	struct holes h = holes_open(0, PAGES);
	uint8_t data[XBZT_PAGE], *mem = h.r->mem;
	int fd = loop_open(h.fd);

	(void)state;
	if (fd < 0) {
		holes_close(&h);
		skip();
	}
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(pwrite(fd, data, sizeof(data), 7 * XBZT_PAGE), sizeof(data));
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(ioctl(fd, BLKFLSBUF), 0);
	assert_true(mmap(mem, PAGES * XBZT_PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) == mem);
	xbzt_dirty(h.r, 7);
	xbzt_pass(h.s);
	assert_memory_equal(xbzt_dest_page(h.r, 7), data, sizeof(data));
	assert_int_equal(ioctl(fd, LOOP_CLR_FD), 0);
	close(fd);
	holes_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_memory),
		cmocka_unit_test(test_holes_without_a_right),
		cmocka_unit_test(test_holes_that_are_filled),
		cmocka_unit_test(test_huge_pages),
		cmocka_unit_test(test_block_device),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
