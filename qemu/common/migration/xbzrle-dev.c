/*
 * XBZRLE by a session of /dev/xbzrle.
 *
 * The kernel module harvests KVM's dirty logs, encodes dirty pages against the
 * copies it keeps, and leaves finished records of the RAM stream in rings.
 * Here are the session's life, and the way of its batches into the stream; its
 * RAM blocks are in xbzrle-blocks.c, kvm-harvest.c hands out KVM's slots, and
 * ram.c says what happens when.
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
 * A session that fails is given up, and the migration goes on without.  Batches
 * that were made are sent; then QEMU sends what the bitmaps, which stay the
 * session's, have left (fall_back()).  The next sync takes KVM's slots back
 * (hand_back()).  A page that QEMU sends before that is in KVM's log still, and
 * is sent once more: no harm but bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <xbzrle/xbzrle.h>
#include "qemu/error-report.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/kvm_harvest.h"
#include "exec/target_page.h"
#include "trace.h"
#include "xbzrle-blocks.h"
#include "xbzrle-compat.h"
#include "xbzrle-dev.h"
#include "xbzrle-end.h"
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

/*
 * Makes a thread that encodes stop at the next page.  Nobody else uses it, and
 * without a handler it is ignored.
 */
#define PAUSE_SIGNAL SIGURG

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
    /* Protects the next one, and cache_bytes when the session fails */
    QemuMutex lock;
    /* Nobody encodes */
    bool paused;
    XbzrleBlocks *blocks;
    XbzrleDevQueue *queues;
    /* Bytes put since the last flush, and how many are worth one */
    uint64_t unflushed;
    uint64_t flush_bytes;
    /* Pages put since the counters were brought up to date */
    uint64_t pages_put;
    /* Begin of the rate limit's window, in ms and bytes, and what it paid */
    int64_t window_start;
    uint64_t window_bytes;
    uint64_t window_paid;
    /* What sends batches, if they do not go through the stream's buffers */
    XbzrleZeroCopy *zerocopy;
    /* What sends whole pages, if they do not go through the stream */
    XbzrleMultifd *multifd;
    bool last_stage;
    /* It makes no more batches; QEMU reads KVM's logs; QEMU sends */
    bool failed;
    bool handed_back;
    bool fell_back;
} XbzrleDev;

static XbzrleDev *dev;

/*
 * For query-migrate, also when the session has ended; -1 and 0 if there was none,
 * or it failed
 */
static int64_t cache_bytes = -1;
static unsigned int queues_used;

/* What a migration without a session has. */
static const char *otherwise(void)
{
    return migrate_multifd() ? "multifd alone" : "the built-in encoder";
}

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
                      "Going on with %s.\n", mend, otherwise());
    warn_report_err(err);
}

/* The name of a setting that excludes a session, NULL if there is none. */
static const char *excluded_by(QEMUFile *f)
{
    if (TARGET_PAGE_SIZE != XBZRLE_PAGE_SIZE ||
        qemu_real_host_page_size() != XBZRLE_PAGE_SIZE) {
        return "a page size other than 4096";
    }
    return migrate_multifd() && xbzrle_multifd_excluded() ?
           xbzrle_multifd_excluded() :
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

    if (migrate_multifd()) {
        cfg.ring_bytes = xbzrle_multifd_ring_bytes(dev->nr_queues);
    } else if (dev->zerocopy) {
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

static void pause_signal(int signal)
{
}

static int start_workers(Error **errp)
{
    const struct sigaction act = {
        .sa_handler = pause_signal,
        .sa_flags = SA_RESTART,
    };
    struct xbzrle_workers_config cfg = {
        .size = sizeof(cfg),
        .batch_pages = BATCH_PAGES,
        .signal = PAUSE_SIGNAL,
    };
    int ret;

    sigaction(PAUSE_SIGNAL, &act, NULL);
    ret = xbzrle_workers_start(&dev->workers, dev->session, &cfg);
    if (ret) {
        error_setg_errno(errp, -ret, "Could not start %u threads",
                         dev->nr_queues);
    }
    dev->paused = true;
    if (!ret && migrate_multifd()) {
        dev->multifd = xbzrle_multifd_new(dev->session, dev->workers,
                                          dev->nr_queues, errp);
        ret = dev->multifd ? 0 : -EPROTO;
    }
    return ret;
}

/*
 * Until the next batch is asked for.  Called with bitmap_mutex held, which
 * whoever asks has, too, or by who asks.
 */
static void pause_workers(void)
{
    QEMU_LOCK_GUARD(&dev->lock);
    xbzrle_workers_pause(dev->workers);
    dev->paused = true;
}

void xbzrle_dev_pause(void)
{
    if (dev) {
        pause_workers();
    }
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

/*
 * The limit is checked between batches, so a window of it sends up to a batch too
 * much.  The next window pays for that.
 */
static void keep_rate(QEMUFile *f)
{
    MigrationState *s = migrate_get_current();
    uint64_t limit = compat_rate_limit(f);
    uint64_t used;

    if (dev->window_start == s->iteration_start_time) {
        return;
    }
    used = s->iteration_initial_bytes - dev->window_bytes + dev->window_paid;
    dev->window_start = s->iteration_start_time;
    dev->window_bytes = s->iteration_initial_bytes;
    /* Not for more than a window: the limit may have been changed. */
    dev->window_paid = limit && used > limit ? MIN(used - limit, limit) : 0;
    compat_count_rate(f, dev->window_paid);
}

/* Nobody reads a send's memory any more. */
static void zerocopy_done(void *opaque, unsigned int queue, uint64_t end)
{
    xbzrle_workers_release(dev->workers, queue, end);
}

static void start_zerocopy(QEMUFile *f)
{
    Error *err = NULL;

    if (!migrate_get_current()->xbzrle_dev_zerocopy || migrate_multifd()) {
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

/*
 * The session makes no more batches, and has no part in the migration once those
 * that it made are sent.  Called as pause_workers() is.
 */
static void dev_fail(Error *err)
{
    pause_workers();
    if (dev->failed) {
        error_free(err);
        return;
    }
    dev->failed = true;
    error_prepend(&err, "XBZRLE by '%s' failed: ",
                  migrate_get_current()->xbzrle_dev);
    error_append_hint(&err, "The migration goes on with %s. The next one tries "
                      "the device again.\n", otherwise());
    warn_report_err(err);
}

/*
 * The session encodes no more.  The module frees the memory in the background; if
 * it refuses to, the memory is there until the session ends: no harm.
 */
static void drop_cache(void)
{
    xbzrle_session_cache_resize(dev->session, 0);
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
    qatomic_set(&queues_used, 0);
    if (!(migrate_xbzrle() || xbzrle_multifd_wanted()) || !path || !*path) {
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
    qemu_mutex_init(&dev->lock);

    start_zerocopy(f);
    ret = setup_session(&err);
    if (!ret) {
        ret = start_workers(&err);
    }
    if (!ret) {
        /*
         * Other than ours, threads' accesses are in no RCU section, and a packet
         * that is not full keeps its block from one to the next.
         */
        dev->blocks = xbzrle_blocks_new(session,
                                        dev->nr_queues > 1 || dev->multifd);
        ret = xbzrle_blocks_add_all(dev->blocks, &err);
    }
    if (ret) {
        xbzrle_dev_close();
        warn_fallback(path, ret, err);
    } else {
        set_pace(f, 0, 0);
        xbzrle_counters.cache_miss = 0;
        update_counters();
        qatomic_set(&queues_used, dev->nr_queues);
        trace_xbzrle_dev_open(path, xbzrle_blocks_number(dev->blocks),
                              dev->has_vm, dev->nr_queues);
    }
}

void xbzrle_dev_close(void)
{
    XbzrleDev *d = dev;

    if (!d) {
        return;
    }
    xbzrle_multifd_free(d->multifd);
    /* Batches that nobody asked for are lost; so is the migration, then. */
    xbzrle_workers_stop(d->workers);
    xbzrle_zerocopy_free(d->zerocopy);
    kvm_harvest_stop();
    if (d->blocks) {
        xbzrle_blocks_free(d->blocks);
    }
    dev = NULL;
    xbzrle_end_session(d->session);
    g_free(d->queues);
    qemu_mutex_destroy(&d->lock);
    g_free(d);
}

bool xbzrle_dev_active(void)
{
    return dev && !dev->fell_back;
}

bool xbzrle_dev_harvests(void)
{
    return dev && !dev->handed_back;
}

static bool harvest_slot_add(void *opaque, uint32_t slot, RAMBlock *rb,
                             ram_addr_t offset, uint64_t size)
{
    int ret = xbzrle_blocks_slot_set(dev->blocks, slot, rb, offset, size);

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

/* What KVM has logged while the session was to read it comes in here. */
static void hand_back(void)
{
    if (!dev->handed_back) {
        dev->handed_back = true;
        kvm_harvest_stop();
        compat_dirty_log_sync();
    }
}

/*
 * A batch that was made before the session failed, or before postcopy, from
 * which on no batch can be sent.  Returns whether there is one.
 */
static bool waiting_batch(unsigned int *queue, struct xbzrle_batch *batch)
{
    int ret;

    do {
        /* Each queue may have failed. */
        ret = xbzrle_workers_next(dev->workers, queue, batch);
    } while (ret < 0 && ret != -EAGAIN);
    return ret > 0;
}

int64_t xbzrle_dev_take_back(void)
{
    struct xbzrle_batch batch;
    unsigned int queue;
    int64_t delta = 0, ret;
    Error *err = NULL;

    if (!dev) {
        return 0;
    }
    while (waiting_batch(&queue, &batch)) {
        ret = xbzrle_blocks_redirty(dev->blocks, batch.data, batch.bytes,
                                    batch.flags & XBZRLE_ENCODE_WHOLE_APART);
        if (ret < 0) {
            error_setg(&err, "xbzrle: the module has made a malformed batch");
            qemu_file_set_error_obj(migrate_get_current()->to_dst_file, ret,
                                    err);
            break;
        }
        delta += ret - (int64_t)batch.pages;
    }
    trace_xbzrle_dev_take_back(delta);
    drop_cache();
    return delta;
}

static uint64_t sync_session(void)
{
    struct xbzrle_sync sync;
    Error *err = NULL;
    int ret;

    ret = xbzrle_session_sync(dev->session, &sync);
    if (ret) {
        error_setg_errno(&err, -ret, "dirty logs cannot be fetched");
        dev_fail(err);
        return 0;
    }
    trace_xbzrle_dev_sync(sync.pass, sync.new_dirty, sync.slots_failed);
    if (sync.slots_failed) {
        error_setg_errno(&err, sync.failed_errno, "KVM does not give the "
                         "dirty log of slot %u in address space %u",
                         sync.failed_slot & 0xffff, sync.failed_slot >> 16);
        dev_fail(err);
    }
    return sync.new_dirty;
}

uint64_t xbzrle_dev_sync(uint64_t *dirty)
{
    uint64_t new_dirty = 0;

    if (!dev) {
        return 0;
    }
    /* Until the caller has added what QEMU knows itself, and longer */
    pause_workers();
    xbzrle_dev_update_blocks(dirty);
    if (!dev->failed) {
        new_dirty = sync_session();
    }
    if (dev->failed) {
        hand_back();
    }
    *dirty += new_dirty;
    return new_dirty;
}

bool xbzrle_dev_clear(RAMBlock *rb, unsigned long start, unsigned long npages)
{
    int ret;

    if (!dev) {
        return false;
    }
    pause_workers();
    /* If it fails, the next sync has the pages sent: no harm but bytes. */
    ret = dev->failed ? -EIO : xbzrle_blocks_clear(dev->blocks, rb, start,
                                                   npages);
    trace_xbzrle_dev_clear(rb->idstr, start, npages, ret);
    return true;
}

void xbzrle_dev_update_blocks(uint64_t *dirty)
{
    Error *err = NULL;

    if (dev && xbzrle_blocks_changed(dev->blocks)) {
        pause_workers();
        *dirty += xbzrle_blocks_update(dev->blocks, &err);
        if (err) {
            dev_fail(err);
        }
    }
}

/*
 * What a batch's status means.  Only memory that cannot be read, by nobody,
 * fails the migration.
 */
static int check_batch(QEMUFile *f, const struct xbzrle_batch *batch)
{
    bool fault = batch->status & XBZRLE_STATUS_FAULT;
    Error *err = NULL;

    if (!(batch->status & (XBZRLE_STATUS_FAULT | XBZRLE_STATUS_LOG))) {
        return 0;
    }
    error_setg(&err, "%s of RAM block '%s' at offset 0x%" PRIx64,
               fault ? "xbzrle: cannot read memory" :
                       "KVM does not clear the dirty log",
               xbzrle_blocks_name(dev->blocks, batch->fault_region),
               batch->fault_page << TARGET_PAGE_BITS);
    if (fault) {
        qemu_file_set_error_obj(f, -EFAULT, err);
        return -EFAULT;
    }
    dev_fail(err);
    return 0;
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
    if (dev->multifd) {
        xbzrle_multifd_flushed(dev->multifd, f, ns);
    }
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

/* Waits until nothing is sent from the rings any more. */
static void wait_for_zerocopy(QEMUFile *f)
{
    int ret = 0;

    while (dev->zerocopy && !ret && xbzrle_zerocopy_pending(dev->zerocopy)) {
        ret = xbzrle_zerocopy_reap(dev->zerocopy, true);
        zerocopy_failed(f, ret);
    }
}

/* All batches were sent, so what is not sent is in the bitmaps. */
static int fall_back(QEMUFile *f)
{
    release_rings(f);
    wait_for_zerocopy(f);
    update_counters();
    WITH_QEMU_LOCK_GUARD(&dev->lock) {
        qatomic_set(&cache_bytes, -1);
        dev->fell_back = true;
    }
    qatomic_set(&queues_used, 0);
    drop_cache();
    trace_xbzrle_dev_fall_back(dev->handed_back);
    return qemu_file_get_error(f);
}

/* The rings are full.  Returns false if there is no use in waiting. */
static bool make_room(QEMUFile *f)
{
    if (dev->zerocopy && xbzrle_zerocopy_pending(dev->zerocopy)) {
        zerocopy_failed(f, xbzrle_zerocopy_reap(dev->zerocopy, true));
    } else if (dev->unflushed) {
        release_rings(f);
    } else {
        /* Empty rings have room for any record. */
        return dev->multifd && xbzrle_multifd_wait(dev->multifd, f);
    }
    return true;
}

/*
 * Takes the next batch.  Returns 1, or 0 if nothing is dirty any more or the
 * session has failed, or a negative error of the stream.
 */
static int next_batch(QEMUFile *f, bool last_stage, unsigned int *queue,
                      struct xbzrle_batch *batch)
{
    Error *err = NULL;
    int ret;

    for (;;) {
        ret = qemu_file_get_error(f);
        if (ret) {
            return ret;
        }
        if (dev->failed) {
            return waiting_batch(queue, batch);
        }
        do {
            resume_workers(last_stage);
            ret = xbzrle_workers_next(dev->workers, queue, batch);
            /* That nothing is dirty says nothing if they were paused. */
        } while (!ret && resume_workers(last_stage));
        if (ret >= 0) {
            return ret;
        }
        if (ret != -EAGAIN || !make_room(f)) {
            error_setg_errno(&err, ret == -EAGAIN ? ENOSPC : -ret,
                             "pages cannot be encoded");
            dev_fail(g_steal_pointer(&err));
        }
    }
}

/* Returns the bytes that went into the stream, or a negative error. */
static int64_t put_batch(QEMUFile *f, unsigned int queue,
                         const struct xbzrle_batch *batch)
{
    int64_t bytes = batch->bytes;

    if (dev->zerocopy) {
        send_zerocopy(f, queue, batch);
        return bytes;
    }
    if (dev->multifd) {
        bytes = xbzrle_multifd_put(dev->multifd, f, queue, batch);
    } else {
        qemu_put_buffer_async(f, batch->data, batch->bytes, false);
        dev->queues[queue].put = batch->end;
    }
    dev->unflushed += batch->bytes;
    if (bytes >= 0 && dev->unflushed >= dev->flush_bytes) {
        release_rings(f);
    }
    return bytes;
}

int xbzrle_dev_send(QEMUFile *f, bool last_stage, uint64_t *bytes,
                    uint64_t *same)
{
    struct xbzrle_batch batch;
    unsigned int queue;
    int64_t put = 0;
    int ret;

    *bytes = *same = 0;
    dev->last_stage = last_stage;
    keep_rate(f);
    do {
        ret = next_batch(f, last_stage, &queue, &batch);
        if (!ret && dev->multifd) {
            ret = xbzrle_multifd_sync(dev->multifd, f);
        }
        if (!ret && dev->failed) {
            return fall_back(f);
        }
        if (ret <= 0) {
            return ret;
        }
        trace_xbzrle_dev_batch(queue, batch.bytes, batch.pages, batch.status);
        ret = check_batch(f, &batch);
        if (ret) {
            return ret;
        }
    } while (!batch.pages);
    if (batch.bytes) {
        put = put_batch(f, queue, &batch);
        if (put < 0) {
            return put;
        }
    }

    /* Channels count their pages. */
    compat_count_pages(batch.flags & XBZRLE_ENCODE_WHOLE_APART ?
                       0 : batch.pages_raw, batch.pages_zero);
    dev->pages_put += batch.pages - batch.pages_same;
    *bytes = put;
    *same = batch.pages_same;
    return batch.pages;
}

void xbzrle_dev_flush(QEMUFile *f)
{
    if (!xbzrle_dev_active()) {
        return;
    }
    release_rings(f);
    if (dev->last_stage) {
        /* The session's end wipes what would still have to be sent. */
        wait_for_zerocopy(f);
    }
    if (qemu_file_get_error(f)) {
        /* The session will end, and who ends it has the BQL. */
        pause_workers();
    }
    update_counters();
}

int xbzrle_dev_cache_resize(uint64_t new_size, Error **errp)
{
    struct xbzrle_counters c = { .size = sizeof(c) };
    int ret;

    /* It waits for who encodes. */
    pause_workers();
    ret = xbzrle_session_cache_resize(dev->session, new_size);
    if (ret) {
        error_setg_errno(errp, -ret, "xbzrle: cache cannot be resized");
        return -1;
    }
    /* The other counters are the migration thread's. */
    if (!xbzrle_session_counters(dev->session, XBZRLE_ALL_QUEUES, &c)) {
        QEMU_LOCK_GUARD(&dev->lock);
        if (!dev->fell_back) {
            qatomic_set(&cache_bytes, c.cache_limit * XBZRLE_PAGE_SIZE);
        }
    }
    return 0;
}

uint64_t xbzrle_dev_cache_size(uint64_t builtin)
{
    int64_t bytes = qatomic_read(&cache_bytes);

    return bytes < 0 ? xbzrle_dev_builtin_cache(builtin) : bytes;
}

unsigned int xbzrle_dev_queues(void)
{
    return qatomic_read(&queues_used);
}

uint64_t xbzrle_dev_count_dirty(void)
{
    return xbzrle_blocks_count_dirty();
}

bool xbzrle_dev_wanted(void)
{
    const char *path = migrate_get_current()->xbzrle_dev;

    return path && *path;
}

uint64_t xbzrle_dev_builtin_cache(uint64_t size)
{
    if (!xbzrle_dev_wanted()) {
        return size;
    }
    return MAX(pow2floor(size), TARGET_PAGE_SIZE);
}
