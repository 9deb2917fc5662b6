// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family: sessions as observers see them, what an
 * administrator changes, and events. netlink-gen.c is generated from
 * Documentation/netlink/specs/xbzrle.yaml; with it, generic netlink checks types,
 * ranges and permissions before an operation is called.
 *
 * The family exists in the initial network namespace only. Operations run under
 * a lock of all generic netlink: none waits for a session's lock or a queue's,
 * which a session's process can hold for as long as it likes. They hold a
 * reference and read single words. A reader that is neither the session's owner
 * nor an administrator sees numbers only.
 *
 * Dumps walk by numbers and not by positions: a session that starts or ends makes
 * no other one appear twice or not at all.
 */
#include "netlink.h"
#include "memory.h"
#include "netlink-gen.h"
#include "session.h"

#include "compat/netlink.h"

#include <linux/cred.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/user_namespace.h>
#include <linux/xbzrle.h>

static struct genl_family xbz_nl_family;

/**
 * struct xbz_dump - the state of a dump, in its cb->ctx
 * @next: the lowest number that comes next
 * @began: time of its start; younger sessions are left out, so that it ends
 * @started: the rest is set
 * @admin: the requester is an administrator
 */
struct xbz_dump {
	unsigned long next;
	u64 began;
	bool started;
	bool admin;
};

/* Not aligned to 64 bits: no reader needs that. */
static int xbz_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put(skb, attr, sizeof(value), &value);
}

/* Both are generated in the same order; attributes are numbered from 1. */
static int xbz_put_counters(struct sk_buff *skb, int attr,
			    const struct xbzrle_counters *c)
{
	struct nlattr *nest = nla_nest_start(skb, attr);
	unsigned int i;

	BUILD_BUG_ON(XBZ_NR_COUNTERS != XBZRLE_A_STATS_MAX);
	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < XBZ_NR_COUNTERS; i++)
		if (xbz_put_u64(skb, i + 1, xbz_counters_of(c)[i]))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int xbz_put_pass(struct sk_buff *skb, int attr,
			const struct xbz_pass *pass)
{
	struct nlattr *nest = nla_nest_start(skb, attr);

	if (!nest || xbz_put_u64(skb, XBZRLE_A_PASS_NUMBER, pass->number) ||
	    xbz_put_u64(skb, XBZRLE_A_PASS_TIME, pass->time) ||
	    xbz_put_u64(skb, XBZRLE_A_PASS_DIRTY, pass->dirty) ||
	    xbz_put_u64(skb, XBZRLE_A_PASS_REMAINING, pass->remaining) ||
	    xbz_put_u64(skb, XBZRLE_A_PASS_PAGES, pass->pages) ||
	    xbz_put_u64(skb, XBZRLE_A_PASS_BYTES, pass->bytes))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* The session's owner: for itself and for administrators. */
static int xbz_put_owner(struct sk_buff *skb, const struct xbz_session *s)
{
	if (nla_put_string(skb, XBZRLE_A_SESSION_NAME, s->name) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_PID, pid_vnr(s->pid)) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_UID,
			from_kuid_munged(current_user_ns(), s->owner)) ||
	    xbz_put_u64(skb, XBZRLE_A_SESSION_USER_USED,
			xbz_account_used(s->account->parent)) ||
	    xbz_put_u64(skb, XBZRLE_A_SESSION_USER_MAX,
			xbz_account_limit(s->account->parent)))
		return -EMSGSIZE;
	return 0;
}

/* All numbers of a session, in replies and in events. */
static int xbz_put_session(struct sk_buff *skb, struct xbz_session *s)
{
	struct xbzrle_counters sum = { };
	struct xbz_pass now, last;
	unsigned int i, broken = 0;

	for (i = 0; i < s->nr_queues; i++)
		broken += READ_ONCE(s->queues[i].broken);
	xbz_session_sum(s, &sum);
	xbz_session_passes(s, &now, &last);

	if (xbz_put_u64(skb, XBZRLE_A_SESSION_AGE, ktime_get_ns() - s->born) ||
	    nla_put_u8(skb, XBZRLE_A_SESSION_VM, !!s->vm) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_QUEUES, s->nr_queues) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_REGIONS,
			READ_ONCE(s->nr_regions)) ||
	    xbz_put_u64(skb, XBZRLE_A_SESSION_PAGES, READ_ONCE(s->pages)) ||
	    xbz_put_u64(skb, XBZRLE_A_SESSION_RING_BYTES,
			s->queues[0].ring.size) ||
	    xbz_put_u64(skb, XBZRLE_A_SESSION_CACHE_BYTES,
			READ_ONCE(s->cache_bytes)) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_BROKEN, broken) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_MAX_DELTA,
			READ_ONCE(s->max_delta)) ||
	    xbz_put_u64(skb, XBZRLE_A_SESSION_MEMORY_USED,
			xbz_account_used(s->account)) ||
	    xbz_put_u64(skb, XBZRLE_A_SESSION_MEMORY_MAX,
			xbz_account_limit(s->account)) ||
	    xbz_put_counters(skb, XBZRLE_A_SESSION_STATS, &sum) ||
	    xbz_put_pass(skb, XBZRLE_A_SESSION_PASS, &now) ||
	    (now.number && xbz_put_pass(skb, XBZRLE_A_SESSION_LAST_PASS, &last)))
		return -EMSGSIZE;
	return 0;
}

static int xbz_put_queue(struct sk_buff *skb, struct xbz_session *s, u32 id)
{
	const struct xbz_queue *q = &s->queues[id];
	struct xbzrle_counters sum = { };

	xbz_counters_sum(&sum, &s->counters);
	xbz_counters_sum(&sum, &q->counters);
	if (nla_put_u32(skb, XBZRLE_A_QUEUE_SESSION, s->id) ||
	    nla_put_u32(skb, XBZRLE_A_QUEUE_ID, id) ||
	    nla_put_u8(skb, XBZRLE_A_QUEUE_BROKEN, READ_ONCE(q->broken)))
		return -EMSGSIZE;
	return xbz_put_counters(skb, XBZRLE_A_QUEUE_STATS, &sum);
}

/* Ends a message that an error leaves out of @skb. */
static int xbz_message_end(struct sk_buff *skb, void *head, int error)
{
	if (error)
		genlmsg_cancel(skb, head);
	else
		genlmsg_end(skb, head);
	return error;
}

/* The requester's rights count, not those of the reader of the answer. */
static bool xbz_may_see(struct sk_buff *request, const struct xbz_session *s,
			bool admin)
{
	return admin || uid_eq(NETLINK_CREDS(request)->uid, s->owner);
}

static int xbz_fill_session(struct sk_buff *skb, void *head,
			    struct xbz_session *s, bool owner)
{
	int ret;

	if (!head)
		return -EMSGSIZE;
	ret = nla_put_u32(skb, XBZRLE_A_SESSION_ID, s->id);
	if (!ret && owner)
		ret = xbz_put_owner(skb, s);
	if (!ret)
		ret = xbz_put_session(skb, s);
	return xbz_message_end(skb, head, ret);
}

static int xbz_fill_queue(struct sk_buff *skb, void *head,
			  struct xbz_session *s, u32 id)
{
	if (!head)
		return -EMSGSIZE;
	return xbz_message_end(skb, head, xbz_put_queue(skb, s, id));
}

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

static int xbz_reply(struct sk_buff *skb, struct genl_info *info, int error)
{
	if (!error)
		return genlmsg_reply(skb, info);
	nlmsg_free(skb);
	return error;
}

/* The session of a request's attribute, or an error that says what is wrong. */
static struct xbz_session *xbz_session_of(struct nlattr **attrs, int attr,
					  struct netlink_ext_ack *extack)
{
	struct xbz_session *s;

	if (!attrs[attr]) {
		NL_SET_ERR_ATTR_MISS(extack, NULL, attr);
		NL_SET_ERR_MSG(extack, "the session's number is missing");
		return ERR_PTR(-EINVAL);
	}
	s = xbz_session_get(nla_get_u32(attrs[attr]));
	if (s)
		return s;
	NL_SET_ERR_MSG_ATTR(extack, attrs[attr], "no session has this number");
	return ERR_PTR(-ENOENT);
}

int xbzrle_nl_session_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct xbz_session *s;
	struct sk_buff *reply;
	int ret = -ENOMEM;
	void *head;

	s = xbz_session_of(info->attrs, XBZRLE_A_SESSION_ID, info->extack);
	if (IS_ERR(s))
		return PTR_ERR(s);
	reply = xbz_reply_new(info, &head);
	if (reply) {
		bool admin = netlink_capable(skb, CAP_NET_ADMIN);

		ret = xbz_fill_session(reply, head, s,
				       xbz_may_see(skb, s, admin));
		ret = xbz_reply(reply, info, ret);
	}
	xbz_session_put(s);
	return ret;
}

static struct xbz_dump *xbz_dump_begin(struct netlink_callback *cb)
{
	struct xbz_dump *dump = (struct xbz_dump *)cb->ctx;

	BUILD_BUG_ON(sizeof(*dump) > sizeof(cb->ctx));
	/* The requester makes the first call, a reader the others. */
	if (!dump->started) {
		dump->admin = netlink_capable(cb->skb, CAP_NET_ADMIN);
		dump->began = ktime_get_ns();
	}
	return dump;
}

static void *xbz_dump_head(struct sk_buff *skb, struct netlink_callback *cb,
			   u8 cmd)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &xbz_nl_family, NLM_F_MULTI, cmd);
}

int xbzrle_nl_session_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct nlattr *id = xbz_dump_attrs(cb)[XBZRLE_A_SESSION_ID];
	struct xbz_dump *dump = xbz_dump_begin(cb);
	struct xbz_session *s;
	int ret = 0;

	if (id) {
		NL_SET_ERR_MSG_ATTR(cb->extack, id,
				    "a dump has all sessions: leave id out");
		return -EINVAL;
	}
	dump->started = true;
	for (; !ret && (s = xbz_session_get_next(&dump->next));
	     dump->next += !ret) {
		if (s->born <= dump->began)
			ret = xbz_fill_session(skb,
					       xbz_dump_head(skb, cb, XBZRLE_CMD_SESSION_GET),
					       s, xbz_may_see(cb->skb, s, dump->admin));
		xbz_session_put(s);
		cond_resched();
	}
	return skb->len ?: ret;
}

int xbzrle_nl_session_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *bytes = info->attrs[XBZRLE_A_SESSION_CACHE_BYTES];
	struct xbz_session *s;

	if (!bytes) {
		NL_SET_ERR_ATTR_MISS(info->extack, NULL,
				     XBZRLE_A_SESSION_CACHE_BYTES);
		NL_SET_ERR_MSG(info->extack, "cache-bytes is missing");
		return -EINVAL;
	}
	s = xbz_session_of(info->attrs, XBZRLE_A_SESSION_ID, info->extack);
	if (IS_ERR(s))
		return PTR_ERR(s);
	xbz_session_resize(s, nla_get_u64(bytes));
	xbz_session_put(s);
	return 0;
}

static u64 xbz_flush_all(void)
{
	struct xbz_session *s;
	unsigned long id = 0;
	u64 flushed = 0;

	for (; (s = xbz_session_get_next(&id)); id++) {
		flushed += xbz_session_flush(s);
		xbz_session_put(s);
	}
	return flushed;
}

int xbzrle_nl_flush_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct xbz_session *s = NULL;
	struct sk_buff *reply;
	int ret = -ENOMEM;
	u64 flushed;
	void *head;

	if (info->attrs[XBZRLE_A_SESSION_ID])
		s = xbz_session_of(info->attrs, XBZRLE_A_SESSION_ID,
				   info->extack);
	if (IS_ERR(s))
		return PTR_ERR(s);
	reply = xbz_reply_new(info, &head);
	if (reply) {
		flushed = s ? xbz_session_flush(s) : xbz_flush_all();
		ret = xbz_put_u64(reply, XBZRLE_A_SESSION_FLUSHED, flushed);
		ret = xbz_message_end(reply, head, ret);
		ret = xbz_reply(reply, info, ret);
	}
	if (s)
		xbz_session_put(s);
	return ret;
}

int xbzrle_nl_queue_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *id = info->attrs[XBZRLE_A_QUEUE_ID];
	struct xbz_session *s;
	struct sk_buff *reply;
	int ret = -ENOMEM;
	void *head;

	s = xbz_session_of(info->attrs, XBZRLE_A_QUEUE_SESSION, info->extack);
	if (IS_ERR(s))
		return PTR_ERR(s);
	reply = xbz_reply_new(info, &head);
	if (!id) {
		NL_SET_ERR_ATTR_MISS(info->extack, NULL, XBZRLE_A_QUEUE_ID);
		NL_SET_ERR_MSG(info->extack, "the queue's number is missing");
		ret = -EINVAL;
	} else if (nla_get_u32(id) >= s->nr_queues) {
		NL_SET_ERR_MSG_ATTR(info->extack, id,
				    "no queue has this number");
		ret = -ENOENT;
	} else if (reply) {
		ret = xbz_fill_queue(reply, head, s,
				     array_index_nospec(nla_get_u32(id),
							s->nr_queues));
	}
	if (reply)
		ret = xbz_reply(reply, info, ret);
	xbz_session_put(s);
	return ret;
}

int xbzrle_nl_queue_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nlattr **attrs = xbz_dump_attrs(cb);
	struct xbz_dump *dump = xbz_dump_begin(cb);
	struct xbz_session *s;
	int ret = 0;

	if (attrs[XBZRLE_A_QUEUE_ID]) {
		NL_SET_ERR_MSG_ATTR(cb->extack, attrs[XBZRLE_A_QUEUE_ID],
				    "a dump has all queues: leave id out");
		return -EINVAL;
	}
	s = xbz_session_of(attrs, XBZRLE_A_QUEUE_SESSION, cb->extack);
	/* A session that ends during the dump ends the dump. */
	if (IS_ERR(s))
		return dump->started ? 0 : PTR_ERR(s);
	dump->started = true;
	for (; dump->next < s->nr_queues && !ret; dump->next += !ret)
		ret = xbz_fill_queue(skb,
				     xbz_dump_head(skb, cb, XBZRLE_CMD_QUEUE_GET),
				     s, dump->next);
	xbz_session_put(s);
	return skb->len ?: ret;
}

int xbzrle_nl_stats_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct xbzrle_counters sum = { };
	struct sk_buff *reply;
	u64 started, ended;
	void *head;
	int ret;

	reply = xbz_reply_new(info, &head);
	if (!reply)
		return -ENOMEM;
	xbz_sessions_totals(&sum, &started, &ended);
	if (xbz_put_u64(reply, XBZRLE_A_TOTALS_STARTED, started) ||
	    xbz_put_u64(reply, XBZRLE_A_TOTALS_ENDED, ended) ||
	    xbz_put_u64(reply, XBZRLE_A_TOTALS_REFUSED, xbz_mem_refused()) ||
	    xbz_put_u64(reply, XBZRLE_A_TOTALS_MEMORY_USED, xbz_mem_used()) ||
	    xbz_put_u64(reply, XBZRLE_A_TOTALS_MEMORY_MAX, xbz_mem_limit()))
		return xbz_reply(reply, info, -EMSGSIZE);
	ret = xbz_put_counters(reply, XBZRLE_A_TOTALS_STATS, &sum);
	ret = xbz_message_end(reply, head, ret);
	return xbz_reply(reply, info, ret);
}

/*
 * Events. Anyone may listen, so they have numbers only. Without a listener
 * nothing is done; an event that cannot be sent is lost: no session waits or fails
 * for one.
 */
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
 * xbz_event() - report that a session was created, begins a pass or ends
 * @s: the session
 * @cmd: XBZRLE_CMD_SESSION_START, _PASS or _END
 *
 * Context: may sleep.
 */
void xbz_event(struct xbz_session *s, u8 cmd)
{
	unsigned int group = cmd == XBZRLE_CMD_SESSION_PASS ?
				     XBZRLE_NLGRP_PASS :
				     XBZRLE_NLGRP_SESSION;
	struct sk_buff *skb;
	void *head;

	skb = xbz_event_new(s, cmd, group, &head);
	if (skb)
		xbz_event_send(skb, head, group, xbz_put_session(skb, s));
}

/**
 * xbz_event_warning() - report that something went wrong
 * @s: the session
 * @warning: XBZRLE_WARNING_*
 * @queue: the queue, for a warning about one
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

static const struct genl_multicast_group xbz_nl_groups[] = {
	[XBZRLE_NLGRP_SESSION] = { .name = XBZRLE_MCGRP_SESSION },
	[XBZRLE_NLGRP_PASS] = { .name = XBZRLE_MCGRP_PASS },
	[XBZRLE_NLGRP_WARNING] = { .name = XBZRLE_MCGRP_WARNING },
};

static struct genl_family xbz_nl_family __ro_after_init = {
	.name = XBZRLE_FAMILY_NAME,
	.version = XBZRLE_FAMILY_VERSION,
	.parallel_ops = true,
	.module = THIS_MODULE,
	.ops = xbzrle_nl_ops,
	.n_ops = ARRAY_SIZE(xbzrle_nl_ops),
	.mcgrps = xbz_nl_groups,
	.n_mcgrps = ARRAY_SIZE(xbz_nl_groups),
};

/**
 * xbz_netlink_init() - register the family
 *
 * Return: 0, or an error of genl_register_family().
 */
int __init xbz_netlink_init(void)
{
	return genl_register_family(&xbz_nl_family);
}

/**
 * xbz_netlink_exit() - unregister the family
 */
void xbz_netlink_exit(void)
{
	genl_unregister_family(&xbz_nl_family);
}
