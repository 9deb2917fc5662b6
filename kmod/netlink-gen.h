/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/xbzrle.yaml */
/* YNL-GEN kernel header */

#ifndef _LINUX_XBZRLE_GEN_H
#define _LINUX_XBZRLE_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <uapi/linux/xbzrle_netlink.h>

extern const struct nla_policy xbzrle_session_get_nl_policy[XBZRLE_A_SESSION_ID + 1];

extern const struct nla_policy xbzrle_session_set_nl_policy[XBZRLE_A_SESSION_CACHE_BYTES + 1];

extern const struct nla_policy xbzrle_flush_nl_policy[XBZRLE_A_SESSION_ID + 1];

extern const struct nla_policy xbzrle_queue_get_nl_policy[XBZRLE_A_QUEUE_ID + 1];

extern const struct nla_policy xbzrle_stats_get_nl_policy[XBZRLE_A_TOTALS_UNUSED + 1];

/* Ops table for xbzrle */
extern const struct genl_ops xbzrle_nl_ops[5];

int xbzrle_nl_session_get_doit(struct sk_buff *skb, struct genl_info *info);
int xbzrle_nl_session_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb);
int xbzrle_nl_session_set_doit(struct sk_buff *skb, struct genl_info *info);
int xbzrle_nl_flush_doit(struct sk_buff *skb, struct genl_info *info);
int xbzrle_nl_queue_get_doit(struct sk_buff *skb, struct genl_info *info);
int xbzrle_nl_queue_get_dumpit(struct sk_buff *skb,
			       struct netlink_callback *cb);
int xbzrle_nl_stats_get_doit(struct sk_buff *skb, struct genl_info *info);

enum {
	XBZRLE_NLGRP_SESSION,
	XBZRLE_NLGRP_PASS,
	XBZRLE_NLGRP_WARNING,
};

#endif /* _LINUX_XBZRLE_GEN_H */
