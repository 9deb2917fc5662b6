// SPDX-License-Identifier: GPL-2.0-only
/*
 * libxbzrle against the real module: its mappings, its ring positions and what
 * it makes of errors. What the module does with the calls is the other tests'.
 * Fails if it maps the wrong memory, hands out batches from the wrong place, lets
 * a position pass that it has not given, or loses an error.
 */
#include "fakevm.h"
#include "harness.h"

#include <xbzrle/xbzrle.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 700
#define RING XBZT_RING_MIN

struct memory {
	uint8_t *src;
	uint8_t *dst;
	struct xbzt_dest dest;
	struct xbzt_block block;
	uint8_t owner[PAGES / XBZRLE_CHUNK_PAGES + 1];
};

static uint8_t *pages(void)
{
	void *p = mmap(NULL, PAGES * XBZT_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void memory_init(struct memory *m)
{
	memset(m, 0, sizeof(*m));
	m->src = pages();
	m->dst = pages();
	m->block = (struct xbzt_block){
		.name = "pc.ram", .mem = m->dst, .nr_pages = PAGES,
		.owner = m->owner,
	};
	m->dest.blocks[0] = &m->block;
}

static void memory_destroy(struct memory *m)
{
	munmap(m->src, PAGES * XBZT_PAGE);
	munmap(m->dst, PAGES * XBZT_PAGE);
}

static struct xbzrle_session *session(unsigned int nr_queues)
{
	const struct xbzrle_config cfg = {
		.size = sizeof(cfg), .nr_queues = nr_queues, .vm_fd = -1,
		.ring_bytes = RING, .cache_bytes = 64 << 20, .name = "library",
	};
	struct xbzrle_session *s;

	assert_int_equal(xbzrle_session_open(&s, NULL), 0);
	assert_int_equal(xbzrle_session_setup(s, &cfg), 0);
	return s;
}

/* Takes all that a queue has, batch by batch, and gives the space back. */
static void drain(struct xbzrle_session *s, struct memory *m, unsigned int queue)
{
	struct xbzt_applied applied = { 0 };
	struct xbzrle_batch b;

	do {
		assert_int_equal(xbzrle_session_encode(s, queue, 20000, 0, 0, &b),
				 0);
		if (b.bytes)
			assert_int_equal(xbzt_dest_apply(&m->dest, queue,
							 b.data, b.bytes,
							 &applied), 0);
		assert_int_equal(b.pages, b.pages_same + b.pages_zero +
				 b.pages_delta + b.pages_raw);
		assert_int_equal(xbzrle_session_release(s, queue, b.end), 0);
	} while (!(b.status & XBZRLE_STATUS_IDLE));
}

/*
 * Breaks if the library maps the wrong memory as ring or bitmap, hands out
 * batches from the wrong place, or releases what it should not.
 */
static void test_passes(void **state)
{
	unsigned int nr_queues = *(unsigned int *)*state, pass, q;
	struct xbzrle_session *s = session(nr_queues);
	struct xbzrle_counters c = { .size = sizeof(c) };
	struct memory m;
	uint64_t *bitmap;
	uint32_t region;
	unsigned int i;

	memory_init(&m);
	assert_int_equal(xbzrle_session_region_add(s, "pc.ram", m.src, PAGES,
						   &region, &bitmap), 0);
	for (pass = 0; pass < 6; pass++) {
		for (i = 0; i < PAGES; i++) {
			m.src[i * XBZT_PAGE + xbzt_below(&xbzt_rng, XBZT_PAGE)] +=
				1 + pass;
			__atomic_fetch_or(&bitmap[i / 64], 1ULL << i % 64,
					  __ATOMIC_SEQ_CST);
		}
		for (q = 0; q < nr_queues; q++)
			drain(s, &m, q);
		assert_memory_equal(m.src, m.dst, PAGES * XBZT_PAGE);
	}
	assert_int_equal(xbzrle_session_counters(s, XBZRLE_ALL_QUEUES, &c), 0);
	assert_int_equal(c.pages_delta, 6 * PAGES);
	assert_int_equal(xbzrle_session_cache_resize(s, 0), 0);
	assert_int_equal(xbzrle_session_counters(s, XBZRLE_ALL_QUEUES, &c), 0);
	assert_int_equal(c.cache_pages, 0);
	assert_int_equal(xbzrle_session_invalidate(s, region, 0, PAGES), 0);
	assert_int_equal(xbzrle_session_region_del(s, region), 0);
	assert_int_equal(xbzrle_session_region_del(s, region), -ENOENT);
	xbzrle_session_close(s);
	memory_destroy(&m);
}

/*
 * Breaks if a position that was never handed out gets through to the module,
 * which would end the queue, or if an honest one does not.
 */
static void test_release_is_checked(void **state)
{
	struct xbzrle_session *s = session(1);
	struct xbzrle_batch b;
	struct memory m;
	uint64_t *bitmap;
	uint32_t region;

	(void)state;
	memory_init(&m);
	assert_int_equal(xbzrle_session_region_add(s, "pc.ram", m.src, PAGES,
						   &region, &bitmap), 0);
	bitmap[0] = 1;
	assert_int_equal(xbzrle_session_encode(s, 0, 0, 0, 0, &b), 0);
	assert_true(b.bytes > 0);
	assert_int_equal(xbzrle_session_release(s, 0, b.end + 1), -ERANGE);
	assert_int_equal(xbzrle_session_release(s, 1, b.end), -ENOENT);
	assert_int_equal(xbzrle_session_release(s, 0, b.end), 0);
	assert_int_equal(xbzrle_session_release(s, 0, b.end - 1), -ERANGE);
	assert_int_equal(xbzrle_session_encode(s, 0, 0, 0, 0, &b), 0);
	assert_true(b.status & XBZRLE_STATUS_IDLE);
	xbzrle_session_close(s);
	memory_destroy(&m);
}

/* Breaks if an error is hidden, or says something else than the header does. */
static void test_errors(void **state)
{
	struct xbzrle_config cfg = { .size = sizeof(cfg), .nr_queues = 1,
				     .vm_fd = -1, .ring_bytes = RING };
	char name[300];
	struct xbzrle_session *s;
	struct memory m;
	uint64_t *bitmap;
	uint32_t region;
	int fd;

	(void)state;
	memory_init(&m);
	assert_int_equal(xbzrle_session_open(&s, "/nonexistent"), -ENOENT);
	assert_int_equal(xbzrle_session_open(&s, "/dev/null"), -ENOTTY);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(xbzrle_session_open_fd(&s, fd), -ENOTTY);
	/* On failure the descriptor stays the caller's. */
	assert_int_equal(close(fd), 0);

	assert_int_equal(xbzrle_session_open(&s, NULL), 0);
	assert_int_equal(xbzrle_session_region_add(s, "pc.ram", m.src, PAGES,
						   &region, &bitmap), -ENOTCONN);
	cfg.ring_bytes = RING + 1;
	assert_int_equal(xbzrle_session_setup(s, &cfg), -ERANGE);
	xbzrle_session_close(s);

	s = session(1);
	memset(name, 'n', sizeof(name));
	name[299] = '\0';
	assert_int_equal(xbzrle_session_region_add(s, name, m.src, PAGES, &region,
						   &bitmap), -ENAMETOOLONG);
	assert_int_equal(xbzrle_session_region_add(s, "a", m.src + 1, PAGES,
						   &region, &bitmap), -EINVAL);
	assert_int_equal(xbzrle_session_slot_set(s, 0, 0, 0, 1), -ENODEV);
	assert_int_equal(xbzrle_session_cache_resize(s, 1 << 20), 0);
	xbzrle_session_close(s);
	xbzrle_session_close(NULL);
	memory_destroy(&m);
}

/*
 * Breaks if the library gives a slot's log to another region or forgets what came
 * of a sync, or if a slot that it has forgotten is harvested.
 */
static void test_slots(void **state)
{
	struct xbzrle_config cfg = { .size = sizeof(cfg), .nr_queues = 1,
				     .flags = XBZRLE_SETUP_MANUAL_PROTECT,
				     .vm_fd = xbzt_vm(XBZ_FAKEVM_MANUAL_PROTECT),
				     .ring_bytes = RING, .cache_bytes = 64 << 20 };
	struct xbzrle_info info = { .size = sizeof(info) };
	struct xbzrle_sync sync;
	struct xbzrle_session *s;
	struct xbzt_slot slot;
	struct memory m;
	uint64_t *bitmap;
	uint32_t region;

	(void)state;
	memory_init(&m);
	slot = xbzt_slot(cfg.vm_fd, 3, m.src, PAGES);
	assert_int_equal(xbzrle_session_open(&s, NULL), 0);
	assert_int_equal(xbzrle_session_info(s, &info), 0);
	assert_int_equal(info.abi_version, XBZRLE_ABI_VERSION);
	assert_int_equal(xbzrle_session_setup(s, &cfg), 0);
	assert_int_equal(xbzrle_session_region_add(s, "pc.ram", m.src, PAGES,
						   &region, &bitmap), 0);
	assert_int_equal(xbzrle_session_slot_set(s, 3, region, 0, PAGES), 0);
	assert_int_equal(xbzrle_session_region_del(s, region), -EBUSY);

	m.src[5 * XBZT_PAGE] = 1;
	xbzt_slot_dirty(&slot, 5);
	m.src[600 * XBZT_PAGE] = 1;
	xbzt_slot_dirty(&slot, 600);
	assert_int_equal(xbzrle_session_sync(s, &sync), 0);
	assert_int_equal(sync.new_dirty, 2);
	assert_int_equal(sync.slots_failed, 0);
	assert_int_equal(bitmap[0], 1ULL << 5);
	assert_int_equal(xbzrle_session_clear(s, region, 5, 1), 0);
	assert_false(xbzt_slot_is_dirty(&slot, 5));
	drain(s, &m, 0);
	assert_memory_equal(m.src, m.dst, PAGES * XBZT_PAGE);
	assert_false(xbzt_slot_is_dirty(&slot, 600));

	assert_int_equal(xbzrle_session_slot_del(s, 3), 0);
	assert_int_equal(xbzrle_session_slot_del(s, 3), -ENOENT);
	xbzt_slot_dirty(&slot, 7);
	assert_int_equal(xbzrle_session_sync(s, NULL), 0);
	assert_int_equal(bitmap[0], 0);
	assert_int_equal(xbzrle_session_region_del(s, region), 0);
	xbzrle_session_close(s);
	close(cfg.vm_fd);
	memory_destroy(&m);
}

int main(void)
{
	static unsigned int one = 1, four = 4;
	const struct CMUnitTest tests[] = {
		{ "test_passes_one_queue", test_passes, NULL, NULL, &one },
		{ "test_passes_four_queues", test_passes, NULL, NULL, &four },
		cmocka_unit_test(test_release_is_checked),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
