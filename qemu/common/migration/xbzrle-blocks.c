/*
 * The RAM blocks of a session of /dev/xbzrle: which it knows, by what number,
 * and their dirty bitmaps, which are mappings of the session's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "exec/ramlist.h"
#include "exec/target_page.h"
#include "xbzrle-compat.h"
#include "xbzrle-blocks.h"

/**
 * struct XbzrleBlock: a RAM block that the session knows
 *
 * @rb: the block; dangling once the block is gone from ram_list
 * @bmap: its bitmap, which tells a block from a new one at the same address
 * @region: the session's number for it
 * @pages: its size
 * @idstr: its name
 */
typedef struct XbzrleBlock {
    RAMBlock *rb;
    unsigned long *bmap;
    uint32_t region;
    uint64_t pages;
    char idstr[256];
} XbzrleBlock;

struct XbzrleBlocks {
    struct xbzrle_session *session;
    /* ram_list.version that the blocks were taken from */
    uint32_t version;
    /* Protects the next one; taken with kml_slots_lock held */
    QemuMutex lock;
    /* of XbzrleBlock */
    GArray *list;
    /* Memory regions that must not go while their blocks are used, or NULL */
    GPtrArray *memory;
};

static XbzrleBlock *block_at(XbzrleBlocks *blocks, unsigned int i)
{
    return &g_array_index(blocks->list, XbzrleBlock, i);
}

/* Called with the lock or bitmap_mutex held, or when nobody else is left. */
static XbzrleBlock *find_block(XbzrleBlocks *blocks, RAMBlock *rb)
{
    unsigned int i;

    for (i = 0; i < blocks->list->len; i++) {
        XbzrleBlock *b = block_at(blocks, i);

        if (b->rb == rb && b->bmap == rb->bmap) {
            return b;
        }
    }
    return NULL;
}

/* Called with the lock held.  All the block's pages are dirty. */
static int add_block(XbzrleBlocks *blocks, RAMBlock *rb, Error **errp)
{
    XbzrleBlock b = {
        .rb = rb,
        .pages = rb->max_length >> TARGET_PAGE_BITS,
    };
    uint64_t *bitmap;
    int ret;

    ret = xbzrle_session_region_add(blocks->session, rb->idstr, rb->host,
                                    b.pages, &b.region, &bitmap);
    if (ret) {
        error_setg_errno(errp, -ret, "RAM block '%s' cannot be added",
                         rb->idstr);
        return ret;
    }
    if (blocks->memory) {
        memory_region_ref(rb->mr);
        g_ptr_array_add(blocks->memory, rb->mr);
    }
    b.bmap = (unsigned long *)bitmap;
    pstrcpy(b.idstr, sizeof(b.idstr), rb->idstr);
    g_array_append_val(blocks->list, b);

    /* What lies behind used_length must not be sent, so stays clear. */
    rb->bmap = b.bmap;
    bitmap_set(rb->bmap, 0, rb->used_length >> TARGET_PAGE_BITS);
    return 0;
}

XbzrleBlocks *xbzrle_blocks_new(struct xbzrle_session *session,
                                bool keep_memory)
{
    XbzrleBlocks *blocks = g_new0(XbzrleBlocks, 1);

    blocks->session = session;
    blocks->list = g_array_new(false, false, sizeof(XbzrleBlock));
    if (keep_memory) {
        blocks->memory = g_ptr_array_new_with_free_func(
            (GDestroyNotify)memory_region_unref);
    }
    qemu_mutex_init(&blocks->lock);
    return blocks;
}

int xbzrle_blocks_add_all(XbzrleBlocks *blocks, Error **errp)
{
    RAMBlock *rb;
    int ret;

    RCU_READ_LOCK_GUARD();
    QEMU_LOCK_GUARD(&blocks->lock);
    blocks->version = ram_list.version;
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        ret = add_block(blocks, rb, errp);
        if (ret) {
            return ret;
        }
    }
    return 0;
}

void xbzrle_blocks_free(XbzrleBlocks *blocks)
{
    RAMBlock *rb;

    WITH_RCU_READ_LOCK_GUARD() {
        RAMBLOCK_FOREACH_MIGRATABLE(rb) {
            if (!find_block(blocks, rb)) {
                g_free(rb->bmap);
            }
            rb->bmap = NULL;
        }
    }
    g_array_free(blocks->list, true);
    if (blocks->memory) {
        g_ptr_array_free(blocks->memory, true);
    }
    qemu_mutex_destroy(&blocks->lock);
    g_free(blocks);
}

unsigned int xbzrle_blocks_number(XbzrleBlocks *blocks)
{
    return blocks->list->len;
}

const char *xbzrle_blocks_name(XbzrleBlocks *blocks, uint32_t region)
{
    unsigned int i;

    for (i = 0; i < blocks->list->len; i++) {
        if (block_at(blocks, i)->region == region) {
            return block_at(blocks, i)->idstr;
        }
    }
    return "?";
}

/* Called with the lock held. */
static bool block_is_gone(XbzrleBlock *b)
{
    RAMBlock *rb;

    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        if (b->rb == rb) {
            return b->bmap != rb->bmap;
        }
    }
    return true;
}

bool xbzrle_blocks_changed(XbzrleBlocks *blocks)
{
    return blocks->version != ram_list.version;
}

int64_t xbzrle_blocks_update(XbzrleBlocks *blocks, Error **errp)
{
    Error *err = NULL;
    RAMBlock *rb;
    int64_t delta = 0;
    unsigned int i = 0;
    int ret;

    QEMU_LOCK_GUARD(&blocks->lock);
    blocks->version = ram_list.version;
    while (i < blocks->list->len) {
        XbzrleBlock *b = block_at(blocks, i);

        if (!block_is_gone(b)) {
            i++;
            continue;
        }
        delta -= bitmap_count_one(b->bmap, b->pages);
        ret = xbzrle_session_region_del(blocks->session, b->region);
        if (ret && !err) {
            error_setg_errno(&err, -ret, "RAM block '%s' cannot be removed",
                             b->idstr);
        }
        g_array_remove_index_fast(blocks->list, i);
    }
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        if (rb->bmap) {
            continue;
        }
        if (err || add_block(blocks, rb, &err)) {
            rb->bmap = bitmap_new(rb->max_length >> TARGET_PAGE_BITS);
            bitmap_set(rb->bmap, 0, rb->used_length >> TARGET_PAGE_BITS);
        }
        delta += rb->used_length >> TARGET_PAGE_BITS;
    }
    error_propagate(errp, err);
    return delta;
}

static XbzrleBlock *block_by_name(XbzrleBlocks *blocks, const char *name,
                                  size_t len)
{
    unsigned int i;

    for (i = 0; i < blocks->list->len; i++) {
        XbzrleBlock *b = block_at(blocks, i);

        if (strlen(b->idstr) == len && !memcmp(b->idstr, name, len)) {
            return b;
        }
    }
    return NULL;
}

/* The size of the record at @data; 0 if more than @left. */
static uint64_t record_size(const uint8_t *data, uint64_t left)
{
    uint64_t size = 8, header;

    if (left < size) {
        return 0;
    }
    header = ldq_be_p(data);
    if (!(header & RAM_SAVE_FLAG_CONTINUE)) {
        size += 1 + (left > size ? data[size] : 0);
    }
    if (header & RAM_SAVE_FLAG_PAGE) {
        size += TARGET_PAGE_SIZE;
    } else if (header & RAM_SAVE_FLAG_XBZRLE) {
        size += 3;
        size += left >= size ? lduw_be_p(data + size - 2) : 0;
    } else {
        /* A page of one byte's value */
        size += 1;
    }
    return size <= left ? size : 0;
}

int64_t xbzrle_blocks_redirty(XbzrleBlocks *blocks, const uint8_t *data,
                              uint64_t bytes, bool apart)
{
    /* The second is of whole pages, if these are apart */
    XbzrleBlock *last[2] = { NULL };
    int64_t count = 0;
    uint64_t size;

    for (; bytes; data += size, bytes -= size) {
        uint64_t header, page;
        unsigned int chain;
        XbzrleBlock *b;

        size = record_size(data, bytes);
        if (!size) {
            return -EBADMSG;
        }
        header = ldq_be_p(data);
        page = header >> TARGET_PAGE_BITS;
        chain = apart && (header & RAM_SAVE_FLAG_PAGE);
        if (!(header & RAM_SAVE_FLAG_CONTINUE)) {
            last[chain] = block_by_name(blocks, (const char *)data + 9,
                                        data[8]);
        }
        /* It may have been removed. */
        b = last[chain];
        if (b && page >= b->pages) {
            return -EBADMSG;
        }
        if (b && !test_and_set_bit(page, b->bmap)) {
            count++;
        }
    }
    return count;
}

uint64_t xbzrle_blocks_count_dirty(void)
{
    RAMBlock *rb;
    uint64_t count = 0;

    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        count += bitmap_count_one(rb->bmap,
                                  rb->used_length >> TARGET_PAGE_BITS);
    }
    return count;
}

int xbzrle_blocks_slot_set(XbzrleBlocks *blocks, uint32_t slot, RAMBlock *rb,
                           ram_addr_t offset, uint64_t size)
{
    XbzrleBlock *b;

    QEMU_LOCK_GUARD(&blocks->lock);
    b = find_block(blocks, rb);
    return b ? xbzrle_session_slot_set(blocks->session, slot, b->region,
                                       offset >> TARGET_PAGE_BITS,
                                       size >> TARGET_PAGE_BITS) : -ENOENT;
}

int xbzrle_blocks_clear(XbzrleBlocks *blocks, RAMBlock *rb,
                        unsigned long start, unsigned long npages)
{
    XbzrleBlock *b;

    QEMU_LOCK_GUARD(&blocks->lock);
    b = find_block(blocks, rb);
    return b ? xbzrle_session_clear(blocks->session, b->region, start,
                                    npages) : -ENOENT;
}
