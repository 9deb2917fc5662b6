// SPDX-License-Identifier: GPL-2.0-only
/*
 * Texts of errors: see error.h.
 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_write(struct error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
}

void error_write_errno(struct error *err, const char *format, ...)
{
	int number = errno;
	char reason[128];
	va_list args;
	size_t len;

	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s",
		 strerror_r(number, reason, sizeof(reason)));
}
