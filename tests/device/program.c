// SPDX-License-Identifier: GPL-2.0-only
/*
 * The start and the end of a test program: the seed, and what the kernel has
 * logged meanwhile. See harness.h.
 */
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The kernel's level of debug messages; what is more important is smaller. */
#define LEVEL_DEBUG 7

uint64_t xbzt_seed;
struct xbzt_rng xbzt_rng;
static int kmsg = -1;

void xbzt_begin(void)
{
	const char *given = getenv("XBZ_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	xbzt_seed = given && *given ? strtoull(given, NULL, 0) :
				      (uint64_t)now.tv_sec * 1000 +
				      now.tv_nsec / 1000000;
	xbzt_rng_seed(&xbzt_rng, xbzt_seed);
	/* In order with stderr, and there when the program dies. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# XBZ_SEED=%llu\n", (unsigned long long)xbzt_seed);

	if (getenv("XBZ_TEST"))
		cmocka_set_test_filter(getenv("XBZ_TEST"));

	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
}

static bool is_complaint(const char *text)
{
	static const char *const words[] = {
		"xbz", "BUG", "WARNING", "Oops", "general protection",
		"soft lockup", "blocked for more than",
	};
	unsigned int i;

	for (i = 0; i < XBZT_ARRAY_SIZE(words); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

/*
 * Breaks if the module writes anything above debug level to the kernel's log,
 * whatever it is asked: an unprivileged caller could fill the log with it.
 */
void xbzt_test_log_is_quiet(void **state)
{
	char record[8192];
	ssize_t n;

	(void)state;
	assert_true(kmsg >= 0);
	for (;;) {
		n = read(kmsg, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue; /* it was overwritten */
		if (n <= 0)
			break;
		record[n] = 0;
		if ((atoi(record) & 7) < LEVEL_DEBUG && is_complaint(record))
			fail_msg("logged: %s", record);
	}
}
