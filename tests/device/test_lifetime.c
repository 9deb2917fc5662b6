// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beginning and end: of sessions side by side, of processes in the middle of a
 * call, of the module.
 */
#include "fakevm.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Breaks if closing a session keeps any of its memory. */
static void test_all_memory_comes_back(void **state)
{
	uint64_t during;
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
			.nr_queues = 1 + i, .cache_bytes = 8 << 20 });

		xbzt_region(s, "a", 1500);
		xbzt_region(s, "b", 3);
		xbzt_scribble(s, 100);
		xbzt_pass(s);
		during = xbzt_memory_used();
		/* Rings, and copies of most of the pages. */
		assert_true(during > s->setup.nr_queues * s->setup.ring_bytes +
				     700 * XBZT_PAGE);
		if (i % 2)
			xbzt_region_del(s, s->regions[0]);
		xbzt_close(s);
		xbzt_assert_all_freed();
	}
	close(xbzt_device());
	xbzt_assert_all_freed();
}

/* Breaks if two sessions share anything: both show the same guest. */
static void test_two_sessions_at_once(void **state)
{
	const struct xbzt_config config = { .nr_queues = 2,
					    .cache_bytes = 4 << 20 };
	struct xbzt_session *a = xbzt_open(&config), *b = xbzt_open(&config);
	struct xbzt_region *ra = xbzt_region(a, "ram", 700);
	struct xbzt_region *rb = xbzt_region_at(b, "ram", 700, ra->mem);
	unsigned int i;

	(void)state;
	assert_int_not_equal(a->setup.session, b->setup.session);
	xbzt_dirty_all(ra);
	xbzt_dirty_all(rb);
	for (i = 0; i < 10; i++) {
		uint64_t page;

		xbzt_scribble(a, 30);
		for (page = 0; page < 700; page++)
			if (xbzt_is_dirty(ra, page))
				xbzt_dirty(rb, page);
		xbzt_pass(a);
		if (i % 3 == 0)
			continue;
		xbzt_pass(b);
		xbzt_assert_equal(ra);
		xbzt_assert_equal(rb);
	}
	xbzt_pass(b);
	xbzt_assert_equal(rb);
	/* One goes, the other does not notice. */
	ra->borrowed = true;
	xbzt_close(a);
	xbzt_assert_works(b);
	rb->borrowed = false;
	xbzt_close(b);
}

/*
 * Breaks if a device serves but one session, if one session ends another, or if a
 * session needs the device it was made with: each of them works until it is
 * closed, the device is closed in between.
 */
static void test_sessions_of_one_device(void **state)
{
	const struct xbzt_config config = { .nr_queues = 2,
					    .cache_bytes = 1 << 20 };
	int device = xbzt_device();
	struct xbzt_session *s[5];
	unsigned int i;

	(void)state;
	/* One after the other. */
	for (i = 0; i < 3; i++) {
		s[0] = xbzt_open_on(device, &config);
		assert_int_equal(fcntl(s[0]->fd, F_GETFD), FD_CLOEXEC);
		xbzt_region(s[0], "ram", 700);
		xbzt_assert_works(s[0]);
		xbzt_close(s[0]);
		xbzt_assert_all_freed();
	}
	/* At once; some are made while others are at work. */
	for (i = 0; i < XBZT_ARRAY_SIZE(s); i++) {
		s[i] = xbzt_open_on(device, &config);
		xbzt_dirty_all(xbzt_region(s[i], "ram", 700));
		xbzt_pass(s[i]);
		xbzt_assert_works(s[i / 2]);
	}
	close(device);
	for (i = 0; i < XBZT_ARRAY_SIZE(s); i++) {
		xbzt_scribble(s[i], 30);
		xbzt_pass(s[i]);
		xbzt_assert_all_equal(s[i]);
		xbzt_close(s[i]);
	}
	xbzt_assert_all_freed();
}

/* The number of a session is used again, but not while it is in use. */
static void test_session_numbers(void **state)
{
	struct xbzt_session *s[8];
	unsigned int i, j;

	(void)state;
	for (i = 0; i < 8; i++) {
		s[i] = xbzt_open(&(struct xbzt_config){
			.ring_bytes = XBZT_RING_MIN });
		assert_true(s[i]->setup.session > 0);
		for (j = 0; j < i; j++)
			assert_int_not_equal(s[i]->setup.session,
					     s[j]->setup.session);
	}
	for (i = 0; i < 8; i++)
		xbzt_close(s[i]);
}

/* What the parent sees of a child that encodes until it is killed. */
struct victim {
	uint8_t *mem;
	unsigned int batches;
};

static void *encode_for_ever(void *p)
{
	struct xbzt_session *s = p;

	for (;;) {
		struct xbzrle_encode arg = { 0 };

		if (xbzt_encode_raw(s, 1, &arg))
			return NULL;
		xbzt_release(s, 1, arg.pos + arg.bytes);
	}
}

static void encode_until_killed(struct victim *v)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = 4 << 20 });
	struct xbzt_region *r = xbzt_region_at(s, "ram", 2000, v->mem);
	pthread_t other;

	pthread_create(&other, NULL, encode_for_ever, s);
	for (;;) {
		struct xbzrle_encode arg = { 0 };

		xbzt_dirty_all(r);
		if (xbzt_encode_raw(s, 0, &arg))
			_exit(1);
		xbzt_release(s, 0, arg.pos + arg.bytes);
		__atomic_fetch_add(&v->batches, 1, __ATOMIC_RELEASE);
	}
}

/* Breaks if a process that is killed in a call leaves anything behind. */
static void test_killed_while_encoding(void **state)
{
	struct victim *v = mmap(NULL, XBZT_PAGE, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i;
	uint64_t page;

	(void)state;
	assert_true(v != MAP_FAILED);
	v->mem = xbzt_memory(2000);
	for (page = 0; page < 2000; page++)
		xbzt_guest_fill(v->mem + page * XBZT_PAGE, &xbzt_rng);
	for (i = 0; i < 10; i++) {
		unsigned int wait = 1 + xbzt_below(&xbzt_rng, 20);
		int status;
		pid_t pid;

		__atomic_store_n(&v->batches, 0, __ATOMIC_RELEASE);
		pid = fork();
		if (!pid)
			encode_until_killed(v);
		assert_true(pid > 0);
		while (__atomic_load_n(&v->batches, __ATOMIC_ACQUIRE) < wait)
			if (waitpid(pid, &status, WNOHANG))
				fail_msg("it ended by itself: 0x%x", status);
			else
				sched_yield();
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		xbzt_assert_all_freed();
	}
	munmap(v->mem, 2000 * XBZT_PAGE);
	munmap(v, XBZT_PAGE);
}

static int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

/* Breaks if the module can go while somebody needs its code. */
static void test_module_in_use(void **state)
{
	int device = xbzt_device();
	struct xbzt_session *s;

	(void)state;
	/* The device alone, the session alone, and only what it has mapped. */
	assert_int_equal(unload("xbzrle"), -EWOULDBLOCK);
	s = xbzt_open_on(device, NULL);
	xbzt_region(s, "ram", 10);
	close(device);
	assert_int_equal(unload("xbzrle"), -EWOULDBLOCK);
	close(s->fd);
	s->fd = -1;
	assert_int_equal(unload("xbzrle"), -EWOULDBLOCK);
	xbzt_close(s);
}

/* Breaks if the VM can go while a session still calls it. */
static void test_vm_in_use(void **state)
{
	int vm = xbzt_vm(XBZ_FAKEVM_MANUAL_PROTECT);
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.vm = vm, .flags = XBZRLE_SETUP_MANUAL_PROTECT });
	struct xbzt_region *r = xbzt_region(s, "ram", 100);
	struct xbzt_slot slot = xbzt_slot(vm, 1, r->mem, 100);

	(void)state;
	assert_int_equal(xbzt_slot_set(s, &slot, r), 0);
	close(vm);
	assert_int_equal(unload("xbz_fakevm"), -EWOULDBLOCK);
	xbzt_assert_works(s);
	xbzt_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_memory_comes_back),
		cmocka_unit_test(test_two_sessions_at_once),
		cmocka_unit_test(test_sessions_of_one_device),
		cmocka_unit_test(test_session_numbers),
		cmocka_unit_test(test_killed_while_encoding),
		cmocka_unit_test(test_module_in_use),
		cmocka_unit_test(test_vm_in_use),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
