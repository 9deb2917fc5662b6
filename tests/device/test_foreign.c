// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other processes: a session belongs to the address space that called SETUP, a
 * VM to the one that made it. The device is everybody's who has opened it.
 * Fails if a session serves another address space, or takes another's VM.
 */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Longer than any argument, and zero but for its size: nothing gets so far. */
static int call_with_zeros(int fd, unsigned int cmd)
{
	static union {
		uint32_t size;
		uint8_t bytes[1024];
	} arg;

	memset(&arg, 0, sizeof(arg));
	arg.size = sizeof(arg);
	return xbzt_ioctl(fd, cmd, &arg);
}

/* Whether all doors are shut: 0, or which one is not. Asserts nothing. */
static int all_refused(int fd, uint64_t ring_offset)
{
	unsigned int nr;
	void *p;

	/* These are nobody's on a session. */
	if (call_with_zeros(fd, XBZRLE_INFO) != -ENOTTY ||
	    call_with_zeros(fd, XBZRLE_SETUP) != -ENOTTY)
		return 100;
	for (nr = _IOC_NR(XBZRLE_REGION_SET); nr <= _IOC_NR(XBZRLE_COUNTERS); nr++)
		if (call_with_zeros(fd, _IO(XBZRLE_IOC_TYPE, nr)) != -EPERM)
			return nr;
	p = mmap(NULL, XBZT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 ring_offset);
	return p == MAP_FAILED && errno == EPERM ? 0 : 101;
}

static int child_of_fork(void *p)
{
	struct xbzt_fixture *f = p;

	return all_refused(f->s->fd, f->s->setup.ring_offset);
}

/* Breaks if a child can use its parent's session. */
static void test_child_of_fork(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();

	(void)state;
	assert_int_equal(xbzt_in_child(child_of_fork, &f), 0);
	xbzt_fixture_done(&f);
}

static void send_fd(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	assert_int_equal(sendmsg(sock, &msg, 0), 1);
}

static int receive_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Breaks if a process that was passed the file can use the session. */
static void test_passed_to_a_stranger(void **state)
{
	struct xbzt_fixture f;
	int socks[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    socks), 0);
	/* It is there before the session is, so it has inherited nothing. */
	pid = fork();
	if (!pid) {
		uint64_t offset;
		int fd = receive_fd(socks[1]);

		if (read(socks[1], &offset, sizeof(offset)) != sizeof(offset))
			_exit(102);
		_exit(all_refused(fd, offset));
	}
	assert_true(pid > 0);
	f = xbzt_fixture();
	send_fd(socks[0], f.s->fd);
	assert_int_equal(write(socks[0], &f.s->setup.ring_offset, 8), 8);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	xbzt_fixture_done(&f);
	close(socks[0]);
	close(socks[1]);
}

/* A session's file, or -errno. */
static int new_session(int device, int vm, uint64_t *ring_offset)
{
	struct xbzrle_setup arg = {
		.size = sizeof(arg),
		.page_shift = XBZRLE_PAGE_SHIFT,
		.nr_queues = 1,
		.ring_bytes = XBZT_RING_MIN,
		.vm_fd = vm,
	};
	int fd = xbzt_setup(device, &arg);

	*ring_offset = arg.ring_offset;
	return fd;
}

/*
 * Breaks if a session is that of the device's opener and not that of the caller
 * of SETUP, or if the device can serve only one of them.
 */
static void test_made_by_a_child(void **state)
{
	int device = xbzt_device(), socks[2], status, fd, own;
	uint64_t offset, own_offset;
	void *ring;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    socks), 0);
	pid = fork();
	if (!pid) {
		fd = new_session(device, -1, &offset);
		if (fd < 0)
			_exit(1);
		send_fd(socks[1], fd);
		if (write(socks[1], &offset, sizeof(offset)) != sizeof(offset))
			_exit(2);
		_exit(0);
	}
	assert_true(pid > 0);
	fd = receive_fd(socks[0]);
	assert_true(fd >= 0);
	assert_int_equal(read(socks[0], &offset, sizeof(offset)), 8);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* The child is gone, and nobody can use its session any more. */
	assert_int_equal(all_refused(fd, offset), 0);

	own = new_session(device, -1, &own_offset);
	assert_true(own >= 0);
	ring = xbzt_map(own, own_offset, XBZT_PAGE, true);
	assert_non_null(ring);
	munmap(ring, XBZT_PAGE);
	assert_int_equal(all_refused(fd, offset), 0);
	close(own);
	close(fd);
	close(device);
	close(socks[0]);
	close(socks[1]);
}

/* The error of a SETUP with the VM. One without has to work afterwards. */
static int setup_with_vm(void *p)
{
	int fd, ret, device = open("/dev/xbzrle", O_RDWR | O_CLOEXEC);
	uint64_t offset;

	ret = new_session(device, *(int *)p, &offset);
	fd = new_session(device, -1, &offset);
	close(device);
	if (ret >= 0)
		close(ret);
	if (fd < 0)
		return 200;
	close(fd);
	return ret < 0 ? -ret : 0;
}

/* Breaks if the VM of another process is harvested: its memory is not ours. */
static void test_vm_of_another_process(void **state)
{
	int vm = xbzt_vm(0);

	(void)state;
	assert_int_equal(xbzt_in_child(setup_with_vm, &vm), EXDEV);
	assert_int_equal(setup_with_vm(&vm), 0);
	close(vm);
}

static int use_own_session(void *p)
{
	struct xbzrle_region region = {
		.size = sizeof(region),
		.nr_pages = 10,
		.name = "ram",
	};
	struct xbzrle_encode batch = { .size = sizeof(batch) };
	int fd, device = open("/dev/xbzrle", O_RDWR);
	uint64_t *bitmap, offset;

	fd = new_session(device, -1, &offset);
	if (fd < 0)
		return 1;
	region.addr = (uintptr_t)p;
	if (xbzt_ioctl(fd, XBZRLE_REGION_SET, &region))
		return 2;
	bitmap = xbzt_map(fd, region.bitmap_offset, region.bitmap_bytes, true);
	if (!bitmap)
		return 3;
	bitmap[0] = 0x3ff;
	if (xbzt_ioctl(fd, XBZRLE_ENCODE, &batch) || batch.pages != 10)
		return 4;
	return 0; /* without a close */
}

/* Breaks if a process that just ends leaves a session or its memory behind. */
static void test_exit_without_close(void **state)
{
	uint8_t *mem = xbzt_memory(10);

	(void)state;
	memset(mem, 1, 10 * XBZT_PAGE);
	assert_int_equal(xbzt_in_child(use_own_session, mem), 0);
	xbzt_assert_all_freed();
	munmap(mem, 10 * XBZT_PAGE);
}

/* Breaks if a program that was exec'ed can use the session it inherited. */
static void test_after_exec(void **state)
{
	struct xbzt_fixture f = xbzt_fixture();
	char fd[16], offset[32];
	int status;
	pid_t pid;

	(void)state;
	/* It would be closed otherwise. */
	assert_int_equal(fcntl(f.s->fd, F_GETFD), FD_CLOEXEC);
	fcntl(f.s->fd, F_SETFD, 0);
	snprintf(fd, sizeof(fd), "%d", f.s->fd);
	snprintf(offset, sizeof(offset), "%llu",
		 (unsigned long long)f.s->setup.ring_offset);
	/* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): as programs do */
	pid = vfork();
	if (!pid) {
		execl("/proc/self/exe", "test_foreign", fd, offset, NULL);
		_exit(103);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	xbzt_fixture_done(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_of_fork),
		cmocka_unit_test(test_passed_to_a_stranger),
		cmocka_unit_test(test_made_by_a_child),
		cmocka_unit_test(test_vm_of_another_process),
		cmocka_unit_test(test_exit_without_close),
		cmocka_unit_test(test_after_exec),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	if (argc == 3)
		return all_refused(atoi(argv[1]), strtoull(argv[2], NULL, 10));
	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
