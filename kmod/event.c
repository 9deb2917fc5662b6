// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to sessions, told to whoever listens: the family's multicast
 * groups. Anybody may listen, so there is nothing in an event but numbers.
 * Nothing is done while nobody listens, and an event that cannot be told is not
 * told: no session waits or fails for it.
 */
#include "event.h"
#include "memory.h"
#include "netlink.h"
#include "netlink-gen.h"
#include "session.h"

#include <linux/ktime.h>
#include <linux/xbzrle.h>

static struct sk_buff *xbz_event_new(struct xbz_session *s, u8 cmd,
				     unsigned int group, void **head)
{
	struct sk_buff *skb;

	if (!genl_has_listeners(&xbz_nl_family, &init_net, group))
		return NULL;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return NULL;
	*head = genlmsg_put(skb, 0, 0, &xbz_nl_family, 0, cmd);
	if (*head && !nla_put_u32(skb, XBZRLE_A_SESSION_ID, s->id))
		return skb;
	nlmsg_free(skb);
	return NULL;
}

static void xbz_event_send(struct sk_buff *skb, void *head, unsigned int group,
			   int error)
{
	if (error) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, head);
	genlmsg_multicast(&xbz_nl_family, skb, 0, group, GFP_KERNEL);
}

/**
 * xbz_event_start() - a session was set up
 * @s: the session
 *
 * Context: may sleep.
 */
void xbz_event_start(struct xbz_session *s)
{
	struct sk_buff *skb;
	void *head;

	skb = xbz_event_new(s, XBZRLE_CMD_SESSION_START, XBZRLE_NLGRP_SESSION,
			    &head);
	if (skb)
		xbz_event_send(skb, head, XBZRLE_NLGRP_SESSION, 0);
}

/**
 * xbz_event_end() - a session ends
 * @s: the session; it does nothing any more
 *
 * Context: may sleep.
 */
void xbz_event_end(struct xbz_session *s)
{
	struct xbzrle_counters sum = {};
	struct sk_buff *skb;
	void *head;
	int ret;

	skb = xbz_event_new(s, XBZRLE_CMD_SESSION_END, XBZRLE_NLGRP_SESSION,
			    &head);
	if (!skb)
		return;
	xbz_session_sum(s, &sum);
	ret = xbz_nl_put_u64(skb, XBZRLE_A_SESSION_AGE,
			     ktime_get_ns() - s->born);
	if (!ret)
		ret = xbz_nl_put_stats(skb, XBZRLE_A_SESSION_STATS, &sum, true);
	if (!ret)
		ret = xbz_nl_put_pass(skb, XBZRLE_A_SESSION_LAST_PASS,
				      &s->last);
	xbz_event_send(skb, head, XBZRLE_NLGRP_SESSION, ret);
}

/**
 * xbz_event_pass() - a pass has begun
 * @s: the session
 *
 * Context: may sleep; the session's lock is held for writing.
 */
void xbz_event_pass(struct xbz_session *s)
{
	const struct xbz_pass now = {
		.number = s->now.number,
		.dirty = s->now.dirty,
	};
	u64 refused = xbz_mem_refused(), used = xbz_session_copies(s);
	struct sk_buff *skb;
	void *head;
	int ret;

	if (refused != s->refused)
		xbz_event_warning(s, XBZRLE_WARNING_MEMORY, 0);
	s->refused = refused;

	skb = xbz_event_new(s, XBZRLE_CMD_SESSION_PASS, XBZRLE_NLGRP_PASS,
			    &head);
	if (!skb)
		return;
	ret = xbz_nl_put_u64(skb, XBZRLE_A_SESSION_CACHE_BYTES,
			     READ_ONCE(s->cache_bytes));
	if (!ret)
		ret = xbz_nl_put_u64(skb, XBZRLE_A_SESSION_CACHE_USED,
				     used << XBZRLE_PAGE_SHIFT);
	if (!ret)
		ret = xbz_nl_put_pass(skb, XBZRLE_A_SESSION_PASS, &now);
	if (!ret)
		ret = xbz_nl_put_pass(skb, XBZRLE_A_SESSION_LAST_PASS,
				      &s->last);
	xbz_event_send(skb, head, XBZRLE_NLGRP_PASS, ret);
}

/**
 * xbz_event_warning() - something went wrong
 * @s: the session
 * @warning: XBZRLE_WARNING_*
 * @queue: where, if it is about a queue
 *
 * Context: may sleep; the session's lock is held.
 */
void xbz_event_warning(struct xbz_session *s, u32 warning, u32 queue)
{
	struct sk_buff *skb;
	void *head;
	int ret;

	skb = xbz_event_new(s, XBZRLE_CMD_SESSION_WARNING, XBZRLE_NLGRP_WARNING,
			    &head);
	if (!skb)
		return;
	ret = nla_put_u32(skb, XBZRLE_A_SESSION_WARNING, warning);
	if (!ret && warning == XBZRLE_WARNING_CONSUMER)
		ret = nla_put_u32(skb, XBZRLE_A_SESSION_QUEUE, queue);
	xbz_event_send(skb, head, XBZRLE_NLGRP_WARNING, ret);
}
