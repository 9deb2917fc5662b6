// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's limit: memory that a session allocates in sizes chosen by the
 * caller is counted here, for all sessions together, in addition to the charge
 * to the caller's memory cgroup.
 */
#include "memory.h"
#include "reap.h"

#include "compat/memcg.h"

#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/slab.h>

/* Pages that are left to the other users of a memory cgroup: 8 to 64 MiB. */
#define XBZ_MEMCG_MARGIN_MIN (SZ_8M >> PAGE_SHIFT)
#define XBZ_MEMCG_MARGIN_MAX (SZ_64M >> PAGE_SHIFT)
/* Pages that each queue takes between two looks at what is left. */
#define XBZ_CREDIT 16UL

/* The limit in MiB; 0 is the default. */
static unsigned int xbz_mem_limit_mib;
/* The default limit in pages, as it was when it was needed last; 0 at first. */
static unsigned long xbz_mem_default;
/* Pages in use. */
static atomic_long_t xbz_mem_total;
/* Allocations refused by the limit. */
static atomic_long_t xbz_mem_refusals;

/*
 * The host's memory without the pools of huge pages. Their size is not known to
 * modules, but the kernel counts all other memory by its use, except what drivers
 * allocate by the page, and free pages on the processors' own lists, which can be an
 * eighth of it.
 */
static unsigned long xbz_mem_host(void)
{
	unsigned long pages = global_zone_page_state(NR_FREE_PAGES) +
			      global_node_page_state(NR_PAGETABLE) +
			      global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) +
			      global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B) +
			      atomic_long_read(&xbz_mem_total);
	enum lru_list lru;

	for_each_lru(lru)
		pages += global_node_page_state(NR_LRU_BASE + lru);
	return min(pages, totalram_pages());
}

static void xbz_mem_look(void)
{
	WRITE_ONCE(xbz_mem_default, xbz_mem_host() / 4);
}

static unsigned long xbz_mem_limit_pages(void)
{
	unsigned int mib = READ_ONCE(xbz_mem_limit_mib);

	if (mib)
		return (unsigned long)mib << (20 - PAGE_SHIFT);
	if (!READ_ONCE(xbz_mem_default))
		xbz_mem_look();
	return READ_ONCE(xbz_mem_default);
}

/**
 * xbz_mem_set_limit() - set the host's limit on all sessions
 * @mib: the limit in MiB, or 0 for a quarter of the memory that is not hugetlb's
 *
 * Existing allocations are not reclaimed.
 */
void xbz_mem_set_limit(unsigned int mib)
{
	WRITE_ONCE(xbz_mem_limit_mib, mib);
}

/**
 * xbz_mem_limit() - the host's limit on all sessions
 *
 * Return: bytes.
 */
u64 xbz_mem_limit(void)
{
	xbz_mem_look();
	return (u64)xbz_mem_limit_pages() << PAGE_SHIFT;
}

/**
 * xbz_mem_refused() - number of allocations refused by the limit
 */
u64 xbz_mem_refused(void)
{
	return atomic_long_read(&xbz_mem_refusals);
}

/**
 * xbz_mem_used() - memory of all sessions
 *
 * Return: bytes.
 */
u64 xbz_mem_used(void)
{
	return (u64)atomic_long_read(&xbz_mem_total) << PAGE_SHIFT;
}

/* Counts pages if the limit allows them; others are not refused for that. */
static bool xbz_mem_charge(unsigned long pages)
{
	unsigned long limit = xbz_mem_limit_pages();
	long total = atomic_long_read(&xbz_mem_total);

	while (pages <= limit && total <= limit - pages)
		if (atomic_long_try_cmpxchg(&xbz_mem_total, &total, total + pages))
			return true;
	return false;
}

/*
 * The same, for memory that is allocated then: what a session that has ended still
 * holds does not refuse the next one.
 */
static bool xbz_mem_charge_for(unsigned long pages, bool optional)
{
	unsigned int tries = 0;

	do {
		if (xbz_mem_charge(pages))
			return true;
	} while (!optional && pages <= xbz_mem_limit_pages() &&
		 xbz_reap_wait(&tries));
	atomic_long_inc(&xbz_mem_refusals);
	return false;
}

static void xbz_mem_uncharge(unsigned long pages)
{
	atomic_long_sub(pages, &xbz_mem_total);
}

static unsigned long xbz_mem_less(unsigned long room, unsigned long margin)
{
	return room > margin ? room - margin : 0;
}

/*
 * Pages that optional memory may take. The margins are for the guest, which may
 * touch new memory at any time, for its process, and for the rest of the host.
 */
static unsigned long xbz_mem_room(void)
{
	unsigned long limit, room = xbz_memcg_room(&limit);
	long host = si_mem_available();

	xbz_mem_look();
	room = xbz_mem_less(room, clamp(limit / 32, XBZ_MEMCG_MARGIN_MIN,
					XBZ_MEMCG_MARGIN_MAX));
	return min(room, xbz_mem_less(max(host, 0L), totalram_pages() / 64));
}

/**
 * xbz_mem_may_grow() - ask before each allocation of optional memory
 * @credit: 0 at first; allocations that may follow without looking at the host,
 *	or, negative, refusals
 *
 * Context: process; may be preempted.
 * Return: false while the memory cgroup or the host has less than a margin.
 */
bool xbz_mem_may_grow(int *credit)
{
	if (*credit < 0) {
		++*credit;
		return false;
	}
	if (!*credit) {
		*credit = min(xbz_mem_room(), XBZ_CREDIT);
		if (!*credit) {
			*credit = -(int)XBZ_CREDIT;
			return false;
		}
	}
	--*credit;
	return true;
}

/*
 * For the cache: it works without, so its allocations neither invoke the OOM
 * killer nor reclaim more than lightly, which would hit the guest itself.
 */
#define XBZ_GFP_OPTIONAL (GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY)

/**
 * xbz_mem_page() - allocate a page for guest data, not zeroed
 * @optional: the caller works without it
 *
 * Context: may sleep.
 * Return: the page, or NULL.
 */
struct page *xbz_mem_page(bool optional)
{
	struct page *page;

	if (!xbz_mem_charge_for(1, optional))
		return NULL;
	page = alloc_page(optional ? XBZ_GFP_OPTIONAL :
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
				     __GFP_RETRY_MAYFAIL);
	if (!page)
		xbz_mem_uncharge(1);
	return page;
}

/**
 * xbz_mem_table() - allocate a zeroed page of the cache's bookkeeping
 *
 * Not by kvcalloc(), which would invoke the OOM killer for a single page.
 *
 * Context: may sleep.
 * Return: the page, to be freed with xbz_mem_free(), or NULL.
 */
void *xbz_mem_table(void)
{
	void *table;

	if (!xbz_mem_charge_for(1, true))
		return NULL;
	table = kzalloc(PAGE_SIZE, XBZ_GFP_OPTIONAL);
	if (!table)
		xbz_mem_uncharge(1);
	return table;
}

/**
 * xbz_mem_page_free() - wipe a page and free it
 * @page: from xbz_mem_page()
 *
 * Drops our reference only: a socket may hold another one.
 *
 * Context: any.
 */
void xbz_mem_page_free(struct page *page)
{
	/* Guest memory must not reach the next user of the page. */
	clear_highpage(page);
	__free_page(page);
	xbz_mem_uncharge(1);
}

static unsigned long xbz_mem_pages(size_t n, size_t size)
{
	return DIV_ROUND_UP(size_mul(n, size), PAGE_SIZE);
}

/**
 * xbz_mem_zalloc() - allocate a zeroed array
 * @n: elements, at least one
 * @size: bytes of each
 * @optional: the caller works without it
 *
 * Context: may sleep.
 * Return: the array, or NULL.
 */
void *xbz_mem_zalloc(size_t n, size_t size, bool optional)
{
	void *p;

	if (!xbz_mem_charge_for(xbz_mem_pages(n, size), optional))
		return NULL;
	p = kvcalloc(n, size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
			      __GFP_RETRY_MAYFAIL);
	if (!p)
		xbz_mem_uncharge(xbz_mem_pages(n, size));
	return p;
}

/**
 * xbz_mem_free() - free an array
 * @p: from xbz_mem_zalloc(), or NULL
 * @n: as passed to xbz_mem_zalloc()
 * @size: as passed to xbz_mem_zalloc()
 *
 * Context: may sleep.
 */
void xbz_mem_free(void *p, size_t n, size_t size)
{
	if (!p)
		return;
	kvfree(p);
	xbz_mem_uncharge(xbz_mem_pages(n, size));
}
