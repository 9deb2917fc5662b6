/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_EVENT_H
#define _XBZ_EVENT_H

#include <linux/types.h>

struct xbz_session;

void xbz_event_start(struct xbz_session *s);
void xbz_event_end(struct xbz_session *s);
void xbz_event_pass(struct xbz_session *s);
void xbz_event_warning(struct xbz_session *s, u32 warning, u32 queue);

#endif /* _XBZ_EVENT_H */
