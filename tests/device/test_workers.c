// SPDX-License-Identifier: GPL-2.0-only
/*
 * libxbzrle's workers against the real module: whatever is dirtied while they
 * encode, are paused and stopped, arrives in the end. Fails if a page does not,
 * or if batches are lost, doubled or out of order.
 */
#include "harness.h"

#include <xbzrle/walk.h>
#include <xbzrle/xbzrle.h>

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 4096
#define RING XBZT_RING_MIN

struct guest {
	unsigned int nr_queues;
	struct xbzrle_session *s;
	struct xbzrle_workers *w;
	uint64_t *bitmap;
	uint8_t *src;
	uint8_t *dst;
	struct xbzt_dest dest;
	struct xbzt_block block;
	uint8_t owner[PAGES / XBZRLE_CHUNK_PAGES];
	bool stop;
};

static uint8_t *pages(void)
{
	void *p = mmap(NULL, PAGES * XBZT_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static struct guest *guest_start_signal(unsigned int nr_queues, uint64_t batch_bytes,
					int signal)
{
	const struct xbzrle_config cfg = {
		.size = sizeof(cfg), .nr_queues = nr_queues, .vm_fd = -1,
		.ring_bytes = RING, .cache_bytes = 64 << 20, .name = "workers",
	};
	/* Unchanged pages are not what ends a batch. */
	const struct xbzrle_workers_config how = { .size = sizeof(how),
						   .batch_bytes = batch_bytes,
						   .batch_pages = PAGES,
						   .signal = signal };
	struct guest *g = calloc(1, sizeof(*g));
	uint32_t region;

	assert_non_null(g);
	g->nr_queues = nr_queues;
	g->src = pages();
	g->dst = pages();
	g->block = (struct xbzt_block){ .name = "pc.ram", .mem = g->dst,
					.nr_pages = PAGES, .owner = g->owner };
	g->dest.blocks[0] = &g->block;
	assert_int_equal(xbzrle_session_open(&g->s, NULL), 0);
	assert_int_equal(xbzrle_workers_start(&g->w, g->s, &how), -ENOTCONN);
	assert_int_equal(xbzrle_session_setup(g->s, &cfg), 0);
	assert_int_equal(xbzrle_session_region_add(g->s, "pc.ram", g->src, PAGES, &region,
						   &g->bitmap), 0);
	assert_int_equal(xbzrle_workers_start(&g->w, g->s, &how), 0);
	return g;
}

static struct guest *guest_start(unsigned int nr_queues, uint64_t batch_bytes)
{
	return guest_start_signal(nr_queues, batch_bytes, 0);
}

static void guest_end(struct guest *g)
{
	xbzrle_workers_stop(g->w);
	xbzrle_session_close(g->s);
	munmap(g->src, PAGES * XBZT_PAGE);
	munmap(g->dst, PAGES * XBZT_PAGE);
	free(g);
}

static void write_page(struct guest *g, unsigned int page, uint8_t value)
{
	uint8_t *p = g->src + page * XBZT_PAGE;

	p[value % 16 * 256] += 1 + value;
	__atomic_fetch_or(&g->bitmap[page / 64], 1ULL << page % 64, __ATOMIC_SEQ_CST);
}

/* As a consumer that has another way for whole pages. */
static void send_pieces(struct guest *g, unsigned int queue, const struct xbzrle_batch *b)
{
	struct xbzt_applied applied;
	uint8_t stream[RING];
	struct xbz_piece piece;
	uint64_t whole = 0;
	struct xbz_walk w;
	size_t len = 0;
	int ret;

	xbz_walk_begin(&w, b->data, b->bytes);
	while ((ret = xbz_walk_next(&w, &piece)) == 1) {
		if (!piece.name) {
			memcpy(stream + len, piece.data, piece.bytes);
			len += piece.bytes;
			continue;
		}
		assert_int_equal(piece.name_len, strlen("pc.ram"));
		assert_memory_equal(piece.name, "pc.ram", piece.name_len);
		assert_true(piece.offset < PAGES * XBZT_PAGE);
		memcpy(g->dst + piece.offset, piece.data, XBZT_PAGE);
		whole++;
	}
	assert_int_equal(ret, 0);
	assert_int_equal(whole, b->pages_raw);
	assert_int_equal(xbzt_dest_apply(&g->dest, queue, stream, len, &applied), 0);
	assert_int_equal(applied.pages_raw, 0);
	assert_int_equal(applied.pages_delta, b->pages_delta);
}

static void send(struct guest *g, unsigned int queue, const struct xbzrle_batch *b)
{
	struct xbzt_applied applied = { 0 };

	if (b->flags & XBZRLE_ENCODE_WHOLE_APART)
		send_pieces(g, queue, b);
	else if (b->bytes)
		assert_int_equal(xbzt_dest_apply(&g->dest, queue, b->data, b->bytes,
						 &applied), 0);
	assert_int_equal(b->pages, b->pages_same + b->pages_zero + b->pages_delta +
				   b->pages_raw);
	assert_int_equal(xbzrle_workers_release(g->w, queue, b->end), 0);
}

/* All that comes until nothing does; how many pages. */
static uint64_t drain(struct guest *g)
{
	struct xbzrle_batch b;
	unsigned int queue;
	uint64_t taken = 0;
	int ret;

	for (;;) {
		ret = xbzrle_workers_next(g->w, &queue, &b);
		if (!ret)
			return taken;
		assert_int_equal(ret, 1);
		taken += b.pages;
		send(g, queue, &b);
	}
}

/* Breaks if a batch is lost, comes twice, or before the one that it builds on. */
static void test_passes(void **state)
{
	struct guest *g = guest_start(*(unsigned int *)*state, 20000);
	unsigned int pass, page;

	for (pass = 0; pass < 5; pass++) {
		for (page = 0; page < PAGES; page++)
			write_page(g, page, pass + page);
		/* Nobody begins before he may. */
		assert_int_equal(drain(g), 0);
		xbzrle_workers_resume(g->w, 0);
		assert_int_equal(drain(g), PAGES);
		assert_int_equal(drain(g), 0);
		assert_memory_equal(g->src, g->dst, PAGES * XBZT_PAGE);
		xbzrle_workers_pause(g->w);
	}
	guest_end(g);
}

static void *dirty(void *arg)
{
	struct guest *g = arg;
	unsigned int n = 0;

	while (!__atomic_load_n(&g->stop, __ATOMIC_RELAXED)) {
		write_page(g, n * 2654435761U % PAGES, n);
		n++;
		if (!(n % 64))
			sched_yield();
	}
	return NULL;
}

/*
 * Breaks if a bit gets lost that is set while a queue encodes, falls asleep or
 * is paused, or if a batch is not what its flags say.
 */
static void test_while_the_guest_runs(void **state)
{
	struct guest *g = guest_start(*(unsigned int *)*state, 0);
	pthread_t thread;
	unsigned int round, i, queue;
	struct xbzrle_batch b;

	assert_int_equal(pthread_create(&thread, NULL, dirty, g), 0);
	for (round = 0; round < 60; round++) {
		/* In the middle of things: queued batches are as they were made. */
		xbzrle_workers_bound(g->w, round % 4 ? XBZRLE_ENCODE_WHOLE_APART : 0,
				     round % 3 * 20);
		xbzrle_workers_resume(g->w, 0);
		for (i = 0; i < round % 8; i++)
			if (xbzrle_workers_next(g->w, &queue, &b) == 1)
				send(g, queue, &b);
		if (round % 2)
			xbzrle_workers_pause(g->w);
		if (round % 3)
			assert_int_equal(xbzrle_session_sync(g->s, NULL), 0);
	}
	__atomic_store_n(&g->stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	xbzrle_workers_resume(g->w, XBZRLE_ENCODE_LAST_STAGE);
	drain(g);
	assert_memory_equal(g->src, g->dst, PAGES * XBZT_PAGE);
	guest_end(g);
}

/* All of them, which the destination has. */
static void dirty_unchanged(struct guest *g)
{
	memset(g->bitmap, 0xff, PAGES / 8);
}

static uint64_t pages_done(struct guest *g)
{
	struct xbzrle_counters c = { .size = sizeof(c) };

	assert_int_equal(xbzrle_session_counters(g->s, XBZRLE_ALL_QUEUES, &c), 0);
	return c.pages_same + c.pages_zero + c.pages_delta + c.pages_raw;
}

/* Breaks if a queue still encodes when it is said to be paused. */
static void test_pause(void **state)
{
	struct guest *g = guest_start(2, 0);
	unsigned int round;
	uint64_t done;

	(void)state;
	for (round = 0; round < 20; round++) {
		dirty_unchanged(g);
		xbzrle_workers_resume(g->w, 0);
		usleep(round * 200);
		xbzrle_workers_pause(g->w);
		done = pages_done(g);
		usleep(5000);
		assert_int_equal(pages_done(g), done);
	}
	guest_end(g);
}

static void on_signal(int signal)
{
	(void)signal;
}

/*
 * Breaks if a batch under way is not ended by a pause's signal, or loses pages by
 * that, or if the end of the threads waits for one.
 */
static void test_pause_by_signal(void **state)
{
	const struct sigaction act = { .sa_handler = on_signal };
	unsigned int round, queue, ended = 0;
	struct xbzrle_batch b;
	struct guest *g;
	uint64_t taken;

	(void)state;
	assert_int_equal(sigaction(SIGURG, &act, NULL), 0);
	g = guest_start_signal(2, 0, SIGURG);
	for (round = 0; round < 500 && !ended; round++) {
		dirty_unchanged(g);
		taken = 0;
		xbzrle_workers_resume(g->w, 0);
		usleep(round % 20 * 100);
		xbzrle_workers_pause(g->w);
		while (xbzrle_workers_next(g->w, &queue, &b) == 1) {
			ended += !!(b.status & XBZRLE_STATUS_SIGNAL);
			taken += b.pages;
			send(g, queue, &b);
		}
		xbzrle_workers_resume(g->w, 0);
		assert_int_equal(taken + drain(g), PAGES);
	}
	assert_int_not_equal(ended, 0);
	dirty_unchanged(g);
	xbzrle_workers_resume(g->w, 0);
	guest_end(g);
}

/*
 * Breaks if a queue that is about to find nothing dirty does not look again when
 * it is told to.
 */
static void test_resume_while_encoding(void **state)
{
	struct guest *g = guest_start(2, 0);
	unsigned int round;

	(void)state;
	for (round = 0; round < 40; round++) {
		dirty_unchanged(g);
		xbzrle_workers_resume(g->w, 0);
		usleep(round * 100);
		write_page(g, 0, round);
		xbzrle_workers_resume(g->w, 0);
		drain(g);
		assert_memory_equal(g->src, g->dst, XBZT_PAGE);
	}
	guest_end(g);
}

/* No delta is shorter, and each queue's pages are more than its ring holds. */
static void dirty_whole(struct guest *g)
{
	unsigned int page, i;

	for (page = 0; page < PAGES; page++) {
		if (page % XBZRLE_CHUNK_PAGES >= 2 * RING / XBZT_PAGE)
			continue;
		for (i = 0; i < XBZT_PAGE; i++)
			g->src[page * XBZT_PAGE + i] = 1 + (page * 37 + i * i) % 255;
		write_page(g, page, 0);
	}
}

/*
 * Breaks if a queue does not stop at the end of its ring, does not say so, or
 * does not go on when there is room again.
 */
static void test_nothing_is_released(void **state)
{
	struct guest *g = guest_start(*(unsigned int *)*state, 4096);
	unsigned int i, nr = 0;
	struct {
		struct xbzrle_batch b;
		unsigned int queue;
	} held[1024];
	int ret;

	dirty_whole(g);
	xbzrle_workers_resume(g->w, 0);
	do {
		assert_true(nr < 1024);
		ret = xbzrle_workers_next(g->w, &held[nr].queue, &held[nr].b);
		nr += ret == 1;
	} while (ret == 1);
	assert_int_equal(ret, -EAGAIN);
	assert_true(nr > g->nr_queues);
	for (i = 0; i < nr; i++)
		send(g, held[i].queue, &held[i].b);
	drain(g);
	assert_memory_equal(g->src, g->dst, PAGES * XBZT_PAGE);
	guest_end(g);
}

/* Whether calls that found no room shall not return yet, and how many there are. */
static bool hold;
static unsigned int nr_held;

typeof(xbzrle_session_encode_bounded) __real_xbzrle_session_encode_bounded,
	__wrap_xbzrle_session_encode_bounded;

int __wrap_xbzrle_session_encode_bounded(struct xbzrle_session *s, unsigned int queue,
					 uint64_t budget, uint32_t max_pages, uint32_t flags,
					 uint32_t max_delta, struct xbzrle_batch *batch)
{
	int ret = __real_xbzrle_session_encode_bounded(s, queue, budget, max_pages, flags,
						       max_delta, batch);

	if (!ret && batch->status & XBZRLE_STATUS_FULL && !batch->bytes &&
	    __atomic_load_n(&hold, __ATOMIC_SEQ_CST)) {
		__atomic_add_fetch(&nr_held, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&hold, __ATOMIC_SEQ_CST))
			usleep(100);
	}
	return ret;
}

/*
 * Breaks if a queue takes itself for full when all of its space was released
 * between its finding so and its saying so: nothing would wake it.
 */
static void test_released_meanwhile(void **state)
{
	/* Three of these leave no room for another record. */
	struct guest *g = guest_start(2, 20000);
	unsigned int queue[6], i;
	struct xbzrle_batch b[6];

	(void)state;
	dirty_whole(g);
	__atomic_store_n(&hold, true, __ATOMIC_SEQ_CST);
	xbzrle_workers_resume(g->w, 0);
	while (__atomic_load_n(&nr_held, __ATOMIC_SEQ_CST) < 2)
		usleep(100);
	for (i = 0; i < 6; i++)
		assert_int_equal(xbzrle_workers_next(g->w, &queue[i], &b[i]), 1);
	for (i = 0; i < 6; i++)
		send(g, queue[i], &b[i]);
	__atomic_store_n(&hold, false, __ATOMIC_SEQ_CST);
	drain(g);
	assert_memory_equal(g->src, g->dst, PAGES * XBZT_PAGE);
	guest_end(g);
}

/* Breaks if batches are larger, or more are made, than the consumer's pace allows. */
static void test_pace(void **state)
{
	struct guest *g = guest_start(*(unsigned int *)*state, RING / 2);
	const uint64_t most = 8192, record = XBZT_PAGE + 8 + 7;
	unsigned int queue, nr = 0;
	uint64_t made = 0;
	struct xbzrle_batch b;

	xbzrle_workers_pace(g->w, most * 4 * (g->nr_queues > 4 ? g->nr_queues : 4), 0, 0);
	dirty_whole(g);
	xbzrle_workers_resume(g->w, 0);
	usleep(50000);
	xbzrle_workers_pause(g->w);
	while (xbzrle_workers_next(g->w, &queue, &b) == 1) {
		assert_true(b.bytes < most + record);
		made += b.pages;
		nr++;
		send(g, queue, &b);
	}
	assert_true(nr <= 2 * g->nr_queues);
	assert_int_equal(pages_done(g), made);
	xbzrle_workers_resume(g->w, 0);
	while (xbzrle_workers_next(g->w, &queue, &b) == 1) {
		assert_true(b.bytes < most + record);
		send(g, queue, &b);
	}
	assert_memory_equal(g->src, g->dst, PAGES * XBZT_PAGE);
	guest_end(g);
}

/* Ticks of the clock that a thread has run for, in user space and the kernel. */
static unsigned long thread_ticks(const char *tid)
{
	unsigned long user = 0, system = 0;
	char path[300], text[512] = "", *end;
	int fields;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/stat", tid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	/* A name may have anything in it, but is in brackets. */
	assert_non_null(strstr(text, "(xbzrle/"));
	end = strrchr(text, ')');
	assert_non_null(end);
	fields = sscanf(end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			&user, &system);
	assert_int_equal(fields, 2);
	return user + system;
}

/* Those of the queues' threads, which are all but this one, and have names. */
static unsigned long all_ticks(unsigned int *threads)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned long ticks = 0;
	struct dirent *task;

	assert_non_null(tasks);
	*threads = 0;
	while ((task = readdir(tasks))) {
		if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
			continue;
		ticks += thread_ticks(task->d_name);
		++*threads;
	}
	closedir(tasks);
	return ticks;
}

/* There is a second that they sleep through; before it they may have work left. */
static void assert_asleep(void)
{
	unsigned int threads, tries;
	unsigned long ticks;

	for (tries = 0; tries < 15; tries++) {
		ticks = all_ticks(&threads);
		assert_int_equal(threads, 8);
		sleep(1);
		if (all_ticks(&threads) - ticks <= 1)
			return;
	}
	fail_msg("the queues' threads do not sleep");
}

/*
 * Breaks if a session that has nothing to do, or may not do it, uses the
 * processor: before it begins, when all is clean, when rings are full, paused.
 */
static void test_idle(void **state)
{
	struct guest *g = guest_start(8, 0);

	(void)state;
	assert_asleep();
	xbzrle_workers_resume(g->w, 0);
	assert_int_equal(drain(g), 0);
	assert_asleep();
	dirty_whole(g);
	xbzrle_workers_resume(g->w, 0);
	assert_asleep();
	xbzrle_workers_pause(g->w);
	drain(g);
	write_page(g, 0, 0);
	assert_asleep();
	guest_end(g);
}

/* Breaks if threads that sleep, or have batches left, do not end. */
static void test_stop(void **state)
{
	unsigned int nr_queues = *(unsigned int *)*state, page, queue;
	struct xbzrle_batch b;
	struct guest *g;

	guest_end(guest_start(nr_queues, 0));

	g = guest_start(nr_queues, 0);
	xbzrle_workers_resume(g->w, 0);
	assert_int_equal(drain(g), 0);
	guest_end(g);

	g = guest_start(nr_queues, 0);
	for (page = 0; page < PAGES; page++)
		write_page(g, page, 0);
	xbzrle_workers_resume(g->w, 0);
	assert_int_equal(xbzrle_workers_next(g->w, &queue, &b), 1);
	guest_end(g);
}

/* Breaks if a consumer's lie is not told to whoever takes batches. */
static void test_errors(void **state)
{
	static const uint32_t cpu[] = { 0, 1U << 20 };
	struct xbzrle_workers_config how = { .size = sizeof(how) };
	struct guest *g = guest_start(2, 0);
	struct xbzrle_workers *more;

	(void)state;
	how.flags = 1;
	assert_int_equal(xbzrle_workers_start(&more, g->s, &how), -EINVAL);
	how.flags = 0;
	how.cpus = cpu;
	how.nr_cpus = 2;
	assert_int_equal(xbzrle_workers_start(&more, g->s, &how), -EINVAL);
	how.nr_cpus = 0;
	how.signal = SIGRTMAX + 1;
	assert_int_equal(xbzrle_workers_start(&more, g->s, &how), -EINVAL);
	how.signal = 0;
	xbzrle_workers_stop(NULL);
	assert_int_equal(xbzrle_workers_release(g->w, 0, 1), -ERANGE);
	assert_int_equal(xbzrle_workers_release(g->w, 2, 0), -ENOENT);
	/* On one processor it works as well. */
	xbzrle_workers_stop(g->w);
	how.nr_cpus = 1;
	assert_int_equal(xbzrle_workers_start(&g->w, g->s, &how), 0);
	write_page(g, 0, 0);
	xbzrle_workers_resume(g->w, 0);
	assert_int_equal(drain(g), 1);
	guest_end(g);
}

int main(void)
{
	static unsigned int one = 1, eight = 8;
	const struct CMUnitTest tests[] = {
		{ "test_passes_one_queue", test_passes, NULL, NULL, &one },
		{ "test_passes_eight_queues", test_passes, NULL, NULL, &eight },
		{ "test_while_the_guest_runs_one_queue", test_while_the_guest_runs, NULL,
		  NULL, &one },
		{ "test_while_the_guest_runs_eight_queues", test_while_the_guest_runs, NULL,
		  NULL, &eight },
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_by_signal),
		cmocka_unit_test(test_resume_while_encoding),
		{ "test_nothing_is_released_one_queue", test_nothing_is_released, NULL,
		  NULL, &one },
		{ "test_nothing_is_released_eight_queues", test_nothing_is_released, NULL,
		  NULL, &eight },
		cmocka_unit_test(test_released_meanwhile),
		{ "test_pace_one_queue", test_pace, NULL, NULL, &one },
		{ "test_pace_eight_queues", test_pace, NULL, NULL, &eight },
		{ "test_stop_one_queue", test_stop, NULL, NULL, &one },
		{ "test_stop_eight_queues", test_stop, NULL, NULL, &eight },
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
