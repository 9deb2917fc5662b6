// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl list: all sessions, a line each.
 */
#include "netlink.h"
#include "print.h"
#include "xbzctl.h"

#include <stdio.h>
#include <stdlib.h>

static void print_line(const struct xbzctl_session *s)
{
	const uint64_t *st = s->stats;
	uint64_t hits = st[XBZRLE_A_STATS_CACHE_HITS];
	char a[16], b[16], c[16], d[16], name[64];

	printf("%5u  %-20s %7u  %6llu  %9s  %9s  %9s  %9s  %5.1f%%\n", s->id,
	       s->named ? safe(name, s->name) : "-", s->pid,
	       (unsigned long long)s->pass[XBZRLE_A_PASS_NUMBER],
	       size_text(a, s->pages << 12), size_text(b, s->cache_bytes),
	       size_text(c, s->cache_used),
	       size_text(d, st[XBZRLE_A_STATS_BYTES]),
	       percent(hits, hits + st[XBZRLE_A_STATS_CACHE_MISSES]));
}

/**
 * xbzctl_list() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: takes no arguments
 *
 * Return: the exit status.
 */
int xbzctl_list(const struct xbzctl *ctl, int argc, char **argv)
{
	struct xbzctl_session *all = NULL;
	struct xbzctl_nl *nl;
	long nr, i;

	if (argc > 1) {
		fprintf(stderr, "xbzctl: list takes no argument '%s'\n",
			argv[1]);
		return XBZCTL_USAGE;
	}
	nl = xbzctl_nl_open();
	if (!nl)
		return XBZCTL_FAILED;
	nr = xbzctl_get_sessions(nl, &all);
	xbzctl_nl_close(nl);
	if (nr < 0)
		return XBZCTL_FAILED;
	if (ctl->json) {
		json_open(NULL, '{');
		json_open("sessions", '[');
		for (i = 0; i < nr; i++)
			json_session(NULL, &all[i]);
		json_close('[');
		json_close('{');
		json_end();
	} else {
		printf("%5s  %-20s %7s  %6s  %9s  %9s  %9s  %9s  %6s\n", "ID",
		       "NAME", "PID", "PASS", "GUEST", "CACHE", "USED", "SENT",
		       "HITS");
		for (i = 0; i < nr; i++)
			print_line(&all[i]);
	}
	free(all);
	return XBZCTL_OK;
}
