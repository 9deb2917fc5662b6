// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl forecast: whether a session's migration will converge, when, and what would
 * make it. It watches the session until two of its passes are over.
 */
#include "args.h"
#include "forecast.h"
#include "print.h"
#include "xbzctl.h"

#include <getopt.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Passes that are shorter are not all seen, and need not be. */
#define LOOK_NS 100000000

void forecast_see(struct forecast *f, const struct xbzctl_session *s)
{
	struct xbz_forecast_pass pass = {
		.number = s->last[XBZRLE_A_PASS_NUMBER],
		.ns = s->last[XBZRLE_A_PASS_TIME],
		.dirty = s->last[XBZRLE_A_PASS_REMAINING],
		.pages = s->last[XBZRLE_A_PASS_PAGES],
		.bytes = s->last[XBZRLE_A_PASS_BYTES],
	};
	uint64_t left = pass.dirty > pass.pages ? pass.dirty - pass.pages : 0;
	uint64_t dirty = s->pass[XBZRLE_A_PASS_REMAINING];

	/* Not only KVM's log makes pages dirty. */
	pass.fresh = dirty > left ? dirty - left : 0;
	if (!s->has_last || !pass.number || pass.number == f->last)
		return;
	f->last = pass.number;
	xbz_forecast_pass(&f->passes, &pass);
}

void forecast_look(const struct forecast *f, const struct xbzctl_session *s,
		   unsigned int downtime_ms, struct xbz_forecast_result *r)
{
	const uint64_t *st = s->stats;
	uint64_t whole = st[XBZRLE_A_STATS_OVERFLOWS];
	uint64_t known = st[XBZRLE_A_STATS_PAGES_SAME] + st[XBZRLE_A_STATS_PAGES_DELTA] + whole;
	uint64_t bytes = st[XBZRLE_A_STATS_BYTES_DELTA] + whole * XBZCTL_RAW_BYTES;

	xbz_forecast_look(&f->passes, downtime_ms, known ? bytes / known : 0, r);
}

/* Seconds from now on; the forecast is of the last SYNC. */
static double seconds_left(const struct xbzctl_session *s,
			   const struct xbz_forecast_result *r)
{
	double seconds = r->ms / 1e3 - s->pass[XBZRLE_A_PASS_TIME] / 1e9;

	return seconds > 0 ? seconds : 0;
}

void forecast_text(char *to, size_t size, const struct xbzctl_session *s,
		   const struct xbz_forecast_result *r)
{
	switch (r->verdict) {
	case XBZ_FORECAST_CONVERGES:
		snprintf(to, size, "%.1f s", seconds_left(s, r));
		break;
	case XBZ_FORECAST_FASTER:
		snprintf(to, size, "will not converge: dirtied faster than sent");
		break;
	case XBZ_FORECAST_ABOVE:
		snprintf(to, size, "will not converge: more stays dirty than the downtime allows");
		break;
	case XBZ_FORECAST_LATER:
		snprintf(to, size, "not within %u s", XBZ_FORECAST_MS / 1000);
		break;
	default:
		snprintf(to, size, "not known until two passes were seen");
	}
}

void json_forecast(const char *key, const struct xbzctl_session *s,
		   const struct xbz_forecast_result *r)
{
	static const char *const verdicts[] = {
		[XBZ_FORECAST_CONVERGES] = "converges",
		[XBZ_FORECAST_FASTER] = "faster",
		[XBZ_FORECAST_ABOVE] = "above",
		[XBZ_FORECAST_LATER] = "later",
	};

	if (r->verdict == XBZ_FORECAST_UNKNOWN)
		return;
	json_open(key, '{');
	json_text("verdict", verdicts[r->verdict]);
	if (r->verdict == XBZ_FORECAST_CONVERGES) {
		json_double("seconds", seconds_left(s, r));
		json_u64("passes", r->passes);
	}
	json_u64("least_bandwidth", r->bandwidth);
	json_u64("least_downtime_ms", r->downtime_ms);
	json_u64("least_cache", r->cache_bytes);
	json_u64("bytes_per_second", r->link);
	json_u64("bytes_per_page", r->page_bytes);
	json_u64("set_pages", r->set);
	json_u64("set_pages_per_second", r->rate);
	json_close('{');
}

static void print_forecast(const struct xbzctl_session *s,
			   const struct xbz_forecast_result *r, unsigned int downtime_ms)
{
	bool fits = r->verdict == XBZ_FORECAST_CONVERGES;
	char a[16], b[16], when[64];

	forecast_text(when, sizeof(when), s, r);
	printf("%s%s%s\n", fits ? "converges in " : "", when, fits ? "" : " ");
	printf("the guest     writes to %s, %llu pages a second\n", size_text(a, r->set << 12),
	       (unsigned long long)r->rate);
	printf("the link      %s a second, %llu bytes a page\n", size_text(a, r->link),
	       (unsigned long long)r->page_bytes);
	printf("%s it with a downtime limit of %u ms:\n", fits ? "what makes" : "what would make",
	       downtime_ms);
	if (r->bandwidth)
		printf("  bandwidth   %s a second\n", size_text(b, r->bandwidth));
	if (r->cache_bytes)
		printf("  cache       %s\n", size_text(b, r->cache_bytes));
	if (r->downtime_ms)
		printf("or a downtime limit of %u ms\n", r->downtime_ms);
}

/* Watch until it is known, or the session has ended. */
static int watch(struct xbzctl_nl *nl, uint32_t id, unsigned int downtime_ms, bool json)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	struct forecast f = { 0 };
	struct xbz_forecast_result r;
	bool tell = isatty(STDERR_FILENO);
	struct xbzctl_session s;

	for (;;) {
		if (xbzctl_get_session(nl, id, &s))
			return XBZCTL_FAILED;
		forecast_see(&f, &s);
		forecast_look(&f, &s, downtime_ms, &r);
		if (r.verdict != XBZ_FORECAST_UNKNOWN)
			break;
		if (tell)
			fprintf(stderr, "Waiting for two passes to be over.\n");
		tell = false;
		nanosleep(&pause, NULL);
	}
	if (json) {
		json_forecast(NULL, &s, &r);
		json_end();
	} else {
		print_forecast(&s, &r, downtime_ms);
	}
	return XBZCTL_OK;
}

/**
 * xbzctl_forecast() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: -l MS, the downtime limit; a session
 *
 * Return: the exit status.
 */
int xbzctl_forecast(const struct xbzctl *ctl, int argc, char **argv)
{
	double downtime_ms = FORECAST_DOWNTIME_MS;
	struct xbzctl_nl *nl;
	bool good = true;
	uint32_t id;
	int opt, ret;

	optind = 1;
	while ((opt = getopt(argc, argv, "+l:")) != -1)
		good &= opt == 'l' && number_read("-l", optarg, 1, XBZ_FORECAST_MS, &downtime_ms);
	if (!good || optind + 1 != argc) {
		fprintf(stderr, "Usage: xbzctl forecast [-l MILLISECONDS] SESSION\n");
		return XBZCTL_USAGE;
	}
	if (!session_read(argv[optind], &id))
		return XBZCTL_USAGE;
	nl = xbzctl_nl_open();
	if (!nl)
		return XBZCTL_FAILED;
	ret = watch(nl, id, downtime_ms, ctl->json);
	xbzctl_nl_close(nl);
	return ret;
}
