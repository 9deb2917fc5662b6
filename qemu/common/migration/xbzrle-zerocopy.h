/*
 * Sending batches of /dev/xbzrle by MSG_ZEROCOPY.
 *
 * The kernel sends from the memory itself, and says by the socket's error queue
 * when it is done with it.  Who the memory belongs to is told then, and not
 * before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_ZEROCOPY_H
#define QEMU_MIGRATION_XBZRLE_ZEROCOPY_H

#include "io/channel.h"

typedef struct XbzrleZeroCopy XbzrleZeroCopy;

/**
 * XbzrleZeroCopyDone: the kernel needs a send's memory no more
 *
 * Called in the order of the sends, by xbzrle_zerocopy_send() and
 * xbzrle_zerocopy_reap().
 *
 * @queue, @end: as given to xbzrle_zerocopy_send()
 */
typedef void XbzrleZeroCopyDone(void *opaque, unsigned int queue, uint64_t end);

/**
 * xbzrle_zerocopy_new: prepare a channel
 *
 * Returns NULL with @errp set if it is none that can do without copies
 *
 * @ioc: the channel, which has to be blocking
 * @done: called for each send
 * @opaque: passed to it
 */
XbzrleZeroCopy *xbzrle_zerocopy_new(QIOChannel *ioc, XbzrleZeroCopyDone *done,
                                    void *opaque, Error **errp);

/* Forget about sends that the kernel is not done with. */
void xbzrle_zerocopy_free(XbzrleZeroCopy *zc);

/**
 * xbzrle_zerocopy_send: send memory, which must not change until it is done
 *
 * Returns when the socket has taken all of it.  The kernel copies what is
 * small, and is done with it in turn, after all that was sent before.  If no
 * memory can be locked any more, says so once and has the kernel copy it.
 *
 * Returns 0, or a negative error
 */
int xbzrle_zerocopy_send(XbzrleZeroCopy *zc, const void *data, size_t bytes,
                         unsigned int queue, uint64_t end);

/* Whether the kernel is not done with all sends, as far as is known. */
bool xbzrle_zerocopy_pending(XbzrleZeroCopy *zc);

/**
 * xbzrle_zerocopy_reap: see which sends the kernel is done with
 *
 * Returns 0, or a negative error, which says that nothing more will come
 *
 * @wait: if any is pending, wait until there is news of one; a large send can
 *     take several
 */
int xbzrle_zerocopy_reap(XbzrleZeroCopy *zc, bool wait);

#endif
