/*
 * Whole pages of /dev/xbzrle by multifd's channels.
 *
 * With multifd, a session's batches come to pieces: zero pages and deltas go
 * into the stream, whole pages to the channels, out of the ring's memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_MULTIFD_H
#define QEMU_MIGRATION_XBZRLE_MULTIFD_H

#include "qemu-file.h"

struct xbzrle_batch;
struct xbzrle_session;
struct xbzrle_workers;
typedef struct XbzrleMultifd XbzrleMultifd;

/* What a packet's pages are: memory of rings, and the batches that it is of. */
typedef struct XbzrleMultifdPages XbzrleMultifdPages;

#ifdef CONFIG_LIBXBZRLE

/* The memory of a packet's page. */
void *xbzrle_multifd_page(const XbzrleMultifdPages *ring, unsigned int i);

/* A channel begins to prepare a packet.  Called by the channel's thread. */
void xbzrle_multifd_begin(XbzrleMultifdPages *ring);

/**
 * xbzrle_multifd_end: nobody reads a packet's pages any more
 *
 * Called by the channel's thread, or when that has ended.  Frees @ring.
 *
 * @ring: the packet's pages, or NULL if it has none of rings
 * @bytes: what was written; 0 if the packet is given up
 * @ioc: to which channel
 */
void xbzrle_multifd_end(XbzrleMultifdPages *ring, uint64_t bytes,
                        QIOChannel *ioc);

/*
 * A channel has failed, and the migration with it.  Called by the channel's
 * thread.
 */
void xbzrle_multifd_failed(void);

/* Whether deltas are wanted beside multifd, by the capability or the property. */
bool xbzrle_multifd_wanted(void);

/* Why a session cannot be had beside multifd, NULL if it can. */
const char *xbzrle_multifd_excluded(void);

/* How large a queue's ring is, so that channels have enough to work on. */
uint64_t xbzrle_multifd_ring_bytes(unsigned int nr_queues);

/**
 * xbzrle_multifd_new: send a session's whole pages by the channels
 *
 * Returns NULL with @errp set if the module is too old.
 *
 * @session: the session
 * @workers: its workers, which are paused
 * @nr_queues: how many
 */
XbzrleMultifd *xbzrle_multifd_new(struct xbzrle_session *session,
                                  struct xbzrle_workers *workers,
                                  unsigned int nr_queues, Error **errp);

/*
 * The workers and rings are about to go.  Channels that still read a ring are
 * ended before, which happens only if the migration has failed.  Called with
 * the BQL held.
 */
void xbzrle_multifd_free(XbzrleMultifd *m);

/**
 * xbzrle_multifd_put: send a batch
 *
 * Returns the bytes that were put into the stream, or a negative error, which is
 * the stream's error, too.
 *
 * @f: the stream, which gets pointers into the ring
 * @queue, @batch: what xbzrle_workers_next() returned
 */
int64_t xbzrle_multifd_put(XbzrleMultifd *m, QEMUFile *f, unsigned int queue,
                           const struct xbzrle_batch *batch);

/* What a page takes in the channels, as far as it is known. */
uint64_t xbzrle_multifd_page_bytes(const XbzrleMultifd *m);

/*
 * The stream was flushed, in @ns, and points into no ring.  Releases the space
 * of batches that have no page in a channel, either.
 */
void xbzrle_multifd_flushed(XbzrleMultifd *m, QEMUFile *f, uint64_t ns);

/**
 * xbzrle_multifd_wait: wait until ring space is released, or the stream has failed
 *
 * The stream must have been flushed.  Returns false if no channel holds any space,
 * or has released any since the last call.
 */
bool xbzrle_multifd_wait(XbzrleMultifd *m, QEMUFile *f);

/**
 * xbzrle_multifd_sync: what was put so far arrives before what comes
 *
 * Returns 0 or a negative error, which is the stream's error, too.
 */
int xbzrle_multifd_sync(XbzrleMultifd *m, QEMUFile *f);

#else

static inline void *xbzrle_multifd_page(const XbzrleMultifdPages *ring,
                                        unsigned int i)
{
    return NULL;
}

static inline void xbzrle_multifd_begin(XbzrleMultifdPages *ring)
{
}

static inline void xbzrle_multifd_end(XbzrleMultifdPages *ring, uint64_t bytes,
                                      QIOChannel *ioc)
{
}

static inline void xbzrle_multifd_failed(void)
{
}

#endif

#endif
