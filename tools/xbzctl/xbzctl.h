/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What xbzctl's subcommands share: each is a file of its own with one function,
 * and an entry in the table of xbzctl.c.
 */
#ifndef XBZCTL_H
#define XBZCTL_H

#include <stdbool.h>

#define XBZCTL_DEVICE "/dev/xbzrle"

/* Exit statuses. */
#define XBZCTL_OK 0
#define XBZCTL_FAILED 1
#define XBZCTL_USAGE 2

/**
 * struct xbzctl - what the command line said before the subcommand
 * @json: print JSON
 * @device: path of the device
 */
struct xbzctl {
	bool json;
	const char *device;
};

int xbzctl_status(const struct xbzctl *ctl, int argc, char **argv);

#endif /* XBZCTL_H */
