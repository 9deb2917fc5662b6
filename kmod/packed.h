/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_PACKED_H
#define _XBZ_PACKED_H

#include "compat/lz4.h"

#include "core/policy.h"

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/types.h>

struct xbz_account;

/* Sizes of packed copies are multiples of this; one that is longer is no gain. */
#define XBZ_PACKED_STEP 64
#define XBZ_PACKED_MAX (PAGE_SIZE * 3 / 4)
#define XBZ_PACKED_CLASSES (XBZ_PACKED_MAX / XBZ_PACKED_STEP)

/**
 * struct xbz_packed_class - the packed copies of one size, without a gap
 * @pages: their memory, in order; a copy may begin in one page and end in the next
 * @nr: number of copies
 */
struct xbz_packed_class {
	struct list_head pages;
	unsigned long nr;
};

/**
 * struct xbz_packing - a page that was packed and has no place yet
 * @bytes: its size
 * @data: LZ4's block
 */
struct xbz_packing {
	u16 bytes;
	u8 data[XBZ_PACKED_MAX];
};

/**
 * struct xbz_packed - a shard's packed copies, and what packs
 * @classes: by size
 * @slack: of the memory of @classes, what no copy takes, in units of the policy's
 * @page: the page that was unpacked last
 * @newcomer: a page that was sent
 * @victim: a cached page that makes room for it, or a copy in one piece
 * @work: LZ4's
 */
struct xbz_packed {
	struct xbz_packed_class classes[XBZ_PACKED_CLASSES];
	u32 slack;
	void *page;
	struct xbz_packing newcomer;
	struct xbz_packing victim;
	u8 work[XBZ_LZ4_WORK] __aligned(8);
};

struct xbz_packed *xbz_packed_new(struct xbz_account *a);
void xbz_packed_free(struct xbz_account *a, struct xbz_packed *packed);
u32 xbz_pack(struct xbz_packed *packed, struct xbz_packing *to, const void *page);
void *xbz_unpack(struct xbz_packed *packed, unsigned long copy, u32 units);
bool xbz_packed_wants_page(const struct xbz_packed *packed, u32 units);
unsigned long xbz_packed_add(struct xbz_packed *packed, u32 units,
			     const struct xbz_packing *from, u64 *word, void *page);
void *xbz_packed_remove(struct xbz_packed *packed, struct xbz_policy *policy,
			unsigned long copy, u32 units);

#endif /* _XBZ_PACKED_H */
