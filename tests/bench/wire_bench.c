// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replays a trace by each way of a page: raw, by zstd as multifd does it, as deltas,
 * and by what lib/core/choice.c chooses of these. Prints JSON: bytes and processor
 * time, and for the choice what it came to at each speed of the link.
 *
 *   wire_bench --trace FILE --links BYTES/S,... [--processors N] [--rounds N]
 *
 * Replayed are the passes after the first, with all old pages known.
 */
#include "bench.h"
#include "trace.h"

#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <xbzrle/choice.h>
#include <zstd.h>

/* QEMU's packets, and the header of one with room for so many pages. */
#define PACKET_PAGES 128
#define PACKET_HEAD (320 + 8 * PACKET_PAGES)
#define ZSTD_LEVEL 1
#define MAX_LINKS 16
/* Pages that are timed at once. */
#define GROUP 64
#define RECORD_MAX (9 + PAGE_BYTES)

enum way { WAY_RAW, WAY_ZSTD, WAY_DELTA, WAY_CHOICE };

/**
 * struct cost - what sending takes
 * @bytes: on the wire
 * @ns: of a processor
 * @deltas: pages that went as deltas
 * @packed: pages that went by zstd
 */
struct cost {
	u64 bytes;
	u64 ns;
	u64 deltas;
	u64 packed;
};

/**
 * struct sender - a migration
 * @way: how pages are sent
 * @choice: of %WAY_CHOICE
 * @link: bytes per second
 * @max_delta: what was chosen
 * @apart: the same
 * @zstd: the channel, as multifd has one: a stream over all packets
 * @packet: pages that it gets next
 * @nr: how many
 * @ring: records
 * @used: bytes in it
 * @iov: what the socket gets next
 * @nr_iov: how many
 * @socket: the socket
 * @cost: so far
 */
struct sender {
	enum way way;
	struct xbz_choice choice;
	u64 link;
	u32 max_delta;
	bool apart;
	ZSTD_CCtx *zstd;
	const u8 *packet[PACKET_PAGES];
	unsigned int nr;
	u8 *ring;
	size_t used;
	struct iovec iov[2 * GROUP];
	unsigned int nr_iov;
	int socket;
	struct cost cost;
};

static const u8 zero_page[PAGE_BYTES];

void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("wire_bench: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static u64 cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void *drain(void *arg)
{
	static u8 into[1 << 20];

	while (read(*(int *)arg, into, sizeof(into)) > 0)
		;
	return NULL;
}

/* A real one, so that giving bytes to it costs what it does. */
static void open_socket(int *ends)
{
	pthread_t thread;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ||
	    pthread_create(&thread, NULL, drain, &ends[1]))
		die("no socket");
	pthread_detach(thread);
}

static void put(struct sender *s, const void *from, size_t bytes)
{
	s->iov[s->nr_iov++] = (struct iovec){ (void *)from, bytes };
	s->cost.bytes += bytes;
}

static void flush(struct sender *s)
{
	struct iovec *iov = s->iov;
	ssize_t n;

	while (s->nr_iov) {
		n = writev(s->socket, iov, s->nr_iov);
		if (n < 0)
			die("cannot write");
		while (s->nr_iov && (size_t)n >= iov->iov_len) {
			n -= iov->iov_len;
			iov++;
			s->nr_iov--;
		}
		iov->iov_base = (u8 *)iov->iov_base + n;
		iov->iov_len -= n;
	}
	s->used = 0;
}

static void send_packet(struct sender *s)
{
	static u8 out[PACKET_PAGES * PAGE_BYTES + PACKET_HEAD + (64 << 10)];
	ZSTD_outBuffer to = { out, sizeof(out), PACKET_HEAD };
	u64 before = s->cost.bytes, ns = cpu_ns();
	unsigned int i;

	if (!s->nr)
		return;
	for (i = 0; i < s->nr; i++) {
		ZSTD_inBuffer from = { s->packet[i], PAGE_BYTES, 0 };
		size_t left;

		do {
			left = ZSTD_compressStream2(s->zstd, &to, &from, i == s->nr - 1 ?
						    ZSTD_e_flush : ZSTD_e_continue);
			if (ZSTD_isError(left))
				die("zstd: %s", ZSTD_getErrorName(left));
		} while (from.pos < from.size || (i == s->nr - 1 && left));
	}
	memset(out, 0, PACKET_HEAD);
	if (write(s->socket, out, to.pos) != (ssize_t)to.pos)
		die("cannot write");
	s->cost.bytes += to.pos;
	ns = cpu_ns() - ns;
	s->cost.ns += ns;
	s->cost.packed += s->nr;
	if (s->way == WAY_CHOICE)
		xbz_choice_learn(&s->choice, s->nr, s->cost.bytes - before, ns);
	s->nr = 0;
}

static void send_packed(struct sender *s, const u8 *page)
{
	s->packet[s->nr++] = page;
	if (s->nr == PACKET_PAGES)
		send_packet(s);
}

/* As the module does it, and the channels get what is whole. */
static void send_record(struct sender *s, const struct event *e, u8 *copy)
{
	static const struct xbz_block block = { .len = 1, .name = "m" };
	u8 *out = s->ring + s->used;
	struct xbz_record rec = {
		.block = &block,
		.cont = true,
		.cont_whole = true,
		.max_delta = s->max_delta,
		.snapshot = e->zero ? zero_page : e->content,
		.copy = copy,
		.known = copy ? XBZ_KNOWN_COPY : XBZ_KNOWN_ZERO,
	};
	size_t len = xbz_record_page(out, &rec);

	if (rec.kind == XBZ_SENT_RAW && s->apart) {
		/* Its time is that of the packet. */
		send_packed(s, e->content);
		return;
	}
	if (len)
		put(s, out, len);
	s->used += len;
	s->cost.deltas += rec.kind == XBZ_SENT_DELTA || rec.kind == XBZ_SENT_ZERO_BASED;
}

static bool is_zero(const u8 *page)
{
	return !memcmp(page, zero_page, PAGE_BYTES);
}

static void send_whole(struct sender *s, const struct event *e)
{
	static u8 head[9];

	if (e->zero || is_zero(e->content)) {
		put(s, head, 9);
	} else if (s->way == WAY_ZSTD) {
		send_packed(s, e->content);
	} else {
		put(s, head, 8);
		put(s, e->content, PAGE_BYTES);
	}
}

/* Few enough for the CPU's cache, enough to be timed. */
static void send_group(struct sender *s, const struct trace *t, const u32 *before, u32 first,
		       unsigned int nr)
{
	static u8 copies[GROUP][PAGE_BYTES];
	struct cost was = s->cost;
	unsigned int i;
	u64 ns, inner;

	for (i = 0; i < nr; i++) {
		const struct event *old = &t->events[before[first + i]];

		memcpy(copies[i], old->zero ? zero_page : old->content, PAGE_BYTES);
	}
	if (s->way == WAY_CHOICE) {
		s->max_delta = xbz_choice_max_delta(&s->choice);
		s->apart = xbz_choice_apart(&s->choice);
	}
	ns = cpu_ns();
	for (i = 0; i < nr; i++) {
		const struct event *e = &t->events[first + i];

		if (s->way == WAY_RAW || s->way == WAY_ZSTD)
			send_whole(s, e);
		else
			send_record(s, e, t->events[before[first + i]].zero ? NULL : copies[i]);
	}
	flush(s);
	/* Packets measure themselves. */
	ns = cpu_ns() - ns;
	inner = s->cost.ns - was.ns;
	s->cost.ns += ns > inner ? ns - inner : 0;
	if (s->way == WAY_CHOICE)
		xbz_choice_sent(&s->choice, s->link, s->cost.bytes - was.bytes,
				s->cost.ns - was.ns);
}

/* The first pass, in which costs are learned; it is not counted. */
static void send_first(struct sender *s, const struct trace *t)
{
	struct cost was;
	u32 i;

	for (i = 0; i < t->second; i++) {
		if (!t->events[i].content)
			continue;
		was = s->cost;
		send_packed(s, t->events[i].content);
		if (s->way == WAY_CHOICE)
			xbz_choice_sent(&s->choice, s->link, s->cost.bytes - was.bytes,
					s->cost.ns - was.ns);
	}
	send_packet(s);
	s->cost = (struct cost){ 0 };
}

static struct cost replay(const struct trace *t, const u32 *before, enum way way, u64 link,
			  unsigned int processors, struct xbz_choice *choice)
{
	static u8 ring[GROUP * 2 * RECORD_MAX];
	static int ends[2];
	struct sender s = { .way = way, .link = link, .zstd = ZSTD_createCCtx(), .ring = ring };
	u32 i;

	if (!ends[0])
		open_socket(ends);
	s.socket = ends[0];

	ZSTD_CCtx_setParameter(s.zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	xbz_choice_init(&s.choice, processors);
	if (way == WAY_ZSTD || way == WAY_CHOICE)
		send_first(&s, t);
	for (i = t->second; i < t->nr; i += GROUP)
		send_group(&s, t, before, i, t->nr - i < GROUP ? t->nr - i : GROUP);
	send_packet(&s);
	ZSTD_freeCCtx(s.zstd);
	*choice = s.choice;
	return s.cost;
}

/**
 * struct result - the quickest of several replays
 * @cost: what it took
 * @choice: what it had learned
 */
struct result {
	struct cost cost;
	struct xbz_choice choice;
};

static void try(struct result *best, const struct trace *t, const u32 *before, enum way way,
		u64 link, unsigned int processors)
{
	struct xbz_choice choice;
	struct cost cost = replay(t, before, way, link, processors, &choice);

	if (!best->cost.ns || cost.ns < best->cost.ns)
		*best = (struct result){ cost, choice };
}

static void print_cost(const char *name, const struct cost *c)
{
	printf("\"%s\": {\"bytes\": %llu, \"cpu_ns\": %llu, \"deltas\": %llu, \"packed\": %llu",
	       name, c->bytes, c->ns, c->deltas, c->packed);
}

static u32 *find_before(const struct trace *t)
{
	u32 *before = calloc(t->nr, sizeof(*before));
	u32 i;

	if (!before)
		die("no memory");
	for (i = 0; i < t->nr; i++)
		if (t->events[i].next != NO_EVENT)
			before[t->events[i].next] = i;
	return before;
}

static unsigned int parse_links(char *text, u64 *links)
{
	unsigned int nr = 0;
	char *word;

	for (word = strtok(text, ","); word && nr < MAX_LINKS; word = strtok(NULL, ","))
		links[nr++] = strtoull(word, NULL, 0);
	return nr;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "trace", required_argument, NULL, 't' },
		{ "links", required_argument, NULL, 'l' },
		{ "processors", required_argument, NULL, 'p' },
		{ "rounds", required_argument, NULL, 'r' },
		{ 0 },
	};
	static const char *const names[WAY_CHOICE] = { "raw", "zstd", "delta" };
	unsigned int nr_links = 0, processors = 2, rounds = 3, i;
	struct result fixed[WAY_CHOICE] = { 0 }, chosen[MAX_LINKS] = { 0 };
	u64 links[MAX_LINKS];
	struct trace t = { 0 };
	u32 *before;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			trace_load(&t, optarg);
		else if (c == 'l')
			nr_links = parse_links(optarg, links);
		else if (c == 'p')
			processors = atoi(optarg);
		else if (c == 'r')
			rounds = atoi(optarg);
		else
			return 2;
	}
	if (!t.nr || !nr_links || !processors || !rounds)
		die("--trace and --links are needed");
	before = find_before(&t);
	/* In turn, so that a slow moment of the machine is nobody's alone. */
	while (rounds--) {
		for (i = 0; i < WAY_CHOICE; i++)
			try(&fixed[i], &t, before, i, 0, processors);
		for (i = 0; i < nr_links; i++)
			try(&chosen[i], &t, before, WAY_CHOICE, links[i], processors);
	}
	printf("{\"pages\": %u, \"processors\": %u, \"ways\": {", t.nr - t.second, processors);
	for (i = 0; i < WAY_CHOICE; i++) {
		print_cost(names[i], &fixed[i].cost);
		printf("}%s", i + 1 < WAY_CHOICE ? ", " : "},\n");
	}
	printf(" \"links\": [");
	for (i = 0; i < nr_links; i++) {
		const struct xbz_choice *c = &chosen[i].choice;

		printf("%s{\"link\": %llu, ", i ? ",\n  " : "", links[i]);
		print_cost("choice", &chosen[i].cost);
		printf(", \"max_delta\": %u, \"apart\": %d, \"price\": %u}}",
		       xbz_choice_max_delta(c), xbz_choice_apart(c), c->price);
	}
	printf("]}\n");
	return 0;
}
