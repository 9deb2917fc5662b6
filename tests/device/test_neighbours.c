// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other threads of the process that take away, at any moment, what a call is
 * just working on: the guest's memory, KVM's slots, the VM's file. The calls say
 * what they could not do, and no bit is lost by it. Fails if one is, or if the
 * kernel complains.
 */
#include "fakevm.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 600
#define ROUNDS 150

/**
 * struct villain - a thread that takes something away and puts it back
 * @mem: the guest's memory
 * @file: the file that it is, or -1
 * @vm: the VM's file
 * @once: takes and puts back
 * @rng: where the details come from
 * @done: how often
 * @stop: it shall end
 * @thread: the thread
 */
struct villain {
	uint8_t *mem;
	int file;
	int vm;
	int (*once)(struct villain *v);
	struct xbzt_rng rng;
	unsigned int done;
	bool stop;
	pthread_t thread;
};

static void *run(void *p)
{
	struct villain *v = p;

	while (!__atomic_load_n(&v->stop, __ATOMIC_RELAXED)) {
		if (v->once(v))
			return "failed";
		__atomic_fetch_add(&v->done, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void begin(struct villain *v, int (*once)(struct villain *v))
{
	v->once = once;
	v->done = 0;
	v->stop = false;
	xbzt_rng_seed(&v->rng, xbzt_seed + 1);
	assert_int_equal(pthread_create(&v->thread, NULL, run, v), 0);
}

static bool has_begun(struct villain *v)
{
	return __atomic_load_n(&v->done, __ATOMIC_RELAXED) > 2;
}

static void end(struct villain *v)
{
	void *problem;

	__atomic_store_n(&v->stop, true, __ATOMIC_RELAXED);
	pthread_join(v->thread, &problem);
	assert_null(problem);
}

/* Some pages of the guest's, which may go. */
static uint8_t *some(struct villain *v, size_t *bytes)
{
	uint64_t first = xbzt_below(&v->rng, PAGES);

	*bytes = (1 + xbzt_below(&v->rng, PAGES - first)) * XBZT_PAGE;
	return v->mem + first * XBZT_PAGE;
}

static int map_there(struct villain *v, uint8_t *p, size_t bytes)
{
	int flags = v->file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	return mmap(p, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
		    v->file, v->file < 0 ? 0 : p - v->mem) == p ? 0 : -1;
}

static int unmap(struct villain *v)
{
	size_t bytes;
	uint8_t *p = some(v, &bytes);

	return munmap(p, bytes) || map_there(v, p, bytes) ? -1 : 0;
}

static int map_over(struct villain *v)
{
	size_t bytes;
	uint8_t *p = some(v, &bytes);

	return map_there(v, p, bytes);
}

static int drop(struct villain *v)
{
	size_t bytes;
	uint8_t *p = some(v, &bytes);

	return madvise(p, bytes, MADV_DONTNEED);
}

static int protect(struct villain *v)
{
	size_t bytes;
	uint8_t *p = some(v, &bytes);

	return mprotect(p, bytes, PROT_NONE) ||
	       mprotect(p, bytes, PROT_READ | PROT_WRITE) ? -1 : 0;
}

static int move(struct villain *v)
{
	const int how = MREMAP_MAYMOVE | MREMAP_FIXED;
	uint8_t *there = v->mem + PAGES * XBZT_PAGE;
	size_t bytes;
	uint8_t *p = some(v, &bytes);

	return mremap(p, bytes, bytes, how, there) != there ||
	       mremap(there, bytes, bytes, how, p) != p ||
	       map_there(v, there, bytes) ? -1 : 0;
}

static int truncate_file(struct villain *v)
{
	return ftruncate(v->file, xbzt_below(&v->rng, PAGES) * XBZT_PAGE) ||
	       ftruncate(v->file, PAGES * XBZT_PAGE) ? -1 : 0;
}

/* All of the memory is shared with a child for a moment: copy on write. */
static int fork_once(struct villain *v)
{
	pid_t pid = fork();

	(void)v;
	if (!pid)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

/*
 * Breaks if a page that cannot be read ends more than its batch, if its bit is
 * lost, or if the batch says other than what is in the ring.
 */
static void check_memory(int (*once)(struct villain *v), bool file)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.ring_bytes = 1 << 20, .cache_bytes = 100 * XBZT_PAGE });
	struct villain v = { .file = -1 };
	struct xbzt_region *r;
	unsigned int round;

	/* Behind it is as much again, to move it to. */
	v.mem = xbzt_memory(2 * PAGES);
	if (file) {
		v.file = memfd_create("guest", MFD_CLOEXEC);
		assert_int_equal(ftruncate(v.file, PAGES * XBZT_PAGE), 0);
		assert_int_equal(map_there(&v, v.mem, PAGES * XBZT_PAGE), 0);
	}
	r = xbzt_region_at(s, "ram", PAGES, v.mem);
	xbzt_scribble(s, 100);
	begin(&v, once);
	for (round = 0; round < ROUNDS || !has_begun(&v); round++) {
		struct xbzrle_encode arg = { .max_pages = 50 };
		uint64_t dirty;

		xbzt_dirty(r, xbzt_below(&xbzt_rng, PAGES));
		if (round % 8 == 0)
			xbzt_dirty_all(r);
		dirty = xbzt_nr_dirty(r);
		assert_int_equal(xbzt_encode_raw(s, 0, &arg), 0);
		assert_int_equal(xbzt_nr_dirty(r), dirty - arg.pages);
		xbzt_apply(s, 0, &arg);
		xbzt_release(s, 0, s->queues[0].pos);
	}
	end(&v);

	/* What was thrown away was thrown away without a bit. */
	xbzt_dirty_all(r);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_assert_works(s);
	xbzt_close(s);
	munmap(v.mem, 2 * PAGES * XBZT_PAGE);
	if (file)
		close(v.file);
}

static void test_memory_unmapped(void **state)
{
	(void)state;
	check_memory(unmap, false);
	check_memory(unmap, true);
}

static void test_memory_replaced(void **state)
{
	(void)state;
	check_memory(map_over, false);
	check_memory(drop, false);
}

static void test_memory_protected(void **state)
{
	(void)state;
	check_memory(protect, false);
}

static void test_memory_moved(void **state)
{
	(void)state;
	check_memory(move, false);
}

static void test_memory_truncated(void **state)
{
	(void)state;
	check_memory(truncate_file, true);
}

static void test_memory_forked(void **state)
{
	(void)state;
	check_memory(fork_once, false);
}

/* The slot goes, comes back otherwise, and is at last what it was. */
static int change_slot(struct villain *v)
{
	struct xbzt_slot slot;

	slot = xbzt_slot(v->vm, 1, v->mem, 1 + xbzt_below(&v->rng, PAGES));
	xbzt_slot_dirty(&slot, 0);
	slot = xbzt_slot(v->vm, 1, v->mem + XBZT_PAGE,
			 PAGES + xbzt_below(&v->rng, PAGES));
	xbzt_slot_gone(&slot);
	slot = xbzt_slot(v->vm, 1, v->mem, PAGES);
	xbzt_slot_dirty(&slot, xbzt_below(&v->rng, PAGES));
	return 0;
}

/* Closing it is the least that can happen to a file: it is open again at once. */
static int close_vm(struct villain *v)
{
	int other = dup(v->vm);

	if (other < 0 || close(v->vm))
		return -1;
	return dup2(other, v->vm) == v->vm && !close(other) ? 0 : -1;
}

/* Breaks if a log that is not there, or another one, is more than an answer. */
static void check_vm(int (*once)(struct villain *v), bool manual)
{
	struct villain v = { .vm = xbzt_vm(manual ? XBZ_FAKEVM_MANUAL_PROTECT : 0) };
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.ring_bytes = 1 << 20, .cache_bytes = 1 << 20, .vm = v.vm,
		.flags = manual ? XBZRLE_SETUP_MANUAL_PROTECT : 0 });
	struct xbzt_region *r = xbzt_region(s, "ram", PAGES);
	struct xbzt_slot slot = xbzt_slot(v.vm, 1, r->mem, PAGES);
	struct xbzrle_sync sync;
	unsigned int round;

	v.mem = r->mem;
	assert_int_equal(xbzt_slot_set(s, &slot, r), 0);
	xbzt_scribble(s, 100);
	begin(&v, once);
	for (round = 0; round < ROUNDS || !has_begun(&v); round++) {
		struct xbzrle_encode arg = { .max_pages = 50 };
		int ret;

		xbzt_dirty(r, xbzt_below(&xbzt_rng, PAGES));
		assert_int_equal(xbzt_sync(s, &sync), 0);
		assert_in_range(sync.slots_failed, 0, 1);
		ret = xbzt_clear(s, r, xbzt_below(&xbzt_rng, PAGES), 1);
		assert_true(!ret || ret == -EIO);
		assert_int_equal(xbzt_encode_raw(s, 0, &arg), 0);
		xbzt_apply(s, 0, &arg);
		xbzt_release(s, 0, s->queues[0].pos);
	}
	end(&v);

	xbzt_slot_scribble(&slot, 50);
	xbzt_dirty_all(r);
	assert_int_equal(xbzt_sync(s, &sync), 0);
	assert_int_equal(sync.slots_failed, 0);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_close(s);
	close(v.vm);
}

static void test_slots_change(void **state)
{
	(void)state;
	check_vm(change_slot, true);
	check_vm(change_slot, false);
}

static void test_vm_closed(void **state)
{
	(void)state;
	check_vm(close_vm, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_unmapped),
		cmocka_unit_test(test_memory_replaced),
		cmocka_unit_test(test_memory_protected),
		cmocka_unit_test(test_memory_moved),
		cmocka_unit_test(test_memory_truncated),
		cmocka_unit_test(test_memory_forked),
		cmocka_unit_test(test_slots_change),
		cmocka_unit_test(test_vm_closed),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
