/*
 * XBZRLE by a session of /dev/xbzrle: what the RAM stage calls.
 *
 * While a session is active, it owns the dirty bitmaps of all RAM blocks, and
 * makes precopy's part of the stream.  Everything else, postcopy included,
 * works on these bitmaps as if they were QEMU's own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_DEV_H
#define QEMU_MIGRATION_XBZRLE_DEV_H

#include "exec/cpu-common.h"
#include "qemu-file.h"

struct XBZRLECacheStats;

#ifdef CONFIG_LIBXBZRLE

/**
 * xbzrle_dev_init: check the user's settings, and let him change them later
 *
 * @s: the migration object, which has what -global says
 */
void xbzrle_dev_init(MigrationState *s, Error **errp);

/**
 * xbzrle_dev_open: try to start a session, with a bitmap for each RAM block
 *
 * If there is no device, or the migration's other settings exclude it, there is
 * no session afterwards, and the built-in encoder is to be used.  The reason is
 * reported.
 *
 * Called with the BQL held.
 *
 * @f: the stream that the session's bytes are meant for
 */
void xbzrle_dev_open(QEMUFile *f);

/**
 * xbzrle_dev_close: end the session, if there is one
 *
 * QEMU reads KVM's dirty logs again, and the blocks' bitmaps are gone.  Called
 * with the BQL held, before dirty tracking is stopped.
 */
void xbzrle_dev_close(void);

/* Whether there is a session that makes the stream; not after it has failed. */
bool xbzrle_dev_active(void);

/*
 * Whether the session reads KVM's dirty logs in QEMU's place, also if it has
 * failed.  Called with the BQL held.
 */
bool xbzrle_dev_harvests(void);

/**
 * xbzrle_dev_attach: let the session read KVM's dirty logs
 *
 * Called with the BQL held, after dirty tracking was started: without it a
 * memslot has no log.
 */
void xbzrle_dev_attach(void);

/**
 * xbzrle_dev_pause: stop encoding until the next xbzrle_dev_send()
 *
 * Called by the migration thread before it takes the BQL for a sync, which would
 * else wait for it.
 */
void xbzrle_dev_pause(void);

/**
 * xbzrle_dev_sync: fetch KVM's dirty logs into the bitmaps
 *
 * Called with the BQL and bitmap_mutex held, in an RCU critical section, after
 * QEMU's own sync and before its bits are added to the bitmaps.
 *
 * Returns the number of pages that have become dirty
 *
 * @dirty: number of dirty pages; these are added, and what became of RAM blocks
 */
uint64_t xbzrle_dev_sync(uint64_t *dirty);

/**
 * xbzrle_dev_clear: clear KVM's dirty logs for pages that will not be sent
 *
 * Called before the pages' bits are taken from the block's bitmap, with
 * bitmap_mutex held until that is done.
 *
 * Returns false if there is no session and the caller has to do it
 */
bool xbzrle_dev_clear(RAMBlock *rb, unsigned long start, unsigned long npages);

/**
 * xbzrle_dev_update_blocks: follow changes of the list of RAM blocks
 *
 * Called with bitmap_mutex held, in an RCU critical section.
 *
 * @dirty: number of dirty pages, which is brought up to date
 */
void xbzrle_dev_update_blocks(uint64_t *dirty);

/**
 * xbzrle_dev_count_dirty: the number of dirty pages when a session has failed
 *
 * Called with bitmap_mutex held or the guest stopped, in an RCU critical
 * section.
 */
uint64_t xbzrle_dev_count_dirty(void);

/**
 * xbzrle_dev_take_back: make the pages of batches dirty that were not sent
 *
 * Called when postcopy begins, after the last sync.  No batch is sent from here
 * on.
 *
 * Returns by how much the number of dirty pages has changed.  If that is not
 * known, because a batch is malformed, the stream has an error.
 */
int64_t xbzrle_dev_take_back(void);

/**
 * xbzrle_dev_send: put the session's next batch of pages into the stream
 *
 * The stream gets a pointer into the session's ring, so xbzrle_dev_flush() has
 * to be called before anybody else can close, or write from, the stream.
 *
 * Returns the number of dirty pages taken, where zero means that none is left
 * or, if there is no active session any more, that it has failed and QEMU has to
 * go on by the bitmaps; or a negative error, which is then @f's error, too
 *
 * @f: the stream
 * @last_stage: the guest has stopped for good
 * @bytes: set to the bytes that were put
 * @same: set to those of the pages that had not changed, so nothing was sent
 */
int xbzrle_dev_send(QEMUFile *f, bool last_stage, uint64_t *bytes,
                    uint64_t *same);

/**
 * xbzrle_dev_predict: how many bytes dirty pages will take
 *
 * By what pages took lately; without a session, and in postcopy, their own size.
 *
 * @pages: the number of dirty pages
 */
uint64_t xbzrle_dev_predict(uint64_t pages);

/**
 * xbzrle_dev_flush: flush the stream and give the ring's space back
 *
 * Also brings xbzrle_counters up to date.
 */
void xbzrle_dev_flush(QEMUFile *f);

/* Change the cache's size; returns 0, or -1 with @errp set. */
int xbzrle_dev_cache_resize(uint64_t new_size, Error **errp);

/*
 * For query-migrate: the size of the last session's cache in place of the user's
 * setting, or what the built-in one makes of that; how many queues the session had;
 * and the forecast of the one that runs.  Called with the BQL held.
 */
void xbzrle_dev_query(struct XBZRLECacheStats *stats);

/* The same, for info migrate. */
void xbzrle_dev_print(Monitor *mon, const struct XBZRLECacheStats *stats);

/*
 * Whether there can be a session.  Then xbzrle-cache-size may be other than a
 * power of two of pages, as a session takes any, and 0 for no cache; and xbzrle
 * goes together with multifd, which is alone if there is no session.
 */
static inline bool xbzrle_dev_built(void)
{
    return true;
}

/* The size of the built-in cache for @size, which may be any. */
uint64_t xbzrle_dev_builtin_cache(uint64_t size);

#else

static inline void xbzrle_dev_init(MigrationState *s, Error **errp)
{
}

static inline void xbzrle_dev_open(QEMUFile *f)
{
}

static inline void xbzrle_dev_close(void)
{
}

static inline bool xbzrle_dev_active(void)
{
    return false;
}

static inline bool xbzrle_dev_harvests(void)
{
    return false;
}

static inline void xbzrle_dev_attach(void)
{
}

static inline void xbzrle_dev_pause(void)
{
}

static inline uint64_t xbzrle_dev_sync(uint64_t *dirty)
{
    return 0;
}

static inline bool xbzrle_dev_clear(RAMBlock *rb, unsigned long start,
                                    unsigned long npages)
{
    return false;
}

static inline void xbzrle_dev_update_blocks(uint64_t *dirty)
{
}

static inline uint64_t xbzrle_dev_count_dirty(void)
{
    return 0;
}

static inline int64_t xbzrle_dev_take_back(void)
{
    return 0;
}

static inline int xbzrle_dev_send(QEMUFile *f, bool last_stage,
                                  uint64_t *bytes, uint64_t *same)
{
    return -ENOSYS;
}

static inline uint64_t xbzrle_dev_predict(uint64_t pages)
{
    return pages * TARGET_PAGE_SIZE;
}

static inline void xbzrle_dev_flush(QEMUFile *f)
{
}

static inline int xbzrle_dev_cache_resize(uint64_t new_size, Error **errp)
{
    return 0;
}

static inline void xbzrle_dev_query(struct XBZRLECacheStats *stats)
{
}

static inline void xbzrle_dev_print(Monitor *mon,
                                    const struct XBZRLECacheStats *stats)
{
}

static inline bool xbzrle_dev_built(void)
{
    return false;
}

static inline uint64_t xbzrle_dev_builtin_cache(uint64_t size)
{
    return size;
}

#endif

#endif
