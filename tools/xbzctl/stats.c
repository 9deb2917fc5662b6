// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl stats: the counters of all sessions since the module was loaded, or of
 * one session. Counters of QEMU's own XBZRLE, which scripts know, are printed
 * with them under QEMU's names.
 */
#include "args.h"
#include "netlink.h"
#include "print.h"
#include "xbzctl.h"

#include <stdio.h>
#include <string.h>

/* QEMU's name, its key in JSON, and the counters that it is the sum of. */
static const struct {
	const char *name;
	const char *json;
	unsigned int attrs[2];
} old_names[] = {
	{ "duplicate", "duplicate", { XBZRLE_A_STATS_PAGES_ZERO } },
	{ "normal", "normal", { XBZRLE_A_STATS_PAGES_RAW } },
	{ "xbzrle", "xbzrle", { XBZRLE_A_STATS_PAGES_DELTA } },
	{ "overflow", "overflow", { XBZRLE_A_STATS_OVERFLOWS } },
	{ "cache-hit", "cache_hit", { XBZRLE_A_STATS_CACHE_HITS } },
	{ "cache-lookup", "cache_lookup",
	  { XBZRLE_A_STATS_CACHE_HITS, XBZRLE_A_STATS_CACHE_MISSES } },
};

static uint64_t old_value(size_t i, const uint64_t *stats)
{
	uint64_t value = stats[old_names[i].attrs[0]];

	return old_names[i].attrs[1] ? value + stats[old_names[i].attrs[1]] :
				       value;
}

static void print_text(const struct xbzctl_totals *t, bool totals)
{
	unsigned int i;
	size_t j;

	if (totals) {
		printf("%-13s %16llu  sessions created\n", "started",
		       (unsigned long long)t->started);
		printf("%-13s %16llu  sessions that have ended\n", "ended",
		       (unsigned long long)t->ended);
		printf("%-13s %16llu  allocations refused by a limit\n",
		       "refused", (unsigned long long)t->refused);
	}
	for (i = 1; i <= XBZRLE_A_STATS_MAX; i++) {
		printf("%-13s %16llu  %s", counters[i].name,
		       (unsigned long long)t->stats[i], counters[i].help);
		for (j = 0; j < ARRAY_SIZE(old_names); j++)
			if (old_names[j].attrs[0] == i &&
			    !old_names[j].attrs[1])
				printf(" (QEMU: %s)", old_names[j].name);
		putchar('\n');
	}
	j = ARRAY_SIZE(old_names) - 1;
	printf("%-13s %16llu  hits and misses (QEMU: %s)\n", "lookups",
	       (unsigned long long)old_value(j, t->stats), old_names[j].name);
}

static void print_json(const struct xbzctl_totals *t, bool totals)
{
	size_t i;

	json_open(NULL, '{');
	if (totals) {
		json_u64("started", t->started);
		json_u64("ended", t->ended);
		json_u64("refused", t->refused);
	}
	json_stats("stats", t->stats);
	json_open("qemu", '{');
	for (i = 0; i < ARRAY_SIZE(old_names); i++)
		json_u64(old_names[i].json, old_value(i, t->stats));
	json_close('{');
	json_close('{');
	json_end();
}

static void metric(const char *name, bool gauge, const char *help,
		   const char *labels, uint64_t value)
{
	printf("# TYPE xbzrle_%s %s\n# HELP xbzrle_%s %s\n", name,
	       gauge ? "gauge" : "counter", name, help);
	printf("xbzrle_%s%s%s %llu\n", name, gauge ? "" : "_total", labels,
	       (unsigned long long)value);
}

static void print_openmetrics(const struct xbzctl_totals *t, bool totals, uint32_t id)
{
	char labels[32] = "";
	unsigned int i;

	if (!totals)
		snprintf(labels, sizeof(labels), "{session=\"%u\"}", id);
	if (totals) {
		metric("sessions_started", false, "sessions created", labels,
		       t->started);
		metric("sessions_ended", false, "sessions that have ended",
		       labels, t->ended);
		metric("allocations_refused", false,
		       "allocations refused by a limit", labels,
		       t->refused);
	}
	for (i = 1; i <= XBZRLE_A_STATS_MAX; i++)
		metric(counters[i].name, counter_is_gauge(i), counters[i].help,
		       labels, t->stats[i]);
	puts("# EOF");
}

static int get(struct xbzctl_nl *nl, uint32_t id, struct xbzctl_totals *t)
{
	struct xbzctl_session s;
	int ret;

	if (!id)
		return xbzctl_get_totals(nl, t);
	ret = xbzctl_get_session(nl, id, &s);
	if (!ret)
		memcpy(t->stats, s.stats, sizeof(t->stats));
	return ret;
}

/**
 * xbzctl_stats() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: a session, or nothing
 *
 * Return: the exit status.
 */
int xbzctl_stats(const struct xbzctl *ctl, int argc, char **argv)
{
	struct xbzctl_totals t = { 0 };
	struct xbzctl_nl *nl;
	uint32_t id = 0;
	int ret;

	if (argc > 2) {
		fprintf(stderr, "Usage: xbzctl stats [SESSION]\n");
		return XBZCTL_USAGE;
	}
	if (argc == 2 && !session_read(argv[1], &id))
		return XBZCTL_USAGE;
	nl = xbzctl_nl_open();
	if (!nl)
		return XBZCTL_FAILED;
	ret = get(nl, id, &t);
	xbzctl_nl_close(nl);
	if (ret)
		return XBZCTL_FAILED;
	if (ctl->openmetrics)
		print_openmetrics(&t, !id, id);
	else if (ctl->json)
		print_json(&t, !id);
	else
		print_text(&t, !id);
	return XBZCTL_OK;
}
