/*
 * Sending the batches of a session of /dev/xbzrle.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_SEND_H
#define QEMU_MIGRATION_XBZRLE_SEND_H

#include <xbzrle/xbzrle.h>
#include "qemu-file.h"
#include "xbzrle-blocks.h"

typedef struct XbzrleSend XbzrleSend;

/**
 * struct XbzrleSent: what a batch was
 *
 * @pages: dirty pages that were taken
 * @same: those of them that had not changed, so nothing was sent
 * @bytes: what was put into the stream
 * @cost: the same, and what its pages take in channels of multifd
 */
typedef struct XbzrleSent {
    uint64_t pages;
    uint64_t same;
    uint64_t bytes;
    uint64_t cost;
} XbzrleSent;

/**
 * xbzrle_send_new: choose how batches are sent
 *
 * If the user's wish cannot be had, says why.
 *
 * @f: the stream
 * @nr_queues: the session's
 */
XbzrleSend *xbzrle_send_new(QEMUFile *f, unsigned int nr_queues);

/* How large a queue's ring is to be. */
uint64_t xbzrle_send_ring_bytes(const XbzrleSend *s);

/**
 * xbzrle_send_start: start the threads that encode, paused
 *
 * Returns 0, or a negative error with @errp set
 *
 * @session: the session, which is set up
 * @blocks: its RAM blocks
 */
int xbzrle_send_start(XbzrleSend *s, QEMUFile *f,
                      struct xbzrle_session *session, XbzrleBlocks *blocks,
                      Error **errp);

/*
 * Batches that were not sent are lost.  Nobody encodes, or reads a ring, any
 * more, other than the kernel.  Called with the BQL held.
 */
void xbzrle_send_free(XbzrleSend *s);

/**
 * xbzrle_send_pause: nobody encodes until the next xbzrle_send_batch()
 *
 * Called with bitmap_mutex held, which whoever sends has, too, or by who sends.
 */
void xbzrle_send_pause(XbzrleSend *s);

/**
 * xbzrle_send_batch: send the next batch that has pages
 *
 * Returns 1; 0 if nothing is dirty any more or, with @drain, no batch waits; or
 * a negative error, which is then @f's error, too
 *
 * @last_stage: the guest has stopped for good
 * @drain: no batch is to be made, those that wait are sent
 * @sent: set to what the batch was
 * @failure: set, together with any result but an error, if the session can make
 *     no more batches; not with @drain, which is to be done then
 */
int xbzrle_send_batch(XbzrleSend *s, QEMUFile *f, bool last_stage, bool drain,
                      XbzrleSent *sent, Error **failure);

/**
 * xbzrle_send_take_back: make the pages of batches dirty that were not sent
 *
 * Called with bitmap_mutex held, when nobody encodes.
 *
 * Returns by how much the number of dirty pages has changed.  If that is not
 * known, because a batch is malformed, @f has an error.
 */
int64_t xbzrle_send_take_back(XbzrleSend *s, QEMUFile *f);

/**
 * xbzrle_send_flush: flush the stream and give the ring's space back
 *
 * @wait: until nothing is sent from the rings any more
 */
void xbzrle_send_flush(XbzrleSend *s, QEMUFile *f, bool wait);

#endif
