/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libxbzrle: sessions of /dev/xbzrle.
 *
 * A session's descriptors, mappings, scratch memory and ring positions, so that
 * a consumer handles none of them. The codec is in <xbzrle/codec.h>; flags,
 * counters and errors are documented in <linux/xbzrle.h>, whose structs are
 * passed through unchanged.
 *
 * Every function that can fail returns 0 or a negative errno. The errors of the
 * ioctl behind a function are listed in <linux/xbzrle.h>.
 *
 * The usual order: open, setup, region_add for each block of guest memory,
 * slot_set for each KVM memslot. Then, pass by pass, sync, and encode, write
 * and release until encode returns XBZRLE_STATUS_IDLE. At the end, close.
 *
 * Threads. A session belongs to the process that set it up. A forked child must
 * not use it, not even for close. Within the process:
 *
 * - encode and release: one thread at a time for each queue; different queues
 *   at the same time. A queue's release may run beside its encode.
 * - info, region_add, region_del, slot_set, slot_del, sync, clear, invalidate,
 *   cache_resize and counters: any thread at any time, beside each other and
 *   beside encode. The library takes its own lock where it needs one; the
 *   module serializes the rest.
 * - open, setup and close: no other call may use the session at the same time.
 * - a region's bitmap: any thread at any time, with atomic operations, until
 *   region_del or close.
 *
 * No call holds a lock when it returns, and there are no callbacks.
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
 * struct xbzrle_config - the parameters of a session
 * @size: sizeof(struct xbzrle_config)
 * @flags: XBZRLE_SETUP_*
 * @nr_queues: number of queues, 1 to XBZRLE_MAX_QUEUES
 * @vm_fd: the KVM VM whose log is harvested, or -1
 * @ring_bytes: size of a queue's ring, a power of two
 * @cache_bytes: limit of the whole session's cache
 * @log_block_pages: pages of a log block, a power of two, or 0 for the largest
 * @reserved: must be zero
 * @name: the VM's name for people to read, or NULL; a longer one than the
 *	module takes is truncated
 */
struct xbzrle_config {
	uint32_t size;
	uint32_t flags;
	uint32_t nr_queues;
	int32_t vm_fd;
	uint64_t ring_bytes;
	uint64_t cache_bytes;
	uint32_t log_block_pages;
	uint32_t reserved;
	const char *name;
};

/**
 * struct xbzrle_batch - the result of one xbzrle_session_encode()
 * @data: the batch, one contiguous range; valid until it is released
 * @bytes: its size, 0 if nothing has to be sent
 * @end: ring position to pass to xbzrle_session_release() once the batch is
 *	sent
 * @pages: dirty bits that were taken, the sum of the next four
 * @pages_same: unchanged pages, for which nothing is sent
 * @pages_zero: pages sent as zero
 * @pages_delta: pages sent as deltas
 * @pages_raw: pages sent whole
 * @status: XBZRLE_STATUS_*: why the batch ended
 * @fault_region: with XBZRLE_STATUS_FAULT or _LOG: the page's region
 * @fault_page: with XBZRLE_STATUS_FAULT or _LOG: the page
 * @pass: number of syncs before it. Between two syncs a page is encoded once,
 *	unless the caller sets its bit
 * @flags: XBZRLE_ENCODE_*, with which it was encoded
 * @padding: zero
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
	uint64_t pass;
	uint32_t flags;
	uint32_t padding;
	uint64_t reserved[2];
};

/**
 * xbzrle_session_open() - open the device for a session
 * @out: set to the session
 * @path: the device, or NULL for XBZRLE_DEFAULT_DEVICE
 *
 * Return: 0, an error of open(2), -ENOTTY if @path is another device, or
 * -EPROTO if the module has another version of the ABI.
 */
int xbzrle_session_open(struct xbzrle_session **out, const char *path);

/**
 * xbzrle_session_open_fd() - use an open device for a session
 * @out: set to the session
 * @fd: a descriptor of the device, opened for reading and writing
 *
 * On success, the library owns @fd and xbzrle_session_close() closes it. On
 * failure, @fd stays open and is the caller's. The device keeps no state of a
 * session: one open file serves any number of sessions, at the same time and
 * one after the other. A caller that needs @fd again passes a dup(2) of it.
 *
 * Return: as xbzrle_session_open().
 */
int xbzrle_session_open_fd(struct xbzrle_session **out, int fd);

/**
 * xbzrle_session_close() - end a session
 * @s: the session, or NULL
 *
 * Unmaps bitmaps and rings, so regions' bitmaps and batches must not be
 * accessed afterwards. Closes both descriptors, the session's and the device's.
 */
void xbzrle_session_close(struct xbzrle_session *s);

/**
 * xbzrle_session_info() - read the module's capabilities and limits
 * @s: the session, set up or not
 * @info: receives them; the caller sets its size member
 *
 * Return: 0 or a negative errno.
 */
int xbzrle_session_info(struct xbzrle_session *s, struct xbzrle_info *info);

/**
 * xbzrle_session_setup() - create the module's session and map its rings
 * @s: the session
 * @cfg: its parameters
 *
 * Binds the session to the calling process. A failed setup leaves @s as it was,
 * and setup can be called again. Before setup, only info and close work; other
 * calls return -ENOTCONN.
 *
 * Return: 0, -EISCONN if the session is set up already, or a negative errno.
 */
int xbzrle_session_setup(struct xbzrle_session *s, const struct xbzrle_config *cfg);

/**
 * xbzrle_session_region_add() - add a block of guest memory and map its bitmap
 * @s: the session
 * @name: the block's name in the stream, 1 to 255 bytes
 * @addr: the block's address, page aligned
 * @nr_pages: its size
 * @region: set to the region's number
 * @bitmap: set to the bitmap's mapping, all bits clear
 *
 * A bit stands for a page: bit 0 of the first 64-bit word for page 0.
 *
 * Return: 0, -ENAMETOOLONG, or a negative errno.
 */
int xbzrle_session_region_add(struct xbzrle_session *s, const char *name, void *addr,
			      uint64_t nr_pages, uint32_t *region,
			      uint64_t **bitmap);

/**
 * xbzrle_session_region_del() - remove a region and unmap its bitmap
 * @s: the session
 * @region: the region's number
 *
 * Return: 0, -ENOENT, or -EBUSY while slots lie in the region; the bitmap stays
 * mapped on error.
 */
int xbzrle_session_region_del(struct xbzrle_session *s, uint32_t region);

/**
 * xbzrle_session_slot_set() - start harvesting a KVM memslot's log
 * @s: the session
 * @slot: KVM's number for it, the address space in the upper 16 bits
 * @region: the region that it maps
 * @first_page: the region's page that is the slot's page 0
 * @nr_pages: the slot's size
 *
 * Allocates the scratch memory that the slot needs, so that sync cannot fail
 * for want of it.
 *
 * Return: 0 or a negative errno.
 */
int xbzrle_session_slot_set(struct xbzrle_session *s, uint32_t slot, uint32_t region,
			    uint64_t first_page, uint64_t nr_pages);

/**
 * xbzrle_session_slot_del() - stop harvesting a slot's log
 * @s: the session
 * @slot: KVM's number for it
 *
 * Return: 0 or a negative errno.
 */
int xbzrle_session_slot_del(struct xbzrle_session *s, uint32_t slot);

/**
 * xbzrle_session_sync() - fetch KVM's logs into the regions' bitmaps
 * @s: the session
 * @result: receives the result, or NULL
 *
 * A slot whose log cannot be fetched does not fail the call;
 * @result->slots_failed counts such slots. Waits for running encodes.
 *
 * Return: 0 or a negative errno.
 */
int xbzrle_session_sync(struct xbzrle_session *s, struct xbzrle_sync *result);

/**
 * xbzrle_session_clear() - clear KVM's log of pages that are not to be sent
 * @s: the session
 * @region: the region
 * @first_page: first page
 * @nr_pages: number of pages
 *
 * Call it before clearing the pages' bits in the bitmap.
 *
 * Return: 0 or a negative errno.
 */
int xbzrle_session_clear(struct xbzrle_session *s, uint32_t region,
			 uint64_t first_page, uint64_t nr_pages);

/**
 * xbzrle_session_encode() - encode the next batch of a queue
 * @s: the session
 * @queue: the queue
 * @budget: bytes after which to stop (by less than a record), 0 for no bound
 * @max_pages: dirty pages to process, 0 for no bound
 * @flags: XBZRLE_ENCODE_*
 * @batch: receives the batch
 *
 * Successive batches are contiguous in memory unless the ring's end lies
 * between them. Batches can be released late and several at once, as long as
 * the ring has room: XBZRLE_STATUS_FULL asks for a release.
 *
 * Return: 0, -ENOENT if there is no such queue, or a negative errno.
 */
int xbzrle_session_encode(struct xbzrle_session *s, unsigned int queue,
			  uint64_t budget, uint32_t max_pages, uint32_t flags,
			  struct xbzrle_batch *batch);

/**
 * xbzrle_session_encode_bounded() - the same, with a bound on deltas
 * @s: the session
 * @queue: the queue
 * @budget: as for xbzrle_session_encode()
 * @max_pages: as for xbzrle_session_encode()
 * @flags: XBZRLE_ENCODE_*
 * @max_delta: bytes of payload above which a page is sent whole, or 0 for what is
 *	shorter than the page
 * @batch: receives the batch
 *
 * With XBZRLE_ENCODE_WHOLE_APART in @flags, whole pages are taken out of the
 * batch by xbz_walk_next() (<xbzrle/walk.h>). Both need a module with
 * XBZRLE_FEATURE_WHOLE_APART.
 *
 * Return: as xbzrle_session_encode(); an older module returns -EOPNOTSUPP for
 * the flag, or -E2BIG for @max_delta.
 */
int xbzrle_session_encode_bounded(struct xbzrle_session *s, unsigned int queue,
				  uint64_t budget, uint32_t max_pages,
				  uint32_t flags, uint32_t max_delta,
				  struct xbzrle_batch *batch);

/**
 * xbzrle_session_release() - release ring space
 * @s: the session
 * @queue: the queue
 * @end: struct xbzrle_batch's end of the last batch that is not needed any
 *	more; all batches before it are released, too
 *
 * Return: 0, -ENOENT if there is no such queue, or -ERANGE if @end was released
 * before or is ahead of the last batch; nothing is released on error.
 */
int xbzrle_session_release(struct xbzrle_session *s, unsigned int queue,
			   uint64_t end);

/**
 * xbzrle_session_invalidate() - report pages that were sent past the session
 * @s: the session
 * @region: the region
 * @first_page: first page
 * @nr_pages: number of pages
 *
 * Call it before the pages are encoded again. Batches that hold them must be
 * sent before the pages are sent past the session.
 *
 * Return: 0 or a negative errno.
 */
int xbzrle_session_invalidate(struct xbzrle_session *s, uint32_t region,
			      uint64_t first_page, uint64_t nr_pages);

/**
 * xbzrle_session_cache_resize() - change the cache's limit
 * @s: the session
 * @cache_bytes: the new limit, 0 for no cache
 *
 * Return: 0 or a negative errno.
 */
int xbzrle_session_cache_resize(struct xbzrle_session *s, uint64_t cache_bytes);

/**
 * xbzrle_session_counters() - read the counters
 * @s: the session
 * @queue: a queue, or XBZRLE_ALL_QUEUES
 * @counters: receives them; the caller sets its size member
 *
 * Return: 0 or a negative errno.
 */
int xbzrle_session_counters(struct xbzrle_session *s, uint32_t queue,
			    struct xbzrle_counters *counters);

/**
 * struct xbzrle_workers_config - the parameters of a session's workers
 * @size: sizeof(struct xbzrle_workers_config)
 * @flags: must be zero
 * @batch_bytes: bytes after which a batch ends (by less than a record); 0 for
 *	64 KiB
 * @batch_pages: dirty pages to process for a batch; 0 for 2048
 * @nr_cpus: number of @cpus; 0 leaves placement to the scheduler
 * @cpus: processors to run on: worker q on @cpus[q modulo @nr_cpus]
 * @signal: sent to threads that encode, when they are paused or stopped, so that
 *	they end their batch at the next page; it must have a handler, which need
 *	not do anything. 0 for none: their batches come to their ordinary end
 * @reserved: must be zero
 */
struct xbzrle_workers_config {
	uint32_t size;
	uint32_t flags;
	uint64_t batch_bytes;
	uint32_t batch_pages;
	uint32_t nr_cpus;
	const uint32_t *cpus;
	int32_t signal;
	uint32_t reserved;
};

struct xbzrle_workers;

/**
 * xbzrle_workers_start() - start threads that encode ahead, one for each queue
 * @out: set to the workers, paused
 * @s: a session that is set up. Until xbzrle_workers_stop(), the caller must
 *	not encode, release or close it
 * @cfg: their parameters
 *
 * A session with one queue gets no thread: xbzrle_workers_next() encodes in its
 * caller. The threads are called xbzrle/0, xbzrle/1 and so on, and block all
 * signals but that of @cfg.
 *
 * Return: 0, -EINVAL, -ENOTCONN before the session's setup, -ENOMEM, or an
 * error of pthread_create(3).
 */
int xbzrle_workers_start(struct xbzrle_workers **out, struct xbzrle_session *s,
			 const struct xbzrle_workers_config *cfg);

/**
 * xbzrle_workers_stop() - stop the threads and free the workers
 * @w: the workers, or NULL; no other call may use them at the same time
 *
 * Batches that were encoded and not taken are lost, and their pages are no
 * longer dirty. Unless the migration ends here, call xbzrle_workers_pause()
 * first, and xbzrle_workers_next() until it returns 0.
 */
void xbzrle_workers_stop(struct xbzrle_workers *w);

/**
 * xbzrle_workers_pause() - stop encoding until xbzrle_workers_resume()
 * @w: the workers
 *
 * Waits for running encodes: a batch's time, or with a signal a page's. Batches
 * that were encoded are kept and can be taken.
 */
void xbzrle_workers_pause(struct xbzrle_workers *w);

/**
 * xbzrle_workers_resume() - let all workers encode and rescan for dirty pages
 * @w: the workers, paused or not
 * @flags: XBZRLE_ENCODE_*, for batches that begin from now on
 *
 * Call it after a sync, and after setting bits in a bitmap that must not wait
 * for the next sync.
 */
void xbzrle_workers_resume(struct xbzrle_workers *w, uint32_t flags);

/**
 * xbzrle_workers_bound() - bound the deltas
 * @w: the workers, paused or not
 * @flags: XBZRLE_ENCODE_WHOLE_APART or 0
 * @max_delta: as for xbzrle_session_encode_bounded()
 *
 * Holds for batches that begin from now on; a batch's flags say whether it was
 * encoded with XBZRLE_ENCODE_WHOLE_APART.
 */
void xbzrle_workers_bound(struct xbzrle_workers *w, uint32_t flags,
			  uint32_t max_delta);

/**
 * xbzrle_workers_next() - take the next batch of any queue
 * @w: the workers
 * @queue: set to the batch's queue
 * @batch: receives the batch; of its status, only XBZRLE_STATUS_FAULT and _LOG
 *	matter to the caller
 *
 * Waits while a batch can still come. A queue's batches come in the order in
 * which they have to be sent; between queues there is no order. One thread at a
 * time may call this.
 *
 * Return: 1 for a batch; 0 if all queues are paused or found nothing dirty;
 * -EAGAIN if no batch comes until ring space is released; or an error of
 * xbzrle_session_encode(), which is returned once, with @queue set, and ends
 * the queue.
 */
int xbzrle_workers_next(struct xbzrle_workers *w, unsigned int *queue,
			struct xbzrle_batch *batch);

/**
 * xbzrle_workers_release() - release ring space
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
 * @window: bytes that the consumer may send between two checks of its rate
 *	limit, or 0 for no limit
 * @bytes: size of its last write, or 0 if there was none
 * @ns: nanoseconds that this write took
 *
 * From the first call on, a batch is as large as the link takes in 5 ms, and at
 * most 512 KiB, a quarter of the ring and a sixteenth of @window. A queue is at
 * most two batches ahead, so the batches that wait in all queues are at most
 * half of @window. No batch is limited to less than 4 KiB, which takes
 * precedence over the other bounds.
 *
 * Return: the size of new batches in bytes. A batch that ended because of its
 * size has at least as many, so this is how much to collect before a write.
 */
uint64_t xbzrle_workers_pace(struct xbzrle_workers *w, uint64_t window, uint64_t bytes,
			     uint64_t ns);

#ifdef __cplusplus
}
#endif

#endif /* XBZRLE_XBZRLE_H */
