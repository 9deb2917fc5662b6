// SPDX-License-Identifier: GPL-2.0-only
/*
 * The caller's vector registers are the caller's. The module's codec works in
 * them, and nothing stops kernel code that does so outside of a section of
 * kernel_fpu_begin(): it just leaves other values behind. Here they would show.
 */
#include "harness.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR_REGISTERS 16
#define YMM_BYTES 32

#define EACH(op)                                                           \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) \
		op(11) op(12) op(13) op(14) op(15)
#define LOAD(n) "vmovdqu " #n "*32(%[in]), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%[out])\n\t"
#define CLOBBER(n) "xmm" #n,

struct registers {
	uint8_t byte[NR_REGISTERS][YMM_BYTES];
};

/* The system call, with nothing but itself between the loads and the stores. */
static long ioctl_with(int fd, unsigned long cmd, void *arg,
		       const struct registers *in, struct registers *out)
{
	long ret = SYS_ioctl;

	asm volatile(EACH(LOAD) "syscall\n\t" EACH(STORE) "vzeroupper"
		     : "+a"(ret)
		     : "D"((long)fd), "S"(cmd),
		       "d"(arg), [in] "r"(in), [out] "r"(out)
		     : EACH(CLOBBER) "rcx", "r11", "memory");
	return ret;
}

/*
 * Breaks if a page is encoded in vector registers before the caller's are saved,
 * or after they have been.
 */
static void test_encode_keeps_registers(void **state)
{
	struct xbzt_session *s;
	struct xbzt_region *r;
	struct registers in, out;
	unsigned int i, pages = 0;
	size_t byte;

	(void)state;
	if (!__builtin_cpu_supports("avx2"))
		skip();
	s = xbzt_open(&(struct xbzt_config){ .cache_bytes = 4 << 20 });
	r = xbzt_region(s, "ram", 256);
	for (i = 0; i < 20; i++) {
		struct xbzrle_encode batch = {
			.size = sizeof(batch),
			.scratch = (uintptr_t)s->scratch,
			.scratch_bytes = s->scratch_bytes,
		};

		xbzt_scribble(s, 50);
		for (byte = 0; byte < sizeof(in); byte++)
			((uint8_t *)&in)[byte] = xbzt_random(&xbzt_rng) >> 32;
		memset(&out, 0, sizeof(out));
		assert_int_equal(
			ioctl_with(s->fd, XBZRLE_ENCODE, &batch, &in, &out), 0);
		assert_memory_equal(&in, &out, sizeof(in));
		pages += batch.pages_delta;
		xbzt_apply(s, 0, &batch);
		xbzt_release(s, 0, batch.pos + batch.bytes);
	}
	assert_true(pages > 20);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode_keeps_registers),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
