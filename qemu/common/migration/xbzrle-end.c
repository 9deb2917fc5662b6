/*
 * The end of a session of /dev/xbzrle, without anybody waiting for it.
 *
 * The module frees the cache in the background.  What is left is to unmap rings
 * and bitmaps, page by page, under the lock of the process's mappings, for which
 * one waits while another thread populates a huge page, for example.  That is
 * done in a thread, which knows nothing of QEMU's locks, so that a session can
 * end with the BQL held.  A next session may begin meanwhile: the module has a
 * limit for both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "trace.h"
#include "xbzrle-end.h"

static void *end_session(void *session)
{
    xbzrle_session_close(session);
    trace_xbzrle_dev_end();
    return NULL;
}

void xbzrle_end_session(struct xbzrle_session *session)
{
    GThread *thread = g_thread_try_new("xbzrle-end", end_session, session,
                                       NULL);

    if (thread) {
        g_thread_unref(thread);
    } else {
        end_session(session);
    }
}
