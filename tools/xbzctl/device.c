// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors of a device: see device.h.
 */
#include "device.h"
#include "xbzctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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
	case -EDQUOT:
		return "raise the share of users: xbzctl cache share PERCENT";
	case -ENOTTY:
		return "this is not the device of xbzrle";
	default:
		return NULL;
	}
}

int device_failed(const char *path, int error)
{
	const char *what = mend(error);

	fprintf(stderr, "xbzctl: %s: %s%s%s\n", path, strerror(-error),
		what ? "\n  " : "", what ? what : "");
	return XBZCTL_FAILED;
}
