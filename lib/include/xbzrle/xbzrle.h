/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libxbzrle: sessions of /dev/xbzrle.
 *
 * What lives here: opening a session, its memory mappings, its scratch memory
 * and its ring positions, so that a consumer handles none of them. What does
 * not: the codec (<xbzrle/codec.h>), and what flags, counters and errors mean
 * (<linux/xbzrle.h>, whose structs are passed through as they are).
 *
 * Every function that can fail returns 0 or a negative errno; those of the
 * ioctl that it stands for are listed in <linux/xbzrle.h>.
 *
 * The usual order: open, setup, region_add for each block of guest memory,
 * slot_set for each KVM memslot; then, pass by pass, sync and as many times
 * encode, write, release as it takes until encode says XBZRLE_STATUS_IDLE;
 * close.
 *
 * Threads. A session belongs to the process that set it up; no call may be made
 * in a fork's child, not even close. Within the process:
 *
 * - encode and release: one thread at a time for each queue; different queues
 *   at the same time. A queue's release may run while it encodes.
 * - info, region_add, region_del, slot_set, slot_del, sync, clear, invalidate,
 *   cache_resize and counters: any thread at any time, also while others
 *   encode. The library takes its own lock where it needs one, and the module
 *   makes those wait that must.
 * - open, setup and close: nothing else may use the session meanwhile.
 * - a region's bitmap: anybody at any time, with atomic operations; until
 *   region_del is called.
 *
 * No call keeps a lock when it returns and none calls back.
 */
#ifndef XBZRLE_XBZRLE_H
#define XBZRLE_XBZRLE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/xbzrle.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XBZRLE_DEFAULT_DEVICE "/dev/xbzrle"

struct xbzrle_session;

/**
 * struct xbzrle_config - what a session is made of
 * @size: sizeof(struct xbzrle_config)
 * @flags: XBZRLE_SETUP_*
 * @nr_queues: queues, 1 to XBZRLE_MAX_QUEUES
 * @vm_fd: the KVM VM whose log is harvested, or -1
 * @ring_bytes: bytes of a queue's ring, a power of two
 * @cache_bytes: bytes of cache for the whole session
 * @name: the VM's name for people to read, or NULL; cut when too long
 */
struct xbzrle_config {
	uint32_t size;
	uint32_t flags;
	uint32_t nr_queues;
	int32_t vm_fd;
	uint64_t ring_bytes;
	uint64_t cache_bytes;
	const char *name;
};

/**
 * struct xbzrle_batch - what one call of xbzrle_session_encode() made
 * @data: the batch, one contiguous range of @bytes; valid until it is released
 * @bytes: its size, 0 if nothing had to be sent
 * @end: what to pass to xbzrle_session_release() when the batch has left
 * @pages: dirty bits taken, the sum of the next four
 * @pages_same: pages found unchanged, nothing sent
 * @pages_zero: pages sent as zero
 * @pages_delta: pages sent as deltas
 * @pages_raw: pages sent whole
 * @status: XBZRLE_STATUS_*
 * @fault_region: with XBZRLE_STATUS_FAULT or _LOG: where
 * @fault_page: with XBZRLE_STATUS_FAULT or _LOG: where
 * @reserved: zero
 */
struct xbzrle_batch {
	const void *data;
	uint64_t bytes;
	uint64_t end;
	uint64_t pages;
	uint64_t pages_same;
	uint64_t pages_zero;
	uint64_t pages_delta;
	uint64_t pages_raw;
	uint32_t status;
	uint32_t fault_region;
	uint64_t fault_page;
	uint64_t reserved[4];
};

/**
 * xbzrle_session_open() - open a session on a device
 * @out: set to the session
 * @path: the device, or NULL for XBZRLE_DEFAULT_DEVICE
 *
 * Return: 0, an error of open(2), -ENOTTY if @path is something else, or
 * -EPROTO if the module speaks another version of the ABI.
 */
int xbzrle_session_open(struct xbzrle_session **out, const char *path);

/**
 * xbzrle_session_open_fd() - make a session of an open device
 * @out: set to the session
 * @fd: the device's descriptor, opened for reading and writing, on which
 *	nobody has set up a session; on success it is the session's, and
 *	xbzrle_session_close() closes it
 *
 * Return: as xbzrle_session_open().
 */
int xbzrle_session_open_fd(struct xbzrle_session **out, int fd);

/**
 * xbzrle_session_close() - end a session
 * @s: the session, or NULL
 *
 * All its mappings go: bitmaps and batches must not be touched any more.
 */
void xbzrle_session_close(struct xbzrle_session *s);

/**
 * xbzrle_session_info() - ask what the module can do
 * @s: the session
 * @info: its size member is set by the caller
 */
int xbzrle_session_info(struct xbzrle_session *s, struct xbzrle_info *info);

/**
 * xbzrle_session_setup() - bind the session to this process and map its rings
 * @s: the session
 * @cfg: what it is made of
 *
 * A session whose setup failed can only be closed.
 */
int xbzrle_session_setup(struct xbzrle_session *s, const struct xbzrle_config *cfg);

/**
 * xbzrle_session_region_add() - add a block of guest memory and map its bitmap
 * @s: the session
 * @name: the block's name in the stream, 1 to 255 bytes
 * @addr: where it lies, page aligned
 * @nr_pages: its pages
 * @region: set to the region's number
 * @bitmap: set to the bitmap's mapping, all clear
 *
 * A bit stands for a page, bit 0 of the first 64-bit word for page 0.
 *
 * Return: 0, -ENAMETOOLONG, or a negative errno.
 */
int xbzrle_session_region_add(struct xbzrle_session *s, const char *name, void *addr,
			      uint64_t nr_pages, uint32_t *region,
			      uint64_t **bitmap);

/**
 * xbzrle_session_region_del() - forget a region and unmap its bitmap
 * @s: the session
 * @region: the region's number
 *
 * Return: 0, -ENOENT, or -EBUSY while slots lie in it; nothing is unmapped then.
 */
int xbzrle_session_region_del(struct xbzrle_session *s, uint32_t region);

/**
 * xbzrle_session_slot_set() - harvest a KVM memslot's log from now on
 * @s: the session
 * @slot: KVM's number for it, the address space in the upper 16 bits
 * @region: the region it lies in
 * @first_page: the region's page that is the slot's page 0
 * @nr_pages: the slot's pages
 *
 * Scratch memory for it is allocated here, so that a sync needs none.
 */
int xbzrle_session_slot_set(struct xbzrle_session *s, uint32_t slot, uint32_t region,
			    uint64_t first_page, uint64_t nr_pages);

/**
 * xbzrle_session_slot_del() - give a slot's log back
 * @s: the session
 * @slot: KVM's number for it
 */
int xbzrle_session_slot_del(struct xbzrle_session *s, uint32_t slot);

/**
 * xbzrle_session_sync() - fetch KVM's logs into the regions' bitmaps
 * @s: the session
 * @result: receives the outcome, or NULL
 *
 * Slots whose log KVM would not give are no error of the call, but
 * @result->slots_failed. Waits for running encodes.
 */
int xbzrle_session_sync(struct xbzrle_session *s, struct xbzrle_sync *result);

/**
 * xbzrle_session_clear() - clear KVM's log for pages that are not to be sent
 * @s: the session
 * @region: the region
 * @first_page: first page
 * @nr_pages: how many
 *
 * To be called before the pages' bits are taken from the bitmap.
 */
int xbzrle_session_clear(struct xbzrle_session *s, uint32_t region,
			 uint64_t first_page, uint64_t nr_pages);

/**
 * xbzrle_session_encode() - make a queue's next batch
 * @s: the session
 * @queue: the queue
 * @budget: bytes after which to stop (by less than a record), 0 for no bound
 * @max_pages: dirty pages to look at, 0 for no bound
 * @flags: XBZRLE_ENCODE_*
 * @batch: receives the batch
 *
 * Batches that follow each other are contiguous in memory unless the ring's
 * end lies between them. A batch may be released late and many at a time, but
 * the ring must have room: XBZRLE_STATUS_FULL asks for a release.
 */
int xbzrle_session_encode(struct xbzrle_session *s, unsigned int queue,
			  uint64_t budget, uint32_t max_pages, uint32_t flags,
			  struct xbzrle_batch *batch);

/**
 * xbzrle_session_release() - give ring space back
 * @s: the session
 * @queue: the queue
 * @end: struct xbzrle_batch's end of the last batch that nobody needs any more;
 *	all batches before it go, too
 *
 * Return: 0, -ENOENT for no such queue, or -ERANGE if @end lies behind what
 * was released or ahead of what was made; nothing is released then.
 */
int xbzrle_session_release(struct xbzrle_session *s, unsigned int queue,
			   uint64_t end);

/**
 * xbzrle_session_invalidate() - say that somebody else sent pages
 * @s: the session
 * @region: the region
 * @first_page: first page
 * @nr_pages: how many
 */
int xbzrle_session_invalidate(struct xbzrle_session *s, uint32_t region,
			      uint64_t first_page, uint64_t nr_pages);

/**
 * xbzrle_session_cache_resize() - change the cache's limit
 * @s: the session
 * @cache_bytes: the new limit in bytes
 */
int xbzrle_session_cache_resize(struct xbzrle_session *s, uint64_t cache_bytes);

/**
 * xbzrle_session_counters() - read the counters
 * @s: the session
 * @queue: a queue, or XBZRLE_ALL_QUEUES
 * @counters: its size member is set by the caller
 */
int xbzrle_session_counters(struct xbzrle_session *s, uint32_t queue,
			    struct xbzrle_counters *counters);

/**
 * struct xbzrle_workers_config - how a session's workers work
 * @size: sizeof(struct xbzrle_workers_config)
 * @flags: zero
 * @batch_bytes: bytes after which a batch ends (by less than a record); 0 for
 *	64 KiB
 * @batch_pages: dirty pages to look at for a batch; 0 for 2048
 * @cpus: processors to run on: worker q on @cpus[q modulo @nr_cpus]
 * @nr_cpus: how many; 0 to leave it to the scheduler
 * @reserved: zero
 */
struct xbzrle_workers_config {
	uint32_t size;
	uint32_t flags;
	uint64_t batch_bytes;
	uint32_t batch_pages;
	uint32_t nr_cpus;
	const uint32_t *cpus;
	uint64_t reserved;
};

struct xbzrle_workers;

/**
 * xbzrle_workers_start() - start threads that encode ahead, one for each queue
 * @out: set to the workers, paused
 * @s: a session that is set up; from here to xbzrle_workers_stop() nobody else may
 *	call its encode and release, and it must not be closed
 * @cfg: how they work
 *
 * A session of one queue gets no thread: whoever calls xbzrle_workers_next() does
 * the encoding. The threads block all signals.
 *
 * Return: 0, -EINVAL, -ENOTCONN before the session's setup, or an error of
 * pthread_create(3).
 */
int xbzrle_workers_start(struct xbzrle_workers **out, struct xbzrle_session *s,
			 const struct xbzrle_workers_config *cfg);

/**
 * xbzrle_workers_stop() - end the threads
 * @w: the workers, or NULL; nobody else may use them meanwhile
 *
 * Batches that were made and not taken are lost, and their pages are not dirty
 * any more: unless the migration ends here, xbzrle_workers_pause() and
 * xbzrle_workers_next() until it returns 0 come first.
 */
void xbzrle_workers_stop(struct xbzrle_workers *w);

/**
 * xbzrle_workers_pause() - let nobody encode, until xbzrle_workers_resume()
 * @w: the workers
 *
 * Returns when none encodes any more, within about a batch's time. Batches that
 * were made stay, and can be taken.
 */
void xbzrle_workers_pause(struct xbzrle_workers *w);

/**
 * xbzrle_workers_resume() - let all encode, and look for dirty pages again
 * @w: the workers, paused or not
 * @flags: XBZRLE_ENCODE_*, for batches that begin from now on
 *
 * To be called after a sync, and whenever bits were set in a bitmap that are
 * not to wait for the next one.
 */
void xbzrle_workers_resume(struct xbzrle_workers *w, uint32_t flags);

/**
 * xbzrle_workers_next() - take a batch of whichever queue has one
 * @w: the workers
 * @queue: set to the queue
 * @batch: receives the batch; its status is of no further interest, but for
 *	XBZRLE_STATUS_FAULT and _LOG
 *
 * Waits while a queue may still come to have one. A queue's batches come in the
 * order in which they have to be sent; between queues there is no order. One
 * thread at a time may call this.
 *
 * Return: 1, or 0 if all queues are paused or found nothing dirty, or -EAGAIN
 * if nothing comes until something is released, or an error of
 * xbzrle_session_encode(), once, of @queue, which makes no more batches.
 */
int xbzrle_workers_next(struct xbzrle_workers *w, unsigned int *queue,
			struct xbzrle_batch *batch);

/**
 * xbzrle_workers_release() - give ring space back
 * @w: the workers
 * @queue: the queue
 * @end: as for xbzrle_session_release()
 *
 * Return: as xbzrle_session_release().
 */
int xbzrle_workers_release(struct xbzrle_workers *w, unsigned int queue, uint64_t end);

/**
 * xbzrle_workers_pace() - fit the batches to the consumer
 * @w: the workers
 * @window: bytes that the consumer may send between two looks at its rate limit,
 *	or 0 for no limit
 * @bytes: bytes that it has just written, or 0
 * @ns: nanoseconds that this took
 *
 * From the first call on, batches that begin are as large as the link takes in
 * 5 ms, 512 KiB or a quarter of the ring at most, and not more than a sixteenth
 * of the window; and a queue is not ahead by more than two, so that what waits
 * in all of them is at most half a window. None is smaller than 4 KiB, though.
 *
 * Return: their bytes. One that its size has ended is not smaller, so that is
 * the time to write.
 */
uint64_t xbzrle_workers_pace(struct xbzrle_workers *w, uint64_t window, uint64_t bytes,
			     uint64_t ns);

#ifdef __cplusplus
}
#endif

#endif /* XBZRLE_XBZRLE_H */
