// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches what the program it is preloaded into sends with MSG_ZEROCOPY: that
 * it is memory of a ring, in one piece, and that nobody has written there before
 * the kernel said that it is done. One line on stderr says what came of it when
 * the socket is closed.
 *
 * Over loopback the kernel is done at once, and whoever does not wait for it would
 * not be found out. So it is not heard until the program waits for it, which is
 * when it can send no more.
 *
 * What lives here: interposed libc functions. What does not: any fault; add a file
 * for each.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

#include <linux/errqueue.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SENDS 65536
/* Below this the program may copy. */
#define LARGE (10 << 10)
/* As many as a session can have */
#define RINGS 64
/* What a session's file is called among the mappings */
#define SESSION "anon_inode:[xbzrle]"

/* A send by its number; the kernel counts from 0 for each socket. */
static struct {
	const uint8_t *data;
	size_t bytes;
	uint64_t sum;
	bool done;
} sends[SENDS];

/* There is one such socket at a time. */
static int watched = -1;
/* The program waits for the kernel, or reads what it has waited for. */
static bool waited;
static unsigned long nr_sends, nr_done, pieces, elsewhere, changed, bytes;
/* Bytes that the kernel copied: of rings, and of all else */
static unsigned long small, other;
static unsigned long copied;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static uint64_t sum(const uint8_t *p, size_t n)
{
	uint64_t s = n;

	while (n--)
		s = s * 6364136223846793005ULL + *p++;
	return s;
}

/*
 * Rings are what a session's file is mapped for and cannot be written. All are before
 * anything is sent, and looking at each send would make a slow machine slower still.
 */
static struct {
	unsigned long start, end;
} rings[RINGS];
static unsigned int nr_rings;

static void find_rings(void)
{
	unsigned long start, end;
	char line[512], mode[8];
	FILE *f = fopen("/proc/self/maps", "r");

	nr_rings = 0;
	while (f && nr_rings < RINGS && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %7s", &start, &end, mode) != 3 ||
		    strcmp(mode, "r--s") || !strstr(line, SESSION))
			continue;
		rings[nr_rings].start = start;
		rings[nr_rings++].end = end;
	}
	if (f)
		fclose(f);
}

static bool in_ring(const void *p)
{
	unsigned long at = (unsigned long)p;
	unsigned int i;

	for (i = 0; i < nr_rings; i++) {
		if (at >= rings[i].start && at < rings[i].end)
			return true;
	}
	return false;
}

static void sent(int fd, const struct msghdr *msg, int flags, size_t n)
{
	if (flags & MSG_ZEROCOPY && watched < 0) {
		watched = fd;
		find_rings();
	}
	if (fd != watched)
		return;
	if (!(flags & MSG_ZEROCOPY)) {
		if (in_ring(msg->msg_iov[0].iov_base)) {
			small += n;
			copied += n >= LARGE;
		} else {
			other += n;
		}
		return;
	}
	pieces += msg->msg_iovlen != 1;
	elsewhere += !in_ring(msg->msg_iov[0].iov_base);
	bytes += n;
	if (nr_sends < SENDS) {
		sends[nr_sends].data = msg->msg_iov[0].iov_base;
		sends[nr_sends].bytes = n;
		sends[nr_sends].sum = sum(sends[nr_sends].data, n);
	}
	nr_sends++;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	static ssize_t (*real)(int fd, const struct msghdr *msg, int flags);
	ssize_t n;

	if (!real)
		*(void **)&real = next("sendmsg");
	n = real(fd, msg, flags);
	if (n > 0) {
		pthread_mutex_lock(&lock);
		sent(fd, msg, flags, n);
		pthread_mutex_unlock(&lock);
	}
	return n;
}

static void done(uint32_t first, uint32_t last)
{
	uint32_t i;

	for (i = first; i <= last && i < nr_sends && i < SENDS; i++) {
		nr_done += !sends[i].done;
		sends[i].done = true;
		changed += sum(sends[i].data, sends[i].bytes) != sends[i].sum;
	}
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	static ssize_t (*real)(int fd, struct msghdr *msg, int flags);
	struct sock_extended_err err;
	struct cmsghdr *c;
	ssize_t n;

	if (!real)
		*(void **)&real = next("recvmsg");
	if (fd != watched || !(flags & MSG_ERRQUEUE))
		return real(fd, msg, flags);
	if (!waited) {
		errno = EAGAIN;
		return -1;
	}
	n = real(fd, msg, flags);
	if (n < 0) {
		waited = false;
		return n;
	}
	pthread_mutex_lock(&lock);
	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		memcpy(&err, CMSG_DATA(c), sizeof(err));
		if (err.ee_origin == SO_EE_ORIGIN_ZEROCOPY)
			done(err.ee_info, err.ee_data);
	}
	pthread_mutex_unlock(&lock);
	return n;
}

int poll(struct pollfd *fds, nfds_t nr, int timeout)
{
	static int (*real)(struct pollfd *fds, nfds_t nr, int timeout);

	if (!real)
		*(void **)&real = next("poll");
	waited |= nr == 1 && fds[0].fd == watched && !fds[0].events;
	return real(fds, nr, timeout);
}

int close(int fd)
{
	static int (*real)(int fd);

	if (!real)
		*(void **)&real = next("close");
	pthread_mutex_lock(&lock);
	if (fd == watched) {
		/* The test reads this line. */
		fprintf(stderr,
			"zerocopy-log: sends=%lu bytes=%lu small=%lu other=%lu copied=%lu pieces=%lu elsewhere=%lu changed=%lu unfinished=%lu\n",
			nr_sends, bytes, small, other, copied, pieces, elsewhere,
			changed, nr_sends - nr_done);
		watched = -1;
		waited = false;
		nr_sends = nr_done = pieces = elsewhere = changed = bytes = 0;
		small = other = copied = 0;
		memset(sends, 0, sizeof(sends));
	}
	pthread_mutex_unlock(&lock);
	return real(fd);
}
