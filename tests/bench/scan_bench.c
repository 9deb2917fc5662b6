// SPDX-License-Identifier: GPL-2.0-only
/*
 * Times what a large and mostly clean region costs: finding a few dirty pages in
 * it, and fetching a log of as many bits. Runs on any machine with the module
 * loaded, and prints all samples as JSON; what they mean is tests/bench/scan's
 * business. The log is that of tests/fakevm; without it no SYNC is timed.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <xbz_fakevm.h>

#include "bench.h"

#include <xbzrle/xbzrle.h>

#define DEFAULT_DEVICE "/dev/xbzrle"
#define DEFAULT_GIB 1
#define DEFAULT_ROUNDS 11
#define FAKEVM "/dev/xbz_fakevm"
#define SLOT 1

/* One of so many pages is dirty; or one of each chunk. */
#define SPARSE 1000
#define APART XBZRLE_CHUNK_PAGES

/* As in device_bench.c. */
#define RING_BYTES (2 << 20)
#define BATCH_BYTES (1 << 20)

/**
 * struct guest - a region, and the pages of it that get dirty
 * @pages: all of them
 * @mem: its memory, of which only those are ever touched
 * @dirty: their numbers
 * @nr: how many
 * @session: a session with this one region
 * @region: its number
 * @bitmap: its bitmap
 */
struct guest {
	u64 pages;
	u8 *mem;
	u64 *dirty;
	u64 nr;
	struct xbzrle_session *session;
	uint32_t region;
	uint64_t *bitmap;
};

/* What is timed: ENCODE of three guests, SYNC, and its log's own cost. */
enum what {
	SPREAD,	    /* the dirty pages in the large region */
	APART_ONLY, /* as many, a chunk for each, in a region half as large */
	DENSE,	    /* as many, in a region that has no others */
	CLEAN,	    /* nothing dirty in the large region */
	EMPTY,	    /* nothing dirty in that of the dense ones */
	LOG_CLEAN,  /* KVM_GET_DIRTY_LOG by this process, nothing in it */
	SYNC_CLEAN, /* SYNC, nothing in the log */
	LOG,	    /* the same with the dirty pages in it */
	SYNC,
	NR_WHAT,
};

static const char *const names[NR_WHAT] = {
	"spread", "apart", "dense", "clean", "empty",
	"log_clean", "sync_clean", "log", "sync",
};

struct bench {
	const char *device;
	u64 gib;
	unsigned int rounds;
	struct guest large;
	struct guest apart;
	struct guest small;
	int vm;
	u64 *log;
	u64 *ns[NR_WHAT];
};

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("scan_bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static u64 now(void)
{
	return time_now(PLACE_DRAM_WALL);
}

static void *allocate(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		die("no memory");
	return p;
}

static void check(int ret, const char *what)
{
	if (ret)
		die("%s: %s", what, strerror(-ret));
}

static void guest_open(struct guest *g, const struct bench *b, u64 pages, u64 sparse)
{
	const struct xbzrle_config config = {
		.size = sizeof(config),
		.nr_queues = 1,
		.flags = b->vm >= 0 ? XBZRLE_SETUP_MANUAL_PROTECT : 0,
		.vm_fd = b->vm,
		.ring_bytes = RING_BYTES,
		.cache_bytes = pages / sparse * (u64)PAGE_BYTES,
		.name = "bench",
	};
	u64 i, seed = 1;
	void *mem = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		die("there is no address space for %llu pages", (unsigned long long)pages);
	g->mem = mem;
	g->pages = pages;
	g->nr = pages / sparse;
	g->dirty = allocate(g->nr, sizeof(*g->dirty));
	for (i = 0; i < g->nr; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		g->dirty[i] = i * sparse + (seed >> 33) % sparse;
	}
	check(xbzrle_session_open(&g->session, b->device), b->device);
	check(xbzrle_session_setup(g->session, &config), "SETUP");
	check(xbzrle_session_region_add(g->session, "pc.ram", g->mem, pages, &g->region,
					&g->bitmap), "REGION_SET");
}

static void guest_close(struct guest *g)
{
	xbzrle_session_close(g->session);
	munmap(g->mem, g->pages * PAGE_BYTES);
	free(g->dirty);
}

/* The guest changes a byte of each of the pages. */
static void guest_write(struct guest *g)
{
	u64 i;

	for (i = 0; i < g->nr; i++) {
		u64 page = g->dirty[i];

		g->mem[page * PAGE_BYTES + 100]++;
		g->bitmap[page / 64] |= 1ULL << (page % 64);
	}
}

/* ENCODE until nothing is dirty: how long it took. */
static u64 guest_encode(struct guest *g)
{
	struct xbzrle_batch batch;
	u64 start = now();

	do {
		check(xbzrle_session_encode(g->session, 0, BATCH_BYTES, 0, 0, &batch), "ENCODE");
		check(xbzrle_session_release(g->session, 0, batch.end), "release");
		if (batch.status & (XBZRLE_STATUS_FAULT | XBZRLE_STATUS_LOG))
			die("ENCODE: a page that cannot be read");
	} while (!(batch.status & XBZRLE_STATUS_IDLE));
	return now() - start;
}

/* A VM whose log has the dirty pages; it keeps them, as nobody clears it. */
static void vm_open(struct bench *b)
{
	struct xbz_fakevm_create create = { .flags = XBZ_FAKEVM_MANUAL_PROTECT };
	int fd = open(FAKEVM, O_RDWR | O_CLOEXEC);

	b->vm = -1;
	if (fd < 0)
		return;
	b->vm = ioctl(fd, XBZ_FAKEVM_CREATE, &create);
	if (b->vm < 0)
		die("%s makes no VM", FAKEVM);
	close(fd);
}

static void vm_slot(struct bench *b, const struct guest *g)
{
	struct xbz_fakevm_slot slot = {
		.slot = SLOT,
		.addr = (uintptr_t)g->mem,
		.nr_pages = g->pages,
	};

	b->log = allocate(g->pages / 64, sizeof(*b->log));
	if (ioctl(b->vm, XBZ_FAKEVM_SLOT, &slot))
		die("%s takes no slot", FAKEVM);
	check(xbzrle_session_slot_set(g->session, SLOT, g->region, 0, g->pages), "SLOT_SET");
}

static void vm_dirty(struct bench *b, const struct guest *g)
{
	struct xbz_fakevm_bits bits = {
		.slot = SLOT,
		.what = XBZ_FAKEVM_BITS_SET,
	};
	u64 i;

	for (i = 0; i < g->nr; i++)
		b->log[g->dirty[i] / 64] |= 1ULL << (g->dirty[i] % 64);
	bits.bitmap = (uintptr_t)b->log;
	if (ioctl(b->vm, XBZ_FAKEVM_BITS, &bits))
		die("%s takes no bits", FAKEVM);
}

static u64 time_log(struct bench *b)
{
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = b->log };
	u64 start = now();

	if (ioctl(b->vm, KVM_GET_DIRTY_LOG, &log))
		die("KVM_GET_DIRTY_LOG fails");
	return now() - start;
}

static u64 time_sync(struct bench *b, u64 dirty)
{
	struct xbzrle_sync sync = { .size = sizeof(sync) };
	u64 start = now(), ns;

	check(xbzrle_session_sync(b->large.session, &sync), "SYNC");
	ns = now() - start;
	if (sync.slots_failed || sync.new_dirty != dirty)
		die("SYNC has found %llu pages", (unsigned long long)sync.new_dirty);
	/* They are new each time. */
	memset(b->large.bitmap, 0, b->large.pages / 8);
	return ns;
}

static void time_syncs(struct bench *b, enum what log_what, enum what sync_what, u64 dirty)
{
	unsigned int round;

	/* The first round is for page faults. */
	for (round = 0; round <= b->rounds; round++) {
		u64 log = time_log(b), sync = time_sync(b, dirty);

		if (round) {
			b->ns[log_what][round - 1] = log;
			b->ns[sync_what][round - 1] = sync;
		}
	}
}

/* By a session of its own: no ENCODE clears the log, so it stays the same. */
static void run_sync(struct bench *b)
{
	vm_open(b);
	if (b->vm < 0)
		return;
	guest_open(&b->large, b, b->large.pages, SPARSE);
	vm_slot(b, &b->large);
	time_syncs(b, LOG_CLEAN, SYNC_CLEAN, 0);
	vm_dirty(b, &b->large);
	time_syncs(b, LOG, SYNC, b->large.nr);
}

static void run_encode(struct bench *b)
{
	unsigned int round, i;

	b->vm = -1;
	guest_open(&b->large, b, b->gib << (30 - XBZRLE_PAGE_SHIFT), SPARSE);
	guest_open(&b->apart, b, b->large.nr * APART, APART);
	guest_open(&b->small, b, b->large.nr, 1);
	/* The first two rounds are for page faults and for the copies. */
	for (round = 0; round < b->rounds + 2; round++) {
		u64 ns[EMPTY + 1];

		guest_write(&b->large);
		ns[SPREAD] = guest_encode(&b->large);
		guest_write(&b->apart);
		ns[APART_ONLY] = guest_encode(&b->apart);
		guest_write(&b->small);
		ns[DENSE] = guest_encode(&b->small);
		ns[CLEAN] = guest_encode(&b->large);
		ns[EMPTY] = guest_encode(&b->small);
		for (i = 0; round >= 2 && i <= EMPTY; i++)
			b->ns[i][round - 2] = ns[i];
	}
	guest_close(&b->large);
	guest_close(&b->apart);
	guest_close(&b->small);
}

static void print(const struct bench *b)
{
	unsigned int i, round;

	printf("{\"gib\": %llu, \"pages\": %llu, \"dirty\": %llu, \"ns\": {",
	       (unsigned long long)b->gib, (unsigned long long)b->large.pages,
	       (unsigned long long)b->large.nr);
	for (i = 0; i < (b->vm < 0 ? LOG_CLEAN : NR_WHAT); i++) {
		printf("%s\"%s\": [", i ? ", " : "", names[i]);
		for (round = 0; round < b->rounds; round++)
			printf("%s%llu", round ? ", " : "",
			       (unsigned long long)b->ns[i][round]);
		printf("]");
	}
	printf("}}\n");
}

static void usage(FILE *to)
{
	fputs("usage: scan_bench [--gib N] [--rounds N] [--device PATH]\n", to);
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "gib", required_argument, NULL, 'g' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "device", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'g':
			b->gib = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			b->rounds = strtoul(optarg, NULL, 0);
			break;
		case 'd':
			b->device = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (!b->gib || !b->rounds || optind != argc) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct bench b = {
		.device = DEFAULT_DEVICE,
		.gib = DEFAULT_GIB,
		.rounds = DEFAULT_ROUNDS,
	};
	unsigned int i;

	parse(&b, argc, argv);
	for (i = 0; i < NR_WHAT; i++)
		b.ns[i] = allocate(b.rounds, sizeof(*b.ns[0]));
	run_encode(&b);
	run_sync(&b);
	print(&b);
	return 0;
}
