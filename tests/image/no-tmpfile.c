// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the program it is preloaded into believe that the file system has no files without
 * a name, and says which mode others are created with.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

int openat64(int folder, const char *path, int flags, ...)
{
	static int (*real)(int folder, const char *path, int flags, ...);
	va_list args;
	mode_t mode;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "openat64");
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	if (flags & O_CREAT)
		dprintf(STDERR_FILENO, "created with mode %o\n", mode);
	return real(folder, path, flags, mode);
}
