/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the device tests stand on: sessions, regions with the source's and the
 * destination's memory, passes. It speaks to /dev/xbzrle by the ABI's header
 * alone. Each batch that it takes is checked against the ABI's promises and
 * applied to the destination. Errors are expected by the tests, not here: a
 * function that returns an int gives 0 or -errno; the others fail the test.
 */
#ifndef XBZT_HARNESS_H
#define XBZT_HARNESS_H

#include "guest.h"
#include "rng.h"
#include "stream.h"

#include <linux/xbzrle.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#define XBZT_PAGE XBZRLE_PAGE_SIZE
#define XBZT_RING_MIN (64 << 10)
#define XBZT_ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

/**
 * struct xbzt_config - how a session is set up; all zero is a simple one
 * @nr_queues: 0 for 1
 * @ring_bytes: 0 for the smallest
 * @cache_bytes: of the whole session
 * @log_block_pages: 0 for the largest
 * @vm: the VM's file descriptor, 0 for none
 * @flags: XBZRLE_SETUP_*
 */
struct xbzt_config {
	unsigned int nr_queues;
	uint64_t ring_bytes;
	uint64_t cache_bytes;
	uint32_t log_block_pages;
	int vm;
	uint32_t flags;
};

/**
 * struct xbzt_region - a region
 * @id: its number
 * @name: its name
 * @nr_pages: its size
 * @mem: the source's memory
 * @bitmap: its bitmap
 * @bitmap_bytes: size of the bitmap's mapping
 * @block: the destination's memory, which begins as garbage
 * @borrowed: @mem is the test's
 */
struct xbzt_region {
	uint32_t id;
	char name[256];
	uint64_t nr_pages;
	uint8_t *mem;
	uint64_t *bitmap;
	uint64_t bitmap_bytes;
	struct xbzt_block block;
	bool borrowed;
};

/**
 * struct xbzt_queue - the consumer's end of a queue
 * @cons: its page
 * @prod: the producer's page
 * @data: the data, twice
 * @pos: bytes taken, here
 */
struct xbzt_queue {
	struct xbzrle_ring_cons *cons;
	const struct xbzrle_ring_prod *prod;
	const uint8_t *data;
	uint64_t pos;
};

/**
 * struct xbzt_session - a session and its destination
 * @fd: its file; the device's is closed
 * @setup: as SETUP returned it
 * @queues: its queues
 * @nr_regions: of @regions
 * @regions: its regions, NULL where one was deleted
 * @dest: the destination
 * @scratch: scratch memory
 * @scratch_bytes: its size
 * @total: sums over all batches, as ENCODE gave them
 */
struct xbzt_session {
	int fd;
	struct xbzrle_setup setup;
	struct xbzt_queue queues[XBZRLE_MAX_QUEUES];
	unsigned int nr_regions;
	struct xbzt_region *regions[64];
	struct xbzt_dest dest;
	void *scratch;
	size_t scratch_bytes;
	struct xbzrle_encode total;
};

/* The run's seed, printed at its start; and the tests' source of randomness. */
extern uint64_t xbzt_seed;
extern struct xbzt_rng xbzt_rng;

/**
 * xbzt_begin() - start a test program
 *
 * Takes XBZ_SEED from the environment or makes a seed up, runs only the tests
 * whose names match XBZ_TEST (with * and ?) if that is set, and remembers where
 * the kernel's log ends.
 */
void xbzt_begin(void);

/* The last test of each program: nothing was logged since xbzt_begin(). */
void xbzt_test_log_is_quiet(void **state);

/* An ioctl that returns nothing but 0: 0 or -errno. */
int xbzt_ioctl(int fd, unsigned int cmd, void *arg);

/* Opens /dev/xbzrle. */
int xbzt_device(void);

/* XBZRLE_SETUP on an open device: the session's file, or -errno. */
int xbzt_setup(int device, struct xbzrle_setup *arg);

/* The same on a device that is opened for it and closed again. */
int xbzt_setup_alone(struct xbzrle_setup *arg);

/* The number of the next file that is opened: it tells if one was left open. */
int xbzt_lowest_fd(void);

/* XBZRLE_INFO, which must not fail. */
struct xbzrle_info xbzt_info(void);

/* What all sessions use of the host's limit; the reaper may be making it less. */
uint64_t xbzt_memory_used(void);

/* Waits for the reaper: fails if the condition is not true in half a minute. */
#define xbzt_eventually(condition) \
do { \
	unsigned int xbzt_tries = 0; \
\
	while (!(condition)) { \
		assert_true(xbzt_tries++ < 30000); \
		usleep(1000); \
	} \
} while (0)

/* No session is open; those that were have left nothing behind. */
void xbzt_assert_all_freed(void);

/* Makes a session on an open device, or on one that is opened just for it. */
struct xbzt_session *xbzt_open_on(int device, const struct xbzt_config *config);
struct xbzt_session *xbzt_open(const struct xbzt_config *config);
void xbzt_close(struct xbzt_session *s);

/* Maps a queue's ring or a bitmap: NULL and errno on failure. */
void *xbzt_map(int fd, uint64_t offset, size_t bytes, bool writable);

/* Anonymous memory; what is never touched takes none. */
uint8_t *xbzt_memory(uint64_t nr_pages);

/* Adds a region with memory of its own, or with the test's. */
struct xbzt_region *xbzt_region(struct xbzt_session *s, const char *name,
				uint64_t nr_pages);
struct xbzt_region *xbzt_region_at(struct xbzt_session *s, const char *name,
				   uint64_t nr_pages, uint8_t *mem);

/* Unmaps the bitmap, deletes the region, and forgets it. */
void xbzt_region_del(struct xbzt_session *s, struct xbzt_region *r);

/* Frees what the test holds of a region; the module is not told. */
void xbzt_region_forget(struct xbzt_session *s, struct xbzt_region *r);

void xbzt_dirty(struct xbzt_region *r, uint64_t page);
void xbzt_undirty(struct xbzt_region *r, uint64_t page);
bool xbzt_is_dirty(const struct xbzt_region *r, uint64_t page);
void xbzt_dirty_all(struct xbzt_region *r);
uint64_t xbzt_nr_dirty(const struct xbzt_region *r);

static inline uint8_t *xbzt_page(const struct xbzt_region *r, uint64_t page)
{
	return r->mem + page * XBZT_PAGE;
}

static inline uint8_t *xbzt_dest_page(const struct xbzt_region *r,
				      uint64_t page)
{
	return r->block.mem + page * XBZT_PAGE;
}

/* Writes to some pages of all regions and sets their bits. */
void xbzt_scribble(struct xbzt_session *s, unsigned int percent);

/**
 * xbzt_encode_raw() - one ENCODE; the batch stays in the ring
 * @s: the session
 * @queue: which queue
 * @arg: flags, max_pages and budget in, all of it out
 *
 * Return: 0 or -errno.
 */
int xbzt_encode_raw(struct xbzt_session *s, unsigned int queue,
		    struct xbzrle_encode *arg);

/* Checks that a batch keeps the ABI's promises and applies it. */
void xbzt_apply(struct xbzt_session *s, unsigned int queue,
		const struct xbzrle_encode *arg);

/* Gives the ring space up to @pos back. */
void xbzt_release(struct xbzt_session *s, unsigned int queue, uint64_t pos);

/* One ENCODE that must not fail, applied and released. */
void xbzt_encode(struct xbzt_session *s, unsigned int queue,
		 struct xbzrle_encode *arg);

/* Encodes until no queue has a dirty page; any other end fails the test. */
void xbzt_pass(struct xbzt_session *s);
void xbzt_pass_with(struct xbzt_session *s, const struct xbzrle_encode *arg);

/* SYNC with the session's scratch memory: 0 or -errno. */
int xbzt_sync(struct xbzt_session *s, struct xbzrle_sync *arg);

/* XBZRLE_CLEAR with the session's scratch memory: 0 or -errno. */
int xbzt_clear(struct xbzt_session *s, struct xbzt_region *r, uint64_t first,
	       uint64_t nr);

int xbzt_cache(struct xbzt_session *s, uint64_t bytes);

/* The host's limit on all sessions, 0 for the default: 0 or -errno. */
int xbzt_set_limit(unsigned int mib);
void xbzt_counters(struct xbzt_session *s, uint32_t queue,
		   struct xbzrle_counters *arg);

/* The destination's memory is the source's. */
void xbzt_assert_equal(const struct xbzt_region *r);
void xbzt_assert_all_equal(const struct xbzt_session *s);

/* Whether the destination's page is another than the source's. */
bool xbzt_differs(const struct xbzt_region *r, uint64_t page);

/* First page at or behind @page that differs, or nr_pages. */
uint64_t xbzt_find_difference(const struct xbzt_region *r, uint64_t page);

/* The session does its work: a change in each region arrives. */
void xbzt_assert_works(struct xbzt_session *s);

#endif /* XBZT_HARNESS_H */
