/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_NETLINK_H
#define _XBZ_NETLINK_H

#include <linux/types.h>

struct xbz_session;

int xbz_netlink_init(void);
void xbz_netlink_exit(void);

void xbz_event(struct xbz_session *s, u8 cmd);
void xbz_event_warning(struct xbz_session *s, u32 warning, u32 queue);

#endif /* _XBZ_NETLINK_H */
