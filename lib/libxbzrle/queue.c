// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues: mapped rings, batches and the release of ring space. Encoding runs in
 * the calling thread; threads of the library's own are in workers.c.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static int map_queue(struct xbzrle_session *s, struct xbzrle_queue *q,
		     uint64_t offset)
{
	void *map;

	map = mmap(NULL, XBZRLE_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		   s->fd, offset);
	if (map == MAP_FAILED)
		return -errno;
	q->cons = map;

	q->prod_bytes = XBZRLE_PAGE_SIZE + 2 * s->ring_bytes;
	map = mmap(NULL, q->prod_bytes, PROT_READ, MAP_SHARED, s->fd,
		   offset + XBZRLE_PAGE_SIZE);
	if (map == MAP_FAILED)
		return -errno;
	q->prod = map;
	q->data = (const unsigned char *)map + XBZRLE_PAGE_SIZE;
	return 0;
}

int xbzrle_queues_map(struct xbzrle_session *s, const struct xbzrle_setup *setup)
{
	unsigned int i;
	int ret;

	s->queues = calloc(setup->nr_queues, sizeof(*s->queues));
	if (!s->queues)
		return -ENOMEM;
	s->nr_queues = setup->nr_queues;
	s->ring_bytes = setup->ring_bytes;
	s->encode_scratch = calloc(s->nr_queues, XBZRLE_SCRATCH_MIN);
	if (!s->encode_scratch) {
		ret = -ENOMEM;
		goto err_unmap;
	}
	for (i = 0; i < s->nr_queues; i++) {
		ret = map_queue(s, &s->queues[i],
				setup->ring_offset + i * setup->ring_stride);
		if (ret)
			goto err_unmap;
	}
	return 0;

err_unmap:
	xbzrle_queues_unmap(s);
	return ret;
}

void xbzrle_queues_unmap(struct xbzrle_session *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_queues; i++) {
		struct xbzrle_queue *q = &s->queues[i];

		if (q->prod)
			munmap((void *)q->prod, q->prod_bytes);
		if (q->cons)
			munmap(q->cons, XBZRLE_PAGE_SIZE);
	}
	free(s->encode_scratch);
	free(s->queues);
	s->encode_scratch = NULL;
	s->queues = NULL;
	s->nr_queues = 0;
}

int xbzrle_session_encode(struct xbzrle_session *s, unsigned int queue,
			  uint64_t budget, uint32_t max_pages, uint32_t flags,
			  struct xbzrle_batch *batch)
{
	return xbzrle_session_encode_bounded(s, queue, budget, max_pages, flags,
					     0, batch);
}

int xbzrle_session_encode_bounded(struct xbzrle_session *s, unsigned int queue,
				  uint64_t budget, uint32_t max_pages,
				  uint32_t flags, uint32_t max_delta,
				  struct xbzrle_batch *batch)
{
	struct xbzrle_encode arg = {
		.size = sizeof(arg),
		.flags = flags,
		.queue = queue,
		.max_pages = max_pages,
		.budget = budget,
		.max_delta = max_delta,
	};
	struct xbzrle_queue *q;
	int ret;

	if (!s->nr_queues)
		return -ENOTCONN;
	if (queue >= s->nr_queues)
		return -ENOENT;
	q = &s->queues[queue];
	arg.scratch = (uintptr_t)(s->encode_scratch +
				  (size_t)queue * XBZRLE_SCRATCH_MIN);
	arg.scratch_bytes = XBZRLE_SCRATCH_MIN;
	ret = xbzrle_ioctl(s, XBZRLE_ENCODE, &arg);
	if (ret)
		return ret;

	/* xbzrle_session_release() may read it in another thread. */
	__atomic_store_n(&q->made, arg.pos + arg.bytes, __ATOMIC_RELAXED);
	*batch = (struct xbzrle_batch){
		.data = q->data + (arg.pos & (s->ring_bytes - 1)),
		.bytes = arg.bytes,
		.end = arg.pos + arg.bytes,
		.pages = arg.pages,
		.pages_same = arg.pages_same,
		.pages_zero = arg.pages_zero,
		.pages_delta = arg.pages_delta,
		.pages_raw = arg.pages_raw,
		.status = arg.status,
		.fault_region = arg.fault_region,
		.fault_page = arg.fault_page,
		.flags = flags,
		.pass = arg.pass,
	};
	return 0;
}

int xbzrle_session_release(struct xbzrle_session *s, unsigned int queue, uint64_t end)
{
	struct xbzrle_queue *q;

	if (!s->nr_queues)
		return -ENOTCONN;
	if (queue >= s->nr_queues)
		return -ENOENT;
	q = &s->queues[queue];
	if (end < q->released ||
	    end > __atomic_load_n(&q->made, __ATOMIC_RELAXED))
		return -ERANGE;
	q->released = end;
	/*
	 * Pairs with the module's load-acquire of the position: all reads of
	 * the data complete before the module can overwrite it.
	 */
	__atomic_store_n(&q->cons->pos, end, __ATOMIC_RELEASE);
	return 0;
}
