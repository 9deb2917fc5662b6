/*
 * The end of a session of /dev/xbzrle, without anybody waiting for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_END_H
#define QEMU_MIGRATION_XBZRLE_END_H

#include <xbzrle/xbzrle.h>

/* Closes a session that nobody uses any more. */
void xbzrle_end_session(struct xbzrle_session *session);

#endif
