// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of /dev/xbzrle in any order, with any arguments, while a second thread scribbles
 * on whatever is shared and changes what is mapped. A program is a list of calls of eight
 * bytes. Programs are made of others, by chance; one that runs code of the module that
 * none before it has run, as KCOV tells, is kept. A kernel without KCOV keeps nothing.
 *
 *   device_fuzz SECONDS CORPUS FOUND
 *
 * CORPUS is read; FOUND is read too, and gets what is kept, and the program that runs, as
 * "last". XBZ_SEED repeats a run, but for what the second thread does. Prints TAP: fails
 * if a kind of call never succeeded, as such a run has tested little, or if memory is
 * still charged when all is closed. Faults are in the kernel's log.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/kcov.h>
#include <linux/kvm.h>
#include <linux/xbzrle.h>
#include <linux/xbzrle_netlink.h>

#include "../device/rng.h"
#include "../fakevm/xbz_fakevm.h"

#define PAGE XBZRLE_PAGE_SIZE
#define CALLS_MAX 48
#define CORPUS_MAX 4096
#define SESSIONS 3
#define MAPS 16
/* Guest memory: two chunks and a bit. */
#define GUEST_PAGES (2 * XBZRLE_CHUNK_PAGES + 70)
#define GUEST ((uint8_t *)0x1000000000)
#define SCRATCH_BYTES (64 << 10)
#define COVER_WORDS (64 << 10)

enum op {
	OP_SETUP, OP_REGION_SET, OP_REGION_DEL, OP_SLOT_SET, OP_SLOT_DEL, OP_SYNC, OP_CLEAR,
	OP_ENCODE, OP_INVALIDATE, OP_CACHE, OP_COUNTERS, OP_INFO,
	OP_MMAP, OP_UNMAP, OP_CHANGE, OP_CLOSE, OP_CONSUME, OP_SCRIBBLE, OP_WRITE, OP_GUEST,
	OP_LOG, OP_NETLINK, OP_RAW,
	OPS
};

static const char *const names[OPS] = {
	"setup", "region-set", "region-del", "slot-set", "slot-del", "sync", "clear",
	"encode", "invalidate", "cache", "counters", "info",
	"mmap", "unmap", "change", "close", "consume", "scribble", "write", "guest",
	"log", "netlink", "raw",
};

struct call {
	uint8_t op;
	uint8_t who;		/* session, queue, mapping: modulo what there is */
	uint8_t a, b, c, d;	/* choose arguments */
	uint8_t at, value;	/* value replaces the argument's word at, unless 0 */
};

struct program {
	unsigned int calls;
	struct call call[CALLS_MAX];
};

struct map {
	uint8_t *addr;
	size_t bytes;
};

struct session {
	int fd, vm;
	struct xbzrle_setup setup;
	struct xbzrle_region region;
};

static struct xbzt_rng rng;
static struct program *corpus;
static unsigned int corpus_size;
static unsigned long long done[OPS], good[OPS], programs;

static int device, fakevm, genl, memfd;
static uint16_t family;
static struct session sessions[SESSIONS];
static struct map maps[MAPS];
static uint8_t *scratch;

static uint64_t *cover;
static uint8_t seen[1 << 20];

/* Memory that is gone, or that may not be written, is not touched. */
static __thread sigjmp_buf *faults;

static void fault(int number)
{
	if (!faults) {
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	siglongjmp(*faults, 1);
}

#define touch(statement) ({					\
	sigjmp_buf _here;					\
	bool _good = !sigsetjmp(_here, 1);			\
								\
	if (_good) {						\
		__atomic_store_n(&faults, &_here, __ATOMIC_RELAXED);	\
		statement;					\
		__asm__ __volatile__("" : : : "memory");	\
	}							\
	__atomic_store_n(&faults, NULL, __ATOMIC_RELAXED);	\
	_good; })

/* Numbers of which one may be a bound that is missed. */
static uint64_t odd(uint8_t value)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 7, 8, 63, 64, 65, 511, 512, 513, PAGE - 1, PAGE, PAGE + 1,
		XBZRLE_RECORD_MAX, 64 << 10, 1 << 20, 1U << 31, ~0U, 1ULL << 32, 1ULL << 44,
		1ULL << 47, 1ULL << 52, 1ULL << 63, ~0ULL, ~0ULL - PAGE,
		(uintptr_t)GUEST, (uintptr_t)GUEST + GUEST_PAGES * PAGE - 8,
	};
	unsigned int n = sizeof(numbers) / sizeof(*numbers);

	return value < 128 ? value : numbers[value % n];
}

static void put_odd(void *arg, size_t bytes, const struct call *c)
{
	uint64_t number = odd(c->value);
	size_t at = c->at * 4 % bytes;

	if (c->value)
		memcpy((uint8_t *)arg + at, &number,
		       c->value & 1 && bytes - at >= 8 ? 8 : 4);
}

static int call_on(int fd, unsigned int cmd, void *arg, size_t bytes, const struct call *c)
{
	put_odd(arg, bytes, c);
	return ioctl(fd, cmd, arg);
}

static void keep_map(void *addr, size_t bytes, unsigned int at)
{
	struct map *m = &maps[at % MAPS];

	if (m->addr)
		munmap(m->addr, m->bytes);
	m->bytes = bytes;
	m->addr = addr;
}

static bool map(struct session *s, const struct call *c)
{
	uint64_t ring = s->setup.ring_offset + c->a % 4 * s->setup.ring_stride;
	int prot = PROT_READ | (c->c & 1 ? PROT_WRITE : 0);
	uint64_t offset = s->region.bitmap_offset;
	size_t bytes = s->region.bitmap_bytes;
	void *p;

	switch (c->b % 4) {
	case 0:
		offset = ring;
		bytes = PAGE;
		break;
	case 1:
		offset = ring + PAGE;
		bytes = PAGE + 2 * s->setup.ring_bytes;
		prot &= ~PROT_WRITE;
		break;
	case 2:
		prot |= PROT_WRITE;
		break;
	}
	if (c->value & 1)
		bytes = odd(c->value);
	else if (c->value)
		offset += odd(c->value) * PAGE;
	if (bytes > 1 << 20)
		bytes = 1 << 20;
	p = mmap(NULL, bytes, prot, c->c & 0x80 ? MAP_PRIVATE : MAP_SHARED, s->fd, offset);
	if (p != MAP_FAILED)
		keep_map(p, bytes, c->who);
	return p != MAP_FAILED;
}

/* What a process can do to a mapping that it has, or to the guest's memory. */
static bool change(uint8_t *addr, size_t bytes, const struct call *c)
{
	size_t at = c->a * PAGE % (bytes ? bytes : 1), left = bytes - at;
	size_t part = c->b ? (c->b * PAGE < left ? c->b * PAGE : left) : left;
	int fd = c->c & 1 ? memfd : -1;
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	switch (c->d % 8) {
	case 0:
		return !mprotect(addr + at, part, PROT_READ);
	case 1:
		return !mprotect(addr + at, part, PROT_READ | PROT_WRITE);
	case 2:
		return !madvise(addr + at, part, MADV_DONTNEED);
	case 3:
		return !munmap(addr + at, part);
	case 4:
	case 5:
		return mmap(addr + at, part, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
			    at) != MAP_FAILED;
	case 6:
		return !ftruncate(memfd, c->c * PAGE);
	default:
		return !mprotect(addr + at, part, PROT_NONE);
	}
}

static void write_guest(const struct call *c)
{
	uint8_t *page = GUEST + (c->a | c->b << 8) % GUEST_PAGES * PAGE;
	unsigned int i, step = 1 + c->d, kind = c->c % 4;

	touch(
		if (!kind)
			memset(page, 0, PAGE);
		for (i = 0; kind && i < PAGE; i += kind == 1 ? 1 : kind == 2 ? step : 8 * step)
			page[i] += kind == 1 ? xbzt_random(&rng) : i + c->value);
}

static bool setup(struct session *s, const struct call *c)
{
	struct xbz_fakevm_create vm = { .flags = c->a & 1 };

	if (s->fd >= 0)
		close(s->fd);
	if (c->a & 2) {
		if (s->vm >= 0)
			close(s->vm);
		s->vm = ioctl(fakevm, XBZ_FAKEVM_CREATE, &vm);
	}
	s->setup = (struct xbzrle_setup){
		.size = sizeof(s->setup),
		.flags = c->a & 3 & (s->vm < 0 ? 0 : ~2U),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = 1 + c->b % 4,
		.ring_bytes = XBZRLE_PAGE_SIZE << 4 << (c->b >> 7),
		.cache_bytes = (uint64_t)(c->c & 15) * (c->c & 16 ? PAGE : 64 * PAGE),
		.vm_fd = s->vm,
		.log_block_pages = c->d & 1 ? 64 << (c->d & 7) : 0,
		.name = "fuzz",
	};
	s->fd = call_on(device, XBZRLE_SETUP, &s->setup, sizeof(s->setup), c);
	memset(&s->region, 0, sizeof(s->region));
	return s->fd >= 0;
}

static bool region_set(struct session *s, const struct call *c)
{
	unsigned int first = c->a * 4 % GUEST_PAGES;
	struct xbzrle_region arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)GUEST + first * PAGE,
		.nr_pages = 1 + (c->b * 5) % (GUEST_PAGES - first),
		.name = { 'a' + c->c % 4 },
	};

	if (call_on(s->fd, XBZRLE_REGION_SET, &arg, sizeof(arg), c))
		return false;
	s->region = arg;
	return true;
}

static bool slot_set(struct session *s, const struct call *c)
{
	struct xbzrle_slot arg = {
		.size = sizeof(arg),
		.slot = c->a % 4,
		.region = c->d & 1 ? s->region.region : c->d,
		.first_page = c->b,
		.nr_pages = 1 + c->c * 4,
	};
	struct xbz_fakevm_slot slot = {
		.slot = arg.slot,
		.addr = s->region.addr + c->b * PAGE,
		.nr_pages = arg.nr_pages - (c->d >> 7),
	};

	if (s->vm >= 0)
		ioctl(s->vm, XBZ_FAKEVM_SLOT, &slot);
	return !call_on(s->fd, XBZRLE_SLOT_SET, &arg, sizeof(arg), c);
}

/* The guest writes, or a call of KVM's is to fail. */
static bool vm_log(struct session *s, const struct call *c)
{
	struct xbz_fakevm_bits bits = {
		.slot = c->a % 4,
		.bitmap = (uintptr_t)scratch + SCRATCH_BYTES,
	};
	struct xbz_fakevm_inject inject = {
		.call = c->b & 1, .error = c->b >> 1, .skip = c->c & 3, .count = c->d & 3,
		.late = c->d & 4,
	};

	if (c->who & 0x80)
		return !ioctl(s->vm, XBZ_FAKEVM_INJECT, &inject);
	memset(scratch + SCRATCH_BYTES, c->c, PAGE);
	return !ioctl(s->vm, XBZ_FAKEVM_BITS, &bits);
}

static bool encode(struct session *s, const struct call *c)
{
	struct xbzrle_encode arg = {
		.size = sizeof(arg),
		.flags = c->a & 3,
		.queue = c->b % 4,
		.max_pages = c->c,
		.budget = c->d & 1 ? c->d * 64 : 0,
		.scratch = (uintptr_t)scratch,
		.scratch_bytes = SCRATCH_BYTES,
		.max_delta = c->d & 2 ? c->d * 16 : 0,
	};

	return !call_on(s->fd, XBZRLE_ENCODE, &arg, sizeof(arg), c);
}

/* Calls whose argument begins with size, flags, region and goes on with a range. */
static bool ranged(struct session *s, const struct call *c)
{
	union {
		struct xbzrle_region_del del;
		struct xbzrle_slot_del slot;
		struct xbzrle_sync sync;
		struct xbzrle_clear clear;
		struct xbzrle_invalidate invalidate;
		struct xbzrle_cache cache;
		struct xbzrle_counters counters;
		struct xbzrle_info info;
		uint8_t bytes[512];
	} arg = { .clear = { .region = c->d & 1 ? c->d : s->region.region,
			     .first_page = c->a, .nr_pages = c->b } };
	unsigned int cmd, size;

	switch (c->op) {
	case OP_REGION_DEL:
		cmd = XBZRLE_REGION_DEL, size = sizeof(arg.del);
		break;
	case OP_SLOT_DEL:
		cmd = XBZRLE_SLOT_DEL, size = sizeof(arg.slot);
		arg.slot.slot = c->a % 4;
		break;
	case OP_SYNC:
		cmd = XBZRLE_SYNC, size = sizeof(arg.sync);
		arg.sync = (struct xbzrle_sync){ .scratch = (uintptr_t)scratch,
						 .scratch_bytes = SCRATCH_BYTES };
		break;
	case OP_CLEAR:
		cmd = XBZRLE_CLEAR, size = sizeof(arg.clear);
		arg.clear.scratch = (uintptr_t)scratch;
		arg.clear.scratch_bytes = SCRATCH_BYTES;
		break;
	case OP_INVALIDATE:
		cmd = XBZRLE_INVALIDATE, size = sizeof(arg.invalidate);
		break;
	case OP_CACHE:
		cmd = XBZRLE_CACHE, size = sizeof(arg.cache);
		arg.cache = (struct xbzrle_cache){ .cache_bytes = c->a * 16 * PAGE };
		break;
	case OP_COUNTERS:
		cmd = XBZRLE_COUNTERS, size = sizeof(arg.counters);
		arg.counters.queue = c->a & 1 ? c->a >> 1 : XBZRLE_ALL_QUEUES;
		break;
	default:
		cmd = XBZRLE_INFO, size = sizeof(arg.info);
		memset(&arg, 0, sizeof(arg));
		break;
	}
	arg.del.size = size;
	return !call_on(c->op == OP_INFO ? device : s->fd, cmd, &arg, size, c);
}

static bool consume(struct session *s, const struct call *c)
{
	int q = c->a % 4;
	uint64_t at = s->setup.ring_offset + q * s->setup.ring_stride;
	uint64_t *cons = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, at);
	uint64_t *prod = mmap(NULL, PAGE + 2 * s->setup.ring_bytes, PROT_READ, MAP_SHARED,
			      s->fd, at + PAGE);
	bool mapped = cons != MAP_FAILED && prod != MAP_FAILED;

	if (mapped)
		*cons = *prod + (c->value & 1 ? odd(c->value) : 0);
	if (prod != MAP_FAILED)
		munmap(prod, PAGE + 2 * s->setup.ring_bytes);
	if (cons != MAP_FAILED)
		munmap(cons, PAGE);
	return mapped;
}

static bool netlink(const struct session *s, const struct call *c)
{
	struct {
		struct nlmsghdr head;
		struct genlmsghdr genl;
		struct nlattr attr[2];
		uint32_t word[2];
	} message = {
		.head = {
			.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN) + (c->b & 1 ? 8 :
								  c->b & 4 ? 0 : 20),
			.nlmsg_type = family,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK |
				       (c->b & 2 ? NLM_F_DUMP : 0),
		},
		.genl = { .cmd = 1 + c->a % 6, .version = 1 },
	};
	bool well = false;
	char answer[32768];

	/* A session's or a queue's number, then eight bytes. */
	message.attr[0] = (struct nlattr){ 8, 1 };
	memcpy(&message.attr[1], &(uint32_t){ s->setup.session }, 4);
	memcpy(message.word, &(struct nlattr){ 12, c->c % 24 }, 4);
	memcpy((uint8_t *)message.word + 4, &(uint32_t){ c->d * PAGE }, 4);
	put_odd(&message.genl, sizeof(message) - sizeof(message.head), c);
	if (send(genl, &message, sizeof(message), 0) < 0)
		return false;
	while (recv(genl, answer, sizeof(answer), MSG_DONTWAIT) > 0) {
		const struct nlmsghdr *head = (void *)answer;

		well |= head->nlmsg_type != NLMSG_ERROR ||
			!((struct nlmsgerr *)NLMSG_DATA(head))->error;
	}
	return well;
}

static bool execute(const struct call *c)
{
	struct session *s = &sessions[c->who % SESSIONS];
	struct map *m = &maps[c->who % MAPS];
	uint8_t *addr = m->addr;

	switch (c->op) {
	case OP_SETUP:
		return setup(s, c);
	case OP_REGION_SET:
		return region_set(s, c);
	case OP_SLOT_SET:
		return slot_set(s, c);
	case OP_ENCODE:
		return encode(s, c);
	case OP_MMAP:
		return map(s, c);
	case OP_UNMAP:
		keep_map(NULL, 0, c->who);
		return addr;
	case OP_CHANGE:
		return addr && change(addr, m->bytes, c);
	case OP_CLOSE:
		close(s->fd);
		s->fd = -1;
		return true;
	case OP_CONSUME:
		return consume(s, c);
	case OP_SCRIBBLE:
		return addr && touch(*(uint64_t *)(addr + (c->a * 8UL) % m->bytes) =
				     odd(c->value));
	case OP_WRITE:
		write_guest(c);
		return true;
	case OP_GUEST:
		return change(GUEST, GUEST_PAGES * PAGE, c);
	case OP_LOG:
		return vm_log(s, c);
	case OP_NETLINK:
		return netlink(s, c);
	case OP_RAW:
		memset(scratch, 0, PAGE);
		memcpy(scratch, &(uint32_t){ 8 * c->d }, 4);
		return !ioctl(c->a & 1 ? s->fd : device, _IO(XBZRLE_IOC_TYPE, c->b % 16),
			      c->c & 1 ? (uintptr_t)scratch : odd(c->value));
	default:
		return ranged(s, c);
	}
}

/* Scribbles, consumes and pulls memory away, all the time. */
static void *second(void *arg)
{
	struct xbzt_rng own;

	xbzt_rng_seed(&own, (uintptr_t)arg);
	for (;;) {
		struct map *m = &maps[xbzt_below(&own, MAPS)];
		uint64_t r = xbzt_random(&own);
		uint8_t *addr = __atomic_load_n(&m->addr, __ATOMIC_RELAXED);
		struct call c = { .a = r, .b = r >> 8, .c = r >> 16, .d = r >> 24 };

		if (r >> 60 == 0)
			change(GUEST, GUEST_PAGES * PAGE, &c);
		else if (r >> 60 < 4)
			touch(GUEST[r % (GUEST_PAGES * PAGE)] = r >> 32);
		else if (r >> 60 < 6)
			touch(scratch[r % SCRATCH_BYTES] = r >> 32);
		else if (addr)
			touch(addr[r % (m->bytes + 1)] ^= r >> 32);
		if (r >> 57 & 1)
			usleep(100);
	}
	return NULL;
}

/* Back to nothing: no session, no mapping, all of the guest's memory. */
static void reset(void)
{
	unsigned int i;

	for (i = 0; i < MAPS; i++)
		keep_map(NULL, 0, i);
	for (i = 0; i < SESSIONS; i++) {
		close(sessions[i].fd);
		close(sessions[i].vm);
		sessions[i].fd = sessions[i].vm = -1;
	}
	if (ftruncate(memfd, GUEST_PAGES * PAGE) ||
	    mmap(GUEST, GUEST_PAGES * PAGE, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		abort();
}

/* Whether code of the module ran, or in an order, that has not run before. */
static bool run(const struct program *p)
{
	uint64_t i, nr, last = 0;
	bool news = false;

	if (cover)
		__atomic_store_n(cover, 0, __ATOMIC_RELAXED);
	for (i = 0; i < p->calls; i++) {
		const struct call *c = &p->call[i];

		done[c->op]++;
		good[c->op] += execute(c);
	}
	programs++;
	nr = cover ? __atomic_load_n(cover, __ATOMIC_RELAXED) : 0;
	for (i = 1; i <= nr && i < COVER_WORDS; i++) {
		uint64_t edge = (cover[i] ^ last << 1) * 0x9e3779b97f4a7c15ULL >> 44;

		last = cover[i];
		news |= !seen[edge];
		seen[edge] = 1;
	}
	reset();
	return news;
}

static void change_program(struct program *p)
{
	const struct program *other = corpus_size ? &corpus[xbzt_below(&rng, corpus_size)] : p;
	unsigned int changes = 1 + xbzt_below(&rng, 4);
	unsigned int at, n;
	uint64_t r;

	*p = corpus_size ? corpus[xbzt_below(&rng, corpus_size)] : (struct program){ 0 };
	while (changes--) {
		r = xbzt_random(&rng);
		at = p->calls ? r % p->calls : 0;
		switch (r >> 32 & 7) {
		case 0:		/* a call less */
			if (p->calls > 1)
				memmove(&p->call[at], &p->call[at + 1],
					(--p->calls - at) * sizeof(struct call));
			break;
		case 1:		/* the rest is another's */
			n = other->calls < CALLS_MAX - at ? other->calls : CALLS_MAX - at;
			memcpy(&p->call[at], other->call, n * sizeof(struct call));
			p->calls = at + n;
			break;
		case 2:		/* a byte of a call */
		case 3:
		case 4:
			((uint8_t *)&p->call[at])[1 + (r >> 40) % 7] = r >> 48;
			break;
		default:	/* a call more */
			if (p->calls == CALLS_MAX)
				break;
			memmove(&p->call[at + 1], &p->call[at],
				(p->calls++ - at) * sizeof(struct call));
			r = xbzt_random(&rng);
			memcpy(&p->call[at], &r, sizeof(r));
			/* Most words are as the call wants them. */
			if (r >> 40 & 3)
				p->call[at].value = 0;
		}
		for (n = 0; n < p->calls; n++)
			p->call[n].op %= OPS;
	}
}

static void save(const char *directory, const char *name, const struct program *p)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, p->call, p->calls * sizeof(struct call)) < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static void keep(const struct program *p)
{
	if (corpus_size < CORPUS_MAX)
		corpus[corpus_size++] = *p;
	else
		corpus[xbzt_below(&rng, CORPUS_MAX)] = *p;
}

static void load(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct program p;
		char path[512];
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		fd = open(path, O_RDONLY);
		n = read(fd, p.call, sizeof(p.call));
		close(fd);
		p.calls = n > 0 ? n / sizeof(struct call) : 0;
		for (n = 0; n < p.calls; n++)
			p.call[n].op %= OPS;
		if (p.calls && (run(&p) || !cover))
			keep(&p);
	}
	if (dir)
		closedir(dir);
}

static void start_kcov(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR);

	if (fd < 0)
		return;
	cover = MAP_FAILED;
	if (!ioctl(fd, KCOV_INIT_TRACE, COVER_WORDS))
		cover = mmap(NULL, COVER_WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (cover == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC)) {
		perror("kcov");
		exit(1);
	}
}

static void find_family(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	struct {
		struct nlmsghdr head;
		struct genlmsghdr genl;
		struct nlattr attr;
		char name[8];
	} message = {
		.head = { sizeof(message), GENL_ID_CTRL, NLM_F_REQUEST, 0, 0 },
		.genl = { .cmd = CTRL_CMD_GETFAMILY },
		.attr = { sizeof(message.attr) + sizeof(XBZRLE_FAMILY_NAME),
			  CTRL_ATTR_FAMILY_NAME },
		.name = XBZRLE_FAMILY_NAME,
	};
	uint8_t answer[8192];
	ssize_t got, at;

	genl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (bind(genl, (void *)&address, sizeof(address)) ||
	    send(genl, &message, sizeof(message), 0) < 0)
		return;
	got = recv(genl, answer, sizeof(answer), 0);
	for (at = NLMSG_HDRLEN + GENL_HDRLEN; at + 6 <= got;) {
		const struct nlattr *attr = (void *)(answer + at);

		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			memcpy(&family, attr + 1, sizeof(family));
		at += NLA_ALIGN(attr->nla_len);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = fault };
	struct xbzrle_info info = { .size = sizeof(info) };
	const char *seed = getenv("XBZ_SEED");
	unsigned long long calls = 0, places = 0;
	time_t begin = time(NULL), end;
	struct program p;
	pthread_t thread;
	bool bad = false;
	char name[32];
	int i;

	if (argc != 4)
		return 2;
	end = begin + atol(argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..1\n# XBZ_SEED=%llu\n", seed ? strtoull(seed, NULL, 0) :
	       (unsigned long long)begin);
	xbzt_rng_seed(&rng, seed ? strtoull(seed, NULL, 0) : (unsigned long long)begin);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);

	corpus = calloc(CORPUS_MAX, sizeof(*corpus));
	device = open("/dev/xbzrle", O_RDWR | O_CLOEXEC);
	fakevm = open("/dev/xbz_fakevm", O_RDWR | O_CLOEXEC);
	memfd = memfd_create("guest", MFD_CLOEXEC);
	scratch = mmap(NULL, 2 * SCRATCH_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	find_family();
	if (!corpus || device < 0 || fakevm < 0 || memfd < 0 || scratch == MAP_FAILED || !family) {
		perror("device_fuzz");
		return 1;
	}
	for (i = 0; i < SESSIONS; i++)
		sessions[i].fd = sessions[i].vm = -1;
	reset();
	pthread_create(&thread, NULL, second, (void *)(uintptr_t)xbzt_random(&rng));
	start_kcov();
	load(argv[2]);
	load(argv[3]);
	printf("# corpus: %u programs\n", corpus_size);

	while (time(NULL) < end) {
		change_program(&p);
		save(argv[3], "last", &p);
		if (!run(&p))
			continue;
		keep(&p);
		snprintf(name, sizeof(name), "%016llx", (unsigned long long)xbzt_random(&rng));
		save(argv[3], name, &p);
	}

	pthread_cancel(thread);
	pthread_join(thread, NULL);
	reset();
	for (i = 0; i < 1000 && !ioctl(device, XBZRLE_INFO, &info) && info.memory_used; i++)
		usleep(10000);
	if (info.memory_used) {
		printf("# %llu bytes are still charged\n", (unsigned long long)info.memory_used);
		bad = true;
	}
	for (i = 0; i < OPS; i++) {
		printf("# %-12s %10llu calls, %10llu good\n", names[i], done[i], good[i]);
		calls += done[i];
		bad |= !good[i];
	}
	for (i = 0; i < (int)sizeof(seen); i++)
		places += seen[i];
	printf("# %llu programs, %llu calls, %llu edges, %u programs in the corpus\n", programs,
	       calls, places, corpus_size);
	printf("%sok 1 - device\n", bad ? "not " : "");
	return bad;
}
