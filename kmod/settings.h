/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_SETTINGS_H
#define _XBZ_SETTINGS_H

#include <linux/types.h>

struct xbzrle_setup;

u64 xbz_default_cache(void);
u32 xbz_default_queues(void);
void xbz_default_cache_set(u64 bytes);
void xbz_default_queues_set(u32 nr);
int xbz_settings_apply(struct xbzrle_setup *arg);

#endif /* _XBZ_SETTINGS_H */
