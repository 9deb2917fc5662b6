/*
 * Calls of /dev/xbzrle that free memory, without anybody waiting for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_END_H
#define QEMU_MIGRATION_XBZRLE_END_H

#include <xbzrle/xbzrle.h>

/**
 * xbzrle_end_drop_cache: free a session's cache, which is not needed any more
 *
 * Returns the thread that does it, for xbzrle_end_session(), or NULL if there
 * can be none; then the cache stays until the session's end
 */
GThread *xbzrle_end_drop_cache(struct xbzrle_session *session);

/**
 * xbzrle_end_session: close a session that nobody uses any more
 *
 * @session: the session
 * @dropping: what xbzrle_end_drop_cache() returned, or NULL
 */
void xbzrle_end_session(struct xbzrle_session *session, GThread *dropping);

#endif
