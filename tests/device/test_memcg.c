// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process whose memory cgroup is short of memory: the cache is optional, so it
 * never costs the process its life, and reclaim gets it back. Fails if the
 * process is killed, or if reclaim gets nothing, or other cgroups' pages.
 */
#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP "/sys/fs/cgroup/xbz-memcg"
#define MIB (1ULL << 20)
/* 32 MiB: of the guest, of the destination, and of cached pages. */
#define PAGES 8192
/* What the cache leaves to a cgroup of this size, but for a little. */
#define MARGIN (8 * MIB)

static bool cgroup_write(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* The number behind @key, or the only one of the file. */
static uint64_t cgroup_read(const char *file, const char *key)
{
	char line[128];
	uint64_t value = 0;
	FILE *f = fopen(file, "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = strtoull(line + strlen(key), NULL, 10);
	fclose(f);
	return value;
}

/* The room is what the cgroup has used when the migration begins, and this. */
static void limit_room(uint64_t room)
{
	unsigned long long limit = cgroup_read(CGROUP "/memory.current", "") + room;
	char text[32];

	snprintf(text, sizeof(text), "%llu", limit);
	assert_true(cgroup_write(CGROUP "/memory.max", text));
}

static struct xbzt_session *guest(struct xbzt_region **r, uint64_t cache, bool packs)
{
	const struct xbzt_config config = { .nr_queues = 2, .cache_bytes = cache };
	struct xbzt_session *s = xbzt_open(&config);
	uint64_t i;

	*r = xbzt_region(s, "ram", PAGES);
	/* Nothing that deltas against zero make small. */
	for (i = 0; i < PAGES * XBZT_PAGE; i += 8) {
		uint64_t word = xbzt_random(&xbzt_rng);

		memcpy((*r)->mem + i, &word, sizeof(word));
	}
	for (i = 0; packs && i < PAGES; i++)
		xbzt_guest_text(xbzt_page(*r, i), &xbzt_rng);
	return s;
}

/* Touches memory that no one had before, as guests do at any time. */
static void touch(uint64_t bytes)
{
	uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, 1, bytes);
	munmap(p, bytes);
}

static void migrate(uint64_t room, bool packs)
{
	struct xbzt_region *r;
	struct xbzt_session *s = guest(&r, 2 * PAGES * XBZT_PAGE, packs);
	uint64_t limit, left = room > MARGIN ? MARGIN - 2 * MIB : room / 2;
	unsigned int pass;

	limit_room(room);
	limit = cgroup_read(CGROUP "/memory.max", "");
	for (pass = 0; pass < 4; pass++) {
		xbzt_dirty_all(r);
		xbzt_scribble(s, 30);
		xbzt_pass(s);
		assert_true(cgroup_read(CGROUP "/memory.current", "") + left <= limit);
		touch(room / 4);
	}
	xbzt_assert_all_equal(s);
	if (packs) {
		struct xbzrle_counters c;

		xbzt_counters(s, XBZRLE_ALL_QUEUES, &c);
		assert_true(c.cache_packed > 0);
	}
	xbzt_close(s);
}

static void migrate_with_room(uint64_t room)
{
	migrate(room, false);
}

static void migrate_packed(uint64_t room)
{
	migrate(room, true);
}

/* A session of this process, outside of the cgroup, with cached pages. */
static struct xbzt_session *neighbour(void)
{
	const struct xbzt_config config = { .cache_bytes = MIB };
	struct xbzt_session *s = xbzt_open(&config);
	struct xbzt_region *r = xbzt_region(s, "ram", MIB / XBZT_PAGE);

	xbzt_scribble(s, 100);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	return s;
}

/* Runs it in a process and a cgroup of its own, which must survive. */
static void in_cgroup(void (*run)(uint64_t), uint64_t value)
{
	struct xbzt_session *other;
	struct xbzrle_counters before, c;
	int go[2], status;
	char byte = 0;
	pid_t pid;

	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		skip();
	if (access(CGROUP "/memory.max", F_OK)) {
		rmdir(CGROUP);
		skip();
	}
	fflush(NULL);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (read(go[0], &byte, 1) != 1 ||
		    !cgroup_write(CGROUP "/cgroup.procs", "0"))
			_exit(2);
		run(value);
		_exit(0);
	}
	/*
	 * After the fork: User Mode Linux 6.1 leaves mappings that are not to be
	 * copied in the child, where it then maps its own.
	 */
	other = neighbour();
	xbzt_counters(other, XBZRLE_ALL_QUEUES, &before);
	assert_true(before.cache_pages);
	assert_int_equal(write(go[1], &byte, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(go[0]);
	close(go[1]);
	assert_int_equal(cgroup_read(CGROUP "/memory.events", "oom_kill "), 0);
	assert_int_equal(rmdir(CGROUP), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);

	xbzt_counters(other, XBZRLE_ALL_QUEUES, &c);
	assert_int_equal(c.cache_pages, before.cache_pages);
	assert_int_equal(c.evictions, 0);
	xbzt_close(other);
}

/*
 * Breaks if the cache fills the cgroup to its limit, or does not give way: the next
 * page that the guest touches then has its process killed.
 */
static void test_room_of_16_mib(void **state)
{
	(void)state;
	in_cgroup(migrate_with_room, 16 * MIB);
}

static void test_room_of_4_mib(void **state)
{
	(void)state;
	in_cgroup(migrate_with_room, 4 * MIB);
}

static void give_back(uint64_t cache)
{
	struct xbzt_region *r;
	struct xbzt_session *s = guest(&r, cache, cache < PAGES * XBZT_PAGE);
	struct xbzrle_counters c;
	uint64_t before;
	int i;

	xbzt_dirty_all(r);
	xbzt_pass(s);
	xbzt_counters(s, XBZRLE_ALL_QUEUES, &c);
	before = c.cache_pages;
	if (cache < PAGES * XBZT_PAGE)
		assert_true(c.packed_pages > before / 4);
	else
		assert_int_equal(before, PAGES);
	for (i = 0; i < 200 && c.cache_pages > before / 10; i++) {
		/* Fails if less was found than asked for. */
		cgroup_write(CGROUP "/memory.reclaim", "8M");
		xbzt_counters(s, XBZRLE_ALL_QUEUES, &c);
	}
	assert_true(c.cache_pages <= before / 10);
	assert_true(c.evictions >= before - c.cache_pages);

	xbzt_dirty_all(r);
	xbzt_scribble(s, 30);
	xbzt_pass(s);
	xbzt_assert_all_equal(s);
	xbzt_close(s);
}

/*
 * Breaks if reclaim of the cgroup does not get nine tenths of the cached pages, if
 * it gets them from another cgroup's session, or if a delta then has no base.
 */
static void test_reclaim_gets_cached_pages(void **state)
{
	(void)state;
	in_cgroup(give_back, 2 * PAGES * XBZT_PAGE);
}

/* The same of packed copies: more than one of them has to go for a page. */
static void test_reclaim_gets_packed_copies(void **state)
{
	(void)state;
	in_cgroup(give_back, PAGES / 2 * XBZT_PAGE);
}

/* Breaks if copies are not packed where the cgroup, and not the limit, is short. */
static void test_packs_with_room_of_16_mib(void **state)
{
	(void)state;
	in_cgroup(migrate_packed, 16 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_of_16_mib),
		cmocka_unit_test(test_room_of_4_mib),
		cmocka_unit_test(test_reclaim_gets_cached_pages),
		cmocka_unit_test(test_reclaim_gets_packed_copies),
		cmocka_unit_test(test_packs_with_room_of_16_mib),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
