// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several users: what each may have of the host's limit, and each session of what its
 * user may have. Fails if one of them can take what is the others', by memory or by a
 * call that is refused, or if an error does not tell whose limit it was.
 */
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1ULL << 20)
#define LIMIT (64 * MIB)
/* Of LIMIT, and of that. */
#define USER_MAX (LIMIT * 3 / 4)
#define SESSION_MAX (USER_MAX * 3 / 4)

#define ALICE 1001
#define BOB 1002

/* Opened by root: who may open it is udev's matter. */
static int device = -1;

static int set_parameter(const char *name, unsigned int value)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/sys/module/xbzrle/parameters/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = dprintf(fd, "%u", value) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int setup(void **state)
{
	(void)state;
	device = xbzt_device();
	return xbzt_set_limit(LIMIT / MIB);
}

static int reset(void **state)
{
	(void)state;
	close(device);
	return set_parameter("share_percent", 75) ?: xbzt_set_limit(0);
}

/* A user without capabilities, until become(0). */
static void become(uid_t uid)
{
	assert_int_equal(setresuid(uid, uid, 0), 0);
}

/* Sessions with one queue more each are what users take memory by. */
static int setup_as(uid_t uid, unsigned int nr_queues, uint64_t ring_bytes)
{
	struct xbzrle_setup arg = {
		.size = sizeof(arg),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = nr_queues,
		.ring_bytes = ring_bytes,
		.vm_fd = -1,
	};
	int fd;

	become(uid);
	fd = xbzt_setup(device, &arg);
	become(0);
	return fd;
}

static struct xbzt_session *open_as(uid_t uid, uint64_t cache_bytes)
{
	const struct xbzt_config config = { .cache_bytes = cache_bytes };
	struct xbzt_session *s;

	become(uid);
	s = xbzt_open_on(device, &config);
	become(0);
	return s;
}

/*
 * Breaks if a user gets more than a share of the limit, or a session more than a share of
 * its user's; if that is counted for another user; or if root, who may take all, may not.
 */
static void test_users_and_sessions_have_shares(void **state)
{
	int fd[8], n = 0;

	(void)state;
	xbzt_assert_all_freed();
	/* No session takes what its user may have. */
	assert_int_equal(setup_as(ALICE, 3, 16 * MIB), -EDQUOT);
	assert_true(SESSION_MAX < 3 * 16 * MIB && USER_MAX > 2 * 16 * MIB + MIB);
	/* No user takes what the host has, by however many sessions. */
	assert_return_code(fd[n++] = setup_as(ALICE, 2, 16 * MIB), 0);
	assert_int_equal(setup_as(ALICE, 1, 16 * MIB), -EDQUOT);
	assert_return_code(fd[n++] = setup_as(ALICE, 1, 8 * MIB), 0);
	assert_int_equal(setup_as(ALICE, 1, 8 * MIB), -EDQUOT);
	/* Others have what is left. */
	assert_return_code(fd[n++] = setup_as(BOB, 2, 8 * MIB), 0);
	assert_int_equal(setup_as(BOB, 1, 16 * MIB), -ENOMEM);
	assert_int_equal(setup_as(0, 1, 16 * MIB), -ENOMEM);
	/* What was refused is nobody's. */
	assert_return_code(fd[n++] = setup_as(BOB, 1, 2 * MIB), 0);
	while (n)
		close(fd[--n]);
	xbzt_assert_all_freed();

	assert_return_code(fd[0] = setup_as(0, 7, 8 * MIB), 0);
	assert_true(xbzt_memory_used() > USER_MAX);
	close(fd[0]);
	xbzt_assert_all_freed();
}

/* Sessions of a user's namespace: as root of it, by an ID that it maps, with 8 MiB each. */
static int ids_of_a_namespace(int to_parent, int from_parent, unsigned int nr)
{
	struct xbzrle_setup arg = {
		.size = sizeof(arg),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = 1,
		.ring_bytes = 8 * MIB,
		.vm_fd = -1,
	};
	unsigned int id;
	char c = 0;
	int ret = 0;

	if (setresuid(ALICE, ALICE, ALICE) || unshare(CLONE_NEWUSER) ||
	    write(to_parent, &c, 1) != 1 || read(from_parent, &c, 1) != 1)
		return -errno;
	for (id = 0; id < nr && ret >= 0; id++) {
		if (setresuid(id, id, 0))
			return -errno;
		/* It stays open, up to the end. */
		ret = xbzt_setup(device, &arg);
		if (setresuid(0, 0, 0))
			return -errno;
	}
	return ret < 0 ? ret : 0;
}

/* Breaks if a user has a share for each of the IDs that a namespace of hers maps. */
static void test_a_namespace_is_one_user(void **state)
{
	int there[2], back[2], fd, status;
	char path[64], c;
	pid_t pid;

	(void)state;
	fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		skip();
	close(fd);
	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(back), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(-ids_of_a_namespace(there[1], back[0], LIMIT / (8 * MIB)));
	assert_int_equal(read(there[0], &c, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_return_code(fd, errno);
	assert_true(dprintf(fd, "0 100000 100") > 0);
	close(fd);
	assert_int_equal(write(back[1], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EDQUOT);
	for (fd = 0; fd < 2; fd++) {
		close(there[fd]);
		close(back[fd]);
	}
	xbzt_assert_all_freed();
}

/* Breaks if the parameter changes nothing, or takes what is no share. */
static void test_share_is_settable(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(set_parameter("share_percent", 0), -EINVAL);
	assert_int_equal(set_parameter("share_percent", 101), -EINVAL);
	assert_int_equal(set_parameter("share_percent", 50), 0);
	/* A quarter of the limit, and a half. */
	assert_int_equal(setup_as(ALICE, 1, 16 * MIB), -EDQUOT);
	assert_return_code(fd = setup_as(ALICE, 1, 8 * MIB), 0);
	close(fd);
	assert_int_equal(set_parameter("share_percent", 100), 0);
	assert_return_code(fd = setup_as(ALICE, 7, 8 * MIB), 0);
	close(fd);
	assert_int_equal(set_parameter("share_percent", 75), 0);
	xbzt_assert_all_freed();
}

/*
 * Breaks if a cache takes what other sessions of its user, and other users, begin with;
 * or if it does not take what is its own.
 */
static void test_a_cache_keeps_to_its_share(void **state)
{
	struct xbzt_session *s = open_as(ALICE, ~0ULL), *other;
	struct xbzt_region *r = xbzt_region(s, "ram", LIMIT / XBZT_PAGE);
	struct xbzrle_counters c;
	unsigned int pass;
	uint64_t page;
	int fd;

	(void)state;
	for (page = 0; page < r->nr_pages; page++)
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
	for (pass = 0; pass < 2; pass++) {
		xbzt_dirty_all(r);
		xbzt_pass(s);
		assert_true(xbzt_memory_used() <= SESSION_MAX);
	}
	xbzt_counters(s, XBZRLE_ALL_QUEUES, &c);
	assert_true(c.cache_pages * XBZT_PAGE > SESSION_MAX * 3 / 4);
	assert_true(c.cache_refused > 0);
	/* What cannot do without memory fails, and says why. */
	fd = setup_as(ALICE, 1, 16 * MIB);
	assert_int_equal(fd, -EDQUOT);
	assert_return_code(fd = setup_as(ALICE, 1, 8 * MIB), 0);
	close(fd);
	other = open_as(BOB, MIB);
	xbzt_region(other, "ram", 256);
	xbzt_dirty_all(other->regions[0]);
	xbzt_pass(other);
	xbzt_assert_all_equal(other);
	xbzt_close(other);
	xbzt_assert_equal(r);
	xbzt_close(s);
	xbzt_assert_all_freed();
}

/* Breaks if a region or a slot that a share refuses says otherwise, or is half there. */
static void test_regions_are_charged(void **state)
{
	/* A bitmap of 4 MiB; none of it is there. */
	const uint64_t nr_pages = 128ULL << (30 - XBZRLE_PAGE_SHIFT);
	struct xbzt_session *s = open_as(ALICE, 0);
	uint8_t *mem = mmap(NULL, nr_pages * XBZT_PAGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct xbzrle_region arg = { .size = sizeof(arg), .addr = (uintptr_t)mem,
				     .nr_pages = nr_pages, .name = "vast" };
	uint64_t used = xbzt_memory_used();

	(void)state;
	assert_true(mem != MAP_FAILED);
	assert_int_equal(xbzt_set_limit(4), 0);
	assert_int_equal(xbzt_ioctl(s->fd, XBZRLE_REGION_SET, &arg), -EDQUOT);
	assert_int_equal(xbzt_set_limit(0), 0);
	xbzt_eventually(xbzt_memory_used() == used);
	xbzt_region(s, "ram", 10);
	xbzt_assert_works(s);
	xbzt_close(s);
	assert_int_equal(munmap(mem, nr_pages * XBZT_PAGE), 0);
	xbzt_assert_all_freed();
}

/*
 * Breaks if a call that is refused takes memory until it is, which others lack at that
 * moment: each of Bob's sessions fits beside what Alice may have, and none of hers fits.
 */
static void test_refused_calls_take_nothing(void **state)
{
	uint64_t used;
	pid_t pid;
	int fd, i;

	(void)state;
	assert_return_code(fd = setup_as(0, 1, 32 * MIB), 0);
	used = xbzt_memory_used();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		for (;;)
			if (setup_as(ALICE, 8, 4 * MIB) >= 0)
				_exit(1);
	}
	for (i = 0; i < 200; i++) {
		int one = setup_as(BOB, 3, 8 * MIB);

		if (one < 0)
			fail_msg("call %d: %s", i, strerror(-one));
		close(one);
		xbzt_eventually(xbzt_memory_used() == used);
	}
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fd);
	xbzt_assert_all_freed();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_users_and_sessions_have_shares,
						setup, reset),
		cmocka_unit_test_setup_teardown(test_a_namespace_is_one_user, setup, reset),
		cmocka_unit_test_setup_teardown(test_share_is_settable, setup, reset),
		cmocka_unit_test_setup_teardown(test_a_cache_keeps_to_its_share,
						setup, reset),
		cmocka_unit_test_setup_teardown(test_regions_are_charged, setup, reset),
		cmocka_unit_test_setup_teardown(test_refused_calls_take_nothing, setup,
						reset),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
