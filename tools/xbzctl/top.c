// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl top: all sessions, periodically, with rates between two samples and the
 * time that each needs to converge. A terminal shows one screen, which follows
 * its size; other outputs, and TERM=dumb, get one table after the other.
 */
#include "args.h"
#include "forecast.h"
#include "netlink.h"
#include "print.h"
#include "xbzctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/param.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)
/* Indents a reason that does not fit into its line and gets one of its own. */
#define UNDER_NAME "      "

/* A moment: all sessions, and what was seen of each until then. */
struct look {
	struct xbzctl_session *all;
	struct forecast *seen;
	long nr;
	double when;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Its place, or -1. */
static long find(const struct look *look, uint32_t id)
{
	long i;

	for (i = 0; i < look->nr; i++)
		if (look->all[i].id == id)
			return i;
	return -1;
}

/* Pages that the guest dirtied per second during the last pass. */
static double dirty_rate(const struct xbzctl_session *s)
{
	uint64_t time = s->has_last ? s->last[XBZRLE_A_PASS_TIME] : 0;

	return time ? s->pass[XBZRLE_A_PASS_DIRTY] / (time / 1e9) : 0;
}

/* Bytes saved against sending all pages whole, in per cent. */
static double saving(const uint64_t *st)
{
	uint64_t pages = st[XBZRLE_A_STATS_PAGES_SAME] +
			 st[XBZRLE_A_STATS_PAGES_ZERO] +
			 st[XBZRLE_A_STATS_PAGES_DELTA] +
			 st[XBZRLE_A_STATS_PAGES_RAW];

	return pages ? 100 - percent(st[XBZRLE_A_STATS_BYTES],
				     pages * XBZCTL_RAW_BYTES) : 0;
}

/* Until two passes were seen, by what is sent and dirtied at the moment. */
static void converges(char *to, size_t size, const struct xbzctl_session *s,
		      double wire, const struct xbz_forecast_result *r)
{
	/* Bytes of a dirty page, by the estimate. */
	double each = s->dirty ? (double)s->bytes / s->dirty : 0;
	double grows = dirty_rate(s) * each;

	if (s->broken)
		snprintf(to, size, "will not converge: queue broken");
	else if (!s->dirty)
		snprintf(to, size, "nothing dirty");
	else if (r->verdict != XBZ_FORECAST_UNKNOWN)
		forecast_text(to, size, s, r);
	else if (wire <= 0)
		snprintf(to, size, "nothing is sent");
	else if (grows >= wire)
		snprintf(to, size, "will not converge: dirtied faster than sent");
	else
		snprintf(to, size, "%.1f s", s->bytes / (wire - grows));
}

static double wire_rate(const struct xbzctl_session *s, const struct look *last,
			double seconds)
{
	long before = find(last, s->id);

	if (before < 0 || seconds <= 0)
		return 0;
	return (s->stats[XBZRLE_A_STATS_BYTES] -
		last->all[before].stats[XBZRLE_A_STATS_BYTES]) / seconds;
}

/* A session's one or two lines; returns their number, 0 if there is no room. */
static int print_lines(const struct xbzctl_session *s, double wire,
		       const struct xbz_forecast_result *r, int columns, int rows)
{
	const uint64_t *st = s->stats;
	uint64_t hits = st[XBZRLE_A_STATS_CACHE_HITS];
	char cache[16], name[64], when[64], line[256];
	int length;
	bool below;

	converges(when, sizeof(when), s, wire, r);
	length = snprintf(line, sizeof(line),
			  "%5u %-12.12s %5llu %8.0f %8.1f %5.1f%% %5.1f%% %7s ",
			  s->id, s->named ? safe(name, s->name) : "-",
			  (unsigned long long)s->pass[XBZRLE_A_PASS_NUMBER],
			  dirty_rate(s), wire / MIB, saving(st),
			  percent(hits, hits + st[XBZRLE_A_STATS_CACHE_MISSES]),
			  size_text(cache, s->cache_used));
	below = length + (int)strlen(when) > columns;
	if (rows < 1 + below)
		return 0;
	printf("%.*s%s\n", columns, line, below ? "" : when);
	if (below)
		printf("%.*s%.*s\n", columns, UNDER_NAME,
		       MAX(columns - (int)strlen(UNDER_NAME), 0), when);
	return 1 + below;
}

static void print_json(const struct look *this, const struct look *last,
		       unsigned int downtime_ms)
{
	double seconds = this->when - last->when;
	struct xbz_forecast_result r;
	char when[64];
	long i;

	json_open(NULL, '{');
	json_open("sessions", '[');
	for (i = 0; i < this->nr; i++) {
		const struct xbzctl_session *s = &this->all[i];
		double wire = wire_rate(s, last, seconds);

		forecast_look(&this->seen[i], s, downtime_ms, &r);
		converges(when, sizeof(when), s, wire, &r);
		json_open(NULL, '{');
		json_session("session", s);
		json_double("wire_bytes_per_second", wire);
		json_double("dirty_pages_per_second", dirty_rate(s));
		json_double("saving_percent", saving(s->stats));
		json_text("converges", when);
		json_forecast("forecast", s, &r);
		json_close('{');
	}
	json_close('[');
	json_close('{');
	json_end();
}

static void print_table(const struct look *this, const struct look *last,
			unsigned int downtime_ms, bool screen)
{
	struct xbz_forecast_result r;
	struct winsize size = { 0 };
	double seconds = this->when - last->when;
	int columns, rows, lines;
	long i;

	/* The size stays zero if the output is not a terminal. */
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	columns = size.ws_col ? size.ws_col : 255;
	rows = size.ws_row > 3 && screen ? size.ws_row - 3 : 1 << 20;
	if (screen)
		fputs("\033[H\033[J", stdout);
	printf("%.*s\n", columns,
	       "   ID NAME          PASS  DIRTY/s    MiB/s   SAVE   HITS   CACHE CONVERGES IN");
	for (i = 0; i < this->nr; i++) {
		forecast_look(&this->seen[i], &this->all[i], downtime_ms, &r);
		lines = print_lines(&this->all[i],
				    wire_rate(&this->all[i], last, seconds), &r,
				    columns, rows);
		if (!lines)
			break;
		rows -= lines;
	}
	if (i < this->nr)
		printf("and %ld more\n", this->nr - i);
	fflush(stdout);
}

static void wait_for(double seconds)
{
	struct timespec ts = { .tv_sec = seconds };

	ts.tv_nsec = (seconds - ts.tv_sec) * 1e9;
	nanosleep(&ts, NULL);
}

static void forget(struct look *look)
{
	free(look->all);
	free(look->seen);
	*look = (struct look){ 0 };
}

/* All sessions now; what was seen of them goes on from the last look. */
static bool take_look(struct xbzctl_nl *nl, const struct look *last, struct look *this)
{
	long i, before;

	*this = (struct look){ 0 };
	this->nr = xbzctl_get_sessions(nl, &this->all);
	this->when = now();
	if (this->nr < 0)
		return false;
	this->seen = calloc(this->nr + 1, sizeof(*this->seen));
	if (!this->seen) {
		fprintf(stderr, "xbzctl: no memory\n");
		forget(this);
		return false;
	}
	for (i = 0; i < this->nr; i++) {
		before = find(last, this->all[i].id);
		if (before >= 0)
			this->seen[i] = last->seen[before];
		forecast_see(&this->seen[i], &this->all[i]);
	}
	return true;
}

static int run(const struct xbzctl *ctl, struct xbzctl_nl *nl, double seconds,
	       uint64_t count, unsigned int downtime_ms)
{
	const char *term = getenv("TERM");
	bool screen = !ctl->json && isatty(STDOUT_FILENO) && term &&
		      strcmp(term, "dumb");
	struct look last = { 0 }, this;

	for (; count; count--) {
		if (!take_look(nl, &last, &this)) {
			forget(&last);
			return XBZCTL_FAILED;
		}
		if (ctl->json)
			print_json(&this, &last, downtime_ms);
		else
			print_table(&this, &last, downtime_ms, screen);
		forget(&last);
		last = this;
		if (count >= 2)
			wait_for(seconds);
	}
	forget(&last);
	return XBZCTL_OK;
}

/**
 * xbzctl_top() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: -d SECONDS between looks, -n COUNT of looks, -l MS, the downtime limit
 *
 * Return: the exit status.
 */
int xbzctl_top(const struct xbzctl *ctl, int argc, char **argv)
{
	double seconds = 1, count = 1e18, downtime_ms = FORECAST_DOWNTIME_MS;
	struct xbzctl_nl *nl;
	bool good = true;
	int opt, ret;

	optind = 1;
	while ((opt = getopt(argc, argv, "+d:n:l:")) != -1) {
		if (opt == 'd')
			good &= number_read("-d", optarg, 0.05, 3600, &seconds);
		else if (opt == 'n')
			good &= number_read("-n", optarg, 1, 1e9, &count);
		else if (opt == 'l')
			good &= number_read("-l", optarg, 1, XBZ_FORECAST_MS, &downtime_ms);
		else
			good = false;
	}
	if (!good || optind != argc) {
		fprintf(stderr, "Usage: xbzctl top [-d SECONDS] [-l MILLISECONDS] [-n COUNT]\n");
		return XBZCTL_USAGE;
	}
	nl = xbzctl_nl_open();
	if (!nl)
		return XBZCTL_FAILED;
	ret = run(ctl, nl, seconds, count, downtime_ms);
	xbzctl_nl_close(nl);
	return ret;
}
