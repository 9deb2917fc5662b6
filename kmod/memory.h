/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_MEMORY_H
#define _XBZ_MEMORY_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct page;

/* Of what there is, that much is the most that one has: a quarter is left to others. */
#define XBZ_SHARE_DEFAULT 75

/**
 * struct xbz_account - memory of a session, of a user's sessions, or of all
 * @refs: of a session's account: its own, and mappings of its pages; of a user's: its
 *	sessions' accounts
 * @parent: the user's, for a session's
 * @users: its place among the users
 * @uid: the user
 * @bounded: it has a share only
 * @pages: what is charged
 * @owing: how much of that the reaper is to free: sessions, regions and pages
 * @error: of the last allocation that failed and was not optional: -EDQUOT if it was
 *	above a share
 */
struct xbz_account {
	refcount_t refs;
	struct xbz_account *parent;
	struct list_head users;
	kuid_t uid;
	bool bounded;
	unsigned long pages;
	atomic_t owing;
	int error;
};

struct xbz_account *xbz_account_new(void);
struct xbz_account *xbz_account_get(struct xbz_account *a);
void xbz_account_put(struct xbz_account *a);
u64 xbz_account_used(const struct xbz_account *a);
u64 xbz_account_limit(const struct xbz_account *a);

int xbz_mem_fits(struct xbz_account *a, unsigned long pages);
bool xbz_mem_may_grow(int *credit);
struct page *xbz_mem_page(struct xbz_account *a, bool optional);
bool xbz_mem_pages(struct xbz_account *a, struct page **page, unsigned long nr);
void *xbz_mem_table(struct xbz_account *a);
void xbz_mem_page_free(struct xbz_account *a, struct page *page);
void *xbz_mem_zalloc(struct xbz_account *a, size_t n, size_t size, bool optional);
void xbz_mem_free(struct xbz_account *a, void *p, size_t n, size_t size);
void xbz_mem_set_limit(unsigned int mib);
void xbz_mem_set_share(unsigned int percent);
u64 xbz_mem_limit(void);
u64 xbz_mem_refused(void);
u64 xbz_mem_used(void);

#endif /* _XBZ_MEMORY_H */
