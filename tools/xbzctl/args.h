/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arguments that several subcommands take.
 */
#ifndef XBZCTL_ARGS_H
#define XBZCTL_ARGS_H

#include <stdbool.h>
#include <stdint.h>

/* A session's number, or false; what is wrong has been said then. */
bool session_read(const char *text, uint32_t *id);

/* A number of an option from @min to @max, the same. */
bool number_read(const char *option, const char *text, double min, double max,
		 double *value);

/*
 * A size as people write it, rounded down to bytes; @whole is what 100% are.
 * False if it is none, and nothing has been said then.
 */
bool size_read(const char *text, uint64_t whole, uint64_t *bytes);

#endif /* XBZCTL_ARGS_H */
