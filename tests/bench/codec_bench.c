// SPDX-License-Identifier: GPL-2.0-only
/*
 * Times our encoder's path, QEMU's, and the decoders of both, over one set of
 * pages in one place, and prints all samples as JSON. All contenders run in
 * turn in each round, so that whatever else the machine does meets all of them.
 * What the samples mean is tests/bench/codec's business.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* 64 MiB of pairs. */
#define DEFAULT_PAGES 8192
#define DEFAULT_ROUNDS 15
#define MAX_QEMUS 4
#define MAX_CONTENDERS 64

/* The patched QEMU's ring; and the least one, where all is to stay in L2. */
#define RING_DRAM (1024 << 10)
#define RING_L2 (64 << 10)

static const char *const variants[] = { "portable", "avx2", "avx512" };

struct bench {
	const char *workload;
	const char *pairs;
	size_t pages;
	unsigned int rounds;
	enum place place;
	struct page_set set;
	struct sink sink;
	const struct qemu_side *qemu[MAX_QEMUS];
	unsigned int nr_qemu;
	struct contender contender[MAX_CONTENDERS];
	struct stream stream[MAX_CONTENDERS];
	size_t nr_pages[MAX_CONTENDERS];
	u64 *ns[MAX_CONTENDERS];
	unsigned int nr;
};

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("codec_bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static struct contender *add(struct bench *b, size_t nr_pages)
{
	if (b->nr == MAX_CONTENDERS)
		die("too many contenders");
	b->ns[b->nr] = calloc(b->rounds, sizeof(*b->ns[0]));
	if (!b->ns[b->nr])
		die("no memory");
	b->nr_pages[b->nr] = nr_pages;
	return &b->contender[b->nr++];
}

/* Its stream, which says what it sends and is what decoders decode. */
static struct stream *check(struct bench *b)
{
	unsigned int i = b->nr - 1;

	stream_check(&b->stream[i], &b->contender[i], &b->set, &b->sink);
	return &b->stream[i];
}

static struct stream *add_ours(struct bench *b)
{
	size_t ring = b->place == PLACE_DRAM ? RING_DRAM : RING_L2;
	struct stream *last = NULL;
	unsigned int i, snapshot;
	struct contender c;

	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		for (snapshot = 0; snapshot < 2; snapshot++) {
			if (!ours_add(&c, &b->set, variants[i], snapshot, ring, &b->sink))
				continue;
			*add(b, b->set.nr) = c;
			last = check(b);
		}
	}
	return last;
}

static struct stream *add_theirs(struct bench *b)
{
	struct stream *last = NULL;
	unsigned int i, encoder;

	for (i = 0; i < b->nr_qemu; i++) {
		for (encoder = 0; encoder < b->qemu[i]->nr_encoders; encoder++) {
			theirs_add(add(b, b->set.nr), &b->set, b->qemu[i], encoder, &b->sink);
			last = check(b);
		}
	}
	return last;
}

static void add_decoders(struct bench *b, const struct stream *ours,
			 const struct stream *theirs)
{
	struct decode_set *pages = decode_set_make(&b->set, ours, theirs);
	size_t nr = decode_pages(pages);
	unsigned int i;

	if (!nr)
		return;
	decode_add(add(b, nr), pages, ours, "xbzrle", NULL);
	decode_add(add(b, nr), pages, theirs, "qemu", NULL);
	for (i = 0; i < b->nr_qemu; i++) {
		decode_add(add(b, nr), pages, ours, "xbzrle", b->qemu[i]);
		decode_add(add(b, nr), pages, theirs, "qemu", b->qemu[i]);
	}
}

static void run(struct bench *b)
{
	size_t group = time_l2_group();
	unsigned int round, n, i;

	/* The first round is for page faults and for what the CPU learns. */
	for (round = 0; round <= b->rounds; round++) {
		for (n = 0; n < b->nr; n++) {
			u64 ns;

			/* To and fro, so that nobody always follows the same one. */
			i = round % 2 ? b->nr - 1 - n : n;
			ns = time_pass(&b->contender[i], b->nr_pages[i], b->place, group);

			if (round)
				b->ns[i][round - 1] = ns;
		}
	}
}

static void print_contender(const struct bench *b, unsigned int i)
{
	const struct contender *c = &b->contender[i];
	const struct stream *s = &b->stream[i];
	unsigned int round;

	printf("  {\"kind\": \"%s\", \"name\": \"%s\", \"pages\": %zu,\n   ", c->kind, c->name,
	       b->nr_pages[i]);
	if (c->payload)
		printf("\"payload_of\": \"%s\", ", c->payload);
	if (s->len)
		printf("\"bytes\": %zu, \"records\": %zu, \"deltas\": %zu, \"raw\": %zu, ",
		       s->payload, s->records, s->deltas, s->raw);
	if (s->len)
		printf("\"zero\": %zu, ", s->zero);
	printf("\"ns\": [");
	for (round = 0; round < b->rounds; round++)
		printf("%s%llu", round ? ", " : "", (unsigned long long)b->ns[i][round]);
	printf("]}%s\n", i + 1 < b->nr ? "," : "");
}

static void print(const struct bench *b)
{
	unsigned int i;

	printf("{\"workload\": \"%s\", \"place\": \"%s\", \"pages\": %zu, \"l2_group\": %zu,\n",
	       b->workload, b->place == PLACE_DRAM ? "dram" : "l2", b->set.nr,
	       time_l2_group());
	printf(" \"contenders\": [\n");
	for (i = 0; i < b->nr; i++)
		print_contender(b, i);
	printf(" ]}\n");
}

/* On one processor from here on; which one, the scheduler has said. */
static void stay_here(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fprintf(stderr, "codec_bench: not bound to a processor\n");
}

static void print_usage(FILE *to)
{
	fputs("usage: codec_bench --workload NAME [--pairs FILE] [--place dram|l2]\n"
	      "                   [--pages N] [--rounds N] [--qemu FILE.so]...\n",
	      to);
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "workload", required_argument, NULL, 'w' },
		{ "pairs", required_argument, NULL, 'f' },
		{ "place", required_argument, NULL, 'l' },
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
		case 'f':
			b->pairs = optarg;
			break;
		case 'l':
			b->place = strcmp(optarg, "l2") ? PLACE_DRAM : PLACE_L2;
			break;
		case 'n':
			b->pages = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			b->rounds = strtoul(optarg, NULL, 0);
			break;
		case 'q':
			if (b->nr_qemu == MAX_QEMUS)
				die("too many QEMUs");
			b->qemu[b->nr_qemu++] = theirs_load(optarg);
			break;
		case 'h':
			print_usage(stdout);
			exit(0);
		default:
			print_usage(stderr);
			exit(2);
		}
	}
	if (!b->workload || !b->pages || !b->rounds || optind != argc) {
		print_usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct bench b = { .pages = DEFAULT_PAGES, .rounds = DEFAULT_ROUNDS };
	struct stream *ours, *theirs;

	parse(&b, argc, argv);
	stay_here();
	if (b.pairs)
		pages_load(&b.set, b.pairs);
	else if (!pages_make(&b.set, b.workload, b.pages))
		die("there is no workload %s", b.workload);

	memcpy_add(add(&b, b.set.nr), &b.set);
	limit_add(add(&b, b.set.nr), &b.set);
	theirs = add_theirs(&b);
	ours = add_ours(&b);
	if (ours && theirs)
		add_decoders(&b, ours, theirs);
	run(&b);
	print(&b);
	return 0;
}
