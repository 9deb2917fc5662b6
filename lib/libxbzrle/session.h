/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the library's own files share about a session; not installed.
 */
#ifndef XBZRLE_LIB_SESSION_H
#define XBZRLE_LIB_SESSION_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include <xbzrle/xbzrle.h>

/**
 * struct xbzrle_queue - a ring as it is mapped here
 * @cons: the consumer's page, writable
 * @prod: the producer's page, followed by the data twice, read-only
 * @prod_bytes: size of that mapping
 * @data: the data
 * @made: position behind the last batch
 * @released: what @cons->pos was set to; that page is never read back
 *
 * @made is the encoding thread's, @released is the releasing thread's; that one
 * reads @made.
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
 * struct xbzrle_region_map - a region's bitmap as it is mapped here
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
 * @fd: the open device
 * @nr_queues: its queues, 0 before setup
 * @ring_bytes: size of a queue's data
 * @queues: the queues
 * @encode_scratch: memory for ENCODE, XBZRLE_SCRATCH_MIN bytes for each queue,
 *	which its encoding thread uses
 * @lock: protects what follows
 * @regions: the regions, in no order
 * @nr_regions: how many
 * @scratch: memory for SYNC
 * @scratch_bytes: its size; grows with the largest slot and never shrinks
 */
struct xbzrle_session {
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

/* ioctl(2), but with the error as its return value. */
int xbzrle_ioctl(const struct xbzrle_session *s, unsigned long request, void *arg);

/* region.c */
void xbzrle_regions_unmap(struct xbzrle_session *s);

/* queue.c */
int xbzrle_queues_map(struct xbzrle_session *s, const struct xbzrle_setup *setup);
void xbzrle_queues_unmap(struct xbzrle_session *s);

#endif /* XBZRLE_LIB_SESSION_H */
