/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_TRIM_H
#define _XBZ_TRIM_H

#include <linux/types.h>

struct xbz_queue;
struct xbz_session;

void xbz_queue_unlock(struct xbz_queue *q);
u64 xbz_trim_resize(struct xbz_session *s, u64 bytes);
u64 xbz_trim_flush(struct xbz_session *s);
void xbz_trim_host(void);

#endif /* _XBZ_TRIM_H */
