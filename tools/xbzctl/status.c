// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl status: what the loaded module says of itself. Over the netlink family;
 * with --device, over a device, which then need not be the usual one.
 */
#include "device.h"
#include "netlink.h"
#include "print.h"
#include "xbzctl.h"

#include <stdio.h>

#include <xbzrle/xbzrle.h>

static int from_device(const struct xbzctl *ctl, struct xbzctl_settings *out)
{
	struct xbzrle_info info = { .size = sizeof(info) };
	struct xbzrle_session *s;
	int ret;

	ret = xbzrle_session_open(&s, ctl->device);
	if (ret)
		return device_failed(ctl->device, ret);
	ret = xbzrle_session_info(s, &info);
	xbzrle_session_close(s);
	if (ret)
		return device_failed(ctl->device, ret);
	out->abi_version = info.abi_version;
	out->page_size = 1U << info.page_shift;
	out->memory_max = info.memory_max;
	out->memory_used = info.memory_used;
	snprintf(out->codec, sizeof(out->codec), "%.16s",
		 (const char *)info.codec);
	return XBZCTL_OK;
}

static void print_json(const struct xbzctl_settings *s, bool device)
{
	json_open(NULL, '{');
	json_u64("abi", s->abi_version);
	json_text("codec", s->codec);
	json_u64("page_size", s->page_size);
	json_u64("memory_max", s->memory_max);
	json_u64("memory_used", s->memory_used);
	if (!device) {
		json_text("version", s->version);
		json_u64("memory_host", s->memory_host);
		json_u64("memory_limit", s->memory_limit);
		json_u64("default_cache", s->default_cache);
		json_u64("default_queues", s->default_queues);
		json_u64("sessions", s->sessions);
	}
	json_close('{');
	json_end();
}

static void print_text(const struct xbzctl_settings *s, bool device)
{
	char a[16], b[16], c[16];

	if (!device)
		printf("module        %s\n", s->version);
	printf("ABI version   %u\n", s->abi_version);
	printf("codec         %s\n", s->codec);
	printf("page size     %u bytes\n", s->page_size);
	printf("memory        %s used of %s allowed",
	       size_text(a, s->memory_used), size_text(b, s->memory_max));
	if (device) {
		putchar('\n');
		return;
	}
	printf(", host has %s\n", size_text(c, s->memory_host));
	printf("defaults      cache %s, %llu queue%s\n",
	       size_text(a, s->default_cache),
	       (unsigned long long)s->default_queues,
	       s->default_queues == 1 ? "" : "s");
	printf("sessions      %u\n", s->sessions);
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
	struct xbzctl_settings settings = { 0 };
	struct xbzctl_nl *nl;
	int ret;

	if (argc > 1) {
		fprintf(stderr, "xbzctl: status takes no argument '%s'\n",
			argv[1]);
		return XBZCTL_USAGE;
	}
	if (ctl->device) {
		ret = from_device(ctl, &settings);
		if (ret)
			return ret;
	} else {
		nl = xbzctl_nl_open();
		if (!nl)
			return XBZCTL_FAILED;
		ret = xbzctl_get_settings(nl, &settings);
		xbzctl_nl_close(nl);
		if (ret)
			return XBZCTL_FAILED;
	}
	if (ctl->json)
		print_json(&settings, ctl->device);
	else
		print_text(&settings, ctl->device);
	return XBZCTL_OK;
}
