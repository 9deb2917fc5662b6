/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_SLOT_H
#define _XBZ_SLOT_H

#include <linux/types.h>

/* Pages of all slots of a session: each region may be seen a few times. */
#define XBZ_SLOT_PAGES_MAX (4ULL << 32)

struct xbz_region;
struct xbz_session;
struct xbzrle_slot;

/**
 * struct xbz_slot - a KVM memslot whose log the session harvests
 * @id: KVM's number for it
 * @region: where it lies
 * @first: the region's page that is its page 0
 * @nr_pages: its size
 * @fetched: bits that came from KVM's log and are still set in it; NULL where
 *	fetching clears
 */
struct xbz_slot {
	u32 id;
	struct xbz_region *region;
	unsigned long first;
	unsigned long nr_pages;
	u64 *fetched;
};

int xbz_slot_add(struct xbz_session *s, const struct xbzrle_slot *arg);
int xbz_slot_del(struct xbz_session *s, u32 id);
void xbz_slot_del_all(struct xbz_session *s);

#endif /* _XBZ_SLOT_H */
