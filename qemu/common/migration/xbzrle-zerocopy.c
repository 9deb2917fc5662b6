/*
 * Sending batches of /dev/xbzrle by MSG_ZEROCOPY.
 *
 * QIOChannel can do it, too, but waits for all that was sent, and does not say
 * that it was locked memory that a send has failed for.
 *
 * Each successful call of sendmsg() has a number, and the error queue has
 * ranges of numbers that are done.  They need not come in order.  A send is
 * done with all of its calls, and is told of after those before it, because
 * space in a ring is given back from its beginning.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/errqueue.h>
#include <poll.h>
#include "qemu/units.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "io/channel-socket.h"
#include "io/channel-tls.h"
#include "trace.h"
#include "xbzrle-compat.h"
#include "xbzrle-zerocopy.h"

/* Older C libraries do not have them. */
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

/*
 * Less is copied: that costs less than having its pages pinned and waiting for
 * word of it, as the kernel's msg_zerocopy.rst says.
 */
#define COPY_BELOW (10 * KiB)

/**
 * struct Send: memory that was given to the kernel
 *
 * @queue, @end: what to say when it is done
 * @first: number of its first call
 * @behind: number behind that of its last one
 * @left: how many of them are not done, and one more while it is under way
 */
typedef struct Send {
    unsigned int queue;
    uint64_t end;
    uint64_t first;
    uint64_t behind;
    uint64_t left;
} Send;

struct XbzrleZeroCopy {
    QIOChannelSocket *sioc;
    XbzrleZeroCopyDone *done;
    void *opaque;
    /* Number of the next call, and how many are not done */
    uint64_t next;
    uint64_t undone;
    /* The kernel is asked to copy, for good */
    bool copying;
    /* of Send, in order */
    GQueue sends;
};

XbzrleZeroCopy *xbzrle_zerocopy_new(QIOChannel *ioc, XbzrleZeroCopyDone *done,
                                    void *opaque, Error **errp)
{
    XbzrleZeroCopy *zc;
    QIOChannelSocket *sioc;
    int one = 1;

    if (object_dynamic_cast(OBJECT(ioc), TYPE_QIO_CHANNEL_TLS)) {
        error_setg(errp, "TLS sends encrypted copies");
        return NULL;
    }
    sioc = (void *)object_dynamic_cast(OBJECT(ioc), TYPE_QIO_CHANNEL_SOCKET);
    if (!sioc) {
        error_setg(errp, "the migration's channel is no socket");
        return NULL;
    }
    if (sioc->localAddr.ss_family != AF_INET &&
        sioc->localAddr.ss_family != AF_INET6) {
        error_setg(errp, "the migration's channel is a socket, but not TCP");
        return NULL;
    }
    if (setsockopt(sioc->fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) < 0) {
        error_setg_errno(errp, errno, "the kernel has no MSG_ZEROCOPY");
        return NULL;
    }

    zc = g_new0(XbzrleZeroCopy, 1);
    zc->sioc = sioc;
    object_ref(OBJECT(sioc));
    zc->done = done;
    zc->opaque = opaque;
    g_queue_init(&zc->sends);
    return zc;
}

void xbzrle_zerocopy_free(XbzrleZeroCopy *zc)
{
    if (zc) {
        g_queue_foreach(&zc->sends, (GFunc)g_free, NULL);
        g_queue_clear(&zc->sends);
        object_unref(OBJECT(zc->sioc));
        g_free(zc);
    }
}

bool xbzrle_zerocopy_pending(XbzrleZeroCopy *zc)
{
    return zc->undone;
}

static void tell_done(XbzrleZeroCopy *zc)
{
    Send *s;

    while ((s = g_queue_peek_head(&zc->sends)) && !s->left) {
        zc->done(zc->opaque, s->queue, s->end);
        g_free(g_queue_pop_head(&zc->sends));
    }
}

/* The kernel's numbers have 32 bits; both ends are inclusive. */
static void note_done(XbzrleZeroCopy *zc, uint32_t first, uint32_t last)
{
    uint64_t lo = zc->next - (uint32_t)(zc->next - first);
    uint64_t hi = zc->next - (uint32_t)(zc->next - last) + 1;
    GList *l;

    for (l = zc->sends.head; l; l = l->next) {
        Send *s = l->data;
        uint64_t from = MAX(lo, s->first);
        uint64_t to = MIN(hi, s->behind);

        if (from < to) {
            s->left -= to - from;
            zc->undone -= to - from;
        }
    }
}

/* Returns whether there was a message, or a negative error. */
static int read_error_queue(XbzrleZeroCopy *zc)
{
    uint64_t control[32];
    struct msghdr msg = {
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    struct sock_extended_err serr;
    struct cmsghdr *cmsg;
    ssize_t n;

    n = RETRY_ON_EINTR(recvmsg(zc->sioc->fd, &msg, MSG_ERRQUEUE));
    if (n < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    }
    for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
        if (!(cmsg->cmsg_level == SOL_IP && cmsg->cmsg_type == IP_RECVERR) &&
            !(cmsg->cmsg_level == SOL_IPV6 &&
              cmsg->cmsg_type == IPV6_RECVERR)) {
            continue;
        }
        memcpy(&serr, CMSG_DATA(cmsg), sizeof(serr));
        if (serr.ee_origin == SO_EE_ORIGIN_ZEROCOPY && !serr.ee_errno) {
            trace_xbzrle_zerocopy_done(serr.ee_info, serr.ee_data,
                                       serr.ee_code ==
                                       SO_EE_CODE_ZEROCOPY_COPIED);
            note_done(zc, serr.ee_info, serr.ee_data);
        }
    }
    return 1;
}

/* Nothing is in the error queue.  Returns 0 if there may be, later. */
static int wait_for_message(XbzrleZeroCopy *zc)
{
    struct pollfd pfd = { .fd = zc->sioc->fd };
    socklen_t len = sizeof(int);
    int error = 0, ret;

    ret = RETRY_ON_EINTR(poll(&pfd, 1, -1));
    if (ret < 0) {
        return -errno;
    }
    ret = read_error_queue(zc);
    if (ret) {
        return MIN(ret, 0);
    }
    if (getsockopt(zc->sioc->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        return -errno;
    }
    if (error) {
        return -error;
    }
    /* It was shut down, so the peer need not read any more. */
    return pfd.revents & (POLLHUP | POLLNVAL) ? -EPIPE : 0;
}

int xbzrle_zerocopy_reap(XbzrleZeroCopy *zc, bool wait)
{
    uint64_t undone = zc->undone;
    int ret;

    while (undone) {
        do {
            ret = read_error_queue(zc);
        } while (ret > 0);
        if (ret < 0) {
            return ret;
        }
        if (!wait || zc->undone < undone) {
            break;
        }
        ret = wait_for_message(zc);
        if (ret < 0) {
            return ret;
        }
    }
    tell_done(zc);
    return 0;
}

/*
 * There is no memory for a call.  It is bounded for the process, as locked
 * memory, and for the socket; both come back from calls that are done.
 */
static int make_room(XbzrleZeroCopy *zc)
{
    if (xbzrle_zerocopy_pending(zc)) {
        return xbzrle_zerocopy_reap(zc, true);
    }
    warn_report_once("xbzrle-dev-zerocopy: no memory can be locked; raise the "
                     "limit (RLIMIT_MEMLOCK, or net.core.optmem_max). Going on "
                     "with copies.");
    zc->copying = true;
    return 0;
}

static int wait_until_writable(XbzrleZeroCopy *zc)
{
    struct pollfd pfd = { .fd = zc->sioc->fd, .events = POLLOUT };
    int ret;

    ret = RETRY_ON_EINTR(poll(&pfd, 1, -1));
    if (ret < 0) {
        return -errno;
    }
    /* As long as there is a message, nothing is waited for. */
    return xbzrle_zerocopy_reap(zc, false);
}

int xbzrle_zerocopy_send(XbzrleZeroCopy *zc, const void *data, size_t bytes,
                         unsigned int queue, uint64_t end)
{
    struct iovec iov = { .iov_base = (void *)data, .iov_len = bytes };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    Send *s = g_new(Send, 1);
    bool copy;
    ssize_t n;
    int ret;

    *s = (Send) {
        .queue = queue,
        .end = end,
        .first = zc->next,
        .behind = zc->next,
        .left = 1,
    };
    g_queue_push_tail(&zc->sends, s);

    while (iov.iov_len) {
        copy = zc->copying || bytes < COPY_BELOW;
        n = sendmsg(zc->sioc->fd, &msg, copy ? 0 : MSG_ZEROCOPY);
        if (n >= 0) {
            if (!copy) {
                s->behind = ++zc->next;
                s->left++;
                zc->undone++;
            }
            iov.iov_base += n;
            iov.iov_len -= n;
            continue;
        }
        switch (errno) {
        case EINTR:
            ret = 0;
            break;
        case EAGAIN:
            ret = wait_until_writable(zc);
            break;
        case ENOBUFS:
            ret = copy ? -ENOBUFS : make_room(zc);
            break;
        default:
            ret = -errno;
        }
        if (ret < 0) {
            return ret;
        }
    }
    s->left--;
    return xbzrle_zerocopy_reap(zc, false);
}
