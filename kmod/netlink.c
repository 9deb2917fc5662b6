// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family: its operations on the host's settings and totals,
 * and what messages have in common. Operations on sessions are in
 * netlink-session.c, events in event.c; netlink-gen.c, which the kernel's
 * generator makes from Documentation/netlink/specs/xbzrle.yaml, has checked
 * types, ranges and permissions before anything here is called.
 *
 * The family is there in the initial network namespace alone. Its operations run
 * under a lock that all generic netlink shares, so none of them waits for
 * anything that a session's process can hold up: see registry.c and trim.c.
 */
#include "netlink.h"
#include "codec.h"
#include "memory.h"
#include "netlink-gen.h"
#include "registry.h"
#include "session.h"
#include "settings.h"
#include "trim.h"

#include <xbzrle/codec.h>

#include <linux/align.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sizes.h>

/* One change of the settings at a time, so that what was before is right. */
static DEFINE_MUTEX(xbz_settings_lock);

/**
 * xbz_nl_put_u64() - put a number into a message
 * @skb: the message
 * @attr: the attribute
 * @value: the number; it is not aligned, as nobody needs it aligned
 *
 * Return: 0, or -EMSGSIZE.
 */
int xbz_nl_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put(skb, attr, sizeof(value), &value);
}

/**
 * xbz_nl_put_stats() - put counters into a message
 * @skb: the message
 * @attr: the attribute to nest them in
 * @c: the counters
 * @session: those of whole sessions, too
 *
 * Return: 0, or -EMSGSIZE; the message is to be cancelled then.
 */
int xbz_nl_put_stats(struct sk_buff *skb, int attr,
		     const struct xbzrle_counters *c, bool session)
{
	const struct {
		int attr;
		u64 value;
	} all[] = {
		{ XBZRLE_A_STATS_PAGES_SAME, c->pages_same },
		{ XBZRLE_A_STATS_PAGES_ZERO, c->pages_zero },
		{ XBZRLE_A_STATS_PAGES_DELTA, c->pages_delta },
		{ XBZRLE_A_STATS_PAGES_RAW, c->pages_raw },
		{ XBZRLE_A_STATS_ZERO_BASED, c->zero_based },
		{ XBZRLE_A_STATS_BYTES, c->bytes },
		{ XBZRLE_A_STATS_BYTES_DELTA, c->bytes_delta },
		{ XBZRLE_A_STATS_CACHE_HITS, c->cache_hits },
		{ XBZRLE_A_STATS_CACHE_MISSES, c->cache_misses },
		{ XBZRLE_A_STATS_OVERFLOWS, c->overflows },
		{ XBZRLE_A_STATS_CACHE_PAGES, c->cache_pages },
		{ XBZRLE_A_STATS_CACHE_ZERO, c->cache_zero },
		{ XBZRLE_A_STATS_CACHE_LIMIT, c->cache_limit },
		{ XBZRLE_A_STATS_EVICTIONS, c->evictions },
		{ XBZRLE_A_STATS_BATCHES, c->batches },
		{ XBZRLE_A_STATS_RING_FULL, c->ring_full },
		{ XBZRLE_A_STATS_FAULTS, c->faults },
		/* From here on of whole sessions. */
		{ XBZRLE_A_STATS_SYNCS, c->syncs },
		{ XBZRLE_A_STATS_LOG_DIRTY, c->log_dirty },
		{ XBZRLE_A_STATS_LOG_CLEARS, c->log_clears },
	};
	struct nlattr *nest = nla_nest_start(skb, attr);
	unsigned int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < ARRAY_SIZE(all) - (session ? 0 : 3); i++)
		if (xbz_nl_put_u64(skb, all[i].attr, all[i].value))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * xbz_nl_put_pass() - put what is known of a pass into a message
 * @skb: the message
 * @attr: the attribute to nest it in
 * @pass: the pass, its pages and bytes those that were in it
 *
 * Return: 0, or -EMSGSIZE; the message is to be cancelled then.
 */
int xbz_nl_put_pass(struct sk_buff *skb, int attr, const struct xbz_pass *pass)
{
	struct nlattr *nest = nla_nest_start(skb, attr);

	if (!nest || xbz_nl_put_u64(skb, XBZRLE_A_PASS_NUMBER, pass->number) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_PASS_TIME, pass->time) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_PASS_DIRTY, pass->dirty) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_PASS_PAGES, pass->pages) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_PASS_BYTES, pass->bytes))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int xbz_put_settings(struct sk_buff *skb)
{
	if (xbz_nl_put_u64(skb, XBZRLE_A_SETTINGS_DEFAULT_CACHE,
			   xbz_default_cache()) ||
	    nla_put_u32(skb, XBZRLE_A_SETTINGS_DEFAULT_QUEUES,
			xbz_default_queues()) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_SETTINGS_MEMORY_LIMIT,
			   xbz_mem_setting()) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_SETTINGS_MEMORY_MAX,
			   xbz_mem_limit()) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_SETTINGS_MEMORY_USED, xbz_mem_used()))
		return -EMSGSIZE;
	return 0;
}

static int xbz_put_old_settings(struct sk_buff *skb)
{
	if (xbz_nl_put_u64(skb, XBZRLE_A_SETTINGS_OLD_DEFAULT_CACHE,
			   xbz_default_cache()) ||
	    nla_put_u32(skb, XBZRLE_A_SETTINGS_OLD_DEFAULT_QUEUES,
			xbz_default_queues()) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_SETTINGS_OLD_MEMORY_LIMIT,
			   xbz_mem_setting()))
		return -EMSGSIZE;
	return 0;
}

static int xbz_put_module(struct sk_buff *skb)
{
	if (xbz_nl_put_u64(skb, XBZRLE_A_SETTINGS_MEMORY_HOST,
			   xbz_mem_host()) ||
	    nla_put_u32(skb, XBZRLE_A_SETTINGS_SESSIONS, xbz_registry_nr()) ||
	    nla_put_string(skb, XBZRLE_A_SETTINGS_VERSION, XBZ_VERSION) ||
	    nla_put_u32(skb, XBZRLE_A_SETTINGS_ABI_VERSION,
			XBZRLE_ABI_VERSION) ||
	    nla_put_string(skb, XBZRLE_A_SETTINGS_CODEC, xbz_codec_name()) ||
	    nla_put_u32(skb, XBZRLE_A_SETTINGS_PAGE_SIZE, XBZRLE_PAGE_SIZE))
		return -EMSGSIZE;
	return 0;
}

/* A reply to a request, of which netlink-gen.c has checked all there is. */
static struct sk_buff *xbz_reply_new(struct genl_info *info, void **head)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!skb)
		return NULL;
	*head = genlmsg_put_reply(skb, info, &xbz_nl_family, 0,
				  info->genlhdr->cmd);
	if (*head)
		return skb;
	nlmsg_free(skb);
	return NULL;
}

static int xbz_reply_end(struct sk_buff *skb, void *head,
			 struct genl_info *info, int error)
{
	if (error) {
		nlmsg_free(skb);
		return error;
	}
	genlmsg_end(skb, head);
	return genlmsg_reply(skb, info);
}

int xbzrle_nl_settings_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	void *head;

	reply = xbz_reply_new(info, &head);
	if (!reply)
		return -ENOMEM;
	return xbz_reply_end(reply, head, info,
			     xbz_put_settings(reply) ?: xbz_put_module(reply));
}

int xbzrle_nl_settings_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *cache = info->attrs[XBZRLE_A_SETTINGS_DEFAULT_CACHE];
	struct nlattr *queues = info->attrs[XBZRLE_A_SETTINGS_DEFAULT_QUEUES];
	struct nlattr *limit = info->attrs[XBZRLE_A_SETTINGS_MEMORY_LIMIT];
	struct sk_buff *reply;
	void *head;
	int ret;

	if (!cache && !queues && !limit) {
		NL_SET_ERR_MSG(info->extack,
			       "nothing to set: none of default-cache, default-queues, memory-limit");
		return -EINVAL;
	}
	if (limit && !IS_ALIGNED(nla_get_u64(limit), SZ_1M)) {
		NL_SET_ERR_MSG_ATTR(info->extack, limit,
				    "memory-limit: not a multiple of 1 MiB");
		return -EINVAL;
	}
	if (limit && nla_get_u64(limit) > XBZ_MEM_SETTING_MAX) {
		NL_SET_ERR_MSG_ATTR(info->extack, limit,
				    "memory-limit: more than 4 PiB");
		return -ERANGE;
	}
	reply = xbz_reply_new(info, &head);
	if (!reply)
		return -ENOMEM;

	mutex_lock(&xbz_settings_lock);
	ret = xbz_put_old_settings(reply);
	if (ret)
		goto out_unlock;
	if (cache)
		xbz_default_cache_set(nla_get_u64(cache));
	if (queues)
		xbz_default_queues_set(nla_get_u32(queues));
	if (limit) {
		xbz_mem_set(nla_get_u64(limit));
		xbz_trim_host();
	}
	ret = xbz_put_settings(reply);
out_unlock:
	mutex_unlock(&xbz_settings_lock);
	return xbz_reply_end(reply, head, info, ret);
}

int xbzrle_nl_stats_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct xbzrle_counters sum;
	struct sk_buff *reply;
	u64 started, ended;
	void *head;
	int ret = -EMSGSIZE;

	reply = xbz_reply_new(info, &head);
	if (!reply)
		return -ENOMEM;
	xbz_registry_totals(&sum, &started, &ended);
	if (!xbz_nl_put_u64(reply, XBZRLE_A_TOTALS_STARTED, started) &&
	    !xbz_nl_put_u64(reply, XBZRLE_A_TOTALS_ENDED, ended) &&
	    !xbz_nl_put_u64(reply, XBZRLE_A_TOTALS_REFUSED, xbz_mem_refused()))
		ret = xbz_nl_put_stats(reply, XBZRLE_A_TOTALS_STATS, &sum,
				       true);
	return xbz_reply_end(reply, head, info, ret);
}

static const struct genl_multicast_group xbz_nl_groups[] = {
	[XBZRLE_NLGRP_SESSION] = { .name = XBZRLE_MCGRP_SESSION },
	[XBZRLE_NLGRP_PASS] = { .name = XBZRLE_MCGRP_PASS },
	[XBZRLE_NLGRP_WARNING] = { .name = XBZRLE_MCGRP_WARNING },
};

struct genl_family xbz_nl_family __ro_after_init = {
	.name = XBZRLE_FAMILY_NAME,
	.version = XBZRLE_FAMILY_VERSION,
	.parallel_ops = true,
	.module = THIS_MODULE,
	.ops = xbzrle_nl_ops,
	.n_ops = ARRAY_SIZE(xbzrle_nl_ops),
	.resv_start_op = __XBZRLE_CMD_MAX,
	.mcgrps = xbz_nl_groups,
	.n_mcgrps = ARRAY_SIZE(xbz_nl_groups),
};

/**
 * xbz_netlink_init() - make the family appear
 *
 * Return: 0, or what the kernel says.
 */
int __init xbz_netlink_init(void)
{
	return genl_register_family(&xbz_nl_family);
}

/**
 * xbz_netlink_exit() - make it go
 */
void xbz_netlink_exit(void)
{
	genl_unregister_family(&xbz_nl_family);
}
