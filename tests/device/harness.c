// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions and regions of the tests: see harness.h. Passes are in pass.c, the
 * start and the end of a program in program.c.
 */
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int xbzt_ioctl(int fd, unsigned int cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

int xbzt_device(void)
{
	int fd = open("/dev/xbzrle", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail_msg("/dev/xbzrle: %s", strerror(errno));
	return fd;
}

int xbzt_setup(int device, struct xbzrle_setup *arg)
{
	int fd = ioctl(device, XBZRLE_SETUP, arg);

	return fd < 0 ? -errno : fd;
}

int xbzt_setup_alone(struct xbzrle_setup *arg)
{
	int device = xbzt_device();
	int fd = xbzt_setup(device, arg);

	close(device);
	return fd;
}

int xbzt_lowest_fd(void)
{
	int fd = dup(STDIN_FILENO);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

struct xbzrle_info xbzt_info(void)
{
	struct xbzrle_info info = { .size = sizeof(info) };
	int device = xbzt_device();

	assert_int_equal(xbzt_ioctl(device, XBZRLE_INFO, &info), 0);
	close(device);
	return info;
}

uint64_t xbzt_memory_used(void)
{
	return xbzt_info().memory_used;
}

void xbzt_assert_all_freed(void)
{
	xbzt_eventually(!xbzt_memory_used());
}

void *xbzt_map(int fd, uint64_t offset, size_t bytes, bool writable)
{
	void *p = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0),
		       MAP_SHARED, fd, offset);

	return p == MAP_FAILED ? NULL : p;
}

uint8_t *xbzt_memory(uint64_t nr_pages)
{
	void *p = mmap(NULL, nr_pages * XBZT_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fail_msg("%llu pages: %s", (unsigned long long)nr_pages,
			 strerror(errno));
	return p;
}

static void map_queue(struct xbzt_session *s, unsigned int q)
{
	uint64_t offset = s->setup.ring_offset + q * s->setup.ring_stride;
	struct xbzt_queue *queue = &s->queues[q];
	const uint8_t *prod;

	queue->cons = xbzt_map(s->fd, offset, XBZT_PAGE, true);
	assert_non_null(queue->cons);
	prod = xbzt_map(s->fd, offset + XBZT_PAGE,
			XBZT_PAGE + 2 * s->setup.ring_bytes, false);
	assert_non_null(prod);
	queue->prod = (const void *)prod;
	queue->data = prod + XBZT_PAGE;
}

struct xbzt_session *xbzt_open_on(int device, const struct xbzt_config *config)
{
	static const struct xbzt_config simple;
	struct xbzt_session *s = calloc(1, sizeof(*s));
	unsigned int q;

	assert_non_null(s);
	if (!config)
		config = &simple;
	s->setup = (struct xbzrle_setup){
		.size = sizeof(s->setup),
		.flags = config->flags,
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = config->nr_queues ? config->nr_queues : 1,
		.ring_bytes = config->ring_bytes ? config->ring_bytes :
						   XBZT_RING_MIN,
		.cache_bytes = config->cache_bytes,
		.vm_fd = config->vm ? config->vm : -1,
		.log_block_pages = config->log_block_pages,
		.name = "test",
	};
	s->fd = xbzt_setup(device, &s->setup);
	if (s->fd < 0)
		fail_msg("SETUP: %s", strerror(-s->fd));
	for (q = 0; q < s->setup.nr_queues; q++)
		map_queue(s, q);
	s->scratch_bytes = 64 << 10;
	s->scratch = xbzt_memory(s->scratch_bytes / XBZT_PAGE);
	return s;
}

struct xbzt_session *xbzt_open(const struct xbzt_config *config)
{
	int device = xbzt_device();
	struct xbzt_session *s = xbzt_open_on(device, config);

	close(device);
	return s;
}

struct xbzt_region *xbzt_region_at(struct xbzt_session *s, const char *name,
				   uint64_t nr_pages, uint8_t *mem)
{
	struct xbzt_region *r = calloc(1, sizeof(*r));
	struct xbzrle_region arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)mem,
		.nr_pages = nr_pages,
	};

	assert_non_null(r);
	snprintf((char *)arg.name, sizeof(arg.name), "%s", name);
	snprintf(r->name, sizeof(r->name), "%s", name);
	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_SET, &arg), 0);
	r->id = arg.region;
	r->nr_pages = nr_pages;
	r->mem = mem;
	r->borrowed = true;
	r->bitmap_bytes = arg.bitmap_bytes;
	r->bitmap = xbzt_map(s->fd, arg.bitmap_offset, arg.bitmap_bytes, true);
	assert_non_null(r->bitmap);

	r->block.name = r->name;
	r->block.nr_pages = nr_pages;
	r->block.mem = xbzt_memory(nr_pages);
	r->block.owner = calloc(1 + nr_pages / XBZRLE_CHUNK_PAGES, 1);
	assert_non_null(r->block.owner);

	assert_in_range(r->id, 0, XBZT_ARRAY_SIZE(s->regions) - 1);
	assert_null(s->regions[r->id]);
	s->regions[r->id] = r;
	s->dest.blocks[r->id] = &r->block;
	if (s->nr_regions <= r->id)
		s->nr_regions = r->id + 1;
	return r;
}

struct xbzt_region *xbzt_region(struct xbzt_session *s, const char *name,
				uint64_t nr_pages)
{
	struct xbzt_region *r;

	r = xbzt_region_at(s, name, nr_pages, xbzt_memory(nr_pages));
	r->borrowed = false;
	/* Nothing is known of the destination's memory, zero least of all. */
	memset(r->block.mem, 0xa5, nr_pages * XBZT_PAGE);
	return r;
}

void xbzt_region_forget(struct xbzt_session *s, struct xbzt_region *r)
{
	s->regions[r->id] = NULL;
	s->dest.blocks[r->id] = NULL;
	if (r->bitmap)
		munmap(r->bitmap, r->bitmap_bytes);
	if (!r->borrowed)
		munmap(r->mem, r->nr_pages * XBZT_PAGE);
	munmap(r->block.mem, r->nr_pages * XBZT_PAGE);
	free(r->block.owner);
	free(r);
}

void xbzt_region_del(struct xbzt_session *s, struct xbzt_region *r)
{
	struct xbzrle_region_del arg = { .size = sizeof(arg), .region = r->id };

	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_DEL, &arg), 0);
	xbzt_region_forget(s, r);
}

void xbzt_close(struct xbzt_session *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_regions; i++)
		if (s->regions[i])
			xbzt_region_forget(s, s->regions[i]);
	for (i = 0; i < s->setup.nr_queues; i++) {
		munmap(s->queues[i].cons, XBZT_PAGE);
		munmap((void *)s->queues[i].prod,
		       XBZT_PAGE + 2 * s->setup.ring_bytes);
	}
	munmap(s->scratch, s->scratch_bytes);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

int xbzt_set_limit(unsigned int mib)
{
	int fd = open("/sys/module/xbzrle/parameters/memory_limit_mib",
		      O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = dprintf(fd, "%u", mib) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

int xbzt_sync(struct xbzt_session *s, struct xbzrle_sync *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->size = sizeof(*arg);
	arg->scratch = (uintptr_t)s->scratch;
	arg->scratch_bytes = s->scratch_bytes;
	return xbzt_ioctl(s->fd, XBZRLE_SYNC, arg);
}

int xbzt_clear(struct xbzt_session *s, struct xbzt_region *r, uint64_t first,
	       uint64_t nr)
{
	struct xbzrle_clear arg = {
		.size = sizeof(arg),
		.region = r->id,
		.first_page = first,
		.nr_pages = nr,
		.scratch = (uintptr_t)s->scratch,
		.scratch_bytes = s->scratch_bytes,
	};

	return xbzt_ioctl(s->fd, XBZRLE_CLEAR, &arg);
}

int xbzt_cache(struct xbzt_session *s, uint64_t bytes)
{
	struct xbzrle_cache arg = { .size = sizeof(arg), .cache_bytes = bytes };

	return xbzt_ioctl(s->fd, XBZRLE_CACHE, &arg);
}

void xbzt_counters(struct xbzt_session *s, uint32_t queue,
		   struct xbzrle_counters *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->size = sizeof(*arg);
	arg->queue = queue;
	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_COUNTERS, arg), 0);
}
