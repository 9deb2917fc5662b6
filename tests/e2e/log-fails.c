// SPDX-License-Identifier: GPL-2.0-only
/* SYNC fetches no log and says that KVM has refused to give it. */
#include "device-fails.h"

static bool fail(int fd, unsigned long request, void *arg, int *ret)
{
	struct xbzrle_sync *sync = arg;

	(void)fd;
	if (request != XBZRLE_SYNC)
		return false;
	sync->new_dirty = 0;
	sync->slots_failed = 1;
	sync->failed_slot = 0;
	sync->failed_errno = ENOENT;
	*ret = 0;
	return true;
}
