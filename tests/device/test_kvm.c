// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real KVM: a guest of five instructions writes to its memory while it is
 * encoded. And whether tests/fakevm says what KVM says, since most tests of the
 * log stand on that. Fails if what the guest writes does not arrive, or if the
 * two differ.
 */
#include "fakevm.h"

#include <linux/kvm.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Guest-physical: the code, and what it writes to. */
#define LOW_PAGES 16
#define DATA_GPA (16 << 20)
#define DATA_PAGES 2048
/* The region has more pages than the slot, on both sides. */
#define DATA_FIRST 100

/*
 * for (;;) { eax = eax * 1664525 + 1013904223; edx = eax >> 4 & ecx;
 *	      ++*(u8 *)(ebx + edx); }
 */
static const uint8_t guest_code[] = {
	0x69, 0xc0, 0x0d, 0x66, 0x19, 0x00, /* imul $1664525, %eax, %eax */
	0x05, 0x5f, 0xf3, 0x6e, 0x3c,	    /* add $1013904223, %eax */
	0x89, 0xc2,			    /* mov %eax, %edx */
	0xc1, 0xea, 0x04,		    /* shr $4, %edx */
	0x21, 0xca,			    /* and %ecx, %edx */
	0xfe, 0x04, 0x13,		    /* incb (%ebx,%edx) */
	0xeb, 0xe9,			    /* jmp back */
};

/**
 * struct guest - a VM with one CPU, and a session that harvests it
 * @kvm: /dev/kvm
 * @vm: the VM's file
 * @cpu: the CPU's file
 * @run: its state, shared with KVM
 * @run_bytes: the size of that
 * @s: the session
 * @low: the region with the code
 * @data: the region that is written to
 * @thread: runs the CPU
 * @error: what KVM_RUN failed with, or 1000 + what it ended with
 */
struct guest {
	int kvm;
	int vm;
	int cpu;
	struct kvm_run *run;
	size_t run_bytes;
	struct xbzt_session *s;
	struct xbzt_region *low;
	struct xbzt_region *data;
	pthread_t thread;
	int error;
};

static int check(int ret, const char *what)
{
	if (ret < 0)
		fail_msg("%s: %s", what, strerror(errno));
	return ret;
}

static int open_kvm(void)
{
	return check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
}

static int new_vm(int kvm, uint64_t manual)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { manual },
	};
	int vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");

	if (manual)
		check(ioctl(vm, KVM_ENABLE_CAP, &cap), "KVM_ENABLE_CAP");
	return vm;
}

static void set_memslot(int vm, uint32_t slot, uint64_t gpa, const void *mem,
			uint64_t nr_pages)
{
	struct kvm_userspace_memory_region arg = {
		.slot = slot,
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
		.guest_phys_addr = gpa,
		.memory_size = nr_pages * XBZT_PAGE,
		.userspace_addr = (uintptr_t)mem,
	};

	check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &arg), "memslot");
}

/* Protected mode without paging, all segments flat, at the code. */
static void reset_cpu(struct guest *g)
{
	struct kvm_regs regs = {
		.rflags = 2,
		.rax = xbzt_random(&xbzt_rng) & 0xffffffff,
		.rbx = DATA_GPA,
		.rcx = DATA_PAGES * XBZT_PAGE - 1,
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1,
		.db = 1, .s = 1, .g = 1,
	};
	struct kvm_sregs sregs;

	check(ioctl(g->cpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cr0 |= 1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cs = data;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	check(ioctl(g->cpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	check(ioctl(g->cpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static struct guest guest_open(uint64_t manual)
{
	struct guest g = { .kvm = open_kvm() };

	g.vm = new_vm(g.kvm, manual);
	g.s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .ring_bytes = 1 << 20, .cache_bytes = 64 << 20,
		.vm = g.vm, .flags = manual ? XBZRLE_SETUP_MANUAL_PROTECT : 0 });
	g.low = xbzt_region(g.s, "low", LOW_PAGES);
	g.data = xbzt_region(g.s, "data", DATA_FIRST + DATA_PAGES + 50);
	memcpy(g.low->mem, guest_code, sizeof(guest_code));
	set_memslot(g.vm, 0, 0, g.low->mem, LOW_PAGES);
	set_memslot(g.vm, 1, DATA_GPA, xbzt_page(g.data, DATA_FIRST),
		    DATA_PAGES);

	g.cpu = check(ioctl(g.vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	g.run_bytes = ioctl(g.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	g.run = mmap(NULL, g.run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		     g.cpu, 0);
	assert_ptr_not_equal(g.run, MAP_FAILED);
	reset_cpu(&g);
	return g;
}

static void guest_close(struct guest *g)
{
	munmap(g->run, g->run_bytes);
	close(g->cpu);
	close(g->vm);
	close(g->kvm);
	xbzt_close(g->s);
}

static int session_slot(struct guest *g, uint32_t slot, struct xbzt_region *r,
			uint64_t first, uint64_t nr_pages)
{
	struct xbzrle_slot arg = {
		.size = sizeof(arg),
		.slot = slot,
		.region = r->id,
		.first_page = first,
		.nr_pages = nr_pages,
	};

	return xbzt_ioctl(g->s->fd, XBZRLE_SLOT_SET, &arg);
}

static void on_kick(int signal)
{
	(void)signal;
}

static void *run_cpu(void *p)
{
	struct guest *g = p;

	while (!__atomic_load_n(&g->run->immediate_exit, __ATOMIC_ACQUIRE)) {
		if (ioctl(g->cpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			__atomic_store_n(&g->error, errno,
					 __ATOMIC_RELAXED);
			break;
		}
		if (g->run->exit_reason != KVM_EXIT_INTR) {
			__atomic_store_n(&g->error,
					 1000 + g->run->exit_reason,
					 __ATOMIC_RELAXED);
			break;
		}
	}
	return NULL;
}

static void guest_start(struct guest *g)
{
	const struct sigaction kick = { .sa_handler = on_kick };

	sigaction(SIGUSR1, &kick, NULL);
	__atomic_store_n(&g->run->immediate_exit, 0, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&g->thread, NULL, run_cpu, g), 0);
}

static void guest_stop(struct guest *g)
{
	__atomic_store_n(&g->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(g->thread, SIGUSR1);
	pthread_join(g->thread, NULL);
	assert_int_equal(g->error, 0);
}

static uint64_t sync_ok(struct guest *g)
{
	struct xbzrle_sync sync;

	assert_int_equal(xbzt_sync(g->s, &sync), 0);
	assert_int_equal(sync.slots_failed, 0);
	return sync.new_dirty;
}

/*
 * A migration: passes while the guest writes, a last one when it has stopped.
 * Breaks if any of its writes is lost, whatever the hardware does to log them.
 */
static void migrate(uint64_t manual)
{
	const struct xbzrle_encode last = { .flags = XBZRLE_ENCODE_LAST_STAGE };
	struct guest g = guest_open(
			manual ? KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE : 0);
	struct xbzrle_counters c;
	unsigned int pass;
	const unsigned int passes = 8;

	assert_int_equal(session_slot(&g, 0, g.low, 0, LOW_PAGES), 0);
	assert_int_equal(session_slot(&g, 1, g.data, DATA_FIRST, DATA_PAGES), 0);
	xbzt_dirty_all(g.low);
	xbzt_dirty_all(g.data);
	guest_start(&g);
	sync_ok(&g);
	xbzt_pass(g.s);
	for (pass = 0; pass < passes; pass++) {
		uint64_t fresh = 0;

		/* However slow it is, it does write something. */
		while (fresh < 10) {
			if (__atomic_load_n(&g.error, __ATOMIC_RELAXED))
				fail_msg("KVM_RUN: %d", g.error);
			sched_yield();
			fresh += sync_ok(&g);
		}
		xbzt_pass(g.s);
	}
	guest_stop(&g);
	sync_ok(&g);
	xbzt_pass_with(g.s, &last);
	xbzt_assert_all_equal(g.s);

	/* Nothing runs any more, so nothing is dirty. */
	assert_int_equal(sync_ok(&g), 0);
	xbzt_counters(g.s, XBZRLE_ALL_QUEUES, &c);
	/* Each of these passes had something to clear; the others may have. */
	assert_true(manual ? c.log_clears >= passes : !c.log_clears);
	assert_true(c.log_dirty >= 80);
	guest_close(&g);
}

static void test_guest_legacy(void **state)
{
	(void)state;
	migrate(0);
}

static void test_guest_manual_protect(void **state)
{
	(void)state;
	migrate(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
}

static void test_guest_initially_set(void **state)
{
	(void)state;
	migrate(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
}

/* Breaks if another file of KVM's is taken for a VM. */
static void test_other_files_of_kvm(void **state)
{
	struct guest g = guest_open(0);
	struct xbzrle_setup arg = g.s->setup;
	int files[] = { g.kvm, g.cpu };
	int device = xbzt_device();
	unsigned int i;

	(void)state;
	for (i = 0; i < XBZT_ARRAY_SIZE(files); i++) {
		arg.vm_fd = files[i];
		assert_int_equal(xbzt_setup(device, &arg), -EBADFD);
	}
	close(device);
	guest_close(&g);
}

/* Breaks if a slot that KVM does not have any more is more than an error. */
static void test_memslot_deleted(void **state)
{
	struct guest g = guest_open(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	struct xbzrle_sync sync;

	(void)state;
	assert_int_equal(session_slot(&g, 0, g.low, 0, LOW_PAGES), 0);
	assert_int_equal(session_slot(&g, 1, g.data, DATA_FIRST, DATA_PAGES), 0);
	sync_ok(&g);
	set_memslot(g.vm, 1, DATA_GPA, xbzt_page(g.data, DATA_FIRST), 0);
	assert_int_equal(xbzt_sync(g.s, &sync), 0);
	assert_int_equal(sync.slots_failed, 1);
	assert_int_equal(sync.failed_slot, 1);
	assert_int_equal(sync.failed_errno, ENOENT);
	assert_int_equal(xbzt_slot_del(g.s, 1), 0);
	sync_ok(&g);
	xbzt_dirty_all(g.data);
	xbzt_pass(g.s);
	xbzt_assert_equal(g.data);
	guest_close(&g);
}

/*
 * Breaks if KVM writes its log otherwise than the session expects: of a slot that
 * is larger or smaller than the session was told, or of one that is not.
 */
static void test_memslot_of_another_size(void **state)
{
	static const uint64_t told[] = { 1, 64, DATA_PAGES - 64, DATA_PAGES + 1,
					 DATA_PAGES + 50 };
	unsigned int i, manual;

	(void)state;
	for (manual = 0; manual < 2; manual++) {
		struct guest g = guest_open(
			manual ? KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE : 0);

		assert_int_equal(session_slot(&g, 0, g.low, 0, LOW_PAGES), 0);
		for (i = 0; i < XBZT_ARRAY_SIZE(told); i++) {
			struct xbzrle_sync sync;

			assert_int_equal(session_slot(&g, 1, g.data, DATA_FIRST,
						      told[i]), 0);
			assert_int_equal(xbzt_sync(g.s, &sync), 0);
			assert_int_equal(sync.slots_failed, 1);
			assert_int_equal(sync.failed_slot, 1);
			assert_int_equal(sync.failed_errno, EOVERFLOW);
			assert_int_equal(xbzt_slot_del(g.s, 1), 0);
		}
		assert_int_equal(session_slot(&g, 1, g.data, DATA_FIRST,
					      DATA_PAGES), 0);
		sync_ok(&g);
		guest_close(&g);
	}
}

static int get_log(int vm, uint32_t slot, void *bitmap)
{
	struct kvm_dirty_log arg = { .slot = slot, .dirty_bitmap = bitmap };

	return xbzt_ioctl(vm, KVM_GET_DIRTY_LOG, &arg);
}

static int clear_log(int vm, uint32_t slot, uint64_t first, uint32_t nr,
		     void *bitmap)
{
	struct kvm_clear_dirty_log arg = {
		.slot = slot,
		.first_page = first,
		.num_pages = nr,
		.dirty_bitmap = bitmap,
	};

	return xbzt_ioctl(vm, KVM_CLEAR_DIRTY_LOG, &arg);
}

/* Breaks if the fake VM takes what KVM refuses, or answers with another error. */
static void test_fake_vm_answers_as_kvm(void **state)
{
	static const uint32_t slots[] = { 0, 1, 2, 0x7000, 0xffff, 0x10000,
					  0x20000, 0xffff0000 };
	static const uint64_t firsts[] = { 0, 1, 63, 64, 128, 192, 200, 256,
					   1ULL << 63, ~0ULL, ~63ULL };
	static const uint32_t numbers[] = { 0, 1, 8, 63, 64, 72, 128, 136, 192,
					    200, 201, 256, ~0U };
	uint8_t *mem = xbzt_memory(264);
	uint64_t bitmap[64] = { 0 };
	void *bitmaps[] = { bitmap, NULL, (void *)(1UL << 63) };
	int kvm = open_kvm();
	int vms[] = { new_vm(kvm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE),
		      xbzt_vm(XBZ_FAKEVM_MANUAL_PROTECT) };
	unsigned int s, f, n, b;

	(void)state;
	set_memslot(vms[0], 0, 0, mem, 200);
	set_memslot(vms[0], 1, 1 << 20, mem + 200 * XBZT_PAGE, 64);
	xbzt_slot(vms[1], 0, mem, 200);
	xbzt_slot(vms[1], 1, mem + 200 * XBZT_PAGE, 64);

	for (s = 0; s < XBZT_ARRAY_SIZE(slots); s++)
		for (b = 0; b < XBZT_ARRAY_SIZE(bitmaps); b++) {
			assert_int_equal(get_log(vms[0], slots[s], bitmaps[b]),
					 get_log(vms[1], slots[s], bitmaps[b]));
			for (f = 0; f < XBZT_ARRAY_SIZE(firsts); f++)
				for (n = 0; n < XBZT_ARRAY_SIZE(numbers); n++)
					assert_int_equal(
						clear_log(vms[0], slots[s],
							  firsts[f], numbers[n],
							  bitmaps[b]),
						clear_log(vms[1], slots[s],
							  firsts[f], numbers[n],
							  bitmaps[b]));
		}
	close(vms[0]);
	close(vms[1]);
	close(kvm);
	munmap(mem, 264 * XBZT_PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fake_vm_answers_as_kvm),
		cmocka_unit_test(test_guest_legacy),
		cmocka_unit_test(test_guest_manual_protect),
		cmocka_unit_test(test_guest_initially_set),
		cmocka_unit_test(test_other_files_of_kvm),
		cmocka_unit_test(test_memslot_deleted),
		cmocka_unit_test(test_memslot_of_another_size),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
