/*
 * Calls of /dev/xbzrle that free memory, without anybody waiting for them.
 *
 * To wipe and free a cache of some GiB takes the kernel a second.  That is done
 * in threads, which know nothing of QEMU's locks, so that a session can end with
 * the BQL held.  A next session may begin meanwhile: the module has a limit for
 * both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "trace.h"
#include "xbzrle-end.h"

typedef struct XbzrleEnd {
    struct xbzrle_session *session;
    GThread *dropping;
} XbzrleEnd;

static void *drop_cache(void *opaque)
{
    /* If it fails, the memory is there until the session ends: no harm. */
    xbzrle_session_cache_resize(opaque, 0);
    return NULL;
}

GThread *xbzrle_end_drop_cache(struct xbzrle_session *session)
{
    return g_thread_try_new("xbzrle-end", drop_cache, session, NULL);
}

static void *end_session(void *opaque)
{
    XbzrleEnd *end = opaque;

    if (end->dropping) {
        g_thread_join(end->dropping);
    }
    xbzrle_session_close(end->session);
    trace_xbzrle_dev_end();
    g_free(end);
    return NULL;
}

void xbzrle_end_session(struct xbzrle_session *session, GThread *dropping)
{
    XbzrleEnd *end = g_new(XbzrleEnd, 1);
    GThread *thread;

    *end = (XbzrleEnd) { .session = session, .dropping = dropping };
    thread = g_thread_try_new("xbzrle-end", end_session, end, NULL);
    if (thread) {
        g_thread_unref(thread);
    } else {
        end_session(end);
    }
}
