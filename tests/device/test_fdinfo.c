// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/fdinfo tells of a session.
 */
#include "fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 4096

/* All lines of a process's file that are the module's. */
static void read_fdinfo(pid_t pid, int fd, char text[TEXT_MAX])
{
	char path[64], line[512];
	size_t used = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	text[0] = '\0';
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		size_t len = strlen(line);

		if (strncmp(line, "xbzrle-", 7) || used + len >= TEXT_MAX)
			continue;
		memcpy(text + used, line, len + 1);
		used += len;
	}
	fclose(file);
}

/* What it should be, from the ABI's own counters. */
static void expect_fdinfo(struct xbzt_session *s, bool vm, const char *name,
			  char text[TEXT_MAX])
{
	struct xbzrle_counters c = { .size = sizeof(c) };

	xbzt_counters(s, XBZRLE_ALL_QUEUES, &c);
	snprintf(text, TEXT_MAX,
		 "xbzrle-session:\t%" PRIu64 "\n"
		 "xbzrle-name:\t%s\n"
		 "xbzrle-vm:\t%d\n"
		 "xbzrle-queues:\t%u\n"
		 "xbzrle-cache-bytes:\t%" PRIu64 "\n"
		 "xbzrle-cache-used:\t%" PRIu64 "\n"
		 "xbzrle-pass:\t%" PRIu64 "\n"
		 "xbzrle-pages-same:\t%" PRIu64 "\n"
		 "xbzrle-pages-zero:\t%" PRIu64 "\n"
		 "xbzrle-pages-delta:\t%" PRIu64 "\n"
		 "xbzrle-pages-raw:\t%" PRIu64 "\n"
		 "xbzrle-bytes:\t%" PRIu64 "\n",
		 (uint64_t)s->setup.session, name, vm, s->setup.nr_queues,
		 (uint64_t)s->setup.cache_bytes,
		 (uint64_t)c.cache_pages * XBZT_PAGE, (uint64_t)c.syncs,
		 (uint64_t)c.pages_same, (uint64_t)c.pages_zero,
		 (uint64_t)c.pages_delta, (uint64_t)c.pages_raw,
		 (uint64_t)c.bytes);
}

/* Breaks if a line is missing, is of another session, or has another number. */
static void test_tells_of_its_session(void **state)
{
	const struct xbzt_config config = { .nr_queues = 2,
					    .cache_bytes = 1 << 20 };
	struct xbzt_session *s = xbzt_open(&config);
	struct xbzt_session *other = xbzt_open(NULL);
	char said[TEXT_MAX], wanted[TEXT_MAX];
	struct xbzrle_sync sync;
	unsigned int i;

	(void)state;
	xbzt_region(s, "ram", 1024);
	for (i = 0; i < 3; i++) {
		assert_int_equal(xbzt_sync(s, &sync), 0);
		xbzt_scribble(s, 30);
		xbzt_pass(s);
		expect_fdinfo(s, false, "test", wanted);
		read_fdinfo(getpid(), s->fd, said);
		assert_string_equal(said, wanted);
	}
	expect_fdinfo(other, false, "test", wanted);
	read_fdinfo(getpid(), other->fd, said);
	assert_string_equal(said, wanted);
	xbzt_close(other);
	xbzt_close(s);
}

/* Breaks if a session that is none yet is said to be one. */
static void test_before_setup(void **state)
{
	int fd = xbzt_device();
	char said[TEXT_MAX];

	(void)state;
	read_fdinfo(getpid(), fd, said);
	assert_string_equal(said, "xbzrle-session:\t0\n");
	close(fd);
}

/* Breaks if a name can pass for another line. */
static void test_name_is_one_line(void **state)
{
	struct xbzrle_setup setup = {
		.size = sizeof(setup),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = 1,
		.ring_bytes = XBZT_RING_MIN,
		.vm_fd = -1,
		.name = "a\nxbzrle-pass:\t9\033[m\\",
	};
	char said[TEXT_MAX];
	int fd = xbzt_device();

	(void)state;
	assert_int_equal(xbzt_ioctl(fd, XBZRLE_SETUP, &setup), 0);
	read_fdinfo(getpid(), fd, said);
	assert_non_null(strstr(said, "\nxbzrle-name:\t"
				     "a\\nxbzrle-pass:\\t9\\e[m\\\\\n"));
	assert_non_null(strstr(said, "\nxbzrle-pass:\t0\n"));
	close(fd);
}

/* What another process reads: its exit status is 0 if that is right. */
struct outside {
	pid_t pid;
	int fd;
	const char *wanted;
};

static int read_from_outside(void *p)
{
	const struct outside *o = p;
	char said[TEXT_MAX];

	read_fdinfo(o->pid, o->fd, said);
	return strcmp(said, o->wanted) != 0;
}

/* Breaks if an administrator does not see what the process itself does. */
static void test_from_outside(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	char wanted[TEXT_MAX];
	struct outside o = { getpid(), f.s->fd, wanted };

	(void)state;
	expect_fdinfo(f.s, true, "test", wanted);
	assert_int_equal(xbzt_in_child(read_from_outside, &o), 0);
	xbzt_fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells_of_its_session),
		cmocka_unit_test(test_before_setup),
		cmocka_unit_test(test_name_is_one_line),
		cmocka_unit_test(test_from_outside),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
