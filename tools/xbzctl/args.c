// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arguments that several subcommands take: see args.h.
 */
#include "args.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool session_read(const char *text, uint32_t *id)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*text) || !value ||
	    value > UINT32_MAX) {
		fprintf(stderr,
			"xbzctl: '%s' is no session's number; see xbzctl list\n",
			text);
		return false;
	}
	*id = value;
	return true;
}

bool number_read(const char *option, const char *text, double min, double max,
		 double *value)
{
	char *end;

	*value = strtod(text, &end);
	if (!isdigit((unsigned char)*text) || *end || !(*value >= min) ||
	    !(*value <= max)) {
		fprintf(stderr, "xbzctl: %s takes a number from %g to %g, not '%s'\n",
			option, min, max, text);
		return false;
	}
	return true;
}
