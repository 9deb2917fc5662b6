// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that is killed while it calls the session, whatever it calls: with
 * a second thread that encodes, so that it is killed waiting for a lock, too.
 * Breaks if anything of it is left, or if it cannot be killed.
 */
#include "fakevm.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 1000
#define SLOT 3
#define KILLS 6

/**
 * struct victim - what the child works on
 * @vm: its VM
 * @s: its session, with two queues
 * @ram: a region, all of it the slot's
 * @slot: the slot
 * @memory: for one region more
 */
struct victim {
	int vm;
	struct xbzt_session *s;
	struct xbzt_region *ram;
	struct xbzt_slot slot;
	uint8_t *memory;
};

/* Calls that the child has come back from; the parent sees it. */
static unsigned int *calls;

/* The guest's memory, made once: all children have it. */
static uint8_t *guest;

static int encode(struct xbzt_session *s, unsigned int queue)
{
	struct xbzrle_encode arg = { 0 };
	int ret = xbzt_encode_raw(s, queue, &arg);

	if (!ret)
		xbzt_release(s, queue, arg.pos + arg.bytes);
	return ret;
}

static int call_setup(struct victim *v)
{
	struct xbzrle_setup arg = {
		.size = sizeof(arg),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = 4,
		.ring_bytes = 1 << 20,
		.cache_bytes = 1 << 20,
		.vm_fd = v->vm,
	};
	int fd = xbzt_setup_alone(&arg);

	return fd < 0 ? fd : close(fd);
}

static int call_mmap(struct victim *v)
{
	size_t bytes = XBZT_PAGE + 2 * v->s->setup.ring_bytes;
	void *p = xbzt_map(v->s->fd, v->s->setup.ring_offset + XBZT_PAGE, bytes,
			   false);

	return p ? munmap(p, bytes) : -errno;
}

static int call_region(struct victim *v)
{
	struct xbzrle_region arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)v->memory,
		.nr_pages = 1 << 20,
		.name = "more",
	};
	struct xbzrle_region_del del = { .size = sizeof(del) };
	int ret = xbzt_ioctl(v->s->fd, XBZRLE_REGION_SET, &arg);

	del.region = arg.region;
	return ret ? ret : xbzt_ioctl(v->s->fd, XBZRLE_REGION_DEL, &del);
}

static int call_slot(struct victim *v)
{
	int ret = xbzt_slot_del(v->s, SLOT);

	return ret ? ret : xbzt_slot_set(v->s, &v->slot, v->ram);
}

static int call_sync(struct victim *v)
{
	struct xbzrle_sync sync;

	xbzt_slot_dirty_all(&v->slot);
	return xbzt_sync(v->s, &sync);
}

static int call_clear(struct victim *v)
{
	int ret = call_sync(v);

	return ret ? ret : xbzt_clear(v->s, v->ram, 0, PAGES);
}

static int call_encode(struct victim *v)
{
	xbzt_dirty_all(v->ram);
	return encode(v->s, 0);
}

static int call_invalidate(struct victim *v)
{
	struct xbzrle_invalidate arg = {
		.size = sizeof(arg),
		.region = v->ram->id,
		.nr_pages = PAGES,
	};

	return xbzt_ioctl(v->s->fd, XBZRLE_INVALIDATE, &arg);
}

static int call_cache(struct victim *v)
{
	int ret = xbzt_cache(v->s, 0);

	return ret ? ret : xbzt_cache(v->s, 8 << 20);
}

static int call_counters(struct victim *v)
{
	struct xbzrle_counters arg = { .size = sizeof(arg),
				       .queue = XBZRLE_ALL_QUEUES };

	return xbzt_ioctl(v->s->fd, XBZRLE_COUNTERS, &arg);
}

static const struct {
	const char *name;
	int (*call)(struct victim *v);
} victims[] = {
	{ "setup", call_setup },	   { "mmap", call_mmap },
	{ "region", call_region },	   { "slot", call_slot },
	{ "sync", call_sync },		   { "clear", call_clear },
	{ "encode", call_encode },	   { "cache", call_cache },
	{ "invalidate", call_invalidate }, { "counters", call_counters },
};

static void *encode_for_ever(void *p)
{
	struct victim *v = p;

	for (;;) {
		xbzt_dirty_all(v->ram);
		if (encode(v->s, 1))
			_exit(1);
	}
	return NULL;
}

static void call_until_killed(int (*call)(struct victim *v))
{
	struct victim v = { .vm = xbzt_vm(XBZ_FAKEVM_MANUAL_PROTECT) };
	pthread_t other;

	v.s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = 8 << 20, .vm = v.vm,
		.flags = XBZRLE_SETUP_MANUAL_PROTECT });
	v.ram = xbzt_region_at(v.s, "ram", PAGES, guest);
	v.slot = xbzt_slot(v.vm, SLOT, guest, PAGES);
	v.memory = xbzt_memory(1 << 20);
	if (xbzt_slot_set(v.s, &v.slot, v.ram) ||
	    pthread_create(&other, NULL, encode_for_ever, &v))
		_exit(2);
	while (!call(&v))
		__atomic_fetch_add(calls, 1, __ATOMIC_RELEASE);
	_exit(3);
}

static void kill_in(const char *name, int (*call)(struct victim *v))
{
	unsigned int i;

	for (i = 0; i < KILLS; i++) {
		unsigned int wait = 1 + xbzt_below(&xbzt_rng, 5);
		int status;
		pid_t pid;

		__atomic_store_n(calls, 0, __ATOMIC_RELEASE);
		pid = fork();
		if (!pid)
			call_until_killed(call);
		assert_true(pid > 0);
		while (__atomic_load_n(calls, __ATOMIC_ACQUIRE) < wait) {
			if (waitpid(pid, &status, WNOHANG))
				fail_msg("%s: it ended by itself: 0x%x", name,
					 status);
			sched_yield();
		}
		usleep(xbzt_below(&xbzt_rng, 2000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status))
			fail_msg("%s: it ended by itself: 0x%x", name, status);
		xbzt_assert_all_freed();
	}
}

static void test_killed(void **state)
{
	unsigned int i;

	(void)state;
	calls = mmap(NULL, XBZT_PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(calls != MAP_FAILED);
	guest = xbzt_memory(PAGES);
	memset(guest, 1, PAGES * XBZT_PAGE);
	for (i = 0; i < XBZT_ARRAY_SIZE(victims); i++)
		kill_in(victims[i].name, victims[i].call);
	munmap(guest, PAGES * XBZT_PAGE);
	munmap(calls, XBZT_PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
