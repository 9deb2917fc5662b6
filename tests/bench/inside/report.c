// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest of the scenarios says of itself on its serial port, once its load has
 * begun: twice a second the work that is done, as the load generator of tests/guests
 * does, and for how long it stood still at most since the last time, in ms.
 *
 *   stall 00000012
 *   pass 00001234
 *
 * Work is the number in the file $XBZ_WORK; or, if that is a socket of redis, how many
 * commands it has processed; or else the number of this program's own ticks.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 10
#define REPORT_TICKS 50

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int connect_to(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
	return fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) ? -1 : fd;
}

static long ask_redis(const char *path, long last)
{
	static const char ask[] = "INFO stats\r\n", name[] = "total_commands_processed:";
	static int fd = -1;
	char text[8192], *found;
	ssize_t length;

	if (fd < 0)
		fd = connect_to(path);
	if (fd < 0 || write(fd, ask, sizeof(ask) - 1) < 0)
		return last;
	length = read(fd, text, sizeof(text) - 1);
	if (length <= 0)
		return last;
	text[length] = '\0';
	found = strstr(text, name);
	return found ? atol(found + sizeof(name) - 1) : last;
}

/* What the load wrote last; the file is empty while it is written. */
static long read_work(const char *path, long last)
{
	char text[32] = "";
	struct stat stat_of;
	ssize_t length;
	int fd;

	if (!stat(path, &stat_of) && S_ISSOCK(stat_of.st_mode))
		return ask_redis(path, last);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return last;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	return length > 0 ? atol(text) : last;
}

int main(void)
{
	const char *out = getenv("XBZ_OUT"), *path = getenv("XBZ_WORK");
	long work = 0, ticks = 0;
	long long before, longest = 0;
	char warm[256], line[64];
	int length;

	if (!out || !path)
		return 2;
	snprintf(warm, sizeof(warm), "%s/warm", out);
	while (access(warm, F_OK))
		usleep(100000);
	for (before = now_us();; ticks++) {
		long long after;

		usleep(TICK_MS * 1000);
		after = now_us();
		if (after - before > longest)
			longest = after - before;
		before = after;
		if (ticks % REPORT_TICKS)
			continue;
		work = access(path, F_OK) ? ticks : read_work(path, work);
		length = snprintf(line, sizeof(line), "stall %08lld\npass %08ld\n",
				  longest / 1000, work % 100000000);
		if (write(STDOUT_FILENO, line, length) != length)
			return 1;
		/* What writing it took is nobody's stall. */
		longest = 0;
		before = now_us();
	}
}
