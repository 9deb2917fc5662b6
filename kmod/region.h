/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_REGION_H
#define _XBZ_REGION_H

#include "ring.h"

#include "core/record.h"

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/types.h>

struct xbz_session;
struct xbzrle_region;
struct xbzrle_slot;

/* Log blocks: from a chunk to 128 MiB, whose bits fit the scratch of one CLEAR. */
#define XBZ_LOG_SHIFT_MIN 9
#define XBZ_LOG_SHIFT_MAX 15

/* Pages of all regions of a session: 16 TiB, a bitmap of 512 MiB. */
#define XBZ_SESSION_PAGES_MAX BIT_ULL(32)
/* Pages of all slots of a session: each region may be mapped a few times. */
#define XBZ_SLOT_PAGES_MAX (4ULL << 32)

/**
 * struct xbz_region - a block of guest memory
 * @id: its index in the session's table; of chunks that were forgotten, what gives them
 *	the queues that they had
 * @addr: its address in the session's process
 * @nr_pages: its size
 * @block: its name in the stream
 * @name: the bytes of the name
 * @nr_slots: number of KVM slots that map a part of it
 * @bitmap_pages: the pages of @bitmap
 * @bitmap: dirty pages; shared with the process, which may write anything
 * @needs_clear: a bit for each log block: bits of it were fetched and KVM's log
 *	must be cleared before one of its pages is read
 * @leaf: the cache's words, an array for each chunk or NULL
 * @dead: its place among those that wait for the reaper
 * @reaped: chunks at its start that have no words any more
 */
struct xbz_region {
	u32 id;
	unsigned long addr;
	unsigned long nr_pages;
	struct xbz_block block;
	char name[256];
	unsigned int nr_slots;
	struct xbz_pages *bitmap_pages;
	u64 *bitmap;
	unsigned long *needs_clear;
	u64 **leaf;
	struct list_head dead;
	unsigned long reaped;
};

/**
 * struct xbz_slot - a KVM memslot whose log the session harvests
 * @id: KVM's number for it
 * @region: the region that it maps
 * @first: the region's page that is its page 0
 * @nr_pages: its size
 * @fetched: bits that came from KVM's log and are still set in it; NULL if
 *	fetching clears
 */
struct xbz_slot {
	u32 id;
	struct xbz_region *region;
	unsigned long first;
	unsigned long nr_pages;
	u64 *fetched;
};

int xbz_region_add(struct xbz_session *s, struct xbzrle_region *arg);
int xbz_region_del(struct xbz_session *s, u32 id);
void xbz_region_del_all(struct xbz_session *s);
bool xbz_region_reap(struct xbz_session *s);
void xbz_region_forget(struct xbz_session *s, struct xbz_region *r,
		       unsigned long page, unsigned long end);
u64 xbz_region_dirty(const struct xbz_region *r);
struct xbz_region *xbz_region_find(struct xbz_session *s, u32 id);
struct xbz_region *xbz_region_range(struct xbz_session *s, u32 id, u64 first,
				    u64 nr);

int xbz_slot_add(struct xbz_session *s, const struct xbzrle_slot *arg);
int xbz_slot_del(struct xbz_session *s, u32 id);
void xbz_slot_del_all(struct xbz_session *s);

#endif /* _XBZ_REGION_H */
