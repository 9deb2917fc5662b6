/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What went wrong, as text for a person. The functions of this program that can
 * fail return false and leave it there; who prints it is the command or nbdkit.
 */
#ifndef XBZIMG_ERROR_H
#define XBZIMG_ERROR_H

#include <stdbool.h>

struct error {
	char text[512];
};

void error_write(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void error_write_errno(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static inline bool error_false(void)
{
	return false;
}

/*
 * Say what went wrong, by a format of printf; the second appends the reason that errno has.
 * Both are false, for the caller to return: macros, for analyzers to see that.
 */
#define error_set(err, ...) (error_write(err, __VA_ARGS__), error_false())
#define error_errno(err, ...) (error_write_errno(err, __VA_ARGS__), error_false())

#endif /* XBZIMG_ERROR_H */
