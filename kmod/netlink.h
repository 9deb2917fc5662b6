/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_NETLINK_H
#define _XBZ_NETLINK_H

#include <linux/types.h>

struct genl_family;
struct sk_buff;
struct xbz_pass;
struct xbzrle_counters;

extern struct genl_family xbz_nl_family;

int xbz_netlink_init(void);
void xbz_netlink_exit(void);

int xbz_nl_put_u64(struct sk_buff *skb, int attr, u64 value);
int xbz_nl_put_stats(struct sk_buff *skb, int attr,
		     const struct xbzrle_counters *c, bool session);
int xbz_nl_put_pass(struct sk_buff *skb, int attr, const struct xbz_pass *pass);

#endif /* _XBZ_NETLINK_H */
