// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ABI of /dev/xbzrle from beginning to end, without KVM: four pages of this
 * process's own memory, a pass that sends them, a change of ten bytes, a pass
 * that sends the change. Documentation/uapi.rst explains it, the tests build and
 * run it:
 *
 *	cc -Iuapi -o example Documentation/example.c && sudo ./example
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/xbzrle.h>

#define PAGES 4
#define RING_BYTES (64 * 1024)

static int session;
static struct xbzrle_ring_cons *cons;
static const char *ring;

/* A call that fails returns -1, sets errno and leaves the session unchanged. */
static void call(unsigned long nr, void *arg, const char *what)
{
	if (ioctl(session, nr, arg))
		err(1, "%s", what);
}

static void *map(size_t bytes, int prot, uint64_t offset)
{
	void *p = mmap(NULL, bytes, prot, MAP_SHARED, session, offset);

	if (p == MAP_FAILED)
		err(1, "mmap of the session");
	return p;
}

static void setup(void)
{
	struct xbzrle_setup setup = {
		.size = sizeof(setup),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = 1,
		.ring_bytes = RING_BYTES,
		.cache_bytes = PAGES * XBZRLE_PAGE_SIZE,
		.vm_fd = -1, /* no KVM: this program knows what is dirty */
		.name = "example",
	};
	int dev = open("/dev/xbzrle", O_RDWR | O_CLOEXEC);

	if (dev < 0)
		err(1, "/dev/xbzrle (is the module loaded?)");
	session = ioctl(dev, XBZRLE_SETUP, &setup);
	if (session < 0)
		err(1, "XBZRLE_SETUP");
	/* The session does not need the device's descriptor. */
	close(dev);

	/* The consumer's page is writable; the rest is read-only. */
	cons = map(XBZRLE_PAGE_SIZE, PROT_READ | PROT_WRITE,
		   setup.ring_offset);
	ring = map(XBZRLE_PAGE_SIZE + 2 * RING_BYTES, PROT_READ,
		   setup.ring_offset + XBZRLE_PAGE_SIZE);
	ring += XBZRLE_PAGE_SIZE;
}

static uint64_t *add_region(void *memory)
{
	struct xbzrle_region region = {
		.size = sizeof(region),
		.addr = (uintptr_t)memory,
		.nr_pages = PAGES,
		.name = "pc.ram",
	};

	call(XBZRLE_REGION_SET, &region, "XBZRLE_REGION_SET");
	return map(region.bitmap_bytes, PROT_READ | PROT_WRITE,
		   region.bitmap_offset);
}

/* Encodes until nothing is dirty. Returns the bytes that went to out. */
static size_t pass(FILE *out)
{
	struct xbzrle_encode e;
	size_t sum = 0;

	do {
		e = (struct xbzrle_encode){
			.size = sizeof(e),
			.budget = 32 * 1024,
		};
		call(XBZRLE_ENCODE, &e, "XBZRLE_ENCODE");
		if (e.status & XBZRLE_STATUS_FAULT)
			errx(1, "page %llu cannot be read",
			     (unsigned long long)e.fault_page);

		/* One contiguous range, wherever in the ring it starts. */
		if (fwrite(ring + (e.pos & (RING_BYTES - 1)), 1, e.bytes,
			   out) != e.bytes)
			err(1, "write");
		sum += e.bytes;

		/* From here on the module may reuse the space. */
		__atomic_store_n(&cons->pos, e.pos + e.bytes,
				 __ATOMIC_RELEASE);
	} while (!(e.status & XBZRLE_STATUS_IDLE));
	return sum;
}

static void counters(void)
{
	struct xbzrle_counters c = {
		.size = sizeof(c),
		.queue = XBZRLE_ALL_QUEUES,
	};

	call(XBZRLE_COUNTERS, &c, "XBZRLE_COUNTERS");
	printf("pages: %llu zero, %llu raw, %llu as deltas, %llu unchanged\n",
	       (unsigned long long)c.pages_zero,
	       (unsigned long long)c.pages_raw,
	       (unsigned long long)c.pages_delta,
	       (unsigned long long)c.pages_same);
}

int main(int argc, char **argv)
{
	FILE *out = fopen(argc > 1 ? argv[1] : "/dev/null", "w");
	uint64_t *bitmap;
	unsigned int i;
	char *memory;

	if (!out)
		err(1, "%s", argv[1]);
	memory = mmap(NULL, PAGES * XBZRLE_PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	/* Page 0 stays zero, the others do not. */
	for (i = XBZRLE_PAGE_SIZE; i < PAGES * XBZRLE_PAGE_SIZE; i++)
		memory[i] = i * 2654435761U >> 24;

	setup();
	bitmap = add_region(memory);

	__atomic_fetch_or(&bitmap[0], (1U << PAGES) - 1, __ATOMIC_SEQ_CST);
	printf("first pass: %zu bytes\n", pass(out));

	/* Change, then set the bits: the other order can lose the change. */
	memset(memory + 2 * XBZRLE_PAGE_SIZE + 100, 0x55, 10);
	__atomic_fetch_or(&bitmap[0], 1U << 2 | 1U << 3, __ATOMIC_SEQ_CST);
	printf("second pass: %zu bytes\n", pass(out));

	counters();
	if (fclose(out))
		err(1, "write");
	close(session);
	return 0;
}
