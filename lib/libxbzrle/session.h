/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A session as the library's own files see it; not installed.
 */
#ifndef XBZRLE_LIB_SESSION_H
#define XBZRLE_LIB_SESSION_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include <xbzrle/xbzrle.h>

/**
 * struct xbzrle_queue - a queue's mapped ring
 * @cons: the consumer's page, writable
 * @prod: the producer's page, followed by the data twice, read-only
 * @prod_bytes: size of the mapping of @prod
 * @data: the data
 * @made: position behind the last batch
 * @released: last value stored to @cons->pos, which is never read back
 *
 * Only the encoding thread writes @made, only the releasing thread accesses
 * @released. The releasing thread also reads @made.
 */
struct xbzrle_queue {
	struct xbzrle_ring_cons *cons;
	const struct xbzrle_ring_prod *prod;
	size_t prod_bytes;
	const unsigned char *data;
	uint64_t made;
	uint64_t released;
};

/**
 * struct xbzrle_region_map - a region's mapped bitmap
 * @region: the region's number
 * @bitmap: the mapping
 * @bytes: its size
 */
struct xbzrle_region_map {
	uint32_t region;
	void *bitmap;
	size_t bytes;
};

/**
 * struct xbzrle_session - a session
 * @device_fd: the device
 * @fd: the module's session, -1 before setup
 * @nr_queues: number of queues, 0 before setup
 * @ring_bytes: size of a ring's data
 * @queues: the queues
 * @encode_scratch: scratch memory for ENCODE, XBZRLE_SCRATCH_MIN bytes for each
 *	queue
 * @lock: protects the members below
 * @regions: the regions, in no order
 * @nr_regions: number of regions
 * @scratch: scratch memory for SYNC
 * @scratch_bytes: size of @scratch; grows to the largest slot's and never
 *	shrinks
 */
struct xbzrle_session {
	int device_fd;
	int fd;
	unsigned int nr_queues;
	uint64_t ring_bytes;
	struct xbzrle_queue *queues;
	unsigned char *encode_scratch;

	pthread_mutex_t lock;
	struct xbzrle_region_map *regions;
	size_t nr_regions;
	uint64_t *scratch;
	size_t scratch_bytes;
};

/*
 * An ioctl of the module's session. Returns 0, or a negative errno; -ENOTCONN
 * before setup.
 */
int xbzrle_ioctl(const struct xbzrle_session *s, unsigned long request, void *arg);

/* region.c */
void xbzrle_regions_unmap(struct xbzrle_session *s);

/* queue.c */
int xbzrle_queues_map(struct xbzrle_session *s, const struct xbzrle_setup *setup);
void xbzrle_queues_unmap(struct xbzrle_session *s);

#endif /* XBZRLE_LIB_SESSION_H */
