/*
 * Whole pages of /dev/xbzrle by multifd's channels.
 *
 * What a session remembers of a page is what was sent, so a channel reads the
 * page in the ring and not in the guest, which has changed it since.  A batch
 * holds its ring space until the stream was flushed and all its pages were
 * written by their channels; space is released in order.
 *
 * Channels and stream overtake each other.  A page is encoded once between two
 * syncs of the dirty logs, so the order of a page's versions is kept if all that
 * was sent before a sync has arrived before what was encoded behind it is sent:
 * multifd's own flush does that.  It is done for a queue when the first batch
 * comes that was encoded behind a sync, which need not be the first batch that is
 * sent behind it.
 *
 * Which pages go whole follows from what that costs, which is learned from the
 * packets, and from how fast the link is.
 *
 * The channels' threads come here with their packets.  They share one lock with
 * the migration thread, and wait for nothing but it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <xbzrle/choice.h>
#include <xbzrle/walk.h>
#include <xbzrle/xbzrle.h>
#include "qemu/error-report.h"
#include "qemu/queue.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/target_page.h"
#include "io/channel-socket.h"
#include "io/channel-tls.h"
#include "multifd.h"
#include "trace.h"
#include "xbzrle-compat.h"
#include "xbzrle-queues.h"

/* Bounds of a ring, and packets that should have room beside the channels'. */
#define RING_MIN (1 * MiB)
#define RING_MAX (16 * MiB)
#define MORE_PACKETS 4

/* How often costs are weighed, and how long a wait may miss a failure. */
#define CHOOSE_NS (100 * 1000 * 1000)
#define WAIT_MS 20

/* What a whole page is thought to cost until channels that compress have said. */
#define FIRST_WHOLE_BYTES 1500
#define FIRST_WHOLE_NS 10000

/* A link that has nothing to do could be so many times as fast. */
#define IDLE_LINK 4
/* Its speed is a mean that forgets: what is new has this weight. */
#define LINK_WEIGHT 8

/**
 * struct Batch: ring space that is in use
 *
 * @m: whose it is
 * @queue, @end: the space
 * @users: pages that are in channels, and one for the stream
 */
typedef struct Batch {
    XbzrleMultifd *m;
    unsigned int queue;
    uint64_t end;
    unsigned int users;
    QSIMPLEQ_ENTRY(Batch) next;
} Batch;

struct XbzrleMultifdPages {
    /* Both of the thread of the channel, when it began */
    int64_t wall;
    int64_t cpu;
    unsigned int nr;
    struct {
        const void *host;
        Batch *batch;
    } page[];
};

/**
 * struct Queue: what is sent of a queue
 *
 * @batches: in order, those that are not released
 * @pass: of the last batch that was put
 * @unsynced: something was put since the last xbzrle_multifd_sync()
 */
typedef struct Queue {
    QSIMPLEQ_HEAD(, Batch) batches;
    uint64_t pass;
    bool unsynced;
} Queue;

struct XbzrleMultifd {
    unsigned int nr_queues;
    /* A packet that is not full */
    MultiFDSendData *send;
    /* Batches that the stream points to */
    GPtrArray *in_stream;
    /* The last page's block, as the batch names it */
    const void *name;
    RAMBlock *block;
    struct xbz_choice choice;
    uint32_t max_delta;
    bool apart;
    int64_t chosen_at;
    /* What sockets had queued then; what the link did while it had work */
    int64_t queued;
    double link_bytes;
    double link_ns;
    uint64_t stream_ns;
    uint64_t stream_bytes;
    uint64_t pages;
    /* What "releases" was when xbzrle_multifd_wait() returned */
    uint64_t releases_seen;

    /* Protects all that follows */
    QemuMutex lock;
    QemuCond released;
    /* NULL once the session has ended */
    struct xbzrle_workers *workers;
    /* The owner and all batches */
    unsigned int refs;
    /* Channels that were used */
    GHashTable *channels;
    /* Packets that are written, but the kernel may still read their pages */
    GPtrArray *unflushed;
    /* Pages that are in channels, or in such a packet */
    uint64_t in_channels;
    uint64_t releases;
    /* Of packets since costs were weighed */
    uint64_t sent_pages;
    uint64_t sent_bytes;
    uint64_t sent_cpu;
    uint64_t sent_blocked;
    Queue queues[];
};

/* Whether there is a session; its channels can outlive it. */
static bool in_use;

static int64_t thread_cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int64_t wall_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

bool xbzrle_multifd_wanted(void)
{
    return migrate_multifd() && (migrate_xbzrle() ||
                                 migrate_get_current()->xbzrle_dev_multifd);
}

const char *xbzrle_multifd_excluded(void)
{
    /*
     * A page may be sent twice in a section, and what is between them has to
     * reach a destination that waits for its channels at the end only.
     */
    return migrate_multifd_flush_after_each_section() ?
           "multifd-flush-after-each-section (machine types up to 8.0)" : NULL;
}

uint64_t xbzrle_multifd_ring_bytes(unsigned int nr_queues)
{
    uint64_t all = (migrate_multifd_channels() + MORE_PACKETS) *
                   (uint64_t)MULTIFD_PACKET_SIZE;

    return MIN(MAX(pow2ceil(DIV_ROUND_UP(all, nr_queues)), RING_MIN), RING_MAX);
}

XbzrleMultifd *xbzrle_multifd_new(struct xbzrle_session *session,
                                  struct xbzrle_workers *workers,
                                  unsigned int nr_queues, Error **errp)
{
    struct xbzrle_info info = { .size = sizeof(info) };
    XbzrleMultifd *m;
    unsigned int i;

    if (xbzrle_session_info(session, &info) ||
        !(info.features & XBZRLE_FEATURE_WHOLE_APART)) {
        error_setg(errp, "The kernel module is too old for multifd");
        return NULL;
    }
    m = g_malloc0(sizeof(*m) + nr_queues * sizeof(m->queues[0]));
    m->nr_queues = nr_queues;
    m->send = multifd_send_data_alloc();
    m->in_stream = g_ptr_array_new();
    m->unflushed = g_ptr_array_new_with_free_func(g_free);
    m->channels = g_hash_table_new(NULL, NULL);
    m->workers = workers;
    m->refs = 1;
    for (i = 0; i < nr_queues; i++) {
        QSIMPLEQ_INIT(&m->queues[i].batches);
    }
    qemu_mutex_init(&m->lock);
    qemu_cond_init(&m->released);
    xbz_choice_init(&m->choice, xbzrle_processors());
    if (migrate_multifd_compression()) {
        xbz_choice_learn(&m->choice, 1, FIRST_WHOLE_BYTES, FIRST_WHOLE_NS);
    }
    m->apart = true;
    m->max_delta = xbz_choice_max_delta(&m->choice);
    m->chosen_at = wall_ns();
    xbzrle_workers_bound(workers, XBZRLE_ENCODE_WHOLE_APART, m->max_delta);
    qatomic_set(&in_use, true);
    return m;
}

/* Called with m->lock held, which is gone with @m if that was the last one. */
static void unref_and_unlock(XbzrleMultifd *m, unsigned int refs)
{
    m->refs -= refs;
    if (m->refs) {
        qemu_mutex_unlock(&m->lock);
        return;
    }
    qemu_mutex_unlock(&m->lock);
    g_hash_table_destroy(m->channels);
    qemu_cond_destroy(&m->released);
    qemu_mutex_destroy(&m->lock);
    g_free(m);
}

/* Called with the lock held. Returns how many batches are gone. */
static unsigned int batch_unuse(Batch *b, unsigned int users)
{
    XbzrleMultifd *m = b->m;
    Queue *q = &m->queues[b->queue];
    unsigned int gone = 0;

    b->users -= users;
    while ((b = QSIMPLEQ_FIRST(&q->batches)) && !b->users) {
        if (m->workers) {
            xbzrle_workers_release(m->workers, b->queue, b->end);
        }
        QSIMPLEQ_REMOVE_HEAD(&q->batches, next);
        g_free(b);
        gone++;
    }
    if (gone) {
        m->releases++;
        qemu_cond_signal(&m->released);
    }
    return gone;
}

void *xbzrle_multifd_page(const XbzrleMultifdPages *ring, unsigned int i)
{
    return (void *)ring->page[i].host;
}

void xbzrle_multifd_begin(XbzrleMultifdPages *ring)
{
    ring->wall = wall_ns();
    ring->cpu = thread_cpu_ns();
}

/* Called with the lock held. Returns how many batches are gone. */
static unsigned int pages_unuse(XbzrleMultifd *m, XbzrleMultifdPages *ring)
{
    unsigned int gone = 0, i;

    m->in_channels -= ring->nr;
    for (i = 0; i < ring->nr; i++) {
        gone += batch_unuse(ring->page[i].batch, 1);
    }
    return gone;
}

/* The same for all packets that were written. */
static unsigned int unflushed_unuse(XbzrleMultifd *m)
{
    unsigned int gone = 0, i;

    for (i = 0; i < m->unflushed->len; i++) {
        gone += pages_unuse(m, g_ptr_array_index(m->unflushed, i));
    }
    g_ptr_array_set_size(m->unflushed, 0);
    return gone;
}

void xbzrle_multifd_end(XbzrleMultifdPages *ring, uint64_t bytes,
                        QIOChannel *ioc)
{
    unsigned int gone = 0;
    int64_t wall, cpu;
    XbzrleMultifd *m;

    if (!ring) {
        return;
    }
    m = ring->page[0].batch->m;
    wall = wall_ns() - ring->wall;
    cpu = thread_cpu_ns() - ring->cpu;

    qemu_mutex_lock(&m->lock);
    if (bytes) {
        m->sent_pages += ring->nr;
        m->sent_bytes += bytes;
        m->sent_cpu += cpu;
        m->sent_blocked += MAX(wall - cpu, 0);
        g_hash_table_add(m->channels, ioc);
    }
    if (bytes && m->workers && migrate_zero_copy_send()) {
        g_ptr_array_add(m->unflushed, g_steal_pointer(&ring));
    } else {
        gone = pages_unuse(m, ring);
    }
    unref_and_unlock(m, gone);
    g_free(ring);
}

void xbzrle_multifd_free(XbzrleMultifd *m)
{
    unsigned int gone = 1, i;
    bool busy;

    if (!m) {
        return;
    }
    multifd_send_data_free(m->send);
    WITH_QEMU_LOCK_GUARD(&m->lock) {
        busy = m->in_channels;
    }
    if (busy) {
        multifd_send_terminate_threads();
    }
    qatomic_set(&in_use, false);
    qemu_mutex_lock(&m->lock);
    m->workers = NULL;
    for (i = 0; i < m->in_stream->len; i++) {
        gone += batch_unuse(g_ptr_array_index(m->in_stream, i), 1);
    }
    g_ptr_array_free(m->in_stream, true);
    gone += unflushed_unuse(m);
    g_ptr_array_free(m->unflushed, true);
    /* Packets that a channel has given up keep what is left. */
    unref_and_unlock(m, gone);
}

/*
 * The destination may be waiting for that channel, and read nothing more.  The
 * migration thread must not wait for it to do so.  The thread of a channel does
 * not have the BQL, so it cannot look at the session itself.
 */
void xbzrle_multifd_failed(void)
{
    MigrationState *s = migrate_get_current();

    if (!qatomic_read(&in_use)) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&s->qemu_file_lock) {
        if (s->to_dst_file) {
            qemu_file_shutdown(s->to_dst_file);
        }
    }
}

/* The reason is reported by the channel that has noticed. */
static int channels_failed(QEMUFile *f)
{
    qemu_file_set_error(f, -EIO);
    return -EIO;
}

static int send_packet(XbzrleMultifd *m, QEMUFile *f)
{
    if (multifd_payload_empty(m->send) || multifd_send(&m->send)) {
        return 0;
    }
    return channels_failed(f);
}

static RAMBlock *find_block(XbzrleMultifd *m, const struct xbz_piece *piece)
{
    char name[256];

    if (m->name != piece->name) {
        memcpy(name, piece->name, piece->name_len);
        name[piece->name_len] = '\0';
        m->block = qemu_ram_block_by_name(name);
        m->name = piece->name;
    }
    return m->block;
}

static int put_page(XbzrleMultifd *m, QEMUFile *f,
                    const struct xbz_piece *piece, Batch *b)
{
    RAMBlock *rb = find_block(m, piece);
    MultiFDPages_t *pages;
    XbzrleMultifdPages *ring;

    /* It was removed: what is left of it in batches needs not be sent. */
    if (!rb || piece->offset >= rb->used_length) {
        return 0;
    }
    pages = &m->send->u.ram;
    if (!multifd_payload_empty(m->send) &&
        (pages->block != rb || pages->num == multifd_ram_page_count())) {
        int ret = send_packet(m, f);

        if (ret) {
            return ret;
        }
        pages = &m->send->u.ram;
    }
    if (multifd_payload_empty(m->send)) {
        multifd_set_payload_type(m->send, MULTIFD_PAYLOAD_RAM);
        pages->num = 0;
        pages->block = rb;
        pages->ring = g_malloc(sizeof(*ring) + multifd_ram_page_count() *
                               sizeof(ring->page[0]));
        pages->ring->nr = 0;
    }
    ring = pages->ring;
    pages->offset[pages->num++] = piece->offset;
    ring->page[ring->nr].host = piece->data;
    ring->page[ring->nr++].batch = b;
    WITH_QEMU_LOCK_GUARD(&m->lock) {
        b->users++;
        m->in_channels++;
    }
    return 0;
}

/* The stream flushes itself when it has many pointers, and may wait then. */
static void put_bytes(XbzrleMultifd *m, QEMUFile *f, const void *data,
                      size_t bytes)
{
    int64_t begin = wall_ns();

    qemu_put_buffer_async(f, data, bytes, false);
    m->stream_ns += wall_ns() - begin;
    m->stream_bytes += bytes;
}

/* A batch that was encoded behind a sync, after one that was not. */
static int keep_order(XbzrleMultifd *m, QEMUFile *f, Queue *q, uint64_t pass)
{
    int ret = 0;

    if (q->pass != pass && q->unsynced) {
        ret = xbzrle_multifd_sync(m, f);
    }
    q->pass = pass;
    q->unsynced = true;
    return ret;
}

static int64_t put_pieces(XbzrleMultifd *m, QEMUFile *f, Batch *b,
                          const struct xbzrle_batch *batch)
{
    struct xbz_piece piece;
    struct xbz_walk walk;
    Error *err = NULL;
    int64_t bytes = 0;
    int ret;

    /* The name of a released batch can be where another one's is. */
    m->name = NULL;
    xbz_walk_begin(&walk, batch->data, batch->bytes);
    while ((ret = xbz_walk_next(&walk, &piece)) > 0) {
        if (piece.name) {
            ret = put_page(m, f, &piece, b);
            if (ret) {
                break;
            }
            continue;
        }
        put_bytes(m, f, piece.data, piece.bytes);
        bytes += piece.bytes;
    }
    if (ret == -EBADMSG) {
        error_setg(&err, "xbzrle: the module has made a malformed batch");
        qemu_file_set_error_obj(f, ret, err);
    }
    return ret ? ret : bytes;
}

int64_t xbzrle_multifd_put(XbzrleMultifd *m, QEMUFile *f, unsigned int queue,
                           const struct xbzrle_batch *batch)
{
    Queue *q = &m->queues[queue];
    int64_t ret = keep_order(m, f, q, batch->pass);
    Batch *b;

    if (ret) {
        return ret;
    }
    b = g_new0(Batch, 1);
    b->m = m;
    b->queue = queue;
    b->end = batch->end;
    b->users = 1;
    WITH_QEMU_LOCK_GUARD(&m->lock) {
        QSIMPLEQ_INSERT_TAIL(&q->batches, b, next);
        m->refs++;
    }
    g_ptr_array_add(m->in_stream, b);
    m->pages += batch->pages;

    if (batch->flags & XBZRLE_ENCODE_WHOLE_APART) {
        return put_pieces(m, f, b, batch);
    }
    put_bytes(m, f, batch->data, batch->bytes);
    return batch->bytes;
}

/* What a socket has queued; a channel of another kind has nothing. */
static int64_t queued(QIOChannel *ioc)
{
    QIOChannelTLS *tls;
    QIOChannelSocket *s;
    int bytes = 0;

    tls = (QIOChannelTLS *)object_dynamic_cast(OBJECT(ioc),
                                               TYPE_QIO_CHANNEL_TLS);
    s = (QIOChannelSocket *)object_dynamic_cast(OBJECT(tls ? tls->master : ioc),
                                                TYPE_QIO_CHANNEL_SOCKET);
    return s && !ioctl(s->fd, SIOCOUTQ, &bytes) ? bytes : 0;
}

static int64_t all_queued(XbzrleMultifd *m, QEMUFile *f)
{
    int64_t bytes = queued(qemu_file_get_ioc(f));
    GHashTableIter iter;
    gpointer ioc;

    g_hash_table_iter_init(&iter, m->channels);
    while (g_hash_table_iter_next(&iter, &ioc, NULL)) {
        bytes += queued(ioc);
    }
    return bytes;
}

/*
 * Bytes that the link carries in a second, as far as the user allows.  Sockets take
 * megabytes before anybody waits for a slow link, so it is what left them, in times
 * in which they had something.  Called with the lock held.
 */
static uint64_t link_speed(XbzrleMultifd *m, QEMUFile *f, int64_t ns)
{
    uint64_t limit = compat_rate_limit(f) * 10;
    uint64_t blocked = MAX(m->sent_blocked / migrate_multifd_channels(),
                           m->stream_ns);
    int64_t before = m->queued;
    double bytes, speed;

    m->queued = all_queued(m, f);
    bytes = (int64_t)(m->sent_bytes + m->stream_bytes) + before - m->queued;
    bytes = MAX(bytes, 0);
    if ((before && m->queued) || blocked > ns / 2) {
        m->link_bytes += bytes - m->link_bytes / LINK_WEIGHT;
        m->link_ns += ns - m->link_ns / LINK_WEIGHT;
        bytes = 0;
    }
    speed = MAX(m->link_ns ? m->link_bytes / m->link_ns : 0,
                bytes / ns * IDLE_LINK) * 1e9;
    return limit && limit < speed ? limit : speed;
}

static void choose(XbzrleMultifd *m, QEMUFile *f)
{
    int64_t now = wall_ns(), ns = now - m->chosen_at;
    uint32_t max_delta;
    bool apart;

    if (ns < CHOOSE_NS) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&m->lock) {
        xbz_choice_learn(&m->choice, m->sent_pages, m->sent_bytes,
                         m->sent_cpu);
        xbz_choice_sent(&m->choice, link_speed(m, f, ns),
                        m->sent_bytes + m->stream_bytes,
                        m->sent_cpu + m->pages * XBZRLE_ENCODE_NS);
        m->sent_pages = m->sent_bytes = m->sent_cpu = m->sent_blocked = 0;
    }
    m->stream_bytes = m->stream_ns = m->pages = 0;
    m->chosen_at = now;
    max_delta = xbz_choice_max_delta(&m->choice);
    apart = xbz_choice_apart(&m->choice);
    trace_xbzrle_multifd_choice(m->choice.link, m->choice.price,
                                m->choice.whole_bytes >> 8,
                                m->choice.whole_ns >> 8, max_delta, apart);
    if (max_delta != m->max_delta || apart != m->apart) {
        m->max_delta = max_delta;
        m->apart = apart;
        xbzrle_workers_bound(m->workers,
                             apart ? XBZRLE_ENCODE_WHOLE_APART : 0, max_delta);
    }
}

uint64_t xbzrle_multifd_page_bytes(const XbzrleMultifd *m)
{
    return m->choice.whole_bytes >> 8;
}

void xbzrle_multifd_flushed(XbzrleMultifd *m, QEMUFile *f, uint64_t ns)
{
    unsigned int gone = 0, i;

    qemu_mutex_lock(&m->lock);
    for (i = 0; i < m->in_stream->len; i++) {
        gone += batch_unuse(g_ptr_array_index(m->in_stream, i), 1);
    }
    unref_and_unlock(m, gone);
    g_ptr_array_set_size(m->in_stream, 0);
    m->stream_ns += ns;
    /* When postcopy begins, QEMU waits for what the channels have. */
    if (migrate_postcopy_ram()) {
        send_packet(m, f);
    }
    choose(m, f);
}

bool xbzrle_multifd_wait(XbzrleMultifd *m, QEMUFile *f)
{
    uint64_t seen = m->releases_seen, releases;
    bool pending;
    int ret;

    WITH_QEMU_LOCK_GUARD(&m->lock) {
        pending = m->in_channels;
        releases = m->releases;
    }
    m->releases_seen = releases;
    if (!pending) {
        /* The last channel may have ended since the rings were found full. */
        return releases != seen;
    }
    /* The kernel may read what was written until the channels are flushed. */
    ret = migrate_zero_copy_send() ? xbzrle_multifd_sync(m, f) :
                                     send_packet(m, f);
    while (!ret && !qemu_file_get_error(f)) {
        WITH_QEMU_LOCK_GUARD(&m->lock) {
            if (m->releases == releases) {
                qemu_cond_timedwait(&m->released, &m->lock, WAIT_MS);
            }
            if (m->releases != releases) {
                m->releases_seen = m->releases;
                return true;
            }
        }
        if (migrate_has_error(migrate_get_current())) {
            ret = channels_failed(f);
        }
    }
    return true;
}

int xbzrle_multifd_sync(XbzrleMultifd *m, QEMUFile *f)
{
    unsigned int i;
    bool unsynced = false;
    int64_t begin;
    int ret;

    for (i = 0; i < m->nr_queues; i++) {
        unsynced |= m->queues[i].unsynced;
        m->queues[i].unsynced = false;
    }
    if (!unsynced) {
        return 0;
    }
    ret = send_packet(m, f);
    /* It flushes the stream, too. */
    begin = wall_ns();
    if (!ret && multifd_ram_flush_and_sync(f) < 0) {
        ret = channels_failed(f);
    }
    m->stream_ns += wall_ns() - begin;
    if (!ret) {
        /* That flushes the channels, too. */
        qemu_mutex_lock(&m->lock);
        unref_and_unlock(m, unflushed_unuse(m));
    }
    trace_xbzrle_multifd_sync(ret);
    return ret;
}
