// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invariant 8: what the other side can write to is hostile. Consumer positions,
 * bitmaps, scratch memory, and what must not be writable at all.
 */
#include "fakevm.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* A thread that makes trouble until it is told to stop. */
struct villain {
	struct xbzt_session *s;
	struct xbzt_region *r;
	bool stop;
	pthread_t thread;
};

static bool goes_on(struct villain *v)
{
	return !__atomic_load_n(&v->stop, __ATOMIC_RELAXED);
}

static void begin(struct villain *v, void *(*run)(void *))
{
	assert_int_equal(pthread_create(&v->thread, NULL, run, v), 0);
}

static void end(struct villain *v)
{
	__atomic_store_n(&v->stop, true, __ATOMIC_RELAXED);
	pthread_join(v->thread, NULL);
}

static int encode_some(struct xbzt_session *s, unsigned int queue)
{
	struct xbzrle_encode arg = { 0 };

	return xbzt_encode_raw(s, queue, &arg);
}

/* What each queue sends in check_position(), and how long a record is. */
#define QUEUE_PAGES 20
#define RAW_BYTES (8 + 1 + 3 + XBZT_PAGE)

/*
 * Breaks if a position that makes no sense is believed (bytes that were not
 * read are overwritten, or the room is computed as something huge), if it ends
 * more than its own queue, or if the queue comes back as if nothing had been.
 */
static void check_position(uint64_t produced, uint64_t lie)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 2, .ring_bytes = XBZT_RING_MIN });
	struct xbzt_region *r = xbzt_region(s, "ram", 1024);
	struct xbzt_session *other = xbzt_open(NULL);
	uint64_t page, i;

	xbzt_region(other, "ram", 10);
	/* One chunk is the one queue's, the other the other's. */
	for (i = 0; i < 2 * QUEUE_PAGES; i++) {
		page = i % 2 * XBZRLE_CHUNK_PAGES + i / 2;
		xbzt_guest_fill(xbzt_page(r, page), &xbzt_rng);
		xbzt_dirty(r, page);
	}
	while (s->queues[0].pos < produced) {
		struct xbzrle_encode arg = { .max_pages = 1 };

		xbzt_encode(s, 0, &arg);
	}
	assert_int_equal(encode_some(s, 0), 0);

	xbzt_release(s, 0, lie);
	assert_int_equal(encode_some(s, 0), -EPIPE);
	xbzt_release(s, 0, s->queues[0].pos);
	assert_int_equal(encode_some(s, 0), -EPIPE);

	assert_int_equal(encode_some(s, 1), 0);
	xbzt_assert_works(other);
	xbzt_close(other);
	xbzt_close(s);
}

static void test_invariant_8_consumer_ahead(void **state)
{
	(void)state;
	check_position(0, XBZT_RING_MIN);
	check_position(5000, 1 << 20);
}

static void test_invariant_8_consumer_back(void **state)
{
	(void)state;
	check_position(5000, 1);
	check_position(5000, 0);
}

static void test_invariant_8_consumer_garbage(void **state)
{
	(void)state;
	check_position(0, ~0ULL);
	check_position(5000, 1ULL << 63);
	check_position(5000, ~0ULL - 4000);
}

/*
 * Of a position that is stored in two halves one is new and one old. Halves of 16
 * bits do for those of 32: the ring has come around where the upper one changes.
 */
static void test_invariant_8_consumer_torn(void **state)
{
	const uint64_t old = 15 * RAW_BYTES, new = QUEUE_PAGES * RAW_BYTES;

	(void)state;
	check_position(old, (old & ~0xffffULL) | (new & 0xffff));
	check_position(old, (new & ~0xffffULL) | (old & 0xffff));
}

static void *move_consumer(void *p)
{
	struct villain *v = p;
	struct xbzt_queue *q = &v->s->queues[0];
	struct xbzt_rng rng;

	xbzt_rng_seed(&rng, xbzt_seed + 1);
	while (goes_on(v)) {
		uint64_t prod = __atomic_load_n(&q->prod->pos,
						__ATOMIC_ACQUIRE);

		/* Mostly where it may be, so that there is work to disturb. */
		xbzt_release(v->s, 0, xbzt_below(&rng, 500) ? prod :
				      xbzt_random(&rng) >> xbzt_below(&rng, 60));
	}
	return NULL;
}

/* Breaks if the position is read twice, once to check and once to use. */
static void test_invariant_8_consumer_moves_while_read(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
			.ring_bytes = XBZT_RING_MIN });
		struct xbzt_region *r = xbzt_region(s, "ram", 100);
		struct villain v = { .s = s };
		unsigned int round;
		int ret = 0;

		begin(&v, move_consumer);
		for (round = 0; round < 500 && !ret; round++) {
			struct xbzrle_encode arg = { 0 };

			xbzt_dirty_all(r);
			ret = xbzt_encode_raw(s, 0, &arg);
			if (!ret)
				assert_true(arg.bytes <= XBZT_RING_MIN);
		}
		end(&v);
		assert_true(!ret || ret == -EPIPE);
		xbzt_close(s);
	}
}

static void *scribble_bitmap(void *p)
{
	struct villain *v = p;
	struct xbzt_rng rng;

	xbzt_rng_seed(&rng, xbzt_seed + 2);
	while (goes_on(v)) {
		/* All of the mapping, behind the last page's bit too. */
		uint64_t word = xbzt_below(&rng, v->r->bitmap_bytes / 8);
		uint64_t half = xbzt_random(&rng);

		__atomic_store_n(&v->r->bitmap[word], half & xbzt_random(&rng),
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * Breaks if a word of the bitmap is used as an index before it is bounded: a
 * page outside of the region would be sent, or worse.
 */
static void test_invariant_8_bitmap_scribbled(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.nr_queues = 3, .cache_bytes = 100 * XBZT_PAGE });
	struct xbzt_region *r = xbzt_region(s, "ram", 1601);
	struct villain v = { .s = s, .r = r };
	unsigned int i;

	(void)state;
	begin(&v, scribble_bitmap);
	for (i = 0; i < 600; i++) {
		struct xbzrle_encode arg = { .max_pages = 64 };

		xbzt_guest_write_any(xbzt_page(r, xbzt_below(&xbzt_rng, 1601)),
				     &xbzt_rng);
		xbzt_encode(s, i % 3, &arg);
	}
	end(&v);
	xbzt_dirty_all(r);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	xbzt_close(s);
}

/* Breaks if bits behind the region's end are taken for pages. */
static void test_invariant_8_bits_behind_the_end(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 513);
	struct xbzt_region *next = xbzt_region(s, "next", 1);

	(void)state;
	memset(r->bitmap, 0xff, r->bitmap_bytes);
	memset(next->bitmap, 0xff, next->bitmap_bytes);
	xbzt_pass(s);
	assert_int_equal(s->total.pages, 514);
	xbzt_assert_all_equal(s);
	xbzt_close(s);
}

static void *scribble_scratch(void *p)
{
	struct villain *v = p;
	uint64_t *words = v->s->scratch;
	struct xbzt_rng rng;

	xbzt_rng_seed(&rng, xbzt_seed + 3);
	while (goes_on(v)) {
		/* The bitmap, and KVM's struct in front of it. */
		uint64_t word = xbzt_below(&rng, XBZRLE_SCRATCH_MIN / 8);

		__atomic_store_n(&words[word], xbzt_random(&rng),
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * Breaks if what KVM left in the scratch memory is believed to be anything but
 * bits of the slot. The slot's last word is not full.
 */
static void test_invariant_8_scratch_scribbled(void **state)
{
	struct xbzt_session *s = xbzt_open(&(struct xbzt_config){
		.vm = xbzt_vm(XBZ_FAKEVM_MANUAL_PROTECT),
		.flags = XBZRLE_SETUP_MANUAL_PROTECT,
		.cache_bytes = 1 << 20 });
	struct xbzt_region *r = xbzt_region(s, "ram", 1000);
	struct xbzt_slot slot = xbzt_slot(s->setup.vm_fd, 3, xbzt_page(r, 11),
					  777);
	struct villain v = { .s = s };
	struct xbzrle_sync sync;
	unsigned int i;
	uint64_t page;

	(void)state;
	assert_int_equal(xbzt_slot_set(s, &slot, r), 0);
	begin(&v, scribble_scratch);
	for (i = 0; i < 300; i++) {
		struct xbzrle_encode arg = { .max_pages = 50 };

		xbzt_slot_scribble(&slot, 3);
		assert_int_equal(xbzt_sync(s, &sync), 0);
		assert_int_equal(xbzt_encode_raw(s, 0, &arg), 0);
		xbzt_apply(s, 0, &arg);
		xbzt_release(s, 0, s->queues[0].pos);
	}
	end(&v);
	for (page = 0; page < r->nr_pages; page++)
		if (page < 11 || page >= 11 + 777)
			assert_false(xbzt_is_dirty(r, page));

	/* Once nobody lies, no trace of it is left. */
	xbzt_slot_dirty_all(&slot);
	xbzt_dirty_all(r);
	assert_int_equal(xbzt_sync(s, &sync), 0);
	assert_int_equal(sync.slots_failed, 0);
	xbzt_pass(s);
	xbzt_assert_equal(r);
	close(s->setup.vm_fd);
	xbzt_close(s);
}

/* Breaks if the process can write to the producer's pages by any way. */
static void test_invariant_8_producer_is_read_only(void **state)
{
	struct xbzt_session *s = xbzt_open(NULL);
	struct xbzt_region *r = xbzt_region(s, "ram", 5);
	void *prod = (void *)s->queues[0].prod;
	void *data = (void *)s->queues[0].data;
	size_t bytes = XBZT_PAGE + 2 * s->setup.ring_bytes;
	struct iovec from = { "evil", 4 }, to = { data, 4 };
	char before[4];
	int mem;

	(void)state;
	xbzt_dirty_all(r);
	xbzt_pass(s);
	memcpy(before, data, 4);

	assert_null(xbzt_map(s->fd, s->setup.ring_offset + XBZT_PAGE, bytes,
			     true));
	assert_int_equal(errno, EPERM);
	assert_int_equal(mprotect(prod, XBZT_PAGE, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(mprotect(data, XBZT_PAGE, PROT_READ | PROT_WRITE), -1);

	/* As a debugger does, which may write to what is mapped read-only. */
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	assert_true(mem >= 0);
	assert_int_equal(pwrite(mem, "evil", 4, (uintptr_t)data), -1);
	assert_int_equal(pwrite(mem, "evil", 4, (uintptr_t)prod), -1);
	close(mem);
	assert_int_equal(process_vm_writev(getpid(), &from, 1, &to, 1, 0), -1);

	/* Through a system call that writes to memory it is given. */
	mem = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(mem, data, 4), -1);
	assert_int_equal(errno, EFAULT);
	close(mem);

	assert_memory_equal(before, data, 4);
	xbzt_assert_works(s);
	xbzt_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invariant_8_consumer_ahead),
		cmocka_unit_test(test_invariant_8_consumer_back),
		cmocka_unit_test(test_invariant_8_consumer_garbage),
		cmocka_unit_test(test_invariant_8_consumer_torn),
		cmocka_unit_test(test_invariant_8_consumer_moves_while_read),
		cmocka_unit_test(test_invariant_8_bitmap_scribbled),
		cmocka_unit_test(test_invariant_8_bits_behind_the_end),
		cmocka_unit_test(test_invariant_8_scratch_scribbled),
		cmocka_unit_test(test_invariant_8_producer_is_read_only),
		cmocka_unit_test(xbzt_test_log_is_quiet),
	};

	xbzt_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
