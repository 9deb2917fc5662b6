// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs: see jobs.h. A thread that is done before its turn waits for it, so that no more
 * is kept in memory than a job for each thread. Signals are left to the main thread.
 */
#include "jobs.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "progress.h"

struct pool {
	const struct jobs *jobs;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	pthread_cond_t idle;
	uint64_t next;
	uint64_t passed;
	unsigned int workers;
	unsigned int running;
	bool failed;
	struct error *err;
};

/* Called with the lock. Errors that the first one caused do not replace it. */
static void fail(struct pool *pool, const struct error *err)
{
	if (!pool->failed)
		*pool->err = *err;
	pool->failed = true;
	pthread_cond_broadcast(&pool->turn);
}

/* Does a job and passes it on. Called with the lock, which is released meanwhile. */
static void do_job(struct pool *pool, unsigned int worker, uint64_t job)
{
	const struct jobs *jobs = pool->jobs;
	struct error err;
	bool good;

	pthread_mutex_unlock(&pool->lock);
	good = jobs->work(jobs->arg, worker, job, &err);
	pthread_mutex_lock(&pool->lock);
	while (good && jobs->pass && !pool->failed && pool->passed != job)
		pthread_cond_wait(&pool->turn, &pool->lock);
	if (good && jobs->pass && !pool->failed) {
		pthread_mutex_unlock(&pool->lock);
		good = jobs->pass(jobs->arg, worker, job, &err);
		pthread_mutex_lock(&pool->lock);
		pool->passed++;
		pthread_cond_broadcast(&pool->turn);
	}
	if (!good)
		fail(pool, &err);
}

static void *run(void *arg)
{
	struct pool *pool = arg;
	unsigned int worker;

	pthread_mutex_lock(&pool->lock);
	worker = pool->workers++;
	while (!pool->failed && pool->next < pool->jobs->count)
		do_job(pool, worker, pool->next++);
	pool->running--;
	pthread_cond_signal(&pool->idle);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static unsigned int start(struct pool *pool, pthread_t *threads, unsigned int count)
{
	unsigned int started = 0;
	sigset_t all, old;
	int status = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	for (; started < count; started++) {
		status = pthread_create(&threads[started], NULL, run, pool);
		if (status)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	/* Fewer threads do it as well. */
	pthread_mutex_lock(&pool->lock);
	pool->running -= count - started;
	if (!started) {
		pool->failed = true;
		error_set(pool->err, "no thread: %s", strerror(status));
	}
	pthread_mutex_unlock(&pool->lock);
	return started;
}

bool jobs_run(const struct jobs *jobs, struct error *err)
{
	unsigned int count = jobs->threads < jobs->count ? jobs->threads : jobs->count, i;
	struct pool pool = {
		.jobs = jobs,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.turn = PTHREAD_COND_INITIALIZER,
		.idle = PTHREAD_COND_INITIALIZER,
		.running = count,
		.err = err,
	};
	pthread_t *threads;

	if (!count)
		return true;
	threads = calloc(count, sizeof(*threads));
	if (!threads)
		return error_errno(err, "memory for threads");
	count = start(&pool, threads, count);

	pthread_mutex_lock(&pool.lock);
	while (pool.running) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 200000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&pool.idle, &pool.lock, &until);
		pthread_mutex_unlock(&pool.lock);
		progress_show();
		pthread_mutex_lock(&pool.lock);
	}
	pthread_mutex_unlock(&pool.lock);
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	return !pool.failed;
}
