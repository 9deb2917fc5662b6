// SPDX-License-Identifier: GPL-2.0-only
/*
 * How things are printed: see print.h.
 */
#include "print.h"
#include "xbzctl.h"

#include <ctype.h>
#include <string.h>

const struct counter counters[] = {
	{ XBZRLE_A_STATS_PAGES_SAME, "pages_same", false,
	  "dirty pages found unchanged" },
	{ XBZRLE_A_STATS_PAGES_ZERO, "pages_zero", false,
	  "pages sent as zero" },
	{ XBZRLE_A_STATS_PAGES_DELTA, "pages_delta", false,
	  "pages sent as deltas" },
	{ XBZRLE_A_STATS_PAGES_RAW, "pages_raw", false, "pages sent whole" },
	{ XBZRLE_A_STATS_ZERO_BASED, "zero_based", false,
	  "deltas that were against zero" },
	{ XBZRLE_A_STATS_BYTES, "bytes", false, "bytes of the stream" },
	{ XBZRLE_A_STATS_BYTES_DELTA, "bytes_delta", false,
	  "those of deltas" },
	{ XBZRLE_A_STATS_CACHE_HITS, "cache_hits", false,
	  "dirty pages whose last-sent content was known" },
	{ XBZRLE_A_STATS_CACHE_MISSES, "cache_misses", false,
	  "those whose was not" },
	{ XBZRLE_A_STATS_OVERFLOWS, "overflows", false,
	  "hits that had changed too much" },
	{ XBZRLE_A_STATS_CACHE_PAGES, "cache_pages", true,
	  "copies held now" },
	{ XBZRLE_A_STATS_CACHE_ZERO, "cache_zero", true,
	  "pages known as zero, which need no copy" },
	{ XBZRLE_A_STATS_CACHE_LIMIT, "cache_limit", true,
	  "copies allowed" },
	{ XBZRLE_A_STATS_EVICTIONS, "evictions", false, "copies dropped" },
	{ XBZRLE_A_STATS_BATCHES, "batches", false, "batches encoded" },
	{ XBZRLE_A_STATS_RING_FULL, "ring_full", false,
	  "batches that ended for want of room" },
	{ XBZRLE_A_STATS_FAULTS, "faults", false,
	  "pages that could not be read" },
	{ XBZRLE_A_STATS_SYNCS, "syncs", false, "passes begun" },
	{ XBZRLE_A_STATS_LOG_DIRTY, "log_dirty", false,
	  "pages that KVM's log newly said to be dirty" },
	{ XBZRLE_A_STATS_LOG_CLEARS, "log_clears", false,
	  "times that KVM's log was cleared" },
};

const size_t nr_counters = ARRAY_SIZE(counters);

/* Nothing is yet in the innermost object or list. */
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

/* The module says names as programs gave them: any bytes. */
void json_text(const char *key, const char *value)
{
	json_key(key);
	putchar('"');
	for (; *value; value++) {
		unsigned char c = *value;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

const char *size_text(char buffer[16], uint64_t bytes)
{
	static const char units[] = "BkMGTPE";
	double value = bytes;
	unsigned int i = 0;

	for (; value >= 1024 && units[i + 1]; i++)
		value /= 1024;
	if (i == 0)
		snprintf(buffer, 16, "%lluB", (unsigned long long)bytes);
	else
		snprintf(buffer, 16, "%.1f%c", value, units[i]);
	return buffer;
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
	size_t i;

	json_open(key, '{');
	for (i = 0; i < nr_counters; i++)
		json_u64(counters[i].name, stats[counters[i].attr]);
	json_close('{');
}

static void json_pass(const char *key, const uint64_t *pass)
{
	json_open(key, '{');
	json_u64("number", pass[XBZRLE_A_PASS_NUMBER]);
	json_double("seconds", pass[XBZRLE_A_PASS_TIME] / 1e9);
	json_u64("dirty", pass[XBZRLE_A_PASS_DIRTY]);
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
	json_stats("stats", s->stats);
	json_pass("pass", s->pass);
	if (s->has_last)
		json_pass("last_pass", s->last);
	if (s->has_estimate) {
		json_open("estimate", '{');
		json_u64("dirty", s->dirty);
		json_u64("bytes", s->bytes);
		json_close('{');
	}
	json_close('{');
}
