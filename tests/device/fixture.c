// SPDX-License-Identifier: GPL-2.0-only
/*
 * The session of the tests of errors, and another process: see fixture.h.
 */
#include "fixture.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct xbzt_fixture xbzt_fixture(void)
{
	struct xbzt_fixture f;

	f.vm = xbzt_vm(XBZ_FAKEVM_MANUAL_PROTECT);
	f.s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .cache_bytes = 1 << 20, .vm = f.vm,
		.ring_bytes = XBZT_RING_MIN,
		.flags = XBZRLE_SETUP_MANUAL_PROTECT });
	f.ram = xbzt_region(f.s, "ram", 200);
	f.spare = xbzt_region(f.s, "spare", 10);
	f.slot = xbzt_slot(f.vm, FIXTURE_SLOT, f.ram->mem, FIXTURE_SLOT_PAGES);
	assert_int_equal(xbzt_slot_set(f.s, &f.slot, f.ram), 0);
	f.free = xbzt_memory(FIXTURE_FREE);
	xbzt_scribble(f.s, 50);
	return f;
}

void xbzt_fixture_done(struct xbzt_fixture *f)
{
	struct xbzrle_sync sync;

	xbzt_slot_scribble(&f->slot, 20);
	assert_int_equal(xbzt_sync(f->s, &sync), 0);
	assert_int_equal(sync.slots_failed, 0);
	xbzt_dirty_all(f->ram);
	xbzt_pass(f->s);
	xbzt_assert_equal(f->ram);
	munmap(f->free, FIXTURE_FREE * XBZT_PAGE);
	close(f->vm);
	xbzt_close(f->s);
}

int xbzt_in_child(int (*run)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(run(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   256 + WTERMSIG(status);
}
