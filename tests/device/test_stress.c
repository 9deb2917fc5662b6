// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once: several threads that encode, several that consume and one
 * that is the guest, for each of two sessions; signals that hit all of them,
 * and meanwhile a child, a SYNC, another size of the cache or a session that is
 * lied to. After each pass the destination's memory has to be the source's.
 *
 * Threads assert nothing: what is wrong is kept and told at the end of a pass.
 */
#include "fakevm.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGIONS_MAX 8
#define THREADS_MAX 6
#define SLOT 7

/* Times XBZ_TEST_SCALE. */
#define PASSES 3
#define RUNS 50

/**
 * struct plan - how a session is used
 * @config: how it is set up; @config.vm is set if it shall have a VM
 * @nr_regions: of @pages
 * @pages: sizes of the regions
 * @producers: threads that encode
 * @consumers: threads that take batches
 * @writes: pages that the guest writes to in a pass
 * @max_pages: ENCODE's, below this, 0 for no bound
 * @budget: the same
 * @passes: how many
 * @children: how many of 256 times the session is forked, or another one lied to
 */
struct plan {
	struct xbzt_config config;
	unsigned int nr_regions;
	uint64_t pages[REGIONS_MAX];
	unsigned int producers;
	unsigned int consumers;
	unsigned int writes;
	unsigned int max_pages;
	unsigned int budget;
	unsigned int passes;
	unsigned int children;
};

/* A batch on its way from who encoded to who consumes. */
struct piece {
	struct xbzrle_encode arg;
	struct piece *next;
};

/**
 * struct belt - the batches of a queue, in the ring's order
 * @lock: held by whoever puts or takes one
 * @first: the one that comes first
 */
struct belt {
	pthread_mutex_t lock;
	struct piece *first;
};

struct side;

struct worker {
	struct side *side;
	pthread_t thread;
	pid_t tid;
	struct xbzt_rng rng;
	uint8_t scratch[XBZRLE_SCRATCH_MIN] __attribute__((aligned(8)));
};

/**
 * struct side - a session, its guest and its threads
 * @plan: how it is used
 * @s: the session
 * @vm: its VM, or 0
 * @slot: the VM's slot, the first region
 * @belts: one for each queue
 * @workers: its threads
 * @nr: how many there are
 * @writing: the guest runs
 * @last: it does not, and all of its log is in the bitmaps
 * @producing: threads that still encode
 * @flags: ENCODE's
 * @signalled: batches that a signal has ended
 * @error: what is wrong, empty while nothing is
 * @failed: something is
 */
struct side {
	const struct plan *plan;
	struct xbzt_session *s;
	int vm;
	struct xbzt_slot slot;
	struct belt belts[XBZRLE_MAX_QUEUES];
	struct worker workers[THREADS_MAX];
	unsigned int nr;
	bool writing;
	bool last;
	unsigned int producing;
	uint32_t flags;
	unsigned int signalled;
	char error[320];
	bool failed;
};

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

static void on_signal(int signal)
{
	(void)signal;
}

/* All threads of the side end then. */
static void wrong(struct side *side, const char *what, int error)
{
	if (__atomic_exchange_n(&side->failed, true, __ATOMIC_ACQ_REL))
		return;
	snprintf(side->error, sizeof(side->error), "%s: %s", what,
		 error ? strerror(error) : side->s->dest.error);
}

static void put(struct belt *belt, const struct xbzrle_encode *arg)
{
	struct piece *piece = malloc(sizeof(*piece)), **at;

	if (!piece)
		abort();
	piece->arg = *arg;
	pthread_mutex_lock(&belt->lock);
	for (at = &belt->first; *at && (*at)->arg.pos < arg->pos;)
		at = &(*at)->next;
	piece->next = *at;
	*at = piece;
	pthread_mutex_unlock(&belt->lock);
}

static bool kept_promises(const struct plan *plan,
			  const struct xbzrle_encode *arg)
{
	return arg->status &&
	       !(arg->status & (XBZRLE_STATUS_FAULT | XBZRLE_STATUS_LOG)) &&
	       (!arg->max_pages || arg->pages <= arg->max_pages) &&
	       (!arg->budget ||
		arg->bytes < arg->budget + XBZRLE_RECORD_MAX) &&
	       arg->bytes <= plan->config.ring_bytes;
}

/* One batch of a queue; what has ended it. */
static uint32_t produce_batch(struct worker *w, unsigned int queue)
{
	struct side *side = w->side;
	const struct plan *plan = side->plan;
	struct xbzrle_encode arg = {
		.size = sizeof(arg),
		.flags = LOAD(side->flags),
		.queue = queue,
		.max_pages = plan->max_pages ?
			     xbzt_below(&w->rng, plan->max_pages) : 0,
		.budget = plan->budget ? xbzt_below(&w->rng, plan->budget) : 0,
		.scratch = (uintptr_t)w->scratch,
		.scratch_bytes = sizeof(w->scratch),
	};
	int ret = xbzt_ioctl(side->s->fd, XBZRLE_ENCODE, &arg);

	if (ret || !kept_promises(plan, &arg)) {
		wrong(side, "ENCODE", ret ? -ret : ERANGE);
		return 0;
	}
	if (arg.bytes)
		put(&side->belts[queue], &arg);
	else
		sched_yield();
	if (arg.status & XBZRLE_STATUS_SIGNAL)
		__atomic_fetch_add(&side->signalled, 1, __ATOMIC_RELAXED);
	return arg.status;
}

/* Encodes until it has found each queue idle after the guest's last write. */
static void *produce(void *p)
{
	struct worker *w = p;
	struct side *side = w->side;
	unsigned int nr = side->s->setup.nr_queues, queue = 0, idle = 0;

	STORE(w->tid, gettid());
	while (idle < nr && !LOAD(side->failed)) {
		bool last = LOAD(side->last);
		uint32_t status;

		queue = last ? (queue + 1) % nr : xbzt_below(&w->rng, nr);
		do
			status = produce_batch(w, queue);
		while (last && !(status & XBZRLE_STATUS_IDLE) &&
		       !LOAD(side->failed));
		idle += last;
	}
	STORE(w->tid, 0);
	__atomic_fetch_sub(&side->producing, 1, __ATOMIC_ACQ_REL);
	return NULL;
}

/* Takes the next batch of a queue, if it is there. */
static bool consume_batch(struct worker *w, unsigned int queue)
{
	struct side *side = w->side;
	struct xbzt_session *s = side->s;
	struct xbzt_queue *q = &s->queues[queue];
	struct belt *belt = &side->belts[queue];
	struct xbzt_applied applied;
	struct piece *piece;

	pthread_mutex_lock(&belt->lock);
	piece = belt->first;
	if (!piece || piece->arg.pos != q->pos) {
		pthread_mutex_unlock(&belt->lock);
		return false;
	}
	belt->first = piece->next;
	if (LOAD(q->prod->pos) < q->pos + piece->arg.bytes)
		wrong(side, "the producer's position", ERANGE);
	if (xbzt_dest_apply(&s->dest, queue,
			    q->data + (q->pos & (s->setup.ring_bytes - 1)),
			    piece->arg.bytes, &applied))
		wrong(side, "the stream", 0);
	if (applied.pages_zero != piece->arg.pages_zero ||
	    applied.pages_delta != piece->arg.pages_delta ||
	    applied.pages_raw != piece->arg.pages_raw)
		wrong(side, "the batch's counts", ERANGE);
	q->pos += piece->arg.bytes;
	/* Late as well, so that rings are full. */
	if (!belt->first || !xbzt_below(&w->rng, 4))
		xbzt_release(s, queue, q->pos);
	pthread_mutex_unlock(&belt->lock);
	free(piece);
	return true;
}

static void *consume(void *p)
{
	struct worker *w = p;
	struct side *side = w->side;
	unsigned int nr = side->s->setup.nr_queues;

	STORE(w->tid, gettid());
	while (!LOAD(side->failed)) {
		bool last = !LOAD(side->producing), any = false;
		unsigned int i, first = xbzt_below(&w->rng, nr);

		for (i = 0; i < nr; i++)
			any |= consume_batch(w, (first + i) % nr);
		if (last && !any)
			break;
		if (!any)
			sched_yield();
	}
	STORE(w->tid, 0);
	return NULL;
}

/* The guest: KVM learns of some writes, other parts of QEMU's of the rest. */
static void *guest(void *p)
{
	struct worker *w = p;
	struct side *side = w->side;
	struct xbzt_rng *rng = &w->rng;
	unsigned int i;

	STORE(w->tid, gettid());
	for (i = 0; i < side->plan->writes && !LOAD(side->failed); i++) {
		struct xbzt_region *r =
			side->s->regions[xbzt_below(rng, side->s->nr_regions)];
		uint64_t page = xbzt_below(rng, r->nr_pages);

		xbzt_guest_write_any(xbzt_page(r, page), rng);
		if (side->vm && !r->id && xbzt_below(rng, 2))
			xbzt_slot_dirty(&side->slot, page);
		else
			xbzt_dirty(r, page);
		if (!xbzt_below(rng, 8))
			sched_yield();
	}
	STORE(w->tid, 0);
	STORE(side->writing, false);
	return NULL;
}

static void side_open(struct side *side, const struct plan *plan)
{
	struct xbzt_config config = plan->config;
	unsigned int i;
	char name[8];

	memset(side, 0, sizeof(*side));
	side->plan = plan;
	if (config.vm) {
		side->vm = xbzt_vm(XBZ_FAKEVM_MANUAL_PROTECT);
		config.vm = side->vm;
		config.flags = XBZRLE_SETUP_MANUAL_PROTECT;
	}
	side->s = xbzt_open(&config);
	for (i = 0; i < plan->nr_regions; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		xbzt_dirty_all(xbzt_region(side->s, name, plan->pages[i]));
	}
	if (side->vm) {
		struct xbzt_region *r = side->s->regions[0];

		side->slot = xbzt_slot(side->vm, SLOT, r->mem, r->nr_pages);
		assert_int_equal(xbzt_slot_set(side->s, &side->slot, r), 0);
	}
	for (i = 0; i < side->s->setup.nr_queues; i++)
		pthread_mutex_init(&side->belts[i].lock, NULL);
}

static void side_close(struct side *side)
{
	xbzt_close(side->s);
	if (side->vm)
		close(side->vm);
}

static void side_thread(struct side *side, void *(*run)(void *), uint64_t seed)
{
	struct worker *w = &side->workers[side->nr];

	w->side = side;
	xbzt_rng_seed(&w->rng, seed + side->nr++);
	assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
}

static void side_start(struct side *side, struct xbzt_rng *rng)
{
	uint64_t seed = xbzt_random(rng);
	unsigned int i;

	side->writing = true;
	side->last = false;
	side->flags = xbzt_below(rng, 4) ? 0 : XBZRLE_ENCODE_LAST_STAGE;
	side->producing = side->plan->producers;
	side->nr = 0;
	side_thread(side, guest, seed);
	for (i = 0; i < side->plan->producers; i++)
		side_thread(side, produce, seed);
	for (i = 0; i < side->plan->consumers; i++)
		side_thread(side, consume, seed);
}

/* A thread that has just ended does not mind: there is none of its number. */
static void shoot(struct side *side, struct xbzt_rng *rng)
{
	pid_t tid = LOAD(side->workers[xbzt_below(rng, side->nr)].tid);

	if (tid)
		syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
}

/* Breaks if a child can go on with the session. All memory is shared then. */
static void fork_a_child(struct side *side)
{
	struct xbzrle_encode arg = { .size = sizeof(arg) };
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(xbzt_ioctl(side->s->fd, XBZRLE_ENCODE, &arg) != -EPERM);
	assert_true(pid > 0);
	while (waitpid(pid, &status, 0) != pid)
		assert_int_equal(errno, EINTR);
	assert_int_equal(status, 0);
}

/* A session whose consumer lies ends; that others go on is what all are for. */
static void lie(struct xbzt_rng *rng)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzrle_encode arg = { 0 };

	xbzt_dirty_all(xbzt_region(s, "lie", 8));
	xbzt_encode(s, 0, &arg);
	xbzt_release(s, 0, s->queues[0].pos + 1 + xbzt_below(rng, 1 << 20));
	assert_int_equal(xbzt_encode_raw(s, 0, &arg), -EPIPE);
	xbzt_close(s);
}

static void disturb(struct side *side, struct xbzt_rng *rng)
{
	struct xbzt_region *r =
		side->s->regions[xbzt_below(rng, side->s->nr_regions)];
	struct xbzrle_invalidate forget = { .size = sizeof(forget),
					    .region = r->id };
	struct xbzrle_counters counters;
	struct xbzrle_sync sync;

	if (xbzt_below(rng, 256) < side->plan->children) {
		fork_a_child(side);
		lie(rng);
	}
	switch (xbzt_below(rng, 64)) {
	case 0:
		assert_int_equal(xbzt_cache(side->s, XBZT_PAGE *
					    xbzt_below(rng, 2000)), 0);
		break;
	case 1:
		forget.first_page = xbzt_below(rng, r->nr_pages);
		forget.nr_pages = r->nr_pages - forget.first_page;
		assert_int_equal(xbzt_ioctl(side->s->fd, XBZRLE_INVALIDATE,
					    &forget), 0);
		break;
	case 2:
		xbzt_counters(side->s, XBZRLE_ALL_QUEUES, &counters);
		break;
	case 3 ... 10:
		assert_int_equal(xbzt_sync(side->s, &sync), 0);
		assert_int_equal(sync.slots_failed, 0);
		break;
	default:
		sched_yield();
	}
}

/* The guest has stopped: what is in its VM's log is the last there is. */
static void side_last(struct side *side)
{
	struct xbzrle_sync sync;

	assert_int_equal(xbzt_sync(side->s, &sync), 0);
	assert_int_equal(sync.slots_failed, 0);
	STORE(side->last, true);
}

static bool any_writes(struct side *sides, unsigned int nr)
{
	bool any = false;

	while (nr--)
		any |= LOAD(sides[nr].writing);
	return any;
}

static bool any_produces(struct side *sides, unsigned int nr)
{
	bool any = false;

	while (nr--)
		any |= !!LOAD(sides[nr].producing);
	return any;
}

static void side_end(struct side *side)
{
	unsigned int i;

	for (i = 0; i < side->nr; i++)
		assert_int_equal(pthread_join(side->workers[i].thread, NULL), 0);
	if (side->failed)
		fail_msg("%s", side->error);
	for (i = 0; i < side->s->setup.nr_queues; i++)
		assert_null(side->belts[i].first);
	for (i = 0; i < side->s->nr_regions; i++)
		assert_int_equal(xbzt_nr_dirty(side->s->regions[i]), 0);
	xbzt_assert_all_equal(side->s);
}

static void run_pass(struct side *sides, unsigned int nr, struct xbzt_rng *rng)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		side_start(&sides[i], rng);
	while (any_writes(sides, nr)) {
		i = xbzt_below(rng, nr);
		shoot(&sides[i], rng);
		disturb(&sides[i], rng);
	}
	for (i = 0; i < nr; i++)
		side_last(&sides[i]);
	while (any_produces(sides, nr)) {
		shoot(&sides[xbzt_below(rng, nr)], rng);
		sched_yield();
	}
	for (i = 0; i < nr; i++)
		side_end(&sides[i]);
}

static unsigned int scaled(unsigned int n)
{
	const char *scale = getenv("XBZ_TEST_SCALE");

	return scale && *scale ? n * strtoul(scale, NULL, 10) : n;
}

static struct side sides[2];

/*
 * Breaks if two queues, two sessions or two callers share what they must not, if
 * a signal, a child or another call loses a bit or a record, or if one who waits
 * for room is forgotten. One session has the smallest rings, the other a VM.
 */
static void test_two_sessions_of_eight_queues(void **state)
{
	static const struct plan plans[2] = {
		{ .config = { .nr_queues = 8, .ring_bytes = XBZT_RING_MIN,
			      .cache_bytes = 2000 * XBZT_PAGE },
		  .nr_regions = 8,
		  .pages = { 60, 60, 60, 60, 60, 60, 60, 1100 },
		  .producers = 3, .consumers = 2, .writes = 1000,
		  .budget = 40000, .children = 1 },
		{ .config = { .nr_queues = 8, .ring_bytes = 4 * XBZT_RING_MIN,
			      .cache_bytes = 400 * XBZT_PAGE, .vm = 1 },
		  .nr_regions = 8,
		  .pages = { 1100, 1, 60, 60, 60, 60, 60, 60 },
		  .producers = 3, .consumers = 2, .writes = 1000,
		  .max_pages = 50, .children = 1 },
	};
	unsigned int i, pass, signalled = 0;

	(void)state;
	for (i = 0; i < 2; i++)
		side_open(&sides[i], &plans[i]);
	for (pass = 0; pass < scaled(PASSES); pass++)
		run_pass(sides, 2, &xbzt_rng);
	for (i = 0; i < 2; i++) {
		signalled += sides[i].signalled;
		side_close(&sides[i]);
	}
	printf("# %u batches ended by a signal\n", signalled);
}

static struct plan any_plan(struct xbzt_rng *rng)
{
	struct plan plan = { .producers = 1 + xbzt_below(rng, 3),
			     .consumers = 1 + xbzt_below(rng, 2),
			     .writes = 1 + xbzt_below(rng, 40),
			     .passes = 1 + xbzt_below(rng, 3),
			     .nr_regions = 1 + xbzt_below(rng, 4) };
	unsigned int i, most = xbzt_below(rng, 32) ? 8 : XBZRLE_MAX_QUEUES;

	plan.config.nr_queues = 1 + xbzt_below(rng, most);
	plan.config.ring_bytes = XBZT_RING_MIN << xbzt_below(rng, 2);
	plan.config.cache_bytes = XBZT_PAGE * xbzt_below(rng, 200);
	if (!xbzt_below(rng, 8))
		plan.config.cache_bytes = 0;
	plan.config.vm = !xbzt_below(rng, 4);
	for (i = 0; i < plan.nr_regions; i++)
		plan.pages[i] = 1 + xbzt_below(rng, xbzt_below(rng, 32) ? 40 :
							 1600);
	if (xbzt_below(rng, 2))
		plan.budget = 1 + xbzt_below(rng, 60000);
	if (xbzt_below(rng, 2))
		plan.max_pages = 1 + xbzt_below(rng, 100);
	return plan;
}

/* The run that is under way, for whoever has to look into it. */
static char running[160];

static int tell_run(void **state)
{
	(void)state;
	if (*running)
		printf("# in run %s\n", running);
	*running = 0;
	return 0;
}

static void run_plan(unsigned int run, const struct plan *plan,
		     struct xbzt_rng *rng)
{
	unsigned int pass;

	snprintf(running, sizeof(running),
		 "%u: %u queues of %llu bytes, cache %llu, vm %d, %u regions, %u and %u threads, %u writes, %u pages, %u bytes, %u passes",
		 run, plan->config.nr_queues,
		 (unsigned long long)plan->config.ring_bytes,
		 (unsigned long long)plan->config.cache_bytes, plan->config.vm,
		 plan->nr_regions, plan->producers, plan->consumers,
		 plan->writes, plan->max_pages, plan->budget, plan->passes);
	side_open(sides, plan);
	for (pass = 0; pass < plan->passes; pass++)
		run_pass(sides, 1, rng);
	side_close(sides);
	*running = 0;
}

/* The same in short, and in any setup. */
static void test_any_setup(void **state)
{
	unsigned int run;

	(void)state;
	for (run = 0; run < scaled(RUNS); run++) {
		struct xbzt_rng rng;
		struct plan plan;

		xbzt_rng_seed(&rng, xbzt_seed + run);
		plan = any_plan(&rng);
		run_plan(run, &plan, &rng);
	}
	printf("# %u runs\n", run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_sessions_of_eight_queues),
		cmocka_unit_test_teardown(test_any_setup, tell_run),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	/* Without SA_RESTART: who is interrupted has to say so. */
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
