/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How things are printed: JSON, sizes, names, counters. What they mean is not
 * known here.
 */
#ifndef XBZCTL_PRINT_H
#define XBZCTL_PRINT_H

#include "netlink.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* JSON: an object or a list ('{' or '['), and what is in it. */
void json_open(const char *key, char kind);
void json_close(char kind);
void json_u64(const char *key, uint64_t value);
void json_double(const char *key, double value);
void json_bool(const char *key, bool value);
void json_text(const char *key, const char *value);
void json_end(void);

/* A size as people write it, in a buffer of the caller's. */
const char *size_text(char buffer[16], uint64_t bytes);

/* A name for a terminal: what does not print is replaced. */
const char *safe(char buffer[64], const char *name);

/* What a part is of a whole, in per cent; 0 of nothing. */
double percent(uint64_t part, uint64_t whole);

/**
 * struct counter - how a counter is called
 * @attr: XBZRLE_A_STATS_*
 * @name: in JSON and OpenMetrics
 * @gauge: it can go down
 * @help: what it counts
 */
struct counter {
	unsigned int attr;
	const char *name;
	bool gauge;
	const char *help;
};

extern const struct counter counters[];
extern const size_t nr_counters;

void json_stats(const char *key, const uint64_t *stats);
void json_session(const char *key, const struct xbzctl_session *s);

#endif /* XBZCTL_PRINT_H */
