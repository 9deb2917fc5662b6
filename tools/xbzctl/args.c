// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arguments that several subcommands take: see args.h.
 */
#include "args.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

bool session_read(const char *text, uint32_t *id)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*text) || !value ||
	    value > UINT32_MAX) {
		fprintf(stderr,
			"xbzctl: '%s' is not a session's number; see xbzctl list\n",
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

/* Longer numbers are refused, so that the arithmetic cannot overflow. */
#define DECIMAL_MAX 100000000000000000ULL

/* Parse digits with an optional point as @value / @scale; advances @text. */
static bool decimal_read(const char **text, uint64_t *value, uint64_t *scale)
{
	const char *p = *text;
	bool point = false;

	*value = 0;
	*scale = 1;
	if (!isdigit((unsigned char)*p))
		return false;
	for (;; p++) {
		if (!point && *p == '.' && isdigit((unsigned char)p[1])) {
			point = true;
			continue;
		}
		if (!isdigit((unsigned char)*p))
			break;
		if (*value >= DECIMAL_MAX || *scale >= DECIMAL_MAX)
			return false;
		*value = *value * 10 + *p - '0';
		if (point)
			*scale *= 10;
	}
	*text = p;
	return true;
}

bool size_read(const char *text, uint64_t whole, uint64_t *bytes)
{
	static const char units[] = "kmgt";
	uint64_t value, scale;
	/* Integers: doubles round half of some memory sizes down by a byte. */
	unsigned __int128 size, part;
	const char *unit;

	if (!decimal_read(&text, &value, &scale))
		return false;
	size = value;
	part = scale;
	if (!strcmp(text, "%")) {
		part *= 100;
		if (size > part)
			return false;
		size *= whole;
	} else if (*text) {
		unit = strchr(units, tolower((unsigned char)*text));
		if (!unit || (text[1] && strcasecmp(text + 1, "b") &&
			      strcasecmp(text + 1, "ib")))
			return false;
		size <<= 10 * (unit - units + 1);
	}
	size /= part;
	if (size >= 1ULL << 60)
		return false;
	*bytes = size;
	return true;
}

uint64_t host_memory(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}
