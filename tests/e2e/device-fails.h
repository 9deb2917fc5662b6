/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a call of /dev/xbzrle fail in the program that this is preloaded into,
 * from the second pass on, as a module with a fault would; the second session is
 * sound. Who includes it defines fail(), which returns whether a call is to fail,
 * and with what result; it may have made the real call before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/xbzrle.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

int ioctl(int fd, unsigned long request, ...);

/* So many SYNCs are there before anything fails: of the setup, and a pass. */
#define GOOD_SYNCS 2
/* And after that so many ENCODEs, so that batches are under way. */
#define GOOD_ENCODES 3

static int (*real)(int fd, unsigned long request, ...);

static bool fail(int fd, unsigned long request, void *arg, int *ret);

int ioctl(int fd, unsigned long request, ...)
{
	static int nr_setups, nr_syncs, nr_encodes, said;
	bool due;
	va_list args;
	void *arg;
	int ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ioctl");

	/* Threads encode, and sync one after the other. */
	if (request == XBZRLE_SETUP)
		__atomic_fetch_add(&nr_setups, 1, __ATOMIC_RELAXED);
	due = __atomic_load_n(&nr_syncs, __ATOMIC_RELAXED) >= GOOD_SYNCS &&
	      __atomic_load_n(&nr_setups, __ATOMIC_RELAXED) == 1;
	if (request == XBZRLE_SYNC)
		__atomic_fetch_add(&nr_syncs, 1, __ATOMIC_RELAXED);
	if (due && request == XBZRLE_ENCODE)
		due = __atomic_fetch_add(&nr_encodes, 1, __ATOMIC_RELAXED) >= GOOD_ENCODES;
	if (!due || !fail(fd, request, arg, &ret))
		return real(fd, request, arg);

	/* The test looks for this line: no line, nothing has failed. */
	if (!__atomic_fetch_add(&said, 1, __ATOMIC_RELAXED))
		fprintf(stderr, "device-fails: here\n");
	return ret;
}
