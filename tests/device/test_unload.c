// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module goes right after its last file is closed. `run` calls this last, as
 * there is no /dev/xbzrle afterwards.
 */
#include "fakevm.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

/* In the middle of its work, with one of everything. */
static void work_until_killed(int ready)
{
	int vm = xbzt_vm(XBZ_FAKEVM_MANUAL_PROTECT);
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.cache_bytes = 1 << 20, .vm = vm,
		.flags = XBZRLE_SETUP_MANUAL_PROTECT });
	struct xbzt_region *r = xbzt_region(s, "ram", 100);
	struct xbzt_slot slot = xbzt_slot(vm, 1, r->mem, 100);

	assert_int_equal(xbzt_slot_set(s, &slot, r), 0);
	xbzt_scribble(s, 100);
	for (;;) {
		struct xbzrle_encode arg = { 0 };

		xbzt_dirty_all(r);
		xbzt_encode(s, 0, &arg);
		if (write(ready, "", 1) != 1)
			_exit(1);
	}
}

/* Breaks if anything of a session outlives the process that had it. */
static void test_right_after_the_last_close(void **state)
{
	int status, pipes[2], fd = xbzt_device();
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		close(fd);
		work_until_killed(pipes[1]);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);

	assert_int_equal(unload("xbzrle"), -EWOULDBLOCK);
	close(fd);
	assert_int_equal(unload("xbzrle"), 0);
	assert_int_equal(open("/dev/xbzrle", O_RDWR | O_CLOEXEC), -1);
	assert_int_equal(unload("xbz_fakevm"), 0);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_after_the_last_close),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
