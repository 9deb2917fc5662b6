// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hides KVM's manual dirty log protection from the program it is preloaded
 * into, so that QEMU works with the older log that GET_DIRTY_LOG itself
 * clears. QEMU has no option for that, and every kernel that we run on has the
 * capability.
 *
 * What lives here: one interposed libc function. What does not: any other
 * fault; add a file for each.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>

int ioctl(int fd, unsigned long request, ...);

int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int fd, unsigned long request, ...);
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);

	if (request == KVM_CHECK_EXTENSION &&
	    (unsigned long)arg == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) {
		/* The test looks for this line: no line, no legacy log. */
		fprintf(stderr, "legacy-log: manual protection hidden\n");
		return 0;
	}

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ioctl");
	return real(fd, request, arg);
}
