/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_MEMORY_H
#define _XBZ_MEMORY_H

#include <linux/types.h>

struct page;

bool xbz_mem_may_grow(int *credit);
struct page *xbz_mem_page(bool optional);
void *xbz_mem_table(void);
void xbz_mem_page_free(struct page *page);
void *xbz_mem_zalloc(size_t n, size_t size, bool optional);
void xbz_mem_free(void *p, size_t n, size_t size);
void xbz_mem_set_limit(unsigned int mib);
u64 xbz_mem_limit(void);
u64 xbz_mem_refused(void);
u64 xbz_mem_used(void);

#endif /* _XBZ_MEMORY_H */
