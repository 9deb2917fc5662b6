// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index of content: see finder.h. A sample is SAMPLE bytes at a multiple of
 * STEP whose first word has a small hash; where it is looked for, each byte may begin one. Of
 * samples that meet in a slot, the one with the lowest value stays, whatever the order in
 * which they come; of the same content, that is the first page.
 */
#include "finder.h"

#include <endian.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "page.h"

#define SAMPLE 32
#define STEP 4
/* One in so many bytes begins a sample, if the table has room for as many. */
#define RATE 128
/* Disks are rarely full, and of a page some samples are enough. */
#define SLOT_BYTES 256
#define SLOTS_MIN (1U << 12)
#define SLOTS_MAX (1U << 25)
/* The number of the page and 1 in the lower bits of a slot, a part of the hash in the others. */
#define PAGE_BITS 40
#define PAGE_MASK ((1ULL << PAGE_BITS) - 1)
#define FOUND_MAX 32
/* Of a page; there are more of one of which a few words are repeated. */
#define SAMPLES_MAX 512
/* A word's hash is its product with this. */
#define FACTOR 0x9e3779b1U
/* Words are looked at in blocks of so many bytes, up to the last place of a sample. */
#define BLOCK 32
#define BLOCKS ((FORMAT_PAGE - SAMPLE) / BLOCK)

typedef void look_fn(const uint8_t *page, unsigned int shifts, uint32_t limit, uint8_t *bits);

/**
 * struct finder - the index
 * @slots: samples, by the lower bits of their hashes
 * @mask: of these
 * @base: pages of the base
 * @limit: a word begins a sample if the complement of its hash is below
 * @look: finds such words
 */
struct finder {
	_Atomic uint64_t *slots;
	uint64_t mask;
	uint64_t base;
	uint32_t limit;
	look_fn *look;
};

struct found {
	uint64_t number;
	unsigned int samples;
};

static uint64_t load64(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

/*
 * Which words begin a sample, STEP bytes apart, and that @shifts times, a byte further on each
 * time: a byte of @bits for each block and shift. Zeros do not: they are all over the base.
 */
static void look(const uint8_t *page, unsigned int shifts, uint32_t limit, uint8_t *bits)
{
	unsigned int i, shift, bit;
	uint32_t word;

	for (i = 0; i < BLOCKS; i++, page += BLOCK) {
		for (shift = 0; shift < shifts; shift++, bits++) {
			*bits = 0;
			for (bit = 0; bit < BLOCK / STEP; bit++) {
				memcpy(&word, page + shift + bit * STEP, sizeof(word));
				*bits |= (~(word * FACTOR) < limit) << bit;
			}
		}
	}
}

#ifdef __x86_64__
__attribute__((target("avx2")))
static void look_avx2(const uint8_t *page, unsigned int shifts, uint32_t limit, uint8_t *bits)
{
	const __m256i factor = _mm256_set1_epi32((int)FACTOR);
	/* The complement is below the limit if the hash is not below this. */
	const __m256i least = _mm256_set1_epi32((int)-limit);
	unsigned int i, shift;

	for (i = 0; i < BLOCKS; i++, page += BLOCK) {
		for (shift = 0; shift < shifts; shift++) {
			__m256i words = _mm256_loadu_si256((const __m256i *)(page + shift));
			__m256i hashes = _mm256_mullo_epi32(words, factor);
			__m256i high = _mm256_max_epu32(hashes, least);
			__m256i found = _mm256_cmpeq_epi32(high, hashes);

			*bits++ = _mm256_movemask_ps(_mm256_castsi256_ps(found));
		}
	}
}
#endif

static look_fn *best_look(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		return look_avx2;
#endif
	return look;
}

struct finder *finder_new(uint64_t bytes, struct error *err)
{
	struct finder *finder = calloc(1, sizeof(*finder));
	uint64_t slots = SLOTS_MIN;

	while (slots < SLOTS_MAX && slots < bytes / SLOT_BYTES)
		slots *= 2;
	if (!finder)
		goto fail;
	finder->slots = mmap(NULL, slots * sizeof(*finder->slots), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (finder->slots == MAP_FAILED)
		goto fail;
	/* It is accessed all over; if there are no huge pages, it is slower. */
	madvise(finder->slots, slots * sizeof(*finder->slots), MADV_HUGEPAGE);
	finder->mask = slots - 1;
	finder->base = pages_of(bytes);
	finder->limit = max_u64(UINT32_MAX / (RATE / STEP) /
				(bytes / (slots * SLOT_BYTES + 1) + 1), 1);
	finder->look = best_look();
	return finder;

fail:
	error_errno(err, "memory for an index of the base");
	free(finder);
	return NULL;
}

void finder_free(struct finder *finder)
{
	if (!finder)
		return;
	munmap(finder->slots, (finder->mask + 1) * sizeof(*finder->slots));
	free(finder);
}

static unsigned int take_samples(const struct finder *finder, const uint8_t *page,
				 unsigned int shifts, uint64_t *hashes)
{
	uint8_t bits[BLOCKS * STEP + 8] = { };
	unsigned int i, place, n = 0;
	uint64_t word;

	finder->look(page, shifts, finder->limit, bits);
	for (i = 0; i < BLOCKS * shifts; i += 8) {
		for (word = load64(bits + i); word && n < SAMPLES_MAX; word &= word - 1) {
			place = i + __builtin_ctzll(word) / 8;
			place = place / shifts * BLOCK + place % shifts +
				__builtin_ctzll(word) % 8 * STEP;
			hashes[n] = XXH3_64bits(page + place, SAMPLE);
			__builtin_prefetch((const void *)&finder->slots[hashes[n] & finder->mask]);
			n++;
		}
	}
	return n;
}

void finder_add(struct finder *finder, const void *page, uint64_t number)
{
	uint64_t hashes[SAMPLES_MAX];
	unsigned int i, n;

	if (number >= PAGE_MASK)
		return;
	n = take_samples(finder, page, 1, hashes);
	for (i = 0; i < n; i++) {
		_Atomic uint64_t *slot = &finder->slots[hashes[i] & finder->mask];
		uint64_t value = (hashes[i] & ~PAGE_MASK) | (number + 1);
		uint64_t old = atomic_load_explicit(slot, memory_order_relaxed);

		while ((!old || value < old) &&
		       !atomic_compare_exchange_weak_explicit(slot, &old, value,
							      memory_order_relaxed,
							      memory_order_relaxed))
			;
	}
}

static unsigned int count(struct found *found, unsigned int pages, uint64_t number)
{
	unsigned int i;

	for (i = 0; i < pages && found[i].number != number; i++)
		;
	if (i < pages)
		found[i].samples++;
	else if (pages < FOUND_MAX)
		found[pages++] = (struct found){ number, 1 };
	return pages;
}

/* The page that has a sample, or PAGE_MASK. */
static uint64_t owner(const struct finder *finder, uint64_t hash)
{
	uint64_t value = atomic_load_explicit(&finder->slots[hash & finder->mask],
					      memory_order_relaxed);

	return value && !((value ^ hash) & ~PAGE_MASK) ? (value & PAGE_MASK) - 1 : PAGE_MASK;
}

/*
 * Whether of pages of the image with the same samples, one is the first: it may have own ones
 * of the same content all the same, less than STEP bytes apart.
 */
static bool is_first(const struct finder *finder, const uint64_t *owners, unsigned int count,
		     uint64_t number)
{
	unsigned int own = 0, others = 0, i;

	for (i = 0; i < count; i++) {
		own += owners[i] == number;
		others += owners[i] >= finder->base && owners[i] < number;
	}
	return others <= own / 2;
}

static unsigned int find_owners(const struct finder *finder, const void *page, uint64_t *owners)
{
	unsigned int i, count = take_samples(finder, page, STEP, owners);

	for (i = 0; i < count; i++)
		owners[i] = owner(finder, owners[i]);
	return count;
}

unsigned int finder_look(const struct finder *finder, const void *page, uint64_t number,
			 uint64_t *numbers)
{
	uint64_t owners[SAMPLES_MAX], limit;
	unsigned int pages = 0, wanted, i, n, best;
	struct found found[FOUND_MAX];

	n = find_owners(finder, page, owners);
	limit = is_first(finder, owners, n, number) ? finder->base : number;
	for (i = 0; i < n; i++)
		if (owners[i] < limit)
			pages = count(found, pages, owners[i]);
	for (wanted = 0; wanted < FINDER_PAGES && pages; wanted++) {
		for (best = 0, i = 1; i < pages; i++)
			if (found[i].samples > found[best].samples)
				best = i;
		numbers[wanted] = found[best].number;
		memmove(&found[best], &found[best + 1], (--pages - best) * sizeof(*found));
	}
	return wanted;
}

bool finder_first(const struct finder *finder, const void *page, uint64_t number)
{
	uint64_t owners[SAMPLES_MAX];

	return number < finder->base ||
	       is_first(finder, owners, find_owners(finder, page, owners), number);
}
