// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes MSG_ZEROCOPY fail in the program it is preloaded into as if no more
 * memory could be locked, after a few sends. The rig's programs are root's,
 * whom the limit does not bind.
 *
 * What lives here: one interposed libc function. What does not: any other
 * fault; add a file for each.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>

#define SENDS 3

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	static ssize_t (*real)(int fd, const struct msghdr *msg, int flags);
	static int nr_sends;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
	if (flags & MSG_ZEROCOPY && ++nr_sends > SENDS) {
		errno = ENOBUFS;
		return -1;
	}
	return real(fd, msg, flags);
}
