// SPDX-License-Identifier: GPL-2.0-only
/*
 * Times the module: pages of this process through /dev/xbzrle, against the bare
 * codec and QEMU's save path on the same pages, in turn in each round. Runs on
 * any machine with the module loaded, and prints all samples as JSON; what they
 * mean is tests/bench/device's business.
 *
 * Bits are set in the region's bitmap by hand, so no KVM is needed and nothing
 * of it is timed.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xbzrle/codec.h>
#include <xbzrle/xbzrle.h>

#define DEFAULT_DEVICE "/dev/xbzrle"
/* 64 MiB of pages, and as much again of copies. */
#define DEFAULT_PAGES 16384
#define DEFAULT_ROUNDS 11
/*
 * In User Mode Linux a system call costs tens of microseconds, which is not the
 * module's doing: so batches are larger than the patched QEMU's, and calls with
 * nothing to do are timed, too.
 */
#define RING_BYTES (2 << 20)
#define BATCH_BYTES (1 << 20)
#define MAX_CONTENDERS 8
/* ENCODEs with nothing to do that one sample is of. */
#define CALLS 100

struct bench {
	const char *device;
	const char *workload;
	size_t pages;
	unsigned int rounds;
	const struct qemu_side *qemu;
	struct page_set set;
	struct sink sink;
	struct contender contender[MAX_CONTENDERS];
	u64 *ns[MAX_CONTENDERS];
	unsigned int nr;
};

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("device_bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/**
 * struct device - the device as a contender
 * @set: the pages before and after
 * @memory: the guest's memory: the region
 * @first_pass: whether a page is sent for the first time, by a new session
 * @short_of: whether the cache has room for half of the pages
 * @path: the device
 * @session: the session
 * @bitmap: the region's
 * @fresh: bytes that the module uses for it before it sends anything
 * @bytes: sent in the last run
 * @calls: ENCODEs of the last run
 */
struct device {
	const struct page_set *set;
	u8 *memory;
	bool first_pass;
	bool short_of;
	const char *path;
	struct xbzrle_session *session;
	uint64_t *bitmap;
	u64 fresh;
	u64 bytes;
	u64 calls;
};

static void open_session(struct device *d)
{
	struct xbzrle_config config = {
		.size = sizeof(config),
		.nr_queues = 1,
		.vm_fd = -1,
		.ring_bytes = RING_BYTES,
		.cache_bytes = d->set->nr * (u64)PAGE_BYTES / (d->short_of ? 2 : 1),
		.name = "bench",
	};
	u32 region;
	int ret;

	ret = xbzrle_session_open(&d->session, d->path);
	if (ret)
		die("%s: %s; load the module xbzrle", d->path, strerror(-ret));
	ret = xbzrle_session_setup(d->session, &config);
	if (!ret)
		ret = xbzrle_session_region_add(d->session, "pc.ram", d->memory, d->set->nr,
						&region, &d->bitmap);
	if (ret)
		die("%s: no session: %s", d->path, strerror(-ret));
}

static u64 memory_used(const struct device *d)
{
	struct xbzrle_info info = { .size = sizeof(info) };
	int ret = xbzrle_session_info(d->session, &info);

	if (ret)
		die("INFO: %s", strerror(-ret));
	return info.memory_used;
}

/* All dirty pages, batch by batch, given back at once. */
static void drain(struct device *d)
{
	struct xbzrle_batch batch;

	d->bytes = 0;
	d->calls = 0;
	do {
		int ret = xbzrle_session_encode(d->session, 0, BATCH_BYTES, 0, 0, &batch);

		if (!ret)
			ret = xbzrle_session_release(d->session, 0, batch.end);
		if (ret || batch.status & XBZRLE_STATUS_FAULT)
			die("ENCODE: %s", strerror(-ret));
		d->bytes += batch.bytes;
		d->calls++;
	} while (!(batch.status & XBZRLE_STATUS_IDLE));
}

static void all_dirty(struct device *d, size_t first, size_t nr)
{
	size_t i;

	for (i = first; i < first + nr; i++)
		d->bitmap[i / 64] |= 1ULL << (i % 64);
}

static void next_pass(struct device *d)
{
	int ret = xbzrle_session_sync(d->session, NULL);

	if (ret)
		die("SYNC: %s", strerror(-ret));
}

static void device_restore(void *state, size_t first, size_t nr)
{
	struct device *d = state;

	if (d->first_pass) {
		if (d->session)
			xbzrle_session_close(d->session);
		open_session(d);
		if (!d->fresh)
			d->fresh = memory_used(d);
		/* What frees the session before is not to be timed. */
		while (memory_used(d) > d->fresh)
			usleep(1000);
	} else {
		memcpy(d->memory, d->set->old, d->set->nr * PAGE_BYTES);
		all_dirty(d, 0, d->set->nr);
		drain(d);
		/* What is to be packed is learned from passes. */
		if (d->short_of)
			next_pass(d);
	}
	memcpy(d->memory + first * PAGE_BYTES, d->set->cur + first * PAGE_BYTES,
	       nr * PAGE_BYTES);
	all_dirty(d, first, nr);
}

/*
 * The copies are the kernel's and cannot be flushed from here; but reading the
 * old pages, as many bytes, drives them out.
 */
static void device_touch(void *state, size_t first, size_t nr,
			 void (*visit)(const void *p, size_t len))
{
	struct device *d = state;
	volatile const u8 *old = d->set->old;
	size_t i;

	visit(d->memory + first * PAGE_BYTES, nr * PAGE_BYTES);
	visit(d->set->old, d->set->nr * PAGE_BYTES);
	for (i = 0; i < d->set->nr * PAGE_BYTES; i += 64)
		(void)old[i];
}

static void device_run(void *state, size_t first, size_t nr)
{
	(void)first;
	(void)nr;
	drain(state);
}

/* Calls in a row that find nothing dirty, by the wall's clock. */
static u64 time_calls(struct device *d)
{
	u64 begin = time_now(PLACE_DRAM_WALL);
	unsigned int i;

	for (i = 0; i < CALLS; i++)
		drain(d);
	return time_now(PLACE_DRAM_WALL) - begin;
}

static void device_add(struct contender *c, struct bench *b, bool first_pass,
		       bool short_of)
{
	struct device *d = calloc(1, sizeof(*d));

	if (!d)
		die("no memory");
	d->set = &b->set;
	d->memory = pages_alloc(b->set.nr);
	d->first_pass = first_pass;
	d->short_of = short_of;
	d->path = b->device;
	if (!first_pass)
		open_session(d);
	*c = (struct contender){
		.kind = "device",
		.state = d,
		.restore = device_restore,
		.touch = device_touch,
		.run = device_run,
	};
	snprintf(c->name, sizeof(c->name), "device");
}

static struct contender *add(struct bench *b)
{
	b->ns[b->nr] = calloc(b->rounds, sizeof(*b->ns[0]));
	if (b->nr == MAX_CONTENDERS || !b->ns[b->nr])
		die("too many contenders");
	return &b->contender[b->nr++];
}

/* The first pass of a migration: old pages are none, and all are sent. */
static bool make_first_pass(struct bench *b)
{
	bool zero = !strcmp(b->workload, "zero");

	if (!zero && strcmp(b->workload, "raw"))
		return false;
	if (!pages_make(&b->set, "w4", b->pages))
		return false;
	if (zero)
		memset(b->set.cur, 0, b->pages * PAGE_BYTES);
	return true;
}

/* As w1, of pages that pack to a quarter. */
static bool make_packed(struct bench *b)
{
	size_t i, quarter = PAGE_BYTES / 4;

	if (!pages_make(&b->set, "w1", b->pages))
		return false;
	for (i = 0; i < b->pages * PAGE_BYTES; i++) {
		u8 change = b->set.old[i] ^ b->set.cur[i];

		if (i % PAGE_BYTES >= quarter)
			b->set.old[i] = b->set.old[i - quarter];
		b->set.cur[i] = b->set.old[i] ^ change;
	}
	return true;
}

static void add_all(struct bench *b)
{
	bool packed = !strcmp(b->workload, "packed"), first_pass = make_first_pass(b);

	if (!first_pass && !(packed ? make_packed(b) :
				      pages_make(&b->set, b->workload, b->pages)))
		die("there is no workload %s", b->workload);
	memcpy_add(add(b), &b->set);
	device_add(add(b), b, first_pass, packed);
	/* Both compare with a copy that a first pass does not have. */
	if (first_pass)
		return;
	if (!ours_add(add(b), &b->set, xbz_codec_name(), false, RING_BYTES, &b->sink))
		die("the codec has no variant %s", xbz_codec_name());
	if (b->qemu) {
		unsigned int i;

		for (i = 0; i < b->qemu->nr_encoders; i++)
			theirs_add(add(b), &b->set, b->qemu, i, &b->sink);
	}
}

static void run(struct bench *b)
{
	unsigned int round, i;

	/* The first round is for page faults and for what the CPU learns. */
	for (round = 0; round <= b->rounds; round++) {
		for (i = 0; i < b->nr; i++) {
			u64 ns = time_pass(&b->contender[i], b->set.nr, PLACE_DRAM_WALL, 0);

			if (round)
				b->ns[i][round - 1] = ns;
		}
	}
}

static void print(const struct bench *b)
{
	struct device *d = b->contender[1].state;
	unsigned int i, round;

	printf("{\"workload\": \"%s\", \"pages\": %zu, \"bytes\": %llu, \"calls\": %llu,\n",
	       b->workload, b->set.nr, (unsigned long long)d->bytes,
	       (unsigned long long)d->calls);
	printf(" \"idle_calls\": %d, \"idle_ns\": [", CALLS);
	for (round = 0; round < b->rounds; round++)
		printf("%s%llu", round ? ", " : "", (unsigned long long)time_calls(d));
	printf("],\n \"contenders\": [\n");
	for (i = 0; i < b->nr; i++) {
		printf(" {\"kind\": \"%s\", \"name\": \"%s\", \"ns\": [", b->contender[i].kind,
		       b->contender[i].name);
		for (round = 0; round < b->rounds; round++)
			printf("%s%llu", round ? ", " : "",
			       (unsigned long long)b->ns[i][round]);
		printf("]}%s\n", i + 1 < b->nr ? "," : "");
	}
	printf("]}\n");
}

static void usage(FILE *to)
{
	fputs("usage: device_bench --workload w0..w6|raw|zero|packed [--device PATH] [--pages N]\n"
	      "                    [--rounds N] [--qemu FILE.so]\n", to);
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "workload", required_argument, NULL, 'w' },
		{ "device", required_argument, NULL, 'd' },
		{ "pages", required_argument, NULL, 'n' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "qemu", required_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'w':
			b->workload = optarg;
			break;
		case 'd':
			b->device = optarg;
			break;
		case 'n':
			b->pages = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			b->rounds = strtoul(optarg, NULL, 0);
			break;
		case 'q':
			b->qemu = theirs_load(optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (!b->workload || !b->pages || !b->rounds || optind != argc) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct bench b = {
		.device = DEFAULT_DEVICE,
		.pages = DEFAULT_PAGES,
		.rounds = DEFAULT_ROUNDS,
	};

	parse(&b, argc, argv);
	add_all(&b);
	run(&b);
	print(&b);
	return 0;
}
