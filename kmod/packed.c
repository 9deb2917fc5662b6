// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packed copies of a shard, and their memory. Copies of one size are an array over
 * pages that need not be neighbours. If one goes, the last one takes its place: so
 * there is no gap, a page is given back as soon as copies of a page's size are gone,
 * and what a copy takes is what it is counted for. Each copy has the word of its page,
 * by which its entry is found when it moves.
 *
 * Not zsmalloc, which copies objects elsewhere as it likes, for compaction, and frees
 * the pages of the old ones as they are: what is in them would outlive the session.
 */
#include "packed.h"
#include "cache.h"
#include "memory.h"

#include <linux/build_bug.h>
#include <linux/mm.h>
#include <linux/string.h>

/**
 * struct xbz_packed_head - what a packed copy begins with
 * @word: the word of its page
 * @bytes: size of @data
 * @data: LZ4's block
 */
struct xbz_packed_head {
	u64 *word;
	u16 bytes;
	u8 data[];
};

#define XBZ_PACKED_HEAD offsetof(struct xbz_packed_head, data)

static unsigned long xbz_packed_bytes(u32 units)
{
	return (units - 1) * XBZ_POLICY_UNIT;
}

/* The number of the class. */
static unsigned int xbz_class_of(u32 units)
{
	return xbz_packed_bytes(units) / XBZ_PACKED_STEP - 1;
}

/* Where a copy goes on that ends in the next page. */
static void *xbz_next_page(void *in)
{
	return page_address(list_next_entry(virt_to_page(in), lru));
}

/* Bytes from here to the end of the page, at most. */
static size_t xbz_to_end(const void *at, size_t bytes)
{
	return min(bytes, PAGE_SIZE - offset_in_page(at));
}

/* The same place, or that of the next page. */
static void *xbz_skip(void *at, size_t bytes)
{
	return offset_in_page(at) + bytes < PAGE_SIZE ? at + bytes : xbz_next_page(at);
}

static void xbz_put(void *to, const void *from, size_t bytes)
{
	size_t first = xbz_to_end(to, bytes);

	memcpy(to, from, first);
	if (first < bytes)
		memcpy(xbz_next_page(to), from + first, bytes - first);
}

static void xbz_get(void *to, void *from, size_t bytes)
{
	size_t first = xbz_to_end(from, bytes);

	memcpy(to, from, first);
	if (first < bytes)
		memcpy(to + first, xbz_next_page(from), bytes - first);
}

static void xbz_move(void *to, void *from, size_t bytes)
{
	size_t n;

	while (true) {
		n = min(xbz_to_end(to, bytes), xbz_to_end(from, bytes));
		memcpy(to, from, n);
		bytes -= n;
		if (!bytes)
			break;
		to = xbz_skip(to, n);
		from = xbz_skip(from, n);
	}
}

static void xbz_wipe(void *at, size_t bytes)
{
	size_t first = xbz_to_end(at, bytes);

	memset(at, 0, first);
	if (first < bytes)
		memset(xbz_next_page(at), 0, bytes - first);
}

static unsigned long xbz_class_pages(const struct xbz_packed_class *class,
				     unsigned long bytes)
{
	return DIV_ROUND_UP(class->nr * bytes, PAGE_SIZE);
}

/* The last copy, which may begin in the page before the last. */
static void *xbz_class_last(const struct xbz_packed_class *class, unsigned long bytes)
{
	struct page *page = list_last_entry(&class->pages, struct page, lru);
	unsigned long begin = (class->nr - 1) * bytes;

	if (begin / PAGE_SIZE + 1 < xbz_class_pages(class, bytes))
		page = list_prev_entry(page, lru);
	return page_address(page) + begin % PAGE_SIZE;
}

/**
 * xbz_packed_new() - get the memory to pack with
 * @a: the account to charge
 *
 * Context: may sleep.
 * Return: no copies yet; or NULL if there is no memory, or no LZ4: then nothing is packed.
 */
struct xbz_packed *xbz_packed_new(struct xbz_account *a)
{
	struct xbz_packed *packed;
	unsigned int i;

	BUILD_BUG_ON(XBZ_PACKED_STEP != 2 * XBZ_POLICY_UNIT);
	/* A head ends in the page in which it begins. */
	BUILD_BUG_ON(PAGE_SIZE % XBZ_PACKED_STEP);
	BUILD_BUG_ON(offsetof(struct xbz_packed_head, data) > XBZ_PACKED_STEP);
	if (!XBZ_LZ4_WORK)
		return NULL;
	packed = xbz_mem_zalloc(a, 1, sizeof(*packed), true);
	if (!packed)
		return NULL;
	packed->page = xbz_cache_page_alloc(a, true);
	if (!packed->page) {
		xbz_mem_free(a, packed, 1, sizeof(*packed));
		return NULL;
	}
	for (i = 0; i < XBZ_PACKED_CLASSES; i++)
		INIT_LIST_HEAD(&packed->classes[i].pages);
	return packed;
}

/**
 * xbz_packed_free() - wipe and free the memory to pack with
 * @a: the account that was charged
 * @packed: from xbz_packed_new(), or NULL; there are no copies any more
 *
 * Context: may sleep.
 */
void xbz_packed_free(struct xbz_account *a, struct xbz_packed *packed)
{
	if (!packed)
		return;
	xbz_cache_page_free(a, packed->page);
	memzero_explicit(packed, sizeof(*packed));
	xbz_mem_free(a, packed, 1, sizeof(*packed));
}

/**
 * xbz_pack() - pack a page
 * @packed: the shard's
 * @to: where to
 * @page: its content
 *
 * Context: some microseconds.
 * Return: units of memory that it takes with its entry; 0 if it does not pack.
 */
u32 xbz_pack(struct xbz_packed *packed, struct xbz_packing *to, const void *page)
{
	int bytes = xbz_lz4_pack(page, XBZRLE_PAGE_SIZE, to->data,
				 XBZ_PACKED_MAX - XBZ_PACKED_HEAD, packed->work);

	if (bytes <= 0)
		return 0;
	to->bytes = bytes;
	return xbz_policy_units(round_up(bytes + XBZ_PACKED_HEAD, XBZ_PACKED_STEP));
}

/**
 * xbz_unpack() - unpack a copy
 * @packed: the shard's
 * @copy: from xbz_packed_add()
 * @units: as passed to it
 *
 * Overwrites @packed's victim.
 *
 * Context: some microseconds.
 * Return: the content, in a page that is valid up to the next call; NULL if the copy is
 * damaged.
 */
void *xbz_unpack(struct xbz_packed *packed, unsigned long copy, u32 units)
{
	struct xbz_packed_head *head = (void *)copy;
	const u8 *data = head->data;

	if (xbz_to_end(data, head->bytes) < head->bytes) {
		xbz_get(packed->victim.data, head->data, head->bytes);
		data = packed->victim.data;
	}
	if (xbz_lz4_unpack(data, head->bytes, packed->page, XBZRLE_PAGE_SIZE) !=
	    XBZRLE_PAGE_SIZE)
		return NULL;
	return packed->page;
}

/**
 * xbz_packed_wants_page() - whether a copy begins or ends in a page that is not there
 * @packed: the shard's
 * @units: what the copy takes
 */
bool xbz_packed_wants_page(const struct xbz_packed *packed, u32 units)
{
	const struct xbz_packed_class *class = &packed->classes[xbz_class_of(units)];
	unsigned long bytes = xbz_packed_bytes(units);

	return (class->nr + 1) * bytes > xbz_class_pages(class, bytes) * PAGE_SIZE;
}

/**
 * xbz_packed_add() - add a copy
 * @packed: the shard's
 * @units: from xbz_pack()
 * @from: what xbz_pack() packed
 * @word: the word of its page, whose entry is the copy's
 * @page: a page from xbz_cache_page_alloc(), if xbz_packed_wants_page(); else NULL
 *
 * Return: the copy. It moves when others are removed.
 */
unsigned long xbz_packed_add(struct xbz_packed *packed, u32 units,
			     const struct xbz_packing *from, u64 *word, void *page)
{
	struct xbz_packed_class *class = &packed->classes[xbz_class_of(units)];
	unsigned long bytes = xbz_packed_bytes(units);
	struct xbz_packed_head *head;

	if (page) {
		/* It may have been a copy. */
		clear_page(page);
		list_add_tail(&virt_to_page(page)->lru, &class->pages);
		packed->slack += PAGE_SIZE / XBZ_POLICY_UNIT;
	}
	packed->slack -= bytes / XBZ_POLICY_UNIT;
	class->nr++;
	head = xbz_class_last(class, bytes);
	head->word = word;
	head->bytes = from->bytes;
	xbz_put(head->data, from->data, from->bytes);
	return (unsigned long)head;
}

/**
 * xbz_packed_remove() - remove a copy and wipe it
 * @packed: the shard's
 * @policy: the policy, which has the entry of the copy that takes its place; that of
 *	the copy itself was removed
 * @copy: from xbz_packed_add()
 * @units: as passed to it
 *
 * Return: a page that is not needed any more, to be freed by xbz_cache_page_free(), or
 * NULL.
 */
void *xbz_packed_remove(struct xbz_packed *packed, struct xbz_policy *policy,
			unsigned long copy, u32 units)
{
	struct xbz_packed_class *class = &packed->classes[xbz_class_of(units)];
	struct xbz_packed_head *head = (void *)copy, *last;
	unsigned long bytes = xbz_packed_bytes(units);
	unsigned long pages = xbz_class_pages(class, bytes);
	struct page *page;
	u32 entry;

	last = xbz_class_last(class, bytes);
	if (head != last) {
		xbz_move(head, last, bytes);
		xbz_policy_lookup(policy, head->word, &entry);
		xbz_policy_cold(policy, entry)->copy = copy;
	}
	xbz_wipe(last, bytes);
	class->nr--;
	packed->slack += bytes / XBZ_POLICY_UNIT;
	if (xbz_class_pages(class, bytes) == pages)
		return NULL;
	page = list_last_entry(&class->pages, struct page, lru);
	list_del(&page->lru);
	packed->slack -= PAGE_SIZE / XBZ_POLICY_UNIT;
	return page_address(page);
}
