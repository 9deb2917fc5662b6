// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/fdinfo tells of a session and of the device: which session it
 * is, and nothing else. The rest is netlink's. Fails if the line is another
 * session's, tells more, or is not there.
 */
#include "fixture.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 4096

/* All lines of a process's file that are not the kernel's own. */
static void read_fdinfo(pid_t pid, int fd, char text[TEXT_MAX])
{
	static const char *const own[] = { "pos:", "flags:", "mnt_id:", "ino:",
					   "lock:" };
	char path[64], line[512];
	size_t used = 0;
	unsigned int i;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	if (!file) {
		snprintf(text, TEXT_MAX, "%s: %s", path, strerror(errno));
		return;
	}
	text[0] = '\0';
	while (fgets(line, sizeof(line), file)) {
		size_t len = strlen(line);

		for (i = 0; i < XBZT_ARRAY_SIZE(own); i++)
			if (!strncmp(line, own[i], strlen(own[i])))
				break;
		if (i < XBZT_ARRAY_SIZE(own) || used + len >= TEXT_MAX)
			continue;
		memcpy(text + used, line, len + 1);
		used += len;
	}
	fclose(file);
}

static void expect_fdinfo(const struct xbzt_session *s, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX, "xbzrle-session:\t%" PRIu64 "\n",
		 (uint64_t)s->setup.session);
}

static void check_fdinfo(const struct xbzt_session *s)
{
	char said[TEXT_MAX], wanted[TEXT_MAX];

	expect_fdinfo(s, wanted);
	read_fdinfo(getpid(), s->fd, said);
	assert_string_equal(said, wanted);
}

/* Breaks if the line is missing, is of another session, or is not alone. */
static void test_names_its_session(void **state)
{
	const struct xbzt_config config = { .nr_queues = 2,
					    .cache_bytes = 1 << 20 };
	int device = xbzt_device();
	struct xbzt_session *s = xbzt_open_on(device, &config);
	struct xbzt_session *other = xbzt_open_on(device, NULL);
	struct xbzrle_sync sync;

	(void)state;
	close(device);
	check_fdinfo(s);
	check_fdinfo(other);
	xbzt_region(s, "ram", 1024);
	assert_int_equal(xbzt_sync(s, &sync), 0);
	xbzt_scribble(s, 30);
	xbzt_pass(s);
	check_fdinfo(s);
	xbzt_close(s);
	check_fdinfo(other);
	xbzt_close(other);
}

/* Breaks if the device, which is nobody's session, is said to be one. */
static void test_device_has_no_line(void **state)
{
	int device = xbzt_device();
	struct xbzt_session *s = xbzt_open_on(device, NULL);
	char said[TEXT_MAX];

	(void)state;
	read_fdinfo(getpid(), device, said);
	assert_string_equal(said, "");
	close(device);
	xbzt_close(s);
}

/* Breaks if a name can pass for a line: it is shown nowhere here. */
static void test_name_is_no_line(void **state)
{
	struct xbzrle_setup setup = {
		.size = sizeof(setup),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = 1,
		.ring_bytes = XBZT_RING_MIN,
		.vm_fd = -1,
		.name = "a\nxbzrle-session:\t9\033[m\\",
	};
	char said[TEXT_MAX], wanted[TEXT_MAX];
	int fd = xbzt_setup_alone(&setup);

	(void)state;
	assert_true(fd >= 0);
	snprintf(wanted, TEXT_MAX, "xbzrle-session:\t%" PRIu64 "\n",
		 (uint64_t)setup.session);
	read_fdinfo(getpid(), fd, said);
	assert_string_equal(said, wanted);
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
	expect_fdinfo(f.s, wanted);
	assert_int_equal(xbzt_in_child(read_from_outside, &o), 0);
	xbzt_fixture_done(&f);
}

static void *sync_in_thread(void *p)
{
	struct xbzrle_sync sync;

	return xbzt_sync(p, &sync) ? "failed" : NULL;
}

static void *read_in_thread(void *p)
{
	const struct xbzt_session *s = p;
	char said[TEXT_MAX], wanted[TEXT_MAX];

	expect_fdinfo(s, wanted);
	read_fdinfo(getpid(), s->fd, said);
	return strcmp(said, wanted) ? "another text" : NULL;
}

/*
 * Breaks if a reader waits for a call of the session, which can take as long as
 * its process likes: here a SYNC is held up in KVM.
 */
static void test_does_not_wait(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	pthread_t syncer, reader;
	struct timespec until;
	void *problem;
	int waited;

	(void)state;
	xbzt_vm_hold(f.vm, true);
	assert_int_equal(pthread_create(&syncer, NULL, sync_in_thread, f.s), 0);
	while (!xbzt_vm_counters(f.vm, XBZ_FAKEVM_ALL_SLOTS).held)
		usleep(1000);
	assert_int_equal(pthread_create(&reader, NULL, read_in_thread, f.s), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	waited = pthread_timedjoin_np(reader, &problem, &until);
	xbzt_vm_hold(f.vm, false);
	assert_int_equal(waited, 0);
	assert_null(problem);
	assert_int_equal(pthread_join(syncer, &problem), 0);
	assert_null(problem);
	xbzt_fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_its_session),
		cmocka_unit_test(test_device_has_no_line),
		cmocka_unit_test(test_name_is_no_line),
		cmocka_unit_test(test_from_outside),
		cmocka_unit_test(test_does_not_wait),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
