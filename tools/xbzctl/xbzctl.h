/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts that xbzctl's subcommands share. Each subcommand is a file with one
 * function, and an entry in the table of xbzctl.c.
 */
#ifndef XBZCTL_H
#define XBZCTL_H

#include <stdbool.h>
#include <stdint.h>

#define XBZCTL_DEVICE "/dev/xbzrle"
#define XBZCTL_MODULE "/sys/module/xbzrle"

/* Exit statuses. */
#define XBZCTL_OK 0
#define XBZCTL_FAILED 1
#define XBZCTL_USAGE 2

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/**
 * struct xbzctl - options before the subcommand
 * @json: print JSON
 * @openmetrics: print OpenMetrics
 * @device: path of the device, or NULL
 */
struct xbzctl {
	bool json;
	bool openmetrics;
	const char *device;
};

int xbzctl_status(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_list(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_show(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_cache(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_apply(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_flush(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_stats(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_monitor(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_forecast(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_top(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_bench(const struct xbzctl *ctl, int argc, char **argv);
int xbzctl_doctor(const struct xbzctl *ctl, int argc, char **argv);

#endif /* XBZCTL_H */
