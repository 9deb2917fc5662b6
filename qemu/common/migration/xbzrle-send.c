/*
 * Sending the batches of a session of /dev/xbzrle: the threads that make them,
 * their way into the stream, and the space in rings.
 *
 * A session with several queues encodes in libxbzrle's threads, one for each
 * queue, ahead of the migration thread.  They know nothing of QEMU's locks, so
 * they are paused before anybody changes a bitmap, which QEMU does word by
 * word and not bit by bit, and work again from the next batch that is asked
 * for.  A page whose bit was taken counts as dirty until its batch was asked
 * for, so nothing is said to be clean that has not been put into the stream.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/target_page.h"
#include "trace.h"
#include "xbzrle-compat.h"
#include "xbzrle-send.h"
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
 * struct Queue: positions in a queue's ring
 *
 * @put: behind the last batch put into the stream
 * @released: what was given back
 */
typedef struct Queue {
    uint64_t put;
    uint64_t released;
} Queue;

struct XbzrleSend {
    struct xbzrle_workers *workers;
    XbzrleBlocks *blocks;
    /* Protects the next one */
    QemuMutex lock;
    /* Nobody encodes */
    bool paused;
    /* Bytes put since the last flush and their time; how many are worth one */
    uint64_t unflushed;
    uint64_t unflushed_ns;
    uint64_t flush_bytes;
    /* Begin of the rate limit's window, in ms and bytes, and what it paid */
    int64_t window_start;
    uint64_t window_bytes;
    uint64_t window_paid;
    /* What sends batches, if they do not go through the stream's buffers */
    XbzrleZeroCopy *zerocopy;
    /* What sends whole pages, if they do not go through the stream */
    XbzrleMultifd *multifd;
    unsigned int nr_queues;
    Queue queues[];
};

/* Nobody reads a send's memory any more. */
static void zerocopy_done(void *opaque, unsigned int queue, uint64_t end)
{
    XbzrleSend *s = opaque;

    xbzrle_workers_release(s->workers, queue, end);
}

static void start_zerocopy(XbzrleSend *s, QEMUFile *f)
{
    Error *err = NULL;

    if (!migrate_get_current()->xbzrle_dev_zerocopy || migrate_multifd()) {
        return;
    }
    s->zerocopy = xbzrle_zerocopy_new(qemu_file_get_ioc(f), zerocopy_done, s,
                                      &err);
    if (!s->zerocopy) {
        error_prepend(&err, "xbzrle-dev-zerocopy cannot be had: ");
        error_append_hint(&err, "Going on with copies.\n");
        warn_report_err(err);
    }
}

XbzrleSend *xbzrle_send_new(QEMUFile *f, unsigned int nr_queues)
{
    XbzrleSend *s = g_malloc0(sizeof(*s) + nr_queues * sizeof(s->queues[0]));

    s->nr_queues = nr_queues;
    qemu_mutex_init(&s->lock);
    start_zerocopy(s, f);
    return s;
}

uint64_t xbzrle_send_ring_bytes(const XbzrleSend *s)
{
    uint64_t bytes = MIN(RING_BYTES_MAX, pow2floor(RINGS_BYTES / s->nr_queues));

    return migrate_multifd() ? xbzrle_multifd_ring_bytes(s->nr_queues) :
           s->zerocopy ? bytes * RING_ZEROCOPY : bytes;
}

static void pause_signal(int signal)
{
}

/* Fits the batches to the stream, which took @bytes in @ns. */
static void set_pace(XbzrleSend *s, QEMUFile *f, uint64_t bytes, uint64_t ns)
{
    s->flush_bytes = xbzrle_workers_pace(s->workers, compat_rate_limit(f),
                                         bytes, ns);
}

int xbzrle_send_start(XbzrleSend *s, QEMUFile *f,
                      struct xbzrle_session *session, XbzrleBlocks *blocks,
                      Error **errp)
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
    ret = xbzrle_workers_start(&s->workers, session, &cfg);
    if (ret) {
        error_setg_errno(errp, -ret, "Could not start %u threads",
                         s->nr_queues);
        return ret;
    }
    s->blocks = blocks;
    s->paused = true;
    if (migrate_multifd()) {
        s->multifd = xbzrle_multifd_new(session, s->workers, s->nr_queues,
                                        errp);
        if (!s->multifd) {
            return -EPROTO;
        }
    }
    set_pace(s, f, 0, 0);
    return 0;
}

void xbzrle_send_free(XbzrleSend *s)
{
    xbzrle_multifd_free(s->multifd);
    xbzrle_workers_stop(s->workers);
    xbzrle_zerocopy_free(s->zerocopy);
    qemu_mutex_destroy(&s->lock);
    g_free(s);
}

void xbzrle_send_pause(XbzrleSend *s)
{
    QEMU_LOCK_GUARD(&s->lock);
    xbzrle_workers_pause(s->workers);
    s->paused = true;
}

/* Returns whether they were paused. */
static bool resume_workers(XbzrleSend *s, bool last_stage)
{
    QEMU_LOCK_GUARD(&s->lock);
    if (!s->paused) {
        return false;
    }
    s->paused = false;
    xbzrle_workers_resume(s->workers,
                          last_stage ? XBZRLE_ENCODE_LAST_STAGE : 0);
    return true;
}

/*
 * The limit is checked between batches, so a window of it sends up to a batch too
 * much.  The next window pays for that.
 */
static void keep_rate(XbzrleSend *s, QEMUFile *f)
{
    MigrationState *ms = migrate_get_current();
    uint64_t limit = compat_rate_limit(f);
    uint64_t used;

    if (s->window_start == ms->iteration_start_time) {
        return;
    }
    used = ms->iteration_initial_bytes - s->window_bytes + s->window_paid;
    s->window_start = ms->iteration_start_time;
    s->window_bytes = ms->iteration_initial_bytes;
    /* Not for more than a window: the limit may have been changed. */
    s->window_paid = limit && used > limit ? MIN(used - limit, limit) : 0;
    compat_count_rate(f, s->window_paid);
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

static void send_zerocopy(XbzrleSend *s, QEMUFile *f, unsigned int queue,
                          const struct xbzrle_batch *batch)
{
    int64_t ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    int ret;

    /* What comes before it in the stream */
    qemu_fflush(f);
    if (qemu_file_get_error(f)) {
        return;
    }
    ret = xbzrle_zerocopy_send(s->zerocopy, batch->data, batch->bytes, queue,
                               batch->end);
    if (ret < 0) {
        zerocopy_failed(f, ret);
        return;
    }
    ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - ns;
    compat_count_sent(f, batch->bytes);
    set_pace(s, f, batch->bytes, ns);
}

static void release_rings(XbzrleSend *s, QEMUFile *f)
{
    int64_t ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    unsigned int i;

    /*
     * The channel blocks, so nothing points into a ring afterwards.  If the
     * stream was shut down it keeps the pointers, but will not write.
     */
    qemu_fflush(f);
    ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - ns;
    if (s->multifd) {
        xbzrle_multifd_flushed(s->multifd, f, ns);
    }
    for (i = 0; i < s->nr_queues; i++) {
        Queue *q = &s->queues[i];

        if (q->put != q->released) {
            xbzrle_workers_release(s->workers, i, q->put);
            q->released = q->put;
        }
    }
    set_pace(s, f, s->unflushed, s->unflushed_ns + ns);
    s->unflushed = s->unflushed_ns = 0;
}

/* Waits until nothing is sent from the rings any more. */
static void wait_for_zerocopy(XbzrleSend *s, QEMUFile *f)
{
    int ret = 0;

    while (s->zerocopy && !ret && xbzrle_zerocopy_pending(s->zerocopy)) {
        ret = xbzrle_zerocopy_reap(s->zerocopy, true);
        zerocopy_failed(f, ret);
    }
}

void xbzrle_send_flush(XbzrleSend *s, QEMUFile *f, bool wait)
{
    release_rings(s, f);
    if (wait) {
        wait_for_zerocopy(s, f);
    }
}

/* The rings are full.  Returns false if there is no use in waiting. */
static bool make_room(XbzrleSend *s, QEMUFile *f)
{
    if (s->zerocopy && xbzrle_zerocopy_pending(s->zerocopy)) {
        zerocopy_failed(f, xbzrle_zerocopy_reap(s->zerocopy, true));
    } else if (s->unflushed) {
        release_rings(s, f);
    } else {
        /* Empty rings have room for any record. */
        return s->multifd && xbzrle_multifd_wait(s->multifd, f);
    }
    return true;
}

/*
 * A batch that was made before the session failed, or before postcopy, from
 * which on no batch can be sent.  Returns whether there is one.
 */
static bool waiting_batch(XbzrleSend *s, unsigned int *queue,
                          struct xbzrle_batch *batch)
{
    int ret;

    do {
        /* Each queue may have failed. */
        ret = xbzrle_workers_next(s->workers, queue, batch);
    } while (ret < 0 && ret != -EAGAIN);
    return ret > 0;
}

int64_t xbzrle_send_take_back(XbzrleSend *s, QEMUFile *f)
{
    struct xbzrle_batch batch;
    unsigned int queue;
    int64_t delta = 0, ret;
    Error *err = NULL;

    while (waiting_batch(s, &queue, &batch)) {
        ret = xbzrle_blocks_redirty(s->blocks, batch.data, batch.bytes,
                                    batch.flags & XBZRLE_ENCODE_WHOLE_APART);
        if (ret < 0) {
            error_setg(&err, "xbzrle: the module has made a malformed batch");
            qemu_file_set_error_obj(f, ret, err);
            break;
        }
        delta += ret - (int64_t)batch.pages;
    }
    return delta;
}

/*
 * Takes the next batch.  Returns 1, or 0 if nothing is dirty any more, or if the
 * session has failed, then with @failure set or with @drain; or a negative error
 * of the stream.
 */
static int next_batch(XbzrleSend *s, QEMUFile *f, bool last_stage, bool drain,
                      unsigned int *queue, struct xbzrle_batch *batch,
                      Error **failure)
{
    int ret;

    for (;;) {
        ret = qemu_file_get_error(f);
        if (ret) {
            return ret;
        }
        if (drain) {
            return waiting_batch(s, queue, batch);
        }
        do {
            resume_workers(s, last_stage);
            ret = xbzrle_workers_next(s->workers, queue, batch);
            /* That nothing is dirty says nothing if they were paused. */
        } while (!ret && resume_workers(s, last_stage));
        if (ret >= 0) {
            return ret;
        }
        if (ret != -EAGAIN || !make_room(s, f)) {
            error_setg_errno(failure, ret == -EAGAIN ? ENOSPC : -ret,
                             "pages cannot be encoded");
            return 0;
        }
    }
}

/*
 * What a batch's status means.  Only memory that cannot be read, by nobody,
 * fails the migration.
 */
static int check_batch(XbzrleSend *s, QEMUFile *f,
                       const struct xbzrle_batch *batch, Error **failure)
{
    bool fault = batch->status & XBZRLE_STATUS_FAULT;
    Error *err = NULL;

    if (!(batch->status & (XBZRLE_STATUS_FAULT | XBZRLE_STATUS_LOG))) {
        return 0;
    }
    error_setg(&err, "%s of RAM block '%s' at offset 0x%" PRIx64,
               fault ? "xbzrle: cannot read memory" :
                       "KVM does not clear the dirty log",
               xbzrle_blocks_name(s->blocks, batch->fault_region),
               batch->fault_page << TARGET_PAGE_BITS);
    if (fault) {
        qemu_file_set_error_obj(f, -EFAULT, err);
        return -EFAULT;
    }
    error_propagate(failure, err);
    return 0;
}

/* Returns the bytes that went into the stream, or a negative error. */
static int64_t put_batch(XbzrleSend *s, QEMUFile *f, unsigned int queue,
                         const struct xbzrle_batch *batch)
{
    int64_t bytes = batch->bytes, begin;

    if (s->zerocopy) {
        send_zerocopy(s, f, queue, batch);
        return bytes;
    }
    /*
     * The stream flushes itself when it has many pointers, and channels may have to
     * be waited for.
     */
    begin = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    if (s->multifd) {
        bytes = xbzrle_multifd_put(s->multifd, f, queue, batch);
    } else {
        qemu_put_buffer_async(f, batch->data, batch->bytes, false);
        s->queues[queue].put = batch->end;
    }
    s->unflushed += batch->bytes;
    s->unflushed_ns += qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - begin;
    if (bytes >= 0 && s->unflushed >= s->flush_bytes) {
        release_rings(s, f);
    }
    return bytes;
}

int xbzrle_send_batch(XbzrleSend *s, QEMUFile *f, bool last_stage, bool drain,
                      XbzrleSent *sent, Error **failure)
{
    struct xbzrle_batch batch;
    unsigned int queue;
    int64_t put = 0;
    int ret;

    keep_rate(s, f);
    do {
        ret = next_batch(s, f, last_stage, drain, &queue, &batch, failure);
        if (*failure) {
            return 0;
        }
        if (!ret && s->multifd) {
            ret = xbzrle_multifd_sync(s->multifd, f);
        }
        if (ret <= 0) {
            return ret;
        }
        trace_xbzrle_dev_batch(queue, batch.bytes, batch.pages, batch.status);
        ret = check_batch(s, f, &batch, drain ? NULL : failure);
        if (ret) {
            return ret;
        }
    } while (!batch.pages && !*failure);
    if (batch.bytes) {
        put = put_batch(s, f, queue, &batch);
        if (put < 0) {
            return put;
        }
    }

    /* Channels count their pages. */
    compat_count_pages(batch.flags & XBZRLE_ENCODE_WHOLE_APART ?
                       0 : batch.pages_raw, batch.pages_zero);
    sent->pages = batch.pages;
    sent->same = batch.pages_same;
    sent->bytes = put;
    sent->cost = put + (batch.flags & XBZRLE_ENCODE_WHOLE_APART ?
                        batch.pages_raw * xbzrle_multifd_page_bytes(s->multifd) :
                        0);
    return batch.pages ? 1 : 0;
}
