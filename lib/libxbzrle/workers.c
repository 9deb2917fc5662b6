// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that encode ahead, one for each queue, and the consumer that takes
 * their batches. A queue's own operations are in queue.c. Three kinds of
 * threads wait here:
 *
 *   a worker      until a sync is over (paused), until the consumer makes room
 *                 (its ring or its list of batches is full), or for dirty pages
 *                 (idle)
 *   the consumer  for a batch of any worker, unless all are idle or paused
 *   a pauser      for running ENCODEs
 *
 * There is one lock. It is taken a few times for each batch and never held
 * while encoding. Wakeups are skipped if no thread sleeps.
 *
 * A pauser ends running ENCODEs by a signal, after which they stop at the next
 * page. One that arrives just before ENCODE begins is lost, so it is repeated.
 */
#include "pace.h"
#include "session.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/*
 * Batches that a queue may be ahead by. The ring bounds their bytes, but a
 * batch of unchanged pages has none.
 */
#define AHEAD 64

/* After this time without an end of all ENCODEs, the signal is repeated. */
#define SIGNAL_AGAIN_NS 1000000

#define DEFAULT_BATCH_BYTES (64 << 10)
#define DEFAULT_BATCH_PAGES 2048

enum worker_state {
	WORKER_READY,		/* may have dirty pages */
	WORKER_ENCODING,	/* in ENCODE, without the lock */
	WORKER_IDLE,		/* found nothing dirty */
	WORKER_FULL,		/* needs a release */
	WORKER_FAILED,		/* ENCODE failed; makes no more batches */
};

/**
 * struct worker - a queue's thread and its batches
 * @w: all workers
 * @queue: its queue
 * @thread: the thread
 * @wake: the thread sleeps on it
 * @sleeps: the thread sleeps
 * @state: its state
 * @again: resumed during the running ENCODE, whose IDLE may be stale
 * @room: space released during the running ENCODE, whose FULL may be stale
 * @error: the error of ENCODE, reported to the consumer once
 * @batch: batches that are not taken
 * @head: number of the next batch to take
 * @tail: number of the next batch to encode
 */
struct worker {
	struct xbzrle_workers *w;
	unsigned int queue;
	pthread_t thread;
	pthread_cond_t wake;
	bool sleeps;
	enum worker_state state;
	bool again;
	bool room;
	int error;
	struct xbzrle_batch batch[AHEAD];
	unsigned int head;
	unsigned int tail;
};

/**
 * struct xbzrle_workers - the workers of a session
 * @s: the session
 * @ahead: batches that a queue may be ahead by, at most AHEAD
 * @batch_bytes: bytes after which a batch ends
 * @batch_pages: dirty pages after which a batch ends
 * @signal: ends a running ENCODE, or 0
 * @lock: protects the workers and all members but @s, @nr, @batch_pages and
 *	@signal
 * @changed: the consumer and pausers sleep on it
 * @sleepers: number of threads that sleep on @changed
 * @flags: XBZRLE_ENCODE_*, of the last resume
 * @bound_flags: the same, of the last bound
 * @max_delta: bound on deltas, 0 for none
 * @paused: no ENCODE may begin
 * @stopping: threads have to end
 * @last: queue of the last batch that was taken
 * @nr_threads: number of threads that were started
 * @nr: number of workers
 * @worker: one for each queue
 */
struct xbzrle_workers {
	struct xbzrle_session *s;
	unsigned int ahead;
	uint64_t batch_bytes;
	uint32_t batch_pages;
	int signal;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int sleepers;
	uint32_t flags;
	uint32_t bound_flags;
	uint32_t max_delta;
	bool paused;
	bool stopping;
	unsigned int last;
	unsigned int nr_threads;
	unsigned int nr;
	struct worker worker[];
};

static void tell(struct xbzrle_workers *w)
{
	if (w->sleepers)
		pthread_cond_broadcast(&w->changed);
}

static void wait_for_change(struct xbzrle_workers *w)
{
	w->sleepers++;
	pthread_cond_wait(&w->changed, &w->lock);
	w->sleepers--;
}

static void wake(struct worker *k)
{
	if (k->sleeps)
		pthread_cond_signal(&k->wake);
}

static bool may_encode(const struct worker *k)
{
	return !k->w->paused && k->state == WORKER_READY &&
	       k->tail - k->head < k->w->ahead;
}

/* Encodes one batch. Called with the lock held, which is dropped for ENCODE. */
static void make_batch(struct worker *k)
{
	struct xbzrle_workers *w = k->w;
	struct xbzrle_batch *b = &k->batch[k->tail % AHEAD];
	uint64_t batch_bytes = w->batch_bytes;
	uint32_t flags = w->flags | w->bound_flags;
	uint32_t max_delta = w->max_delta;
	int ret;

	k->state = WORKER_ENCODING;
	k->again = false;
	k->room = false;
	pthread_mutex_unlock(&w->lock);
	ret = xbzrle_session_encode_bounded(w->s, k->queue, batch_bytes, w->batch_pages, flags,
					    max_delta, b);
	pthread_mutex_lock(&w->lock);

	if (ret) {
		k->state = WORKER_FAILED;
		k->error = ret;
	} else {
		if (b->status & XBZRLE_STATUS_FULL && !k->room)
			k->state = WORKER_FULL;
		else if (b->status & XBZRLE_STATUS_IDLE && !k->again)
			k->state = WORKER_IDLE;
		else
			k->state = WORKER_READY;
		/* A batch without pages, bytes and fault is not queued. */
		if (b->pages || b->bytes ||
		    b->status & (XBZRLE_STATUS_FAULT | XBZRLE_STATUS_LOG))
			k->tail++;
	}
	tell(w);
}

static void *work(void *arg)
{
	struct worker *k = arg;
	struct xbzrle_workers *w = k->w;

	pthread_mutex_lock(&w->lock);
	while (!w->stopping) {
		if (may_encode(k)) {
			make_batch(k);
			continue;
		}
		k->sleeps = true;
		pthread_cond_wait(&k->wake, &w->lock);
		k->sleeps = false;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/*
 * The thread blocks all signals but the one that pauses it: they are for the
 * program's own threads.
 */
static int start_thread(struct worker *k, const struct xbzrle_workers_config *cfg)
{
	sigset_t blocked, before;
	char name[16];
	pthread_attr_t attr;
	cpu_set_t cpus;
	int ret;

	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	if (cfg->nr_cpus) {
		CPU_ZERO(&cpus);
		CPU_SET(cfg->cpus[k->queue % cfg->nr_cpus], &cpus);
		ret = pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	if (!ret) {
		sigfillset(&blocked);
		if (cfg->signal)
			sigdelset(&blocked, cfg->signal);
		pthread_sigmask(SIG_SETMASK, &blocked, &before);
		ret = pthread_create(&k->thread, &attr, work, k);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (!ret) {
		snprintf(name, sizeof(name), "xbzrle/%u", k->queue);
		pthread_setname_np(k->thread, name);
	}
	pthread_attr_destroy(&attr);
	return -ret;
}

static bool config_ok(const struct xbzrle_workers_config *cfg)
{
	uint32_t i;

	if (cfg->size != sizeof(*cfg) || cfg->flags || cfg->reserved ||
	    cfg->signal < 0 || cfg->signal > SIGRTMAX)
		return false;
	for (i = 0; i < cfg->nr_cpus; i++)
		if (cfg->cpus[i] >= CPU_SETSIZE)
			return false;
	return true;
}

int xbzrle_workers_start(struct xbzrle_workers **out, struct xbzrle_session *s,
			 const struct xbzrle_workers_config *cfg)
{
	struct xbzrle_workers *w;
	pthread_condattr_t attr;
	unsigned int i;
	int ret;

	if (!config_ok(cfg))
		return -EINVAL;
	if (!s->nr_queues)
		return -ENOTCONN;
	w = calloc(1, sizeof(*w) + s->nr_queues * sizeof(w->worker[0]));
	if (!w)
		return -ENOMEM;
	w->s = s;
	w->nr = s->nr_queues;
	w->batch_bytes = cfg->batch_bytes ? cfg->batch_bytes : DEFAULT_BATCH_BYTES;
	w->batch_pages = cfg->batch_pages ? cfg->batch_pages : DEFAULT_BATCH_PAGES;
	w->signal = cfg->signal;
	w->ahead = AHEAD;
	w->paused = true;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	for (i = 0; i < w->nr; i++) {
		w->worker[i].w = w;
		w->worker[i].queue = i;
		pthread_cond_init(&w->worker[i].wake, NULL);
	}
	/* A single queue is encoded by the consumer. */
	for (i = 0; w->nr > 1 && i < w->nr; i++) {
		ret = start_thread(&w->worker[i], cfg);
		if (ret) {
			xbzrle_workers_stop(w);
			return ret;
		}
		w->nr_threads++;
	}
	*out = w;
	return 0;
}

/* Returns whether any worker is in ENCODE; such workers get the signal. */
static bool signal_encoders(const struct xbzrle_workers *w)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < w->nr; i++) {
		if (w->worker[i].state != WORKER_ENCODING)
			continue;
		any = true;
		/* A single queue has no thread. */
		if (w->signal && w->nr_threads)
			pthread_kill(w->worker[i].thread, w->signal);
	}
	return any;
}

static void wait_until_signal_again(struct xbzrle_workers *w)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += SIGNAL_AGAIN_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	w->sleepers++;
	pthread_cond_timedwait(&w->changed, &w->lock, &until);
	w->sleepers--;
}

void xbzrle_workers_pause(struct xbzrle_workers *w)
{
	pthread_mutex_lock(&w->lock);
	w->paused = true;
	while (signal_encoders(w))
		wait_until_signal_again(w);
	pthread_mutex_unlock(&w->lock);
}

void xbzrle_workers_stop(struct xbzrle_workers *w)
{
	unsigned int i;

	if (!w)
		return;
	xbzrle_workers_pause(w);
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	for (i = 0; i < w->nr_threads; i++)
		wake(&w->worker[i]);
	pthread_mutex_unlock(&w->lock);
	for (i = 0; i < w->nr_threads; i++)
		pthread_join(w->worker[i].thread, NULL);
	for (i = 0; i < w->nr; i++)
		pthread_cond_destroy(&w->worker[i].wake);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void xbzrle_workers_resume(struct xbzrle_workers *w, uint32_t flags)
{
	unsigned int i;

	pthread_mutex_lock(&w->lock);
	w->flags = flags;
	w->paused = false;
	for (i = 0; i < w->nr; i++) {
		struct worker *k = &w->worker[i];

		if (k->state == WORKER_IDLE)
			k->state = WORKER_READY;
		k->again = true;
		wake(k);
	}
	pthread_mutex_unlock(&w->lock);
}

void xbzrle_workers_bound(struct xbzrle_workers *w, uint32_t flags, uint32_t max_delta)
{
	pthread_mutex_lock(&w->lock);
	w->bound_flags = flags;
	w->max_delta = max_delta;
	pthread_mutex_unlock(&w->lock);
}

uint64_t xbzrle_workers_pace(struct xbzrle_workers *w, uint64_t window, uint64_t bytes,
			     uint64_t ns)
{
	const struct xbzrle_pace p = {
		.ring_bytes = w->s->ring_bytes,
		.nr_queues = w->nr,
		.window = window,
		.bytes = bytes,
		.ns = ns,
	};
	uint64_t batch;

	pthread_mutex_lock(&w->lock);
	batch = xbzrle_pace_batch(w->batch_bytes, &p);
	w->batch_bytes = batch;
	w->ahead = XBZRLE_PACE_AHEAD;
	pthread_mutex_unlock(&w->lock);
	return batch;
}

/* Takes a batch or an error of the next queue, in turn, that has one. */
static int take(struct xbzrle_workers *w, unsigned int *queue, struct xbzrle_batch *batch)
{
	unsigned int i;

	for (i = 1; i <= w->nr; i++) {
		struct worker *k = &w->worker[(w->last + i) % w->nr];
		int error = k->error;

		if (k->head != k->tail) {
			*batch = k->batch[k->head++ % AHEAD];
			*queue = k->queue;
			w->last = k->queue;
			wake(k);
			return 1;
		}
		if (error) {
			k->error = 0;
			*queue = k->queue;
			return error;
		}
	}
	return 0;
}

/* Whether a batch can come without a release or resume. */
static bool more_to_come(const struct xbzrle_workers *w)
{
	unsigned int i;

	for (i = 0; i < w->nr; i++) {
		const struct worker *k = &w->worker[i];

		if (k->state == WORKER_ENCODING || may_encode(k))
			return true;
	}
	return false;
}

static bool any_is_full(const struct xbzrle_workers *w)
{
	unsigned int i;

	for (i = 0; i < w->nr; i++)
		if (w->worker[i].state == WORKER_FULL)
			return true;
	return false;
}

int xbzrle_workers_next(struct xbzrle_workers *w, unsigned int *queue, struct xbzrle_batch *batch)
{
	int ret;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		ret = take(w, queue, batch);
		if (ret)
			break;
		if (!w->nr_threads && may_encode(&w->worker[0])) {
			make_batch(&w->worker[0]);
			continue;
		}
		if (!more_to_come(w)) {
			ret = any_is_full(w) ? -EAGAIN : 0;
			break;
		}
		wait_for_change(w);
	}
	pthread_mutex_unlock(&w->lock);
	return ret;
}

int xbzrle_workers_release(struct xbzrle_workers *w, unsigned int queue, uint64_t end)
{
	struct worker *k;
	int ret;

	ret = xbzrle_session_release(w->s, queue, end);
	if (ret)
		return ret;
	k = &w->worker[queue];
	pthread_mutex_lock(&w->lock);
	if (k->state == WORKER_FULL)
		k->state = WORKER_READY;
	k->room = true;
	wake(k);
	pthread_mutex_unlock(&w->lock);
	return 0;
}
