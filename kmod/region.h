/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_REGION_H
#define _XBZ_REGION_H

#include "core/record.h"
#include "pages.h"

#include <linux/bits.h>
#include <linux/types.h>

struct vm_area_struct;
struct xbz_session;
struct xbzrle_region;

/* KVM's log is cleared in pieces of this many pages: 128 MiB. */
#define XBZ_LOG_CHUNK_SHIFT 15
#define XBZ_LOG_CHUNK_PAGES BIT(XBZ_LOG_CHUNK_SHIFT)

/* Pages of all regions of a session: 16 TiB, a bitmap of 512 MiB. */
#define XBZ_SESSION_PAGES_MAX BIT_ULL(32)

/**
 * struct xbz_region - a block of guest memory
 * @id: its index in the session's table
 * @addr: where it lies in the session's process
 * @nr_pages: its size
 * @block: its name in the stream
 * @name: the bytes of the name
 * @nr_slots: KVM slots that lie in it
 * @bitmap_pages: the pages of @bitmap
 * @bitmap: dirty pages; shared with the process, which may write anything
 * @stale: a bit for each piece of KVM's log that was fetched and must be
 *	cleared before a page in it is read
 * @leaf: the cache's entries, an array for each chunk or NULL
 */
struct xbz_region {
	u32 id;
	unsigned long addr;
	unsigned long nr_pages;
	struct xbz_block block;
	char name[256];
	unsigned int nr_slots;
	struct xbz_pages bitmap_pages;
	u64 *bitmap;
	unsigned long *stale;
	unsigned long **leaf;
};

int xbz_region_add(struct xbz_session *s, struct xbzrle_region *arg);
int xbz_region_del(struct xbz_session *s, u32 id);
void xbz_region_del_all(struct xbz_session *s);
void xbz_region_forget(struct xbz_session *s, struct xbz_region *r,
		       unsigned long page, unsigned long end);
struct xbz_region *xbz_region_find(struct xbz_session *s, u32 id);
struct xbz_region *xbz_region_range(struct xbz_session *s, u32 id, u64 first,
				    u64 nr);

#endif /* _XBZ_REGION_H */
