// SPDX-License-Identifier: GPL-2.0-only
/*
 * Output: see print.h.
 */
#include "print.h"
#include "xbzctl.h"

#include <ctype.h>
#include <string.h>

const struct counter counters[] = {
#include "counter-table.h"
};

bool counter_is_gauge(unsigned int attr)
{
	return attr == XBZRLE_A_STATS_CACHE_PAGES ||
	       attr == XBZRLE_A_STATS_CACHE_ZERO ||
	       attr == XBZRLE_A_STATS_CACHE_LIMIT ||
	       attr == XBZRLE_A_STATS_CACHE_PACKED ||
	       attr == XBZRLE_A_STATS_PACKED_PAGES;
}

/* The innermost object or list is empty so far. */
static bool empty = true;

static void json_key(const char *key)
{
	if (!empty)
		fputs(", ", stdout);
	empty = false;
	if (key)
		printf("\"%s\": ", key);
}

void json_open(const char *key, char kind)
{
	json_key(key);
	putchar(kind);
	empty = true;
}

void json_close(char kind)
{
	putchar(kind == '{' ? '}' : ']');
	empty = false;
}

void json_end(void)
{
	putchar('\n');
	empty = true;
}

void json_u64(const char *key, uint64_t value)
{
	json_key(key);
	printf("%llu", (unsigned long long)value);
}

void json_double(const char *key, double value)
{
	json_key(key);
	printf("%.3f", value);
}

void json_bool(const char *key, bool value)
{
	json_key(key);
	fputs(value ? "true" : "false", stdout);
}

/* Names are any bytes: the module passes them on unchanged. */
void json_text(const char *key, const char *value)
{
	json_key(key);
	put_json_string(value);
}

const char *safe(char buffer[64], const char *name)
{
	size_t i;

	for (i = 0; i < 63 && name[i]; i++)
		buffer[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
	buffer[i] = '\0';
	return buffer;
}

double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

void json_stats(const char *key, const uint64_t *stats)
{
	unsigned int i;

	json_open(key, '{');
	for (i = 1; i <= XBZRLE_A_STATS_MAX; i++)
		json_u64(counters[i].name, stats[i]);
	json_close('{');
}

static void json_pass(const char *key, const uint64_t *pass)
{
	json_open(key, '{');
	json_u64("number", pass[XBZRLE_A_PASS_NUMBER]);
	json_double("seconds", pass[XBZRLE_A_PASS_TIME] / 1e9);
	json_u64("dirty", pass[XBZRLE_A_PASS_DIRTY]);
	json_u64("remaining", pass[XBZRLE_A_PASS_REMAINING]);
	json_u64("pages", pass[XBZRLE_A_PASS_PAGES]);
	json_u64("bytes", pass[XBZRLE_A_PASS_BYTES]);
	json_close('{');
}

void json_session(const char *key, const struct xbzctl_session *s)
{
	json_open(key, '{');
	json_u64("id", s->id);
	if (s->named) {
		json_text("name", s->name);
		json_u64("pid", s->pid);
		json_u64("uid", s->uid);
		json_u64("user_used", s->user_used);
		json_u64("user_max", s->user_max);
	}
	json_double("age_seconds", s->age / 1e9);
	json_bool("vm", s->vm);
	json_u64("queues", s->queues);
	json_u64("broken_queues", s->broken);
	json_u64("regions", s->regions);
	json_u64("pages", s->pages);
	json_u64("ring_bytes", s->ring_bytes);
	json_u64("cache_bytes", s->cache_bytes);
	json_u64("cache_used", s->cache_used);
	json_u64("memory_used", s->memory_used);
	json_u64("memory_max", s->memory_max);
	json_u64("max_delta", s->max_delta);
	json_stats("stats", s->stats);
	json_pass("pass", s->pass);
	if (s->has_last)
		json_pass("last_pass", s->last);
	json_open("estimate", '{');
	json_u64("dirty", s->dirty);
	json_u64("bytes", s->bytes);
	json_close('{');
	json_close('{');
}

void json_change(const char *what, uint64_t old, uint64_t new)
{
	json_open(NULL, '{');
	json_text("what", what);
	json_u64("old", old);
	json_u64("new", new);
	json_close('{');
}
