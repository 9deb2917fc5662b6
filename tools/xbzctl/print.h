/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Output: JSON, sizes, names and counters.
 */
#ifndef XBZCTL_PRINT_H
#define XBZCTL_PRINT_H

#include "common/text.h"

#include "netlink.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* JSON: an object or a list ('{' or '['), and its members. */
void json_open(const char *key, char kind);
void json_close(char kind);
void json_u64(const char *key, uint64_t value);
void json_double(const char *key, double value);
void json_bool(const char *key, bool value);
void json_text(const char *key, const char *value);
void json_end(void);

/* A name for a terminal: unprintable bytes are replaced. */
const char *safe(char buffer[64], const char *name);

/* A part of a whole in per cent; 0 if the whole is 0. */
double percent(uint64_t part, uint64_t whole);

/* Counters by attribute, XBZRLE_A_STATS_*; the Makefile makes the table. */
extern const struct counter {
	const char *name;
	const char *help;
} counters[XBZRLE_A_STATS_MAX + 1];

/* Whether a counter can go down. */
bool counter_is_gauge(unsigned int attr);

void json_stats(const char *key, const uint64_t *stats);
void json_session(const char *key, const struct xbzctl_session *s);
void json_change(const char *what, uint64_t old, uint64_t new);

#endif /* XBZCTL_PRINT_H */
