// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl status: the loaded module. With --device, only the facts that a device
 * reports, which need not be the usual one.
 */
#include "args.h"
#include "device.h"
#include "netlink.h"
#include "param.h"
#include "print.h"
#include "xbzctl.h"

#include <stdio.h>

#include <xbzrle/xbzrle.h>

/**
 * struct status - the module
 * @version: its version; empty if only a device was asked
 * @info: from the device; its abi_version is 0 if the device cannot be opened
 * @params: the host's settings
 * @sessions: number of sessions
 */
struct status {
	char version[32];
	struct xbzrle_info info;
	uint64_t params[NR_PARAMS];
	uint64_t sessions;
};

static int ask_device(const char *path, struct xbzrle_info *info)
{
	struct xbzrle_session *s;
	int ret;

	info->size = sizeof(*info);
	ret = xbzrle_session_open(&s, path);
	if (ret)
		return ret;
	ret = xbzrle_session_info(s, info);
	xbzrle_session_close(s);
	return ret;
}

static int ask_module(struct status *s)
{
	struct xbzctl_totals totals;
	struct xbzctl_nl *nl;
	int i, ret;

	/* Not every reader may open the device. */
	ask_device(XBZCTL_DEVICE, &s->info);
	ret = module_read("version", s->version, sizeof(s->version));
	if (!ret)
		ret = module_read("parameters/codec", (char *)s->info.codec,
				  sizeof(s->info.codec));
	for (i = 0; !ret && i < NR_PARAMS; i++)
		ret = param_read(i, &s->params[i]);
	if (ret)
		return ret;

	nl = xbzctl_nl_open();
	if (!nl)
		return -1;
	ret = xbzctl_get_totals(nl, &totals);
	xbzctl_nl_close(nl);
	if (ret)
		return ret;
	s->info.memory_max = totals.memory_max;
	s->info.memory_used = totals.memory_used;
	s->sessions = totals.started - totals.ended;
	return 0;
}

static void print_json(const struct status *s)
{
	json_open(NULL, '{');
	if (s->info.abi_version)
		json_u64("abi", s->info.abi_version);
	json_text("codec", (const char *)s->info.codec);
	if (s->info.abi_version)
		json_u64("page_size", 1ULL << s->info.page_shift);
	json_u64("memory_max", s->info.memory_max);
	json_u64("memory_used", s->info.memory_used);
	if (*s->version) {
		json_text("version", s->version);
		json_u64("memory_host", host_memory());
		json_u64("memory_limit", s->params[PARAM_LIMIT]);
		json_u64("share_percent", s->params[PARAM_SHARE]);
		json_u64("default_cache", s->params[PARAM_CACHE]);
		json_u64("default_queues", s->params[PARAM_QUEUES]);
		json_u64("sessions", s->sessions);
	}
	json_close('{');
	json_end();
}

static void print_text(const struct status *s)
{
	char a[16], b[16];

	if (*s->version)
		printf("module        %s\n", s->version);
	if (s->info.abi_version)
		printf("ABI version   %u\n", s->info.abi_version);
	printf("codec         %s\n", s->info.codec);
	if (s->info.abi_version)
		printf("page size     %u bytes\n", 1U << s->info.page_shift);
	printf("memory        %s used of %s allowed",
	       size_text(a, s->info.memory_used),
	       size_text(b, s->info.memory_max));
	if (!*s->version) {
		putchar('\n');
		return;
	}
	printf(", host has %s\n", size_text(a, host_memory()));
	printf("share         %llu%% of it for a user, as much of that for a session\n",
	       (unsigned long long)s->params[PARAM_SHARE]);
	printf("defaults      cache %s, %llu queue%s\n",
	       size_text(a, s->params[PARAM_CACHE]),
	       (unsigned long long)s->params[PARAM_QUEUES],
	       s->params[PARAM_QUEUES] == 1 ? "" : "s");
	printf("sessions      %llu\n", (unsigned long long)s->sessions);
}

/**
 * xbzctl_status() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: takes no arguments
 *
 * Return: the exit status.
 */
int xbzctl_status(const struct xbzctl *ctl, int argc, char **argv)
{
	struct status status = { 0 };
	int ret;

	if (argc > 1) {
		fprintf(stderr, "xbzctl: status takes no argument '%s'\n",
			argv[1]);
		return XBZCTL_USAGE;
	}
	if (ctl->device) {
		ret = ask_device(ctl->device, &status.info);
		if (ret)
			return device_failed(ctl->device, ret);
	} else if (ask_module(&status)) {
		return XBZCTL_FAILED;
	}
	if (ctl->json)
		print_json(&status);
	else
		print_text(&status);
	return XBZCTL_OK;
}
