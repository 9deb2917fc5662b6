// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl: the control tool. The options before the subcommand, and the table of
 * subcommands, each of which is a file.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xbzctl.h"

static const struct {
	const char *name;
	const char *help;
	int (*call)(const struct xbzctl *ctl, int argc, char **argv);
} commands[] = {
	{ "status", "the module: ABI, codec, limits, memory in use",
	  xbzctl_status },
	{ "list", "all sessions, a line each", xbzctl_list },
	{ "show", "SESSION: one session and its queues", xbzctl_show },
	{ "cache", "size SIZE [SESSION], limit SIZE: memory for cached pages",
	  xbzctl_cache },
	{ "apply", "[FILE]: the host's settings from /etc/xbzrle.conf, or FILE",
	  xbzctl_apply },
	{ "flush", "[SESSION]: drop the cached pages of a session, or of all",
	  xbzctl_flush },
	{ "stats", "[SESSION]: counters, with QEMU's names beside them",
	  xbzctl_stats },
	{ "monitor", "[-n COUNT]: events", xbzctl_monitor },
	{ "forecast", "[-l MS] SESSION: will it converge, when, what would make it",
	  xbzctl_forecast },
	{ "top", "[-d SECONDS] [-l MS] [-n COUNT]: all sessions with their rates",
	  xbzctl_top },
	{ "bench", "[-m SIZE] [-q QUEUES] [-t SECONDS]: the speed of this host",
	  xbzctl_bench },
	{ "doctor", "what a migration needs, and the commands that mend it",
	  xbzctl_doctor },
};

static void usage(FILE *out)
{
	size_t i;

	fprintf(out, "Usage: xbzctl [OPTION...] COMMAND [ARGUMENT...]\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name,
			commands[i].help);
	fprintf(out, "\n"
		"  --json         print JSON\n"
		"  --openmetrics  print OpenMetrics (stats)\n"
		"  --device PATH  the device (status, bench)\n"
		"  --version      print the version\n"
		"  --help         print this\n\n"
		"Exit status: 0 for success, 1 if it failed, 2 for an invalid command line.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "openmetrics", no_argument, NULL, 'o' },
		{ "device", required_argument, NULL, 'd' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ },
	};
	struct xbzctl ctl = { 0 };
	size_t i;
	int opt;

	while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			ctl.json = true;
			break;
		case 'o':
			ctl.openmetrics = true;
			break;
		case 'd':
			ctl.device = optarg;
			break;
		case 'v':
			puts("xbzctl " XBZ_VERSION);
			return XBZCTL_OK;
		case 'h':
			usage(stdout);
			return XBZCTL_OK;
		default:
			usage(stderr);
			return XBZCTL_USAGE;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return XBZCTL_USAGE;
	}
	if (ctl.openmetrics && strcmp(argv[optind], "stats")) {
		fprintf(stderr, "xbzctl: --openmetrics is for stats\n");
		return XBZCTL_USAGE;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[optind], commands[i].name))
			return commands[i].call(&ctl, argc - optind,
						argv + optind);
	fprintf(stderr, "xbzctl: no command is called '%s'; see xbzctl --help\n",
		argv[optind]);
	return XBZCTL_USAGE;
}
