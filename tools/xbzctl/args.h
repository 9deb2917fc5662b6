/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arguments that several subcommands take.
 */
#ifndef XBZCTL_ARGS_H
#define XBZCTL_ARGS_H

#include <stdbool.h>
#include <stdint.h>

/* Parse a session's number: false if it is invalid; an error has been printed. */
bool session_read(const char *text, uint32_t *id);

/* Parse an option's number from @min to @max: the same. */
bool number_read(const char *option, const char *text, double min, double max,
		 double *value);

/*
 * Parse a size as a person writes it, rounded down to bytes; @whole is 100%.
 * False if it is invalid; nothing has been printed.
 */
bool size_read(const char *text, uint64_t whole, uint64_t *bytes);

/* The host's memory in bytes: 100% of it in a size. */
uint64_t host_memory(void);

#endif /* XBZCTL_ARGS_H */
