/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device, for the subcommands that open it.
 */
#ifndef XBZCTL_DEVICE_H
#define XBZCTL_DEVICE_H

/* Print why the device cannot be used and what mends it; the exit status. */
int device_failed(const char *path, int error);

#endif /* XBZCTL_DEVICE_H */
