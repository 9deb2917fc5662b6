// SPDX-License-Identifier: GPL-2.0-only
/* SYNC fails: the logs are not fetched. */
#include "device-fails.h"

static bool fail(int fd, unsigned long request, void *arg, int *ret)
{
	(void)fd;
	(void)arg;
	if (request != XBZRLE_SYNC)
		return false;
	errno = EIO;
	*ret = -1;
	return true;
}
