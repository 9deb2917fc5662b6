// SPDX-License-Identifier: GPL-2.0-only
/* KVM does not clear its log, behind a few pages that ENCODE has taken, if there are any. */
#include "device-fails.h"

#define PAGES 8

static bool fail(int fd, unsigned long request, void *arg, int *ret)
{
	struct xbzrle_encode *encode = arg;
	__u32 max_pages;

	if (request != XBZRLE_ENCODE)
		return false;
	max_pages = encode->max_pages;
	encode->max_pages = PAGES;
	*ret = real(fd, request, arg);
	encode->max_pages = max_pages;
	if (!*ret)
		encode->status = XBZRLE_STATUS_LOG;
	return true;
}
