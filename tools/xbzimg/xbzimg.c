// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzimg: delta images. The options, and the table of subcommands, each of which is a
 * file.
 */
#include "xbzimg.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define THREADS_MAX 256

/* Options of its own are those by their letters, which no user sees. */
static const struct {
	const char *name;
	const char *arguments;
	const char *help;
	const char *options;
	int min;
	int max;
	int (*call)(const struct xbzimg *ctl, int argc, char **argv);
} commands[] = {
	{ "create", "BASE [DELTA...] NEW DELTA", "make the difference of two images",
	  "jqtzib", 3, 0, xbzimg_create },
	{ "apply", "BASE DELTA... NEW", "make an image of its base and deltas", "jqt", 3, 0,
	  xbzimg_apply },
	{ "info", "DELTA", "what a delta image is and rests on", "j", 1, 1, xbzimg_info },
	{ "verify", "DELTA...", "check every byte, and with --base that all fits", "jqtB", 1, 0,
	  xbzimg_verify },
	{ "map", "DELTA...", "which parts of the image are where", "j", 1, 0, xbzimg_map },
	{ "merge", "DELTA... DELTA", "make one of several", "jqtz", 3, 0, xbzimg_merge },
	{ "serve", "BASE DELTA... [-- OPTION...]", "serve the image by nbdkit, read-only",
	  "up", 2, 0, xbzimg_serve },
};

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "threads", required_argument, NULL, 't' },
	{ "zstd", required_argument, NULL, 'z' },
	{ "in-place", no_argument, NULL, 'i' },
	{ "bitmap", required_argument, NULL, 'b' },
	{ "base", required_argument, NULL, 'B' },
	{ "unix", required_argument, NULL, 'u' },
	{ "port", required_argument, NULL, 'p' },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ },
};

static void usage(FILE *out)
{
	size_t i;

	fprintf(out, "Usage: xbzimg COMMAND [OPTION...] ARGUMENT...\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-7s %-28s %s\n", commands[i].name, commands[i].arguments,
			commands[i].help);
	fprintf(out, "\n"
		"  --json           print JSON (create, apply, info, verify, map, merge)\n"
		"  --quiet          print errors alone (create, apply, verify, merge)\n"
		"  --threads COUNT  work in so many threads (create, apply, verify, merge)\n"
		"  --zstd LEVEL     0 for none, 1 to %d, 3 unless given (create, merge)\n"
		"  --in-place       do not look for what was moved (create)\n"
		"  --bitmap NAME    NEW's dirty bitmap has all that changed (create)\n"
		"  --base BASE      what the first delta image rests on (verify)\n"
		"  --unix SOCKET    listen at a socket (serve)\n"
		"  --port PORT      listen at a port of localhost (serve)\n"
		"  --version        print the version\n"
		"  --help           print this\n\n"
		"BASE and NEW are raw images: a path, or raw:PATH; or qcow2:PATH; or the URI of\n"
		"an NBD server. DELTA is a delta image.\n\n"
		"Exit status: 0 for success, 1 if it failed, 2 for an invalid command line.\n",
		ZSTD_maxCLevel());
}

static bool read_number(const char *option, const char *text, int min, int max, int *value)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*text) || number < min || number > max) {
		fprintf(stderr, "xbzimg: --%s takes a number from %d to %d, not '%s'\n", option,
			min, max, text);
		return false;
	}
	*value = number;
	return true;
}

/* Notes each option that was given in @given. False for an invalid one. */
static bool read_option(struct xbzimg *ctl, int opt, char *given)
{
	int number;

	switch (opt) {
	case 'j':
		ctl->json = true;
		break;
	case 'q':
		ctl->quiet = true;
		break;
	case 't':
		if (!read_number("threads", optarg, 1, THREADS_MAX, &number))
			return false;
		ctl->threads = number;
		break;
	case 'z':
		if (!read_number("zstd", optarg, 0, ZSTD_maxCLevel(), &ctl->level))
			return false;
		break;
	case 'i':
		ctl->in_place = true;
		break;
	case 'b':
		ctl->bitmap = optarg;
		break;
	case 'B':
		ctl->base = optarg;
		break;
	case 'u':
		ctl->socket = optarg;
		break;
	case 'p':
		if (!read_number("port", optarg, 1, 65535, &number))
			return false;
		ctl->port = optarg;
		break;
	default:
		usage(stderr);
		return false;
	}
	given[strlen(given)] = opt;
	return true;
}

/* An option that the command would ignore is refused. */
static bool check_options(size_t command, const char *given)
{
	size_t i;

	for (; *given; given++) {
		if (strchr(commands[command].options, *given))
			continue;
		for (i = 0; options[i].val != *given; i++)
			;
		fprintf(stderr, "xbzimg: --%s is not for %s\n", options[i].name,
			commands[command].name);
		return false;
	}
	return true;
}

/* What could not be printed was not done. */
static int finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fputs("xbzimg: standard output cannot be written\n", stderr);
	return XBZIMG_FAILED;
}

static int call(const struct xbzimg *ctl, const char *given, int argc, char **argv)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(*argv, commands[i].name))
			continue;
		if (!check_options(i, given))
			return XBZIMG_USAGE;
		if (argc - 1 < commands[i].min || (commands[i].max && argc - 1 > commands[i].max)) {
			fprintf(stderr, "xbzimg: usage: xbzimg %s %s\n", commands[i].name,
				commands[i].arguments);
			return XBZIMG_USAGE;
		}
		return finish(commands[i].call(ctl, argc - 1, argv + 1));
	}
	fprintf(stderr, "xbzimg: no command is called '%s'; see xbzimg --help\n", *argv);
	return XBZIMG_USAGE;
}

int main(int argc, char **argv)
{
	struct xbzimg ctl = { .threads = sysconf(_SC_NPROCESSORS_ONLN), .level = 3 };
	char given[64] = "";
	int opt;

	if (ctl.threads < 1 || ctl.threads > THREADS_MAX)
		ctl.threads = THREADS_MAX;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'v') {
			puts("xbzimg " XBZ_VERSION);
			return XBZIMG_OK;
		}
		if (opt == 'h') {
			usage(stdout);
			return XBZIMG_OK;
		}
		if (strlen(given) == sizeof(given) - 1) {
			fprintf(stderr, "xbzimg: too many options\n");
			return XBZIMG_USAGE;
		}
		if (!read_option(&ctl, opt, given))
			return XBZIMG_USAGE;
	}
	if (optind == argc) {
		usage(stderr);
		return XBZIMG_USAGE;
	}
	return call(&ctl, given, argc - optind, argv + optind);
}
