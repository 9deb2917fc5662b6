/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_REGISTRY_H
#define _XBZ_REGISTRY_H

#include <linux/types.h>

struct xbz_session;
struct xbzrle_counters;

int xbz_registry_add(struct xbz_session *s);
void xbz_registry_del(struct xbz_session *s);
struct xbz_session *xbz_registry_get(u32 id);
struct xbz_session *xbz_registry_next(unsigned long *id);
void xbz_registry_put(struct xbz_session *s);
unsigned int xbz_registry_nr(void);
void xbz_registry_totals(struct xbzrle_counters *sum, u64 *started, u64 *ended);
void xbz_registry_exit(void);

#endif /* _XBZ_REGISTRY_H */
