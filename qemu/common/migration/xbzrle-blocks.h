/*
 * The RAM blocks of a session of /dev/xbzrle.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_BLOCKS_H
#define QEMU_MIGRATION_XBZRLE_BLOCKS_H

#include <xbzrle/xbzrle.h>
#include "exec/cpu-common.h"

typedef struct XbzrleBlocks XbzrleBlocks;

/**
 * xbzrle_blocks_new: begin with no block
 *
 * @session: the session, which is set up
 * @keep_memory: whether blocks are used outside of RCU critical sections
 */
XbzrleBlocks *xbzrle_blocks_new(struct xbzrle_session *session,
                                bool keep_memory);

/**
 * xbzrle_blocks_add_all: give the session all RAM blocks
 *
 * Each block's bitmap is a mapping of the session's then, with all pages dirty.
 *
 * Returns 0, or a negative error with @errp set; not all were added, then
 */
int xbzrle_blocks_add_all(XbzrleBlocks *blocks, Error **errp);

/**
 * xbzrle_blocks_free: take all bitmaps away, and forget the blocks
 *
 * The session is not used.  Called with the BQL held, when no thread reads
 * guest memory for the session any more.
 */
void xbzrle_blocks_free(XbzrleBlocks *blocks);

unsigned int xbzrle_blocks_number(XbzrleBlocks *blocks);

/* The name of a region's block.  Called with bitmap_mutex held. */
const char *xbzrle_blocks_name(XbzrleBlocks *blocks, uint32_t region);

/**
 * xbzrle_blocks_update: follow changes of the list of RAM blocks
 *
 * Called with bitmap_mutex held, in an RCU critical section, when nobody
 * encodes.  With @errp set, the session and the list differ from now on.
 *
 * Returns by how much the number of dirty pages has changed
 */
int64_t xbzrle_blocks_update(XbzrleBlocks *blocks, Error **errp);

/* Whether the list has changed.  Called in an RCU critical section. */
bool xbzrle_blocks_changed(XbzrleBlocks *blocks);

/**
 * xbzrle_blocks_redirty: mark the pages of records that will not be sent
 *
 * Called with bitmap_mutex held.
 *
 * Returns how many were not dirty, or -EBADMSG if these are no such records; not
 * all pages were marked, then
 *
 * @data, @bytes: records as the session makes them
 * @apart: whole pages are a stream of their own
 */
int64_t xbzrle_blocks_redirty(XbzrleBlocks *blocks, const uint8_t *data,
                              uint64_t bytes, bool apart);

/**
 * xbzrle_blocks_count_dirty: number of bits that are set in all bitmaps
 *
 * Called with bitmap_mutex held, or when nobody else changes them, in an RCU
 * critical section.
 */
uint64_t xbzrle_blocks_count_dirty(void);

/* The calls of the session for a slot of KVM, or pages, of a block. */
int xbzrle_blocks_slot_set(XbzrleBlocks *blocks, uint32_t slot, RAMBlock *rb,
                           ram_addr_t offset, uint64_t size);
int xbzrle_blocks_clear(XbzrleBlocks *blocks, RAMBlock *rb,
                        unsigned long start, unsigned long npages);

#endif
