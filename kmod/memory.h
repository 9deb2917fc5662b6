/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_MEMORY_H
#define _XBZ_MEMORY_H

#include <linux/limits.h>
#include <linux/types.h>

struct page;

/* The largest limit that can be set: the parameter counts MiB. */
#define XBZ_MEM_SETTING_MAX ((u64)UINT_MAX << 20)

bool xbz_mem_charge(unsigned long pages);
void xbz_mem_uncharge(unsigned long pages);
struct page *xbz_mem_page(void);
void xbz_mem_page_free(struct page *page);
void *xbz_mem_zalloc(size_t n, size_t size);
void xbz_mem_free(void *p, size_t n, size_t size);
u64 xbz_mem_limit(void);
u64 xbz_mem_setting(void);
void xbz_mem_set(u64 bytes);
u64 xbz_mem_host(void);
u64 xbz_mem_refused(void);
u64 xbz_mem_used(void);

#endif /* _XBZ_MEMORY_H */
