// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzimg serve: nbdkit with our plugin.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chain.h"
#include "xbzimg.h"

#define PLUGIN "nbdkit-xbzimg-plugin.so"

/* That of a build stands beside the program; else it is where nbdkit looks. */
static const char *find_plugin(char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof(PLUGIN) - 1);
	char *slash;

	if (length <= 0)
		return "xbzimg";
	path[length] = '\0';
	slash = strrchr(path, '/');
	slash = slash ? slash + 1 : path;
	memcpy(slash, PLUGIN, sizeof(PLUGIN));
	return access(path, R_OK) ? "xbzimg" : path;
}

static char *parameter(const char *key, const char *value)
{
	char *text;

	return asprintf(&text, "%s=%s", key, value) < 0 ? NULL : text;
}

/* A chain that nbdkit would refuse is refused here, where it is said plainly. */
static bool check(char **names, int count, struct error *err)
{
	struct chain *chain = chain_open(names[0], names + 1, count - 1, 1, err);
	bool good;

	if (!chain)
		return false;
	good = chain_probe(chain, err);
	chain_close(chain);
	return good;
}

/* How many of the arguments are the chain; the rest are options of nbdkit. */
static int chain_count(int argc, char **argv)
{
	int i;

	for (i = 0; i < argc && *argv[i] != '-'; i++)
		;
	return i;
}

/* The command line of nbdkit, which ends with a NULL. */
static char **command_line(const struct xbzimg *ctl, int argc, char **argv, int count)
{
	char **command = calloc(argc + 16, sizeof(*command));
	static char plugin[PATH_MAX];
	int n = 0, i;

	if (!command)
		return NULL;
	command[n++] = "nbdkit";
	command[n++] = "--foreground";
	command[n++] = "--readonly";
	if (ctl->socket) {
		command[n++] = "--unix";
		command[n++] = (char *)ctl->socket;
	} else if (ctl->port) {
		command[n++] = "--ipaddr";
		command[n++] = "localhost";
		command[n++] = "--port";
		command[n++] = (char *)ctl->port;
	}
	for (i = count; i < argc; i++)
		command[n++] = argv[i];
	command[n++] = (char *)find_plugin(plugin);
	for (i = 0; i < count; i++)
		command[n++] = parameter(i ? "delta" : "base", argv[i]);
	return command;
}

int xbzimg_serve(const struct xbzimg *ctl, int argc, char **argv)
{
	int count = chain_count(argc, argv);
	struct error err;
	char **command;

	if (count < 2 || (count == argc && !ctl->socket && !ctl->port)) {
		fputs("xbzimg: serve takes a base, its delta images, and --unix or --port\n",
		      stderr);
		return XBZIMG_USAGE;
	}
	if (!check(argv, count, &err))
		return failed(&err);
	command = command_line(ctl, argc, argv, count);
	if (command)
		execvp(*command, command);
	error_errno(&err, "nbdkit");
	free(command);
	return failed(&err);
}
