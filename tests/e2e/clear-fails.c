// SPDX-License-Identifier: GPL-2.0-only
/* ENCODE takes no page, and says that KVM does not clear its log. */
#include "device-fails.h"

static bool fail(unsigned long request, void *arg, int *ret)
{
	struct xbzrle_encode *encode = arg;

	if (request != XBZRLE_ENCODE)
		return false;
	encode->bytes = 0;
	encode->pages = 0;
	encode->pages_same = 0;
	encode->pages_zero = 0;
	encode->pages_delta = 0;
	encode->pages_raw = 0;
	encode->status = XBZRLE_STATUS_LOG;
	encode->fault_region = 0;
	encode->fault_page = 0;
	*ret = 0;
	return true;
}
