/*
 * XBZRLE by a session of /dev/xbzrle.
 *
 * The kernel module harvests KVM's dirty logs, encodes dirty pages against the
 * copies it keeps, and leaves finished records of the RAM stream in rings.
 * Here are the session's life, its RAM blocks, and the way of its batches into
 * the stream; kvm-harvest.c hands out KVM's slots, and ram.c says what happens
 * when.
 *
 * The session pointer changes with the BQL held.  The migration thread may use
 * it without: the session is closed when that thread has done its work.
 *
 * A session with several queues encodes in libxbzrle's threads, one for each
 * queue, ahead of the migration thread.  They know nothing of QEMU's locks, so
 * they are paused before anybody here changes a bitmap, which QEMU does word by
 * word and not bit by bit, and work again from the next batch that is asked
 * for.  A page whose bit was taken counts as dirty until its batch was asked
 * for, so nothing is said to be clean that has not been put into the stream.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <xbzrle/xbzrle.h>
#include "qemu/bitmap.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/kvm_harvest.h"
#include "exec/ramlist.h"
#include "exec/target_page.h"
#include "trace.h"
#include "xbzrle-compat.h"
#include "xbzrle-dev.h"
#include "xbzrle-queues.h"
#include "xbzrle-zerocopy.h"

/*
 * A queue's ring, and what all of them may have together; with MSG_ZEROCOPY so
 * many times as much, because space is in use until the peer has the bytes.
 */
#define RING_BYTES_MAX (1 * MiB)
#define RINGS_BYTES (8 * MiB)
#define RING_ZEROCOPY 4

/*
 * The RAM stage looks at its clock between batches.  xbzrle_workers_pace()
 * bounds them for pages that are sent, this does it for unchanged ones.
 */
#define BATCH_PAGES 2048

/**
 * struct XbzrleDevBlock: a RAM block that the session knows
 *
 * @rb: the block; dangling once the block is gone from ram_list
 * @bmap: its bitmap, which tells a block from a new one at the same address
 * @region: the session's number for it
 * @pages: its size
 * @idstr: its name
 */
typedef struct XbzrleDevBlock {
    RAMBlock *rb;
    unsigned long *bmap;
    uint32_t region;
    uint64_t pages;
    char idstr[256];
} XbzrleDevBlock;

/**
 * struct XbzrleDevQueue: positions in a queue's ring
 *
 * @put: behind the last batch put into the stream
 * @released: what was given back
 */
typedef struct XbzrleDevQueue {
    uint64_t put;
    uint64_t released;
} XbzrleDevQueue;

typedef struct XbzrleDev {
    struct xbzrle_session *session;
    unsigned int nr_queues;
    struct xbzrle_workers *workers;
    /* Whether it can harvest KVM's logs */
    bool has_vm;
    /* ram_list.version that the blocks were taken from */
    uint32_t version;
    /* Protects the next two; taken with kml_slots_lock held */
    QemuMutex lock;
    /* Nobody encodes */
    bool paused;
    /* of XbzrleDevBlock */
    GArray *blocks;
    /* Memory regions that must not go while threads read them */
    GPtrArray *memory;
    XbzrleDevQueue *queues;
    /* Bytes put since the last flush, and how many are worth one */
    uint64_t unflushed;
    uint64_t flush_bytes;
    /* Pages put since the counters were brought up to date */
    uint64_t pages_put;
    /* What sends batches, if they do not go through the stream's buffers */
    XbzrleZeroCopy *zerocopy;
    bool last_stage;
    /* Once not 0, the migration fails with it; err is not reported yet */
    int failed;
    Error *err;
} XbzrleDev;

static XbzrleDev *dev;

/* For query-migrate, also when the session has ended; -1 if there was none */
static int64_t cache_bytes = -1;

/* Says, for each migration, why it has no session. */
static void warn_fallback(const char *path, int ret, Error *err)
{
    const char *mend;

    switch (-ret) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        mend = "load the kernel module xbzrle";
        break;
    case EACCES:
    case EPERM:
        mend = "give QEMU access to the device";
        break;
    case EMFILE:
        mend = "raise the limit on open files";
        break;
    case EAGAIN:
        mend = "let QEMU have more threads";
        break;
    case EPROTO:
        mend = "load the kernel module of libxbzrle's version";
        break;
    case ENOMEM:
        mend = "free some memory";
        break;
    default:
        mend = "check that it is the device of the kernel module xbzrle";
        break;
    }
    error_prepend(&err, "XBZRLE by '%s': ", path);
    error_append_hint(&err, "To have it, %s; to do without, set "
                      "migration.xbzrle-dev to an empty string. "
                      "Going on with the built-in encoder.\n", mend);
    warn_report_err(err);
}

/*
 * The next batch that is asked for fails with it.  The stream is no business of
 * the threads that sync.  Called with bitmap_mutex held.
 */
static void dev_fail(int ret, Error *err)
{
    if (dev->failed) {
        error_free(err);
        return;
    }
    dev->failed = ret;
    dev->err = err;
}

/* Reports err if the stream had failed before. */
static int stream_fail(QEMUFile *f, int ret, Error *err)
{
    dev->failed = ret;
    qemu_file_set_error_obj(f, ret, err);
    return ret;
}

static XbzrleDevBlock *block_at(unsigned int i)
{
    return &g_array_index(dev->blocks, XbzrleDevBlock, i);
}

/* Called with dev->lock or bitmap_mutex held, or when nobody else is left. */
static XbzrleDevBlock *find_block(RAMBlock *rb)
{
    unsigned int i;

    for (i = 0; i < dev->blocks->len; i++) {
        XbzrleDevBlock *b = block_at(i);

        if (b->rb == rb && b->bmap == rb->bmap) {
            return b;
        }
    }
    return NULL;
}

/* Called with dev->lock held. All the block's pages are dirty. */
static int add_block(RAMBlock *rb, Error **errp)
{
    XbzrleDevBlock b = {
        .rb = rb,
        .pages = rb->max_length >> TARGET_PAGE_BITS,
    };
    uint64_t *bitmap;
    int ret;

    ret = xbzrle_session_region_add(dev->session, rb->idstr, rb->host, b.pages,
                                    &b.region, &bitmap);
    if (ret) {
        error_setg_errno(errp, -ret, "RAM block '%s' cannot be added",
                         rb->idstr);
        return ret;
    }
    if (dev->nr_queues > 1) {
        /* Other than ours, those threads' accesses are in no RCU section. */
        memory_region_ref(rb->mr);
        g_ptr_array_add(dev->memory, rb->mr);
    }
    b.bmap = (unsigned long *)bitmap;
    pstrcpy(b.idstr, sizeof(b.idstr), rb->idstr);
    g_array_append_val(dev->blocks, b);

    /* What lies behind used_length must not be sent, so stays clear. */
    rb->bmap = b.bmap;
    bitmap_set(rb->bmap, 0, rb->used_length >> TARGET_PAGE_BITS);
    return 0;
}

/* The name of a setting that excludes a session, NULL if there is none. */
static const char *excluded_by(QEMUFile *f)
{
    if (TARGET_PAGE_SIZE != XBZRLE_PAGE_SIZE ||
        qemu_real_host_page_size() != XBZRLE_PAGE_SIZE) {
        return "a page size other than 4096";
    }
    return migrate_multifd() ? "multifd" :
           migrate_background_snapshot() ? "background-snapshot" :
           migrate_colo() ? "x-colo" : compat_excluded(f);
}

static struct xbzrle_session *open_session(const char *path, int *ret,
                                           Error **errp)
{
    struct xbzrle_session *session;
    int fd, own;

    fd = qemu_open(path, O_RDWR, errp);
    if (fd < 0) {
        *ret = -errno;
        return NULL;
    }
    /* A descriptor of an fd set has to go back to it by qemu_close(). */
    own = qemu_dup(fd);
    qemu_close(fd);
    if (own < 0) {
        *ret = -errno;
        error_setg_errno(errp, -*ret, "Could not duplicate the descriptor");
        return NULL;
    }
    *ret = xbzrle_session_open_fd(&session, own);
    if (*ret) {
        error_setg_errno(errp, -*ret, "Could not start a session");
        close(own);
        return NULL;
    }
    return session;
}

static int setup_session(Error **errp)
{
    struct xbzrle_config cfg = {
        .size = sizeof(cfg),
        .nr_queues = dev->nr_queues,
        .vm_fd = -1,
        .ring_bytes = MIN(RING_BYTES_MAX,
                          pow2floor(RINGS_BYTES / dev->nr_queues)),
        .cache_bytes = migrate_xbzrle_cache_size(),
        .name = qemu_get_vm_name(),
    };
    bool manual_protect = false;
    int ret;

    if (dev->zerocopy) {
        cfg.ring_bytes *= RING_ZEROCOPY;
    }
    dev->has_vm = kvm_harvest_possible(&cfg.vm_fd, &manual_protect);
    if (dev->has_vm && manual_protect) {
        cfg.flags |= XBZRLE_SETUP_MANUAL_PROTECT;
    }
    ret = xbzrle_session_setup(dev->session, &cfg);
    if (ret) {
        error_setg_errno(errp, -ret, "Could not set up a session with %u "
                         "queues", dev->nr_queues);
    }
    return ret;
}

static int start_workers(Error **errp)
{
    struct xbzrle_workers_config cfg = {
        .size = sizeof(cfg),
        .batch_pages = BATCH_PAGES,
    };
    int ret = xbzrle_workers_start(&dev->workers, dev->session, &cfg);

    if (ret) {
        error_setg_errno(errp, -ret, "Could not start %u threads",
                         dev->nr_queues);
    }
    dev->paused = true;
    return ret;
}

/*
 * Until the next batch is asked for.  Called with bitmap_mutex held, which
 * whoever asks has, too, unless nobody else is left who changes bitmaps.
 */
static void pause_workers(void)
{
    QEMU_LOCK_GUARD(&dev->lock);
    xbzrle_workers_pause(dev->workers);
    dev->paused = true;
}

/* Returns whether they were paused. */
static bool resume_workers(bool last_stage)
{
    QEMU_LOCK_GUARD(&dev->lock);
    if (!dev->paused) {
        return false;
    }
    dev->paused = false;
    xbzrle_workers_resume(dev->workers,
                          last_stage ? XBZRLE_ENCODE_LAST_STAGE : 0);
    return true;
}

/* Fits the batches to the stream, which took @bytes in @ns. */
static void set_pace(QEMUFile *f, uint64_t bytes, uint64_t ns)
{
    dev->flush_bytes = xbzrle_workers_pace(dev->workers, compat_rate_limit(f),
                                           bytes, ns);
}

/* Nobody reads a send's memory any more. */
static void zerocopy_done(void *opaque, unsigned int queue, uint64_t end)
{
    xbzrle_workers_release(dev->workers, queue, end);
}

static void start_zerocopy(QEMUFile *f)
{
    Error *err = NULL;

    if (!migrate_get_current()->xbzrle_dev_zerocopy) {
        return;
    }
    dev->zerocopy = xbzrle_zerocopy_new(qemu_file_get_ioc(f), zerocopy_done,
                                        NULL, &err);
    if (!dev->zerocopy) {
        error_prepend(&err, "xbzrle-dev-zerocopy cannot be had: ");
        error_append_hint(&err, "Going on with copies.\n");
        warn_report_err(err);
    }
}

static int add_all_blocks(Error **errp)
{
    RAMBlock *rb;
    int ret;

    RCU_READ_LOCK_GUARD();
    QEMU_LOCK_GUARD(&dev->lock);
    dev->version = ram_list.version;
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        ret = add_block(rb, errp);
        if (ret) {
            return ret;
        }
    }
    return 0;
}

/* Brings the numbers of query-migrate up to date. */
static void update_counters(void)
{
    struct xbzrle_counters c = { .size = sizeof(c) };

    if (xbzrle_session_counters(dev->session, XBZRLE_ALL_QUEUES, &c)) {
        return;
    }
    /*
     * As the built-in encoder counts: pages are those that were compared,
     * whatever came of it; bytes are without the 8 that a page always costs.
     */
    xbzrle_counters.pages = c.pages_same + c.pages_delta + c.overflows;
    xbzrle_counters.bytes = c.bytes_delta - 8 * c.pages_delta +
                            c.overflows * TARGET_PAGE_SIZE;
    /*
     * The session counts misses of batches that wait, too.  The rate is one of
     * pages that were put.
     */
    xbzrle_counters.cache_miss += MIN(c.cache_misses -
                                      xbzrle_counters.cache_miss,
                                      dev->pages_put);
    dev->pages_put = 0;
    xbzrle_counters.overflow = c.overflows;
    qatomic_set(&cache_bytes, c.cache_limit * XBZRLE_PAGE_SIZE);
}

void xbzrle_dev_open(QEMUFile *f)
{
    const char *path = migrate_get_current()->xbzrle_dev;
    const char *excluded;
    struct xbzrle_session *session;
    Error *err = NULL;
    int ret;

    qatomic_set(&cache_bytes, -1);
    if (!migrate_xbzrle() || !path || !*path) {
        return;
    }
    excluded = excluded_by(f);
    if (excluded) {
        warn_report("XBZRLE by '%s': not with %s", path, excluded);
        return;
    }
    session = open_session(path, &ret, &err);
    if (!session) {
        warn_fallback(path, ret, err);
        return;
    }

    assert(!dev);
    dev = g_new0(XbzrleDev, 1);
    dev->session = session;
    dev->nr_queues = xbzrle_queues(
        migrate_get_current()->xbzrle_dev_queues);
    dev->queues = g_new0(XbzrleDevQueue, dev->nr_queues);
    dev->memory = g_ptr_array_new_with_free_func(
        (GDestroyNotify)memory_region_unref);
    dev->blocks = g_array_new(false, false, sizeof(XbzrleDevBlock));
    qemu_mutex_init(&dev->lock);

    start_zerocopy(f);
    ret = setup_session(&err);
    if (!ret) {
        ret = start_workers(&err);
    }
    if (!ret) {
        ret = add_all_blocks(&err);
    }
    if (ret) {
        xbzrle_dev_close();
        warn_fallback(path, ret, err);
    } else {
        set_pace(f, 0, 0);
        xbzrle_counters.cache_miss = 0;
        update_counters();
        trace_xbzrle_dev_open(path, dev->blocks->len, dev->has_vm,
                              dev->nr_queues);
    }
}

void xbzrle_dev_close(void)
{
    XbzrleDev *d = dev;
    RAMBlock *rb;
    unsigned int i;

    if (!d) {
        return;
    }
    /* Batches that nobody asked for are lost; so is the migration, then. */
    xbzrle_workers_stop(d->workers);
    xbzrle_zerocopy_free(d->zerocopy);
    kvm_harvest_stop();
    WITH_RCU_READ_LOCK_GUARD() {
        RAMBLOCK_FOREACH_MIGRATABLE(rb) {
            if (!find_block(rb)) {
                g_free(rb->bmap);
            }
            rb->bmap = NULL;
        }
    }
    /*
     * The device's file may outlive the session in an fd set.  Then this is
     * what frees the copies of guest memory that it keeps.
     */
    for (i = 0; i < d->blocks->len; i++) {
        xbzrle_session_region_del(d->session, block_at(i)->region);
    }
    dev = NULL;
    xbzrle_session_close(d->session);
    g_array_free(d->blocks, true);
    g_ptr_array_free(d->memory, true);
    g_free(d->queues);
    qemu_mutex_destroy(&d->lock);
    error_free(d->err);
    g_free(d);
}

bool xbzrle_dev_active(void)
{
    return dev;
}

static bool harvest_slot_add(void *opaque, uint32_t slot, RAMBlock *rb,
                             ram_addr_t offset, uint64_t size)
{
    XbzrleDevBlock *b;
    int ret = -ENOENT;

    QEMU_LOCK_GUARD(&dev->lock);
    b = find_block(rb);
    if (b) {
        ret = xbzrle_session_slot_set(dev->session, slot, b->region,
                                      offset >> TARGET_PAGE_BITS,
                                      size >> TARGET_PAGE_BITS);
    }
    trace_xbzrle_dev_slot_add(slot, rb->idstr, offset, size, ret);
    /* QEMU can as well go on reading the slot's log. */
    return !ret;
}

static void harvest_slot_del(void *opaque, uint32_t slot)
{
    int ret = xbzrle_session_slot_del(dev->session, slot);

    trace_xbzrle_dev_slot_del(slot, ret);
}

static const KVMHarvestOps harvest_ops = {
    .slot_add = harvest_slot_add,
    .slot_del = harvest_slot_del,
};

void xbzrle_dev_attach(void)
{
    /* A dirty-rate measurement that runs needs QEMU to see the bits. */
    if (dev && dev->has_vm &&
        !(global_dirty_tracking & ~GLOBAL_DIRTY_MIGRATION)) {
        kvm_harvest_start(&harvest_ops, NULL);
    }
}

uint64_t xbzrle_dev_sync(void)
{
    struct xbzrle_sync sync;
    Error *err = NULL;
    int ret;

    if (!dev) {
        return 0;
    }
    /* Until the caller has added what QEMU knows itself, and longer */
    pause_workers();
    ret = xbzrle_session_sync(dev->session, &sync);
    if (ret) {
        error_setg_errno(&err, -ret, "xbzrle: dirty logs cannot be fetched");
        dev_fail(ret, err);
        return 0;
    }
    trace_xbzrle_dev_sync(sync.pass, sync.new_dirty, sync.slots_failed);
    if (sync.slots_failed) {
        error_setg_errno(&err, sync.failed_errno, "xbzrle: KVM does not give "
                         "the dirty log of slot %u in address space %u",
                         sync.failed_slot & 0xffff, sync.failed_slot >> 16);
        dev_fail(-EIO, err);
    }
    return sync.new_dirty;
}

bool xbzrle_dev_clear(RAMBlock *rb, unsigned long start, unsigned long npages)
{
    XbzrleDevBlock *b;
    int ret;

    if (!dev) {
        return false;
    }
    pause_workers();
    QEMU_LOCK_GUARD(&dev->lock);
    b = find_block(rb);
    if (b) {
        /* If it fails, the next sync has the pages sent: no harm but bytes. */
        ret = xbzrle_session_clear(dev->session, b->region, start, npages);
        trace_xbzrle_dev_clear(rb->idstr, start, npages, ret);
    }
    return true;
}

/* Called with dev->lock held. */
static bool block_is_gone(XbzrleDevBlock *b)
{
    RAMBlock *rb;

    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        if (b->rb == rb) {
            return b->bmap != rb->bmap;
        }
    }
    return true;
}

int64_t xbzrle_dev_update_blocks(void)
{
    Error *err = NULL;
    RAMBlock *rb;
    int64_t delta = 0;
    unsigned int i = 0;
    int ret;

    if (!dev || dev->version == ram_list.version) {
        return 0;
    }

    pause_workers();
    QEMU_LOCK_GUARD(&dev->lock);
    dev->version = ram_list.version;
    while (i < dev->blocks->len) {
        XbzrleDevBlock *b = block_at(i);

        if (!block_is_gone(b)) {
            i++;
            continue;
        }
        delta -= bitmap_count_one(b->bmap, b->pages);
        ret = xbzrle_session_region_del(dev->session, b->region);
        if (ret) {
            error_setg_errno(&err, -ret, "xbzrle: RAM block '%s' cannot be "
                             "removed", b->idstr);
            dev_fail(ret, g_steal_pointer(&err));
        }
        g_array_remove_index_fast(dev->blocks, i);
    }
    RAMBLOCK_FOREACH_NOT_IGNORED(rb) {
        if (rb->bmap) {
            continue;
        }
        ret = add_block(rb, &err);
        if (ret) {
            error_prepend(&err, "xbzrle: ");
            dev_fail(ret, g_steal_pointer(&err));
            /* Until the migration has failed, a bitmap is expected. */
            rb->bmap = bitmap_new(rb->max_length >> TARGET_PAGE_BITS);
            continue;
        }
        delta += rb->used_length >> TARGET_PAGE_BITS;
    }
    return delta;
}

/* Says what a batch's status, or a call that failed, means for the user. */
static int batch_error(QEMUFile *f, int ret, const struct xbzrle_batch *batch)
{
    const char *name = "?";
    Error *err = NULL;
    unsigned int i;

    if (ret) {
        error_setg_errno(&err, -ret, "xbzrle: pages cannot be encoded");
        return stream_fail(f, ret, err);
    }
    for (i = 0; i < dev->blocks->len; i++) {
        if (block_at(i)->region == batch->fault_region) {
            name = block_at(i)->idstr;
        }
    }
    error_setg(&err, "xbzrle: %s of RAM block '%s' at offset 0x%" PRIx64,
               batch->status & XBZRLE_STATUS_FAULT ?
               "cannot read memory" : "KVM does not clear the dirty log",
               name, batch->fault_page << TARGET_PAGE_BITS);
    return stream_fail(f, batch->status & XBZRLE_STATUS_FAULT ? -EFAULT : -EIO,
                       err);
}

/* What went wrong with the socket itself is an error of the stream. */
static void zerocopy_failed(QEMUFile *f, int ret)
{
    Error *err = NULL;

    if (ret < 0 && !qemu_file_get_error(f)) {
        error_setg_errno(&err, -ret, "Unable to write to socket");
        qemu_file_set_error_obj(f, -EIO, err);
    }
}

static void send_zerocopy(QEMUFile *f, unsigned int queue,
                          const struct xbzrle_batch *batch)
{
    int64_t ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    int ret;

    /* What comes before it in the stream */
    qemu_fflush(f);
    if (qemu_file_get_error(f)) {
        return;
    }
    ret = xbzrle_zerocopy_send(dev->zerocopy, batch->data, batch->bytes, queue,
                               batch->end);
    if (ret < 0) {
        zerocopy_failed(f, ret);
        return;
    }
    ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - ns;
    compat_count_sent(f, batch->bytes);
    set_pace(f, batch->bytes, ns);
}

static void release_rings(QEMUFile *f)
{
    int64_t ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    unsigned int i;

    /*
     * The channel blocks, so nothing points into a ring afterwards.  If the
     * stream was shut down it keeps the pointers, but will not write.
     */
    qemu_fflush(f);
    ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - ns;
    for (i = 0; i < dev->nr_queues; i++) {
        XbzrleDevQueue *q = &dev->queues[i];

        if (q->put != q->released) {
            xbzrle_workers_release(dev->workers, i, q->put);
            q->released = q->put;
        }
    }
    set_pace(f, dev->unflushed, ns);
    dev->unflushed = 0;
}

/*
 * Takes the next batch.  Returns 1, or 0 if nothing is dirty any more, or a
 * negative error, which can be the stream's.
 */
static int next_batch(QEMUFile *f, bool last_stage, unsigned int *queue,
                      struct xbzrle_batch *batch)
{
    int ret;

    for (;;) {
        ret = qemu_file_get_error(f);
        if (ret) {
            return ret;
        }
        do {
            resume_workers(last_stage);
            ret = xbzrle_workers_next(dev->workers, queue, batch);
            /* That nothing is dirty says nothing if they were paused. */
        } while (!ret && resume_workers(last_stage));
        if (ret >= 0) {
            return ret;
        }
        if (ret != -EAGAIN) {
            return batch_error(f, ret, NULL);
        }
        if (dev->zerocopy && xbzrle_zerocopy_pending(dev->zerocopy)) {
            ret = xbzrle_zerocopy_reap(dev->zerocopy, true);
            zerocopy_failed(f, ret);
        } else if (dev->unflushed) {
            release_rings(f);
        } else {
            /* Empty rings have room for any record. */
            return batch_error(f, -ENOSPC, NULL);
        }
    }
}

static void put_batch(QEMUFile *f, unsigned int queue,
                      const struct xbzrle_batch *batch)
{
    if (dev->zerocopy) {
        send_zerocopy(f, queue, batch);
        return;
    }
    qemu_put_buffer_async(f, batch->data, batch->bytes, false);
    dev->queues[queue].put = batch->end;
    dev->unflushed += batch->bytes;
    if (dev->unflushed >= dev->flush_bytes) {
        release_rings(f);
    }
}

int xbzrle_dev_send(QEMUFile *f, bool last_stage, uint64_t *bytes,
                    uint64_t *same)
{
    struct xbzrle_batch batch;
    unsigned int queue;
    int ret;

    *bytes = *same = 0;
    if (dev->failed) {
        return stream_fail(f, dev->failed, g_steal_pointer(&dev->err));
    }

    dev->last_stage = last_stage;
    ret = next_batch(f, last_stage, &queue, &batch);
    if (ret <= 0) {
        return ret;
    }
    trace_xbzrle_dev_batch(queue, batch.bytes, batch.pages, batch.status);
    if (batch.status & (XBZRLE_STATUS_FAULT | XBZRLE_STATUS_LOG)) {
        return batch_error(f, 0, &batch);
    }
    if (batch.bytes) {
        put_batch(f, queue, &batch);
    }

    compat_count_pages(batch.pages_raw, batch.pages_zero);
    dev->pages_put += batch.pages - batch.pages_same;
    *bytes = batch.bytes;
    *same = batch.pages_same;
    return batch.pages;
}

void xbzrle_dev_flush(QEMUFile *f)
{
    int ret = 0;

    if (dev) {
        release_rings(f);
        /* The session's end wipes what would still have to be sent. */
        while (dev->zerocopy && dev->last_stage && !ret &&
               xbzrle_zerocopy_pending(dev->zerocopy)) {
            ret = xbzrle_zerocopy_reap(dev->zerocopy, true);
            zerocopy_failed(f, ret);
        }
        update_counters();
    }
}

int xbzrle_dev_cache_resize(uint64_t new_size, Error **errp)
{
    struct xbzrle_counters c = { .size = sizeof(c) };
    int ret = xbzrle_session_cache_resize(dev->session, new_size);

    if (ret) {
        error_setg_errno(errp, -ret, "xbzrle: cache cannot be resized");
        return -1;
    }
    /* The other counters are the migration thread's. */
    if (!xbzrle_session_counters(dev->session, XBZRLE_ALL_QUEUES, &c)) {
        qatomic_set(&cache_bytes, c.cache_limit * XBZRLE_PAGE_SIZE);
    }
    return 0;
}

uint64_t xbzrle_dev_cache_size(uint64_t builtin)
{
    int64_t bytes = qatomic_read(&cache_bytes);

    return bytes < 0 ? xbzrle_dev_builtin_cache(builtin) : bytes;
}

bool xbzrle_dev_any_cache_size(void)
{
    const char *path = migrate_get_current()->xbzrle_dev;

    return path && *path;
}

uint64_t xbzrle_dev_builtin_cache(uint64_t size)
{
    if (!xbzrle_dev_any_cache_size()) {
        return size;
    }
    return MAX(pow2floor(size), TARGET_PAGE_SIZE);
}
