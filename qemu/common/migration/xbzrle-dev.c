/*
 * XBZRLE by a session of /dev/xbzrle.
 *
 * The kernel module harvests KVM's dirty logs, encodes dirty pages against the
 * copies it keeps, and leaves finished records of the RAM stream in rings.
 * Here is the session's life; its RAM blocks are in xbzrle-blocks.c, the way of
 * its batches into the stream is in xbzrle-send.c, kvm-harvest.c hands out KVM's
 * slots, and ram.c says what happens when.
 *
 * The session pointer changes with the BQL held.  The migration thread may use
 * it without: the session is closed when that thread has done its work.
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
#include <xbzrle/predict.h>
#include <xbzrle/xbzrle.h>
#include "qemu/error-report.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-types-migration.h"
#include "exec/kvm_harvest.h"
#include "exec/target_page.h"
#include "channel-block.h"
#include "trace.h"
#include "xbzrle-blocks.h"
#include "xbzrle-compat.h"
#include "xbzrle-dev.h"
#include "xbzrle-end.h"
#include "xbzrle-forecast.h"
#include "xbzrle-queues.h"
#include "xbzrle-send.h"

typedef struct XbzrleDev {
    struct xbzrle_session *session;
    /* As it was set when the migration began */
    char *path;
    unsigned int nr_queues;
    /* Whether it can harvest KVM's logs */
    bool has_vm;
    XbzrleBlocks *blocks;
    XbzrleSend *send;
    /* Pages put since the counters were brought up to date */
    uint64_t pages_put;
    bool last_stage;
    /* It makes no more batches; QEMU reads KVM's logs; QEMU sends */
    bool failed;
    bool handed_back;
    bool fell_back;
    /* What dirty pages take */
    struct xbz_predict predict;
    /* The same of what was dirty at the last sync */
    uint64_t predicted;
    XbzrleForecast forecast;
    /* Protects these three, and cache_bytes when the session fails */
    QemuMutex lock;
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
    case EDQUOT:
        mend = "raise the share of users (xbzctl cache share)";
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

/* The guest is stopped, and each page is saved once: there is nothing to compare. */
static bool is_snapshot(QEMUFile *f)
{
    return object_dynamic_cast(OBJECT(qemu_file_get_ioc(f)),
                               TYPE_QIO_CHANNEL_BLOCK);
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
        .ring_bytes = xbzrle_send_ring_bytes(dev->send),
        .cache_bytes = migrate_xbzrle_cache_size(),
        .name = qemu_get_vm_name(),
    };
    bool manual_protect = false;
    int ret;

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

void xbzrle_dev_pause(void)
{
    if (dev) {
        xbzrle_send_pause(dev->send);
    }
}

/*
 * The session makes no more batches, and has no part in the migration once those
 * that it made are sent.  Called as xbzrle_send_pause() is.
 */
static void dev_fail(Error *err)
{
    xbzrle_send_pause(dev->send);
    if (dev->failed) {
        error_free(err);
        return;
    }
    dev->failed = true;
    error_prepend(&err, "XBZRLE by '%s' failed: ",
                  dev->path);
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
    if (!(migrate_xbzrle() || xbzrle_multifd_wanted()) || !path || !*path ||
        is_snapshot(f)) {
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
    dev->path = g_strdup(path);
    dev->nr_queues = xbzrle_queues(
        migrate_get_current()->xbzrle_dev_queues);
    dev->send = xbzrle_send_new(f, dev->nr_queues);
    /*
     * Other than ours, threads' accesses are in no RCU section, and a packet that
     * is not full keeps its block from one to the next.
     */
    dev->blocks = xbzrle_blocks_new(session,
                                    dev->nr_queues > 1 || migrate_multifd());
    qemu_mutex_init(&dev->lock);

    ret = setup_session(&err);
    if (!ret) {
        ret = xbzrle_send_start(dev->send, f, session, dev->blocks, &err);
    }
    if (!ret) {
        ret = xbzrle_blocks_add_all(dev->blocks, &err);
    }
    if (ret) {
        xbzrle_dev_close();
        warn_fallback(path, ret, err);
    } else {
        xbzrle_counters.cache_miss = 0;
        update_counters();
        qatomic_set(&queues_used, dev->nr_queues);
        trace_xbzrle_dev_open(path, xbzrle_blocks_number(dev->blocks),
                              dev->has_vm, dev->nr_queues);
    }
}

/* What was predicted of the pass that is over, and what it took. */
static void trace_pass(XbzrleDev *d)
{
    trace_xbzrle_dev_pass(d->forecast.now.dirty, d->predicted,
                          d->forecast.now.pages, d->forecast.now.bytes);
}

void xbzrle_dev_close(void)
{
    XbzrleDev *d = dev;

    if (!d) {
        return;
    }
    trace_pass(d);
    /* Batches that nobody asked for are lost; so is the migration, then. */
    xbzrle_send_free(d->send);
    kvm_harvest_stop();
    xbzrle_blocks_free(d->blocks);
    dev = NULL;
    xbzrle_end_session(d->session);
    qemu_mutex_destroy(&d->lock);
    g_free(d->path);
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

int64_t xbzrle_dev_take_back(void)
{
    int64_t delta;

    if (!dev) {
        return 0;
    }
    delta = xbzrle_send_take_back(dev->send,
                                  migrate_get_current()->to_dst_file);
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
    xbzrle_send_pause(dev->send);
    xbzrle_dev_update_blocks(dirty);
    if (!dev->failed) {
        new_dirty = sync_session();
    }
    if (dev->failed) {
        hand_back();
    }
    *dirty += new_dirty;
    WITH_QEMU_LOCK_GUARD(&dev->lock) {
        trace_pass(dev);
        xbz_predict_sync(&dev->predict, new_dirty, *dirty);
        dev->predicted = xbz_predict_bytes(&dev->predict, *dirty);
        xbzrle_forecast_sync(&dev->forecast, *dirty);
    }
    return new_dirty;
}

bool xbzrle_dev_clear(RAMBlock *rb, unsigned long start, unsigned long npages)
{
    int ret;

    if (!dev) {
        return false;
    }
    xbzrle_send_pause(dev->send);
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
        xbzrle_send_pause(dev->send);
        *dirty += xbzrle_blocks_update(dev->blocks, &err);
        if (err) {
            dev_fail(err);
        }
    }
}

/* All batches were sent, so what is not sent is in the bitmaps. */
static int fall_back(QEMUFile *f)
{
    xbzrle_send_flush(dev->send, f, true);
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

int xbzrle_dev_send(QEMUFile *f, bool last_stage, uint64_t *bytes,
                    uint64_t *same)
{
    XbzrleSent sent;
    Error *failure = NULL;
    int ret;

    dev->last_stage = last_stage;
    ret = xbzrle_send_batch(dev->send, f, last_stage, dev->failed, &sent,
                            &failure);
    if (failure) {
        dev_fail(g_steal_pointer(&failure));
        /* Batches that wait are still to be sent. */
        if (!ret) {
            ret = xbzrle_send_batch(dev->send, f, last_stage, true, &sent,
                                    &failure);
        }
    }
    if (!ret && dev->failed) {
        return fall_back(f);
    }
    if (ret <= 0) {
        return ret;
    }
    WITH_QEMU_LOCK_GUARD(&dev->lock) {
        xbz_predict_sent(&dev->predict, sent.pages, sent.cost);
        xbzrle_forecast_sent(&dev->forecast, sent.pages, sent.cost);
    }
    dev->pages_put += sent.pages - sent.same;
    *bytes = sent.bytes;
    *same = sent.same;
    return sent.pages;
}

/*
 * Of a bandwidth that QEMU measures, the time to encode is a part; not of one that
 * the user gives.
 */
static uint64_t bytes_while_encoding(uint64_t pages)
{
    return muldiv64(pages * XBZRLE_ENCODE_NS / dev->nr_queues,
                    MIN(compat_switchover_bandwidth(), UINT32_MAX),
                    NANOSECONDS_PER_SECOND);
}

uint64_t xbzrle_dev_predict(uint64_t pages)
{
    uint64_t bytes;

    if (!xbzrle_dev_active() || dev->failed || migration_in_postcopy()) {
        return pages * TARGET_PAGE_SIZE;
    }
    WITH_QEMU_LOCK_GUARD(&dev->lock) {
        bytes = xbz_predict_bytes(&dev->predict, pages);
    }
    bytes = MAX(bytes, bytes_while_encoding(pages));
    return MIN(bytes, pages * TARGET_PAGE_SIZE);
}

void xbzrle_dev_flush(QEMUFile *f)
{
    if (!xbzrle_dev_active()) {
        return;
    }
    /* The session's end wipes what would still have to be sent. */
    xbzrle_send_flush(dev->send, f, dev->last_stage);
    if (qemu_file_get_error(f)) {
        /* The session will end, and who ends it has the BQL. */
        xbzrle_send_pause(dev->send);
    }
    update_counters();
}

int xbzrle_dev_cache_resize(uint64_t new_size, Error **errp)
{
    struct xbzrle_counters c = { .size = sizeof(c) };
    int ret;

    /* It waits for who encodes. */
    xbzrle_send_pause(dev->send);
    ret = xbzrle_session_cache_resize(dev->session, new_size);
    if (ret) {
        error_setg_errno(errp, -ret, "xbzrle: cache cannot be resized");
        return -1;
    }
    if ((int64_t)new_size < qatomic_read(&cache_bytes)) {
        /* Of what was cached, much is not any more. */
        QEMU_LOCK_GUARD(&dev->lock);
        xbz_predict_forget(&dev->predict);
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

void xbzrle_dev_query(XBZRLECacheStats *stats)
{
    int64_t bytes = qatomic_read(&cache_bytes);
    XbzrleForecast forecast;

    stats->cache_size = bytes < 0 ?
                        xbzrle_dev_builtin_cache(stats->cache_size) : bytes;
    stats->x_dev_queues = qatomic_read(&queues_used);
    stats->has_x_dev_queues = stats->x_dev_queues;
    if (xbzrle_dev_active() && !dev->failed && !migration_in_postcopy()) {
        WITH_QEMU_LOCK_GUARD(&dev->lock) {
            forecast = dev->forecast;
        }
        /* It takes milliseconds, which the migration thread does not wait for. */
        compat_set_forecast(stats, xbzrle_forecast_text(&forecast));
    }
}

void xbzrle_dev_print(Monitor *mon, const XBZRLECacheStats *stats)
{
    if (stats->has_x_dev_queues) {
        monitor_printf(mon, COMPAT_INFO "queues" COMPAT_INFO_IS "%u\n",
                       stats->x_dev_queues);
    }
    if (stats->x_dev_forecast) {
        monitor_printf(mon, COMPAT_INFO "forecast" COMPAT_INFO_IS "%s\n",
                       stats->x_dev_forecast);
    }
}

uint64_t xbzrle_dev_count_dirty(void)
{
    return xbzrle_blocks_count_dirty();
}

uint64_t xbzrle_dev_builtin_cache(uint64_t size)
{
    return MAX(pow2floor(size), TARGET_PAGE_SIZE);
}
