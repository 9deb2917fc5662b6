// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's limit: whatever a session allocates by the caller's choice of
 * sizes is counted here, for all sessions together, beside being charged to the
 * caller's memory cgroup. What the memory is for is not known here.
 */
#include "memory.h"

#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/slab.h>

static unsigned int memory_limit_mib;
module_param(memory_limit_mib, uint, 0644);
MODULE_PARM_DESC(memory_limit_mib,
		 "memory that all sessions may use together, in MiB; 0 is a quarter of the host's");

/* Pages in use. */
static atomic_long_t xbz_mem_total;
/* Allocations that the limit did not allow. */
static atomic_long_t xbz_mem_refusals;

static unsigned long xbz_mem_limit_pages(void)
{
	unsigned int mib = READ_ONCE(memory_limit_mib);

	return mib ? (unsigned long)mib << (20 - PAGE_SHIFT) :
		     totalram_pages() / 4;
}

/**
 * xbz_mem_limit() - the host's limit on all sessions
 *
 * Return: bytes.
 */
u64 xbz_mem_limit(void)
{
	return (u64)xbz_mem_limit_pages() << PAGE_SHIFT;
}

/**
 * xbz_mem_setting() - the limit as it was set
 *
 * Return: bytes, or 0 for a quarter of the host's memory.
 */
u64 xbz_mem_setting(void)
{
	return (u64)READ_ONCE(memory_limit_mib) << 20;
}

/**
 * xbz_mem_set() - set the limit
 * @bytes: whole MiB, or 0 for a quarter of the host's memory
 *
 * Who has more keeps it.
 */
void xbz_mem_set(u64 bytes)
{
	WRITE_ONCE(memory_limit_mib, bytes >> 20);
}

/**
 * xbz_mem_host() - the host's memory
 *
 * Return: bytes.
 */
u64 xbz_mem_host(void)
{
	return (u64)totalram_pages() << PAGE_SHIFT;
}

/**
 * xbz_mem_refused() - how often the limit did not allow an allocation
 */
u64 xbz_mem_refused(void)
{
	return atomic_long_read(&xbz_mem_refusals);
}

/**
 * xbz_mem_used() - what all sessions use
 *
 * Return: bytes.
 */
u64 xbz_mem_used(void)
{
	return (u64)atomic_long_read(&xbz_mem_total) << PAGE_SHIFT;
}

/**
 * xbz_mem_charge() - count pages that are going to be allocated
 * @pages: how many
 *
 * Return: false if the limit does not allow it.
 */
bool xbz_mem_charge(unsigned long pages)
{
	unsigned long limit = xbz_mem_limit_pages();

	if (pages <= limit &&
	    atomic_long_add_return(pages, &xbz_mem_total) <= limit)
		return true;
	if (pages <= limit)
		atomic_long_sub(pages, &xbz_mem_total);
	atomic_long_inc(&xbz_mem_refusals);
	return false;
}

/**
 * xbz_mem_uncharge() - count pages that were freed
 * @pages: how many
 */
void xbz_mem_uncharge(unsigned long pages)
{
	atomic_long_sub(pages, &xbz_mem_total);
}

/**
 * xbz_mem_page() - allocate a page for a guest's data, not zeroed
 *
 * Context: may sleep.
 * Return: the page, or NULL.
 */
struct page *xbz_mem_page(void)
{
	struct page *page;

	if (!xbz_mem_charge(1))
		return NULL;
	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
			  __GFP_RETRY_MAYFAIL);
	if (!page)
		xbz_mem_uncharge(1);
	return page;
}

/**
 * xbz_mem_page_free() - wipe a page and free it
 * @page: from xbz_mem_page()
 *
 * Only our reference is dropped: a socket may hold another.
 *
 * Context: any.
 */
void xbz_mem_page_free(struct page *page)
{
	/* A guest's memory: not for whoever gets the page next. */
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
 *
 * Context: may sleep.
 * Return: the array, or NULL.
 */
void *xbz_mem_zalloc(size_t n, size_t size)
{
	void *p;

	if (!xbz_mem_charge(xbz_mem_pages(n, size)))
		return NULL;
	p = kvcalloc(n, size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!p)
		xbz_mem_uncharge(xbz_mem_pages(n, size));
	return p;
}

/**
 * xbz_mem_free() - free an array
 * @p: from xbz_mem_zalloc(), or NULL
 * @n: as it was allocated
 * @size: as it was allocated
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
