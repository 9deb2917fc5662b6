// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl status: what the loaded module says of itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <xbzrle/xbzrle.h>

#include "xbzctl.h"

#define MIB (1024.0 * 1024.0)

static const char *mend(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		return "load the module: modprobe xbzrle";
	case -EACCES:
	case -EPERM:
		return "run as root, or as a member of the device's group";
	case -ENOTTY:
		return "this is not the device of xbzrle";
	default:
		return NULL;
	}
}

static int failed(const struct xbzctl *ctl, int error)
{
	const char *what = mend(error);

	fprintf(stderr, "xbzctl: %s: %s%s%s\n", ctl->device, strerror(-error),
		what ? "\n  " : "", what ? what : "");
	return XBZCTL_FAILED;
}

static void print_json(const struct xbzrle_info *info)
{
	printf("{\"abi\": %u, \"codec\": \"%.16s\", \"page_size\": %u, ",
	       info->abi_version, info->codec, 1U << info->page_shift);
	printf("\"max_queues\": %u, \"max_regions\": %u, \"max_slots\": %u, ",
	       info->max_queues, info->max_regions, info->max_slots);
	printf("\"memory_max\": %llu, \"memory_used\": %llu}\n",
	       (unsigned long long)info->memory_max,
	       (unsigned long long)info->memory_used);
}

static void print_text(const struct xbzrle_info *info)
{
	printf("ABI version   %u\n", info->abi_version);
	printf("codec         %.16s\n", info->codec);
	printf("page size     %u bytes\n", 1U << info->page_shift);
	printf("per session   %u queues, %u regions, %u slots\n",
	       info->max_queues, info->max_regions, info->max_slots);
	printf("memory        %.1f MiB used of %.1f MiB allowed\n",
	       info->memory_used / MIB, info->memory_max / MIB);
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
	struct xbzrle_info info = { .size = sizeof(info) };
	struct xbz_session *s;
	int ret;

	if (argc > 1) {
		fprintf(stderr, "xbzctl: status takes no argument '%s'\n",
			argv[1]);
		return XBZCTL_USAGE;
	}
	ret = xbz_session_open(&s, ctl->device);
	if (ret)
		return failed(ctl, ret);
	ret = xbz_session_info(s, &info);
	xbz_session_close(s);
	if (ret)
		return failed(ctl, ret);
	if (ctl->json)
		print_json(&info);
	else
		print_text(&info);
	return XBZCTL_OK;
}
