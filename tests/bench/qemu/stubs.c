// SPDX-License-Identifier: GPL-2.0-only
/*
 * What QEMU's files call in cases that do not come up here: errors, and giving
 * back memory that was sent.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/madvise.h"
#include "qapi/error.h"

void error_setg_internal(Error **errp, const char *src, int line, const char *func,
			 const char *fmt, ...)
{
	abort();
}

void error_propagate(Error **dst_errp, Error *local_err)
{
	abort();
}

void error_report(const char *fmt, ...)
{
	abort();
}

void error_report_err(Error *err)
{
	abort();
}

int qemu_madvise(void *addr, size_t len, int advice)
{
	abort();
}
