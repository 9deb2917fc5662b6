// SPDX-License-Identifier: GPL-2.0-only
/*
 * Progress: see progress.h.
 */
#include "progress.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t done;
static uint64_t total;
static double began, shown;
static bool visible, drawn;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

void progress_begin(uint64_t bytes, bool quiet)
{
	atomic_store(&done, 0);
	total = bytes;
	began = now();
	shown = began;
	visible = !quiet && isatty(STDERR_FILENO);
	drawn = false;
}

void progress_add(uint64_t bytes)
{
	atomic_fetch_add_explicit(&done, bytes, memory_order_relaxed);
}

void progress_show(void)
{
	uint64_t bytes = atomic_load(&done);
	double time = now(), rate, left;

	if (!visible || !bytes || time - shown < 0.25)
		return;
	shown = time;
	rate = bytes / (time - began);
	left = total > bytes ? (total - bytes) / rate : 0;
	fprintf(stderr, "\r\033[K%3.0f %%  %.1f MB/s  %lld:%02lld left", 100.0 * bytes / total,
		rate / 1e6, (long long)left / 60, (long long)left % 60);
	fflush(stderr);
	drawn = true;
}

double progress_end(void)
{
	if (drawn)
		fputs("\r\033[K", stderr);
	drawn = false;
	visible = false;
	return now() - began;
}
