// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl bench: the module's speed on this host, on memory of this process instead
 * of a guest's. It sets the bits of the region's bitmap itself, without KVM and
 * without a socket. It times ENCODE, with a thread for each queue, and the release
 * of the ring.
 */
#include "args.h"
#include "device.h"
#include "print.h"
#include "xbzctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <xbzrle/xbzrle.h>

#define PAGE 4096UL
#define HUGE (2UL << 20)
#define RING_BYTES (4UL << 20)
#define DEFAULT_MEMORY (64UL << 20)
#define DEFAULT_SECONDS 0.5
/* Enough rounds for a median, however long one takes. */
#define ROUNDS_MIN 5
#define ROUNDS_MAX 1001

/**
 * struct bench - a session over memory of this process
 * @memory: the "guest's" memory
 * @copy: the destination of memcpy()
 * @bytes: size of each of them
 * @queues: number of queues
 * @seconds: time for each workload
 * @session: the session
 * @workers: its threads
 * @region: the region's number
 * @bitmap: its bitmap
 * @seed: of the pages' contents
 */
struct bench {
	uint8_t *memory;
	uint8_t *copy;
	size_t bytes;
	unsigned int queues;
	double seconds;
	struct xbzrle_session *session;
	struct xbzrle_workers *workers;
	uint32_t region;
	uint64_t *bitmap;
	uint64_t seed;
};

/**
 * struct result - the result of a workload
 * @gbps: 10^9 bytes of guest memory per second, sorted
 * @rounds: number of rounds
 * @bytes: bytes of the stream in the last round
 */
struct result {
	double gbps[ROUNDS_MAX];
	unsigned int rounds;
	uint64_t bytes;
};

static uint64_t random64(struct bench *b)
{
	/* xorshift64* */
	b->seed ^= b->seed >> 12;
	b->seed ^= b->seed << 25;
	b->seed ^= b->seed >> 27;
	return b->seed * 0x2545f4914f6cdd1dULL;
}

/* The module drops cached pages in the background, which is no part of the next round. */
static int forget(struct bench *b)
{
	struct xbzrle_counters c = { .size = sizeof(c) };
	int ret = xbzrle_session_invalidate(b->session, b->region, 0, b->bytes / PAGE);

	while (!ret) {
		ret = xbzrle_session_counters(b->session, XBZRLE_ALL_QUEUES, &c);
		if (!ret && !c.cache_pages && !c.cache_zero)
			break;
		usleep(1000);
	}
	return ret;
}

static int fill(struct bench *b)
{
	uint64_t *word = (uint64_t *)b->memory;
	size_t i;

	for (i = 0; i < b->bytes / 8; i++)
		word[i] = random64(b);
	return 0;
}

static int change_nothing(struct bench *b)
{
	(void)b;
	return 0;
}

static int change_bytes(struct bench *b)
{
	size_t at;

	for (at = 0; at < b->bytes; at += 1024)
		b->memory[at]++;
	return 0;
}

static int change_words(struct bench *b)
{
	uint64_t *word = (uint64_t *)b->memory;
	size_t page;
	int i;

	for (page = 0; page < b->bytes / PAGE; page++, word += PAGE / 8)
		for (i = 0; i < 64; i++)
			word[random64(b) % (PAGE / 8)] = random64(b);
	return 0;
}

static int first_pass(struct bench *b)
{
	fill(b);
	return forget(b);
}

static int first_pass_zero(struct bench *b)
{
	memset(b->memory, 0, b->bytes);
	return forget(b);
}

static const struct {
	const char *name;
	const char *help;
	int (*change)(struct bench *b);
} workloads[] = {
	{ "first", "pages sent for the first time", first_pass },
	{ "unchanged", "pages written to, with what they had", change_nothing },
	{ "bytes", "a byte in every KiB changed", change_bytes },
	{ "words", "64 words of a page changed", change_words },
	{ "all", "all bytes of a page changed", fill },
	{ "zero", "zero pages sent for the first time", first_pass_zero },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Encode all dirty pages; @bytes is set to their bytes in the stream. */
static int drain(struct bench *b, uint64_t *bytes)
{
	struct xbzrle_batch batch;
	unsigned int queue;
	int ret;

	*bytes = 0;
	xbzrle_workers_resume(b->workers, 0);
	while ((ret = xbzrle_workers_next(b->workers, &queue, &batch)) > 0) {
		if (batch.status & XBZRLE_STATUS_FAULT)
			return -EFAULT;
		*bytes += batch.bytes;
		ret = xbzrle_workers_release(b->workers, queue, batch.end);
		if (ret)
			return ret;
	}
	return ret;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A round takes at least a step of the clock: a coarse clock may show no time. */
static void add_round(struct result *r, size_t bytes, double seconds)
{
	struct timespec step;

	clock_getres(CLOCK_MONOTONIC, &step);
	if (seconds < step.tv_nsec / 1e9)
		seconds = step.tv_nsec / 1e9;
	r->gbps[r->rounds++] = bytes / 1e9 / seconds;
}

static bool another(const struct bench *b, const struct result *r, double begin)
{
	return r->rounds < ROUNDS_MIN ||
	       (r->rounds < ROUNDS_MAX && now() - begin < b->seconds);
}

static int run(struct bench *b, unsigned int which, struct result *r)
{
	double begin = now(), start;
	int ret;

	r->rounds = 0;
	while (another(b, r, begin)) {
		ret = workloads[which].change(b);
		if (ret)
			return ret;
		memset(b->bitmap, 0xff, b->bytes / PAGE / 8);
		start = now();
		ret = drain(b, &r->bytes);
		if (ret)
			return ret;
		add_round(r, b->bytes, now() - start);
	}
	qsort(r->gbps, r->rounds, sizeof(r->gbps[0]), by_value);
	return 0;
}

static void run_memcpy(struct bench *b, struct result *r)
{
	double begin = now(), start;
	size_t at;

	r->rounds = 0;
	r->bytes = b->bytes;
	while (another(b, r, begin)) {
		start = now();
		for (at = 0; at < b->bytes; at += PAGE)
			memcpy(b->copy + at, b->memory + at, PAGE);
		add_round(r, b->bytes, now() - start);
	}
	qsort(r->gbps, r->rounds, sizeof(r->gbps[0]), by_value);
}

static void print(const struct xbzctl *ctl, const struct bench *b, const char *name,
		  const char *help, const struct result *r)
{
	double median = r->gbps[r->rounds / 2];
	double per_page = (double)r->bytes * PAGE / b->bytes;

	if (ctl->json) {
		json_open(NULL, '{');
		json_text("workload", name);
		json_double("gbps", median);
		json_double("gbps_low", r->gbps[r->rounds / 4]);
		json_double("gbps_high", r->gbps[r->rounds - 1 - r->rounds / 4]);
		json_double("ns_per_page", PAGE / median);
		json_double("bytes_per_page", per_page);
		json_u64("rounds", r->rounds);
		json_close('{');
		return;
	}
	printf("%-10s %6.2f GB/s  %6.2f to %6.2f  %7.0f ns  %7.1f bytes  %s\n", name,
	       median, r->gbps[r->rounds / 4], r->gbps[r->rounds - 1 - r->rounds / 4],
	       PAGE / median, per_page, help);
	fflush(stdout);
}

static uint8_t *memory_alloc(size_t bytes)
{
	void *p = NULL;

	/* Huge pages, like a guest's memory. */
	if (posix_memalign(&p, HUGE, bytes))
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE);
	memset(p, 1, bytes);
	return p;
}

static int begin(struct bench *b, const char *path)
{
	struct xbzrle_workers_config workers = { .size = sizeof(workers), .batch_bytes = 1 << 20 };
	struct xbzrle_config config = {
		.size = sizeof(config),
		.nr_queues = b->queues,
		.vm_fd = -1,
		.ring_bytes = RING_BYTES,
		/* A queue can have one chunk more than its share. */
		.cache_bytes = b->bytes + b->queues * HUGE,
		.name = "xbzctl bench",
	};
	int ret;

	ret = xbzrle_session_open(&b->session, path);
	if (ret)
		return device_failed(path, ret);
	ret = xbzrle_session_setup(b->session, &config);
	if (!ret)
		ret = xbzrle_session_region_add(b->session, "bench", b->memory, b->bytes / PAGE,
						&b->region, &b->bitmap);
	if (!ret)
		ret = xbzrle_workers_start(&b->workers, b->session, &workers);
	return ret ? device_failed(path, ret) : XBZCTL_OK;
}

static int run_all(const struct xbzctl *ctl, struct bench *b, const char *path)
{
	static struct result result;
	size_t i;
	int ret;

	if (ctl->json) {
		json_open(NULL, '{');
		json_u64("memory", b->bytes);
		json_u64("queues", b->queues);
		json_open("workloads", '[');
	}
	run_memcpy(b, &result);
	print(ctl, b, "memcpy", "for comparison", &result);
	for (i = 0; i < ARRAY_SIZE(workloads); i++) {
		ret = run(b, i, &result);
		if (ret)
			return device_failed(path, ret);
		print(ctl, b, workloads[i].name, workloads[i].help, &result);
	}
	if (ctl->json) {
		json_close('[');
		json_close('{');
		json_end();
	}
	return XBZCTL_OK;
}

static int usage(void)
{
	fprintf(stderr,
		"Usage: xbzctl bench [-m SIZE] [-q QUEUES] [-t SECONDS]\n\n"
		"  -m SIZE     memory to work on, in whole 2 MiB; the cache and memcpy take\n"
		"              as much each (64m)\n"
		"  -q QUEUES   queues, each with a thread (1)\n"
		"  -t SECONDS  time for each workload (%g)\n", DEFAULT_SECONDS);
	return XBZCTL_USAGE;
}

/**
 * xbzctl_bench() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: -m SIZE of memory, -q QUEUES, -t SECONDS for each workload
 *
 * Return: the exit status.
 */
int xbzctl_bench(const struct xbzctl *ctl, int argc, char **argv)
{
	const char *path = ctl->device ? ctl->device : XBZCTL_DEVICE;
	struct bench b = { .seconds = DEFAULT_SECONDS, .seed = 1 };
	uint64_t host = host_memory(), bytes = DEFAULT_MEMORY;
	double queues = 1;
	bool good = true;
	int opt, ret;

	optind = 1;
	while ((opt = getopt(argc, argv, "+m:q:t:")) != -1) {
		if (opt == 'm')
			good &= size_read(optarg, host, &bytes);
		else if (opt == 'q')
			good &= number_read("-q", optarg, 1, XBZRLE_MAX_QUEUES, &queues);
		else if (opt == 't')
			good &= number_read("-t", optarg, 0, 3600, &b.seconds);
		else
			good = false;
	}
	if (!good || optind != argc)
		return usage();
	if (bytes < HUGE || bytes > host / 4) {
		fprintf(stderr, "xbzctl: -m takes 2m to a quarter of the host's memory\n");
		return XBZCTL_USAGE;
	}
	b.bytes = bytes & ~(HUGE - 1);
	b.queues = queues;
	b.memory = memory_alloc(b.bytes);
	b.copy = memory_alloc(b.bytes);
	ret = b.memory && b.copy ? begin(&b, path) : device_failed(path, -ENOMEM);
	if (!ret)
		ret = run_all(ctl, &b, path);
	xbzrle_workers_stop(b.workers);
	xbzrle_session_close(b.session);
	free(b.memory);
	free(b.copy);
	return ret;
}
