/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that share numbered jobs, and pass on what they made in the order of the
 * numbers.
 */
#ifndef XBZIMG_JOBS_H
#define XBZIMG_JOBS_H

#include <stdint.h>

#include "error.h"

/**
 * struct jobs - what is to be done
 * @count: of jobs
 * @threads: at most so many
 * @arg: for the functions
 * @work: does a job; @worker numbers the thread that calls it, from 0
 * @pass: is called after @work by the same thread, for one job after the other; or NULL
 *
 * The first function that returns false ends all.
 */
struct jobs {
	uint64_t count;
	unsigned int threads;
	void *arg;
	bool (*work)(void *arg, unsigned int worker, uint64_t job, struct error *err);
	bool (*pass)(void *arg, unsigned int worker, uint64_t job, struct error *err);
};

/**
 * jobs_run() - do them all, and show the progress
 * @jobs: to be done
 * @err: the first error
 *
 * Return: false if one failed.
 */
bool jobs_run(const struct jobs *jobs, struct error *err);

#endif /* XBZIMG_JOBS_H */
