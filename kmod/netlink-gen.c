// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/xbzrle.yaml */
/* YNL-GEN kernel source */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "netlink-gen.h"

#include <uapi/linux/xbzrle_netlink.h>

/* XBZRLE_CMD_SESSION_GET - do */
const struct nla_policy xbzrle_session_get_nl_policy[XBZRLE_A_SESSION_ID + 1] = {
	[XBZRLE_A_SESSION_ID] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* XBZRLE_CMD_SESSION_SET - do */
const struct nla_policy xbzrle_session_set_nl_policy[XBZRLE_A_SESSION_CACHE_BYTES + 1] = {
	[XBZRLE_A_SESSION_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[XBZRLE_A_SESSION_CACHE_BYTES] = { .type = NLA_U64, },
};

/* XBZRLE_CMD_FLUSH - do */
const struct nla_policy xbzrle_flush_nl_policy[XBZRLE_A_SESSION_ID + 1] = {
	[XBZRLE_A_SESSION_ID] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* XBZRLE_CMD_QUEUE_GET - do */
const struct nla_policy xbzrle_queue_get_nl_policy[XBZRLE_A_QUEUE_ID + 1] = {
	[XBZRLE_A_QUEUE_SESSION] = NLA_POLICY_MIN(NLA_U32, 1),
	[XBZRLE_A_QUEUE_ID] = { .type = NLA_U32, },
};

/* XBZRLE_CMD_STATS_GET - do */
const struct nla_policy xbzrle_stats_get_nl_policy[XBZRLE_A_TOTALS_UNUSED + 1] = {
};

/* Ops table for xbzrle */
const struct genl_ops xbzrle_nl_ops[5] = {
	{
		.cmd		= XBZRLE_CMD_SESSION_GET,
		.doit		= xbzrle_nl_session_get_doit,
		.dumpit		= xbzrle_nl_session_get_dumpit,
		.policy		= xbzrle_session_get_nl_policy,
		.maxattr	= XBZRLE_A_SESSION_ID,
	},
	{
		.cmd		= XBZRLE_CMD_SESSION_SET,
		.doit		= xbzrle_nl_session_set_doit,
		.policy		= xbzrle_session_set_nl_policy,
		.maxattr	= XBZRLE_A_SESSION_CACHE_BYTES,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= XBZRLE_CMD_FLUSH,
		.doit		= xbzrle_nl_flush_doit,
		.policy		= xbzrle_flush_nl_policy,
		.maxattr	= XBZRLE_A_SESSION_ID,
		.flags		= GENL_ADMIN_PERM,
	},
	{
		.cmd		= XBZRLE_CMD_QUEUE_GET,
		.doit		= xbzrle_nl_queue_get_doit,
		.dumpit		= xbzrle_nl_queue_get_dumpit,
		.policy		= xbzrle_queue_get_nl_policy,
		.maxattr	= XBZRLE_A_QUEUE_ID,
	},
	{
		.cmd		= XBZRLE_CMD_STATS_GET,
		.doit		= xbzrle_nl_stats_get_doit,
		.policy		= xbzrle_stats_get_nl_policy,
		.maxattr	= XBZRLE_A_TOTALS_UNUSED,
	},
};

static const struct genl_multicast_group xbzrle_nl_mcgrps[] = {
	[XBZRLE_NLGRP_SESSION] = { "session", },
	[XBZRLE_NLGRP_PASS] = { "pass", },
	[XBZRLE_NLGRP_WARNING] = { "warning", },
};
