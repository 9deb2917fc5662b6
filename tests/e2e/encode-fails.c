// SPDX-License-Identifier: GPL-2.0-only
/* ENCODE fails, in all queues and in the middle of a pass. */
#include "device-fails.h"

static bool fail(int fd, unsigned long request, void *arg, int *ret)
{
	(void)fd;
	(void)arg;
	if (request != XBZRLE_ENCODE)
		return false;
	errno = EPIPE;
	*ret = -1;
	return true;
}
