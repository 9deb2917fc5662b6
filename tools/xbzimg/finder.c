// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index of content: see finder.h. A sample is SAMPLE bytes at a multiple of
 * STEP whose first word has a small hash; where it is looked for, each byte may begin one. Of
 * samples that meet in a slot, the one with the lowest value stays, whatever the order in
 * which they come; of the same content, that is the first page.
 */
#include "finder.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "page.h"

#define SAMPLE 32
#define STEP 4
/* One in so many bytes begins a sample, if the table has room for as many. */
#define RATE 64
/* Disks are rarely full, and of a page some samples are enough. */
#define SLOT_BYTES 128
#define SLOTS_MIN (1U << 12)
#define SLOTS_MAX (1U << 25)
/* The number of the page and 1 in the lower bits of a slot, a part of the hash in the others. */
#define PAGE_BITS 40
#define PAGE_MASK ((1ULL << PAGE_BITS) - 1)
#define FOUND_MAX 32
/* Of a page; there are more of one of which a few words are repeated. */
#define SAMPLES_MAX 512

struct finder {
	_Atomic uint64_t *slots;
	uint64_t mask;
	uint64_t base;
	uint32_t limit;
};

struct found {
	uint64_t number;
	unsigned int samples;
};

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
	finder->limit = UINT32_MAX / (RATE / STEP) / (bytes / (slots * SLOT_BYTES + 1) + 1);
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

/* Zeros do not begin a sample: they are all over the base. */
static inline bool is_sample(const struct finder *finder, const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return ~(word * 0x9e3779b1U) < finder->limit;
}

/* Their places first, without a branch, which would be mispredicted at each of them. */
static unsigned int take_samples(const struct finder *finder, const uint8_t *page,
				 unsigned int step, uint64_t *hashes)
{
	uint16_t places[FORMAT_PAGE];
	unsigned int i, n = 0;

	for (i = 0; i <= FORMAT_PAGE - SAMPLE; i += step) {
		places[n] = i;
		n += is_sample(finder, page + i);
	}
	n = min_u64(n, SAMPLES_MAX);
	for (i = 0; i < n; i++) {
		hashes[i] = XXH3_64bits(page + places[i], SAMPLE);
		__builtin_prefetch((const void *)&finder->slots[hashes[i] & finder->mask]);
	}
	return n;
}

void finder_add(struct finder *finder, const void *page, uint64_t number)
{
	uint64_t hashes[SAMPLES_MAX];
	unsigned int i, n;

	if (number >= PAGE_MASK)
		return;
	n = take_samples(finder, page, STEP, hashes);
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
	unsigned int i, count = take_samples(finder, page, 1, owners);

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
