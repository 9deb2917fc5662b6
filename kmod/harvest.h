/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_HARVEST_H
#define _XBZ_HARVEST_H

#include "session.h"

#include <linux/bitops.h>
#include <linux/types.h>

struct file;
struct xbzrle_clear;
struct xbzrle_sync;

/**
 * struct xbz_scratch - the caller's memory for calling KVM
 * @addr: its address
 * @bytes: its size
 */
struct xbz_scratch {
	u64 addr;
	u64 bytes;
};

struct file *xbz_vm_get(int fd);
bool xbz_scratch_ok(const struct xbz_scratch *scratch, u64 need);
int xbz_harvest_sync(struct xbz_session *s, struct xbzrle_sync *arg);
int xbz_harvest_clear_block(struct xbz_session *s, struct xbz_region *r,
			    unsigned long block,
			    const struct xbz_scratch *scratch);
int xbz_harvest_clear_range(struct xbz_session *s,
			    const struct xbzrle_clear *arg);

/**
 * xbz_harvest_clear() - clear KVM's log before a page is read
 * @s: the session
 * @r: the page's region
 * @page: the page; its bit in the region's bitmap is still set
 * @scratch: checked scratch memory of XBZRLE_SCRATCH_MIN
 *
 * Context: the session's lock is held for reading. May sleep.
 * Return: 0, or KVM's error; the page's log block still needs clearing then.
 */
static inline int xbz_harvest_clear(struct xbz_session *s, struct xbz_region *r,
				    unsigned long page,
				    const struct xbz_scratch *scratch)
{
	unsigned long block = page >> s->log_shift;

	/* Pairs with the release in xbz_harvest_clear_block(). */
	if (likely(!test_bit_acquire(block, r->needs_clear)))
		return 0;
	return xbz_harvest_clear_block(s, r, block, scratch);
}

#endif /* _XBZ_HARVEST_H */
