// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's limit: memory that a session allocates in sizes chosen by the
 * caller is counted here, for the session, for its user and for all sessions
 * together, in addition to the charge to the caller's memory cgroup. Each of them
 * may have a share of what the next one may have.
 */
#include "memory.h"
#include "reap.h"

#include "compat/memcg.h"

#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>

/* Pages that are left to the other users of a memory cgroup: 8 to 64 MiB. */
#define XBZ_MEMCG_MARGIN_MIN (SZ_8M >> PAGE_SHIFT)
#define XBZ_MEMCG_MARGIN_MAX (SZ_64M >> PAGE_SHIFT)
/* Pages that each queue takes between two looks at what is left. */
#define XBZ_CREDIT 16UL

/* The limit in MiB; 0 is the default. */
static unsigned int xbz_mem_limit_mib;
/* The default limit in pages, as it was when it was needed last; 0 at first. */
static unsigned long xbz_mem_default;
/* What a user may have of it, and a session of what its user may have: percent. */
static unsigned int xbz_mem_share = XBZ_SHARE_DEFAULT;
/* Allocations refused by a limit. */
static atomic_long_t xbz_mem_refusals;

/* All sessions; users, which are those of sessions; and the lock of all accounts. */
static struct xbz_account xbz_host;
static LIST_HEAD(xbz_users);
static DEFINE_SPINLOCK(xbz_account_lock);

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
			      READ_ONCE(xbz_host.pages);
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
 * xbz_mem_set_share() - set what users and sessions may have
 * @percent: a user's sessions of the host's limit, and a session of its user's
 *
 * Existing allocations are not reclaimed.
 */
void xbz_mem_set_share(unsigned int percent)
{
	WRITE_ONCE(xbz_mem_share, percent);
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
 * xbz_mem_refused() - number of allocations refused by a limit
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
	return (u64)READ_ONCE(xbz_host.pages) << PAGE_SHIFT;
}

/* What an account may have of the host's limit, in pages. */
static unsigned long xbz_account_pages(const struct xbz_account *a, unsigned long limit)
{
	unsigned int share = READ_ONCE(xbz_mem_share);

	for (; a && a->bounded; a = a->parent)
		limit = mult_frac(limit, share, 100UL);
	return limit;
}

/**
 * xbz_account_used() - memory that is charged to an account
 * @a: the account
 *
 * Return: bytes.
 */
u64 xbz_account_used(const struct xbz_account *a)
{
	return (u64)READ_ONCE(a->pages) << PAGE_SHIFT;
}

/**
 * xbz_account_limit() - what an account may have at most
 * @a: the account
 *
 * Return: bytes.
 */
u64 xbz_account_limit(const struct xbz_account *a)
{
	xbz_mem_look();
	return (u64)xbz_account_pages(a, xbz_mem_limit_pages()) << PAGE_SHIFT;
}

/*
 * The user that the calling process's memory is charged to. An unprivileged user can map
 * many user IDs in a user namespace, so those count as its owner. Namespaces of root keep
 * their IDs apart.
 */
static kuid_t xbz_account_uid(void)
{
	const struct user_namespace *ns;
	kuid_t uid = current_uid();

	for (ns = current_user_ns(); ns != &init_user_ns; ns = ns->parent)
		if (!uid_eq(ns->owner, GLOBAL_ROOT_UID))
			uid = ns->owner;
	return uid;
}

static struct xbz_account *xbz_account_alloc(void)
{
	struct xbz_account *a = kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);

	if (!a)
		return NULL;
	refcount_set(&a->refs, 1);
	a->uid = xbz_account_uid();
	a->error = -ENOMEM;
	/* CAP_SYS_RESOURCE overrides limits on resources, and so the shares. */
	a->bounded = !ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
	return a;
}

/* The calling process's user: the account that there is, or the new one. */
static struct xbz_account *xbz_user_get(struct xbz_account *new)
{
	struct xbz_account *user;

	spin_lock(&xbz_account_lock);
	list_for_each_entry(user, &xbz_users, users)
		if (uid_eq(user->uid, new->uid) && user->bounded == new->bounded) {
			refcount_inc(&user->refs);
			spin_unlock(&xbz_account_lock);
			kfree(new);
			return user;
		}
	list_add(&new->users, &xbz_users);
	spin_unlock(&xbz_account_lock);
	return new;
}

/**
 * xbz_account_new() - get an account for a session of the calling process
 *
 * Context: may sleep.
 * Return: the account, to be released with xbz_account_put(), or NULL.
 */
struct xbz_account *xbz_account_new(void)
{
	struct xbz_account *user, *a;

	user = xbz_account_alloc();
	if (!user)
		return NULL;
	a = xbz_account_alloc();
	if (!a) {
		kfree(user);
		return NULL;
	}
	a->parent = xbz_user_get(user);
	return a;
}

/**
 * xbz_account_get() - keep an account
 * @a: the account, or NULL
 *
 * Context: any; a reference exists.
 * Return: the account.
 */
struct xbz_account *xbz_account_get(struct xbz_account *a)
{
	if (a)
		refcount_inc(&a->refs);
	return a;
}

/**
 * xbz_account_put() - release an account
 * @a: the account, or NULL; nothing is charged to it, or another reference exists
 *
 * Context: process.
 */
void xbz_account_put(struct xbz_account *a)
{
	struct xbz_account *user;
	bool last;

	if (!a || !refcount_dec_and_test(&a->refs))
		return;
	user = a->parent;
	kfree(a);
	/* Under the lock, so that xbz_user_get() finds no account without a reference. */
	spin_lock(&xbz_account_lock);
	last = refcount_dec_and_test(&user->refs);
	if (last)
		list_del(&user->users);
	spin_unlock(&xbz_account_lock);
	if (last)
		kfree(user);
}

/* The first account without room, from @a upwards, or NULL. The lock is held. */
static const struct xbz_account *xbz_mem_full(const struct xbz_account *a,
					      unsigned long pages, unsigned long limit)
{
	for (; a; a = a->parent) {
		unsigned long max = xbz_account_pages(a, limit);

		if (a->bounded && (pages > max || a->pages > max - pages))
			return a;
	}
	return pages > limit || xbz_host.pages > limit - pages ? &xbz_host : NULL;
}

static void xbz_mem_add(struct xbz_account *a, long pages)
{
	for (; a; a = a->parent)
		WRITE_ONCE(a->pages, a->pages + pages);
	WRITE_ONCE(xbz_host.pages, xbz_host.pages + pages);
}

/*
 * Charges all accounts or none, so that a charge that does not fit fails no other one. If
 * it is not optional, waits while the reaper has memory of the full account to free: the
 * memory of an ended session does not fail the next session of the same user.
 */
static bool xbz_mem_ask(struct xbz_account *a, unsigned long pages, bool optional, bool add)
{
	const struct xbz_account *full;
	unsigned int tries = 0;
	unsigned long limit;

	do {
		limit = xbz_mem_limit_pages();
		spin_lock(&xbz_account_lock);
		full = xbz_mem_full(a, pages, limit);
		if (!full && add)
			xbz_mem_add(a, pages);
		spin_unlock(&xbz_account_lock);
	} while (full && !optional && pages <= xbz_account_pages(full, limit) &&
		 xbz_reap_wait(full == &xbz_host ? NULL : full, &tries));
	if (a && !optional)
		a->error = full && full != &xbz_host ? -EDQUOT : -ENOMEM;
	if (full)
		atomic_long_inc(&xbz_mem_refusals);
	return !full;
}

static bool xbz_mem_charge(struct xbz_account *a, unsigned long pages, bool optional)
{
	return xbz_mem_ask(a, pages, optional, true);
}

static void xbz_mem_uncharge(struct xbz_account *a, unsigned long pages)
{
	spin_lock(&xbz_account_lock);
	xbz_mem_add(a, -(long)pages);
	spin_unlock(&xbz_account_lock);
}

/**
 * xbz_mem_fits() - ask for all that a call allocates, before it allocates any
 * @a: the account to charge
 * @pages: number of pages
 *
 * Otherwise a call that fails in the end makes concurrent ones fail, too.
 *
 * Context: may sleep.
 * Return: 0, -ENOMEM or -EDQUOT.
 */
int xbz_mem_fits(struct xbz_account *a, unsigned long pages)
{
	return xbz_mem_ask(a, pages, false, false) ? 0 : a->error;
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
 * @a: the account to charge; NULL for the host's sum alone, as for all functions below
 * @optional: the caller works without it
 *
 * Context: may sleep.
 * Return: the page, or NULL.
 */
struct page *xbz_mem_page(struct xbz_account *a, bool optional)
{
	struct page *page;

	if (!xbz_mem_charge(a, 1, optional))
		return NULL;
	page = alloc_page(optional ? XBZ_GFP_OPTIONAL :
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
				     __GFP_RETRY_MAYFAIL);
	if (!page)
		xbz_mem_uncharge(a, 1);
	return page;
}

/**
 * xbz_mem_pages() - allocate zeroed pages, charged at once
 * @a: the account to charge
 * @page: set to the pages
 * @nr: their number
 *
 * Context: may sleep.
 * Return: false if some are missing; those that are there are at the start of @page.
 */
bool xbz_mem_pages(struct xbz_account *a, struct page **page, unsigned long nr)
{
	unsigned long i;

	if (!xbz_mem_charge(a, nr, false))
		return false;
	for (i = 0; i < nr; i++) {
		if (!fatal_signal_pending(current))
			page[i] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO |
					     __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
		if (!page[i]) {
			xbz_mem_uncharge(a, nr - i);
			return false;
		}
		cond_resched();
	}
	return true;
}

/**
 * xbz_mem_table() - allocate a zeroed page of the cache's bookkeeping
 * @a: the account to charge
 *
 * Not by kvcalloc(), which would invoke the OOM killer for a single page.
 *
 * Context: may sleep.
 * Return: the page, to be freed with xbz_mem_free(), or NULL.
 */
void *xbz_mem_table(struct xbz_account *a)
{
	void *table;

	if (!xbz_mem_charge(a, 1, true))
		return NULL;
	table = kzalloc(PAGE_SIZE, XBZ_GFP_OPTIONAL);
	if (!table)
		xbz_mem_uncharge(a, 1);
	return table;
}

/**
 * xbz_mem_page_free() - wipe a page and free it
 * @a: the account that was charged
 * @page: from xbz_mem_page()
 *
 * Drops our reference only: a socket may hold another one.
 *
 * Context: any.
 */
void xbz_mem_page_free(struct xbz_account *a, struct page *page)
{
	/* Guest memory must not reach the next user of the page. */
	clear_highpage(page);
	__free_page(page);
	xbz_mem_uncharge(a, 1);
}

static unsigned long xbz_array_pages(size_t n, size_t size)
{
	return DIV_ROUND_UP(size_mul(n, size), PAGE_SIZE);
}

/**
 * xbz_mem_zalloc() - allocate a zeroed array
 * @a: the account to charge
 * @n: elements, at least one
 * @size: bytes of each
 * @optional: the caller works without it
 *
 * Context: may sleep.
 * Return: the array, or NULL.
 */
void *xbz_mem_zalloc(struct xbz_account *a, size_t n, size_t size, bool optional)
{
	void *p;

	if (!xbz_mem_charge(a, xbz_array_pages(n, size), optional))
		return NULL;
	p = kvcalloc(n, size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
			      __GFP_RETRY_MAYFAIL);
	if (!p)
		xbz_mem_uncharge(a, xbz_array_pages(n, size));
	return p;
}

/**
 * xbz_mem_free() - free an array
 * @a: the account that was charged
 * @p: from xbz_mem_zalloc(), or NULL
 * @n: as passed to xbz_mem_zalloc()
 * @size: as passed to xbz_mem_zalloc()
 *
 * Context: may sleep.
 */
void xbz_mem_free(struct xbz_account *a, void *p, size_t n, size_t size)
{
	if (!p)
		return;
	kvfree(p);
	xbz_mem_uncharge(a, xbz_array_pages(n, size));
}
