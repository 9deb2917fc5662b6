/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_HARVEST_H
#define _XBZ_HARVEST_H

#include <linux/types.h>

struct xbz_region;
struct xbz_session;
struct xbzrle_clear;
struct xbzrle_sync;

/**
 * struct xbz_scratch - the caller's memory for talking to KVM
 * @addr: where
 * @bytes: its size
 */
struct xbz_scratch {
	u64 addr;
	u64 bytes;
};

bool xbz_scratch_ok(const struct xbz_scratch *scratch, u64 need);
int xbz_harvest_sync(struct xbz_session *s, struct xbzrle_sync *arg);
int xbz_harvest_clear(struct xbz_session *s, struct xbz_region *r,
		      unsigned long page, const struct xbz_scratch *scratch);
int xbz_harvest_clear_range(struct xbz_session *s,
			    const struct xbzrle_clear *arg);

#endif /* _XBZ_HARVEST_H */
