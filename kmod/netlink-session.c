// SPDX-License-Identifier: GPL-2.0-only
/*
 * The family's operations on sessions, their regions and queues. A reader who is
 * neither the session's user nor an administrator sees numbers alone.
 *
 * A session is looked at under its map_lock, which is never held for long;
 * counters are read without a lock. Dumps go by numbers, never by positions: so
 * what comes and goes meanwhile makes none of the others come twice or not at
 * all.
 */
#include "netlink.h"
#include "netlink-gen.h"
#include "region.h"
#include "registry.h"
#include "session.h"
#include "trim.h"

#include "compat/netlink.h"

#include <linux/bitmap.h>
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/user_namespace.h>

/* Bits that are counted before others get their turn. */
#define XBZ_WEIGHT_PIECE BIT(20)

/**
 * struct xbz_message - where a message goes
 * @skb: the message, or the part of a dump
 * @request: what it answers
 * @portid: who asked
 * @seq: and the number that he gave it
 * @flags: NLM_F_MULTI in a dump
 * @cmd: the operation
 * @admin: an administrator asks
 */
struct xbz_message {
	struct sk_buff *skb;
	struct sk_buff *request;
	u32 portid;
	u32 seq;
	int flags;
	u8 cmd;
	bool admin;
};

/**
 * struct xbz_dump - how far a dump is; in its cb->ctx
 * @next: the least number that comes next
 * @began: when it began; younger sessions are left out, so that it ends
 * @started: the rest is set
 * @admin: an administrator asks
 */
struct xbz_dump {
	unsigned long next;
	u64 began;
	bool started;
	bool admin;
};

/* The request's sender, not whoever reads the answer. */
static bool xbz_may_see(const struct xbz_message *m,
			const struct xbz_session *s)
{
	return m->admin || uid_eq(NETLINK_CREDS(m->request)->uid, s->owner);
}

static u64 xbz_region_dirty(const struct xbz_region *r)
{
	unsigned long at;
	u64 dirty = 0;

	/* The process changes it meanwhile: a few more or less. */
	for (at = 0; at < r->nr_pages; at += XBZ_WEIGHT_PIECE) {
		dirty += bitmap_weight((unsigned long *)r->bitmap +
					       at / BITS_PER_LONG,
				       min(r->nr_pages - at, XBZ_WEIGHT_PIECE));
		cond_resched();
	}
	return dirty;
}

/* What the dirty pages take, by the pages of this pass and of the one before. */
static int xbz_put_estimate(struct sk_buff *skb, struct xbz_session *s,
			    const struct xbz_pass *now)
{
	u64 pages = now->pages + s->last.pages, dirty = 0, each;
	struct nlattr *nest;
	unsigned int i;

	for (i = 0; i < s->regions_end; i++)
		if (s->regions[i])
			dirty += xbz_region_dirty(s->regions[i]);
	/* In 256ths of a byte; a page of which nothing is known goes whole. */
	each = pages ? ((now->bytes + s->last.bytes) << 8) / pages :
		       (XBZRLE_PAGE_SIZE + sizeof(u64)) << 8;

	nest = nla_nest_start(skb, XBZRLE_A_SESSION_ESTIMATE);
	if (!nest || xbz_nl_put_u64(skb, XBZRLE_A_ESTIMATE_DIRTY, dirty) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_ESTIMATE_BYTES, dirty * each >> 8))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int xbz_put_identity(struct sk_buff *skb, const struct xbz_session *s)
{
	if (nla_put_string(skb, XBZRLE_A_SESSION_NAME, s->name) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_PID, pid_vnr(s->pid)) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_UID,
			from_kuid_munged(current_user_ns(), s->owner)))
		return -EMSGSIZE;
	return 0;
}

/* What does not change, or what is counted without a lock. */
static int xbz_put_session(struct sk_buff *skb, struct xbz_session *s,
			   const struct xbzrle_counters *sum)
{
	unsigned int i, broken = 0;

	for (i = 0; i < s->nr_queues; i++)
		broken += READ_ONCE(s->queues[i].broken);

	if (xbz_nl_put_u64(skb, XBZRLE_A_SESSION_AGE,
			   ktime_get_ns() - s->born) ||
	    nla_put_u8(skb, XBZRLE_A_SESSION_VM, !!s->vm) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_QUEUES, s->nr_queues) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_SESSION_RING_BYTES,
			   s->queues[0].ring.size) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_SESSION_CACHE_USED,
			   sum->cache_pages << XBZRLE_PAGE_SHIFT) ||
	    nla_put_u32(skb, XBZRLE_A_SESSION_BROKEN, broken))
		return -EMSGSIZE;
	return xbz_nl_put_stats(skb, XBZRLE_A_SESSION_STATS, sum, true);
}

/* What changes under the session's map_lock, which is held. */
static int xbz_put_locked(struct sk_buff *skb, struct xbz_session *s,
			  const struct xbzrle_counters *sum, bool estimate)
{
	struct xbz_pass now = s->now;
	unsigned int i, regions = 0;
	u64 pages = 0;
	int ret;

	for (i = 0; i < s->regions_end; i++) {
		if (!s->regions[i])
			continue;
		regions++;
		pages += s->regions[i]->nr_pages;
	}
	/* They were summed a moment ago, perhaps in the pass before. */
	now.time = ktime_get_ns() - now.begin;
	now.pages = max(sum->pages_same + sum->pages_zero + sum->pages_delta +
				sum->pages_raw,
			now.pages) -
		    now.pages;
	now.bytes = max(sum->bytes, now.bytes) - now.bytes;

	if (nla_put_u32(skb, XBZRLE_A_SESSION_REGIONS, regions) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_SESSION_PAGES, pages) ||
	    xbz_nl_put_u64(skb, XBZRLE_A_SESSION_CACHE_BYTES, s->cache_bytes))
		return -EMSGSIZE;
	ret = xbz_nl_put_pass(skb, XBZRLE_A_SESSION_PASS, &now);
	if (!ret && now.number)
		ret = xbz_nl_put_pass(skb, XBZRLE_A_SESSION_LAST_PASS,
				      &s->last);
	if (!ret && estimate)
		ret = xbz_put_estimate(skb, s, &now);
	return ret;
}

static void *xbz_message_begin(const struct xbz_message *m)
{
	return genlmsg_put(m->skb, m->portid, m->seq, &xbz_nl_family, m->flags,
			   m->cmd);
}

static int xbz_message_end(const struct xbz_message *m, void *head, int error)
{
	if (error)
		genlmsg_cancel(m->skb, head);
	else
		genlmsg_end(m->skb, head);
	return error;
}

static int xbz_fill_session(const struct xbz_message *m, struct xbz_session *s,
			    bool estimate)
{
	void *head = xbz_message_begin(m);
	struct xbzrle_counters sum = {};
	int ret;

	if (!head)
		return -EMSGSIZE;
	xbz_session_sum(s, &sum);
	ret = nla_put_u32(m->skb, XBZRLE_A_SESSION_ID, s->id);
	if (!ret && xbz_may_see(m, s))
		ret = xbz_put_identity(m->skb, s);
	if (!ret)
		ret = xbz_put_session(m->skb, s, &sum);
	if (!ret) {
		mutex_lock(&s->map_lock);
		ret = xbz_put_locked(m->skb, s, &sum, estimate);
		mutex_unlock(&s->map_lock);
	}
	return xbz_message_end(m, head, ret);
}

/* The session's map_lock is held. */
static int xbz_fill_region(const struct xbz_message *m, struct xbz_session *s,
			   const struct xbz_region *r)
{
	void *head = xbz_message_begin(m);

	if (!head)
		return -EMSGSIZE;
	if (nla_put_u32(m->skb, XBZRLE_A_REGION_SESSION, s->id) ||
	    nla_put_u32(m->skb, XBZRLE_A_REGION_ID, r->id) ||
	    (xbz_may_see(m, s) &&
	     nla_put_string(m->skb, XBZRLE_A_REGION_NAME, r->name)) ||
	    xbz_nl_put_u64(m->skb, XBZRLE_A_REGION_PAGES, r->nr_pages) ||
	    xbz_nl_put_u64(m->skb, XBZRLE_A_REGION_DIRTY, xbz_region_dirty(r)))
		return xbz_message_end(m, head, -EMSGSIZE);
	return xbz_message_end(m, head, 0);
}

static int xbz_fill_queue(const struct xbz_message *m, struct xbz_session *s,
			  const struct xbz_queue *q)
{
	void *head = xbz_message_begin(m);
	struct xbzrle_counters sum = {};
	int ret;

	if (!head)
		return -EMSGSIZE;
	xbz_queue_sum(q, &sum);
	if (nla_put_u32(m->skb, XBZRLE_A_QUEUE_SESSION, s->id) ||
	    nla_put_u32(m->skb, XBZRLE_A_QUEUE_ID, q->index) ||
	    nla_put_u8(m->skb, XBZRLE_A_QUEUE_BROKEN, READ_ONCE(q->broken)))
		ret = -EMSGSIZE;
	else
		ret = xbz_nl_put_stats(m->skb, XBZRLE_A_QUEUE_STATS, &sum,
				       false);
	return xbz_message_end(m, head, ret);
}

/* A session by its number; the caller says what is wrong without one. */
static struct xbz_session *xbz_session_of(struct nlattr *id,
					  struct netlink_ext_ack *extack)
{
	struct xbz_session *s;

	if (!id)
		return ERR_PTR(-EINVAL);
	s = xbz_registry_get(nla_get_u32(id));
	if (s)
		return s;
	NL_SET_ERR_MSG_ATTR(extack, id, "no session has this number");
	return ERR_PTR(-ENOENT);
}

/* For operations whose attributes are a session's. */
static struct xbz_session *xbz_session_get(struct nlattr **attrs,
					   struct netlink_ext_ack *extack)
{
	if (!attrs[XBZRLE_A_SESSION_ID]) {
		NL_SET_ERR_ATTR_MISS(extack, NULL, XBZRLE_A_SESSION_ID);
		NL_SET_ERR_MSG(extack, "id is missing: the session's number");
	}
	return xbz_session_of(attrs[XBZRLE_A_SESSION_ID], extack);
}

/* For operations whose attributes are a part's of a session. */
static struct xbz_session *xbz_session_get_for(struct nlattr *session, int attr,
					       struct netlink_ext_ack *extack)
{
	if (!session) {
		NL_SET_ERR_ATTR_MISS(extack, NULL, attr);
		NL_SET_ERR_MSG(extack,
			       "session is missing: the session's number");
	}
	return xbz_session_of(session, extack);
}

static int xbz_message_new(struct xbz_message *m, struct sk_buff *request,
			   struct genl_info *info)
{
	*m = (struct xbz_message){
		.skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL),
		.request = request,
		.portid = info->snd_portid,
		.seq = info->snd_seq,
		.cmd = info->genlhdr->cmd,
		.admin = netlink_capable(request, CAP_NET_ADMIN),
	};
	return m->skb ? 0 : -ENOMEM;
}

static int xbz_message_reply(struct xbz_message *m, struct genl_info *info,
			     int error)
{
	if (!error)
		return genlmsg_reply(m->skb, info);
	nlmsg_free(m->skb);
	return error;
}

/* How far a dump is, and where its next part goes. */
static struct xbz_dump *xbz_dump_begin(struct xbz_message *m,
				       struct sk_buff *skb,
				       struct netlink_callback *cb, u8 cmd)
{
	struct xbz_dump *dump = (struct xbz_dump *)cb->ctx;

	BUILD_BUG_ON(sizeof(*dump) > sizeof(cb->ctx));
	/* The first part is made when it is asked for, by who asks. */
	if (!dump->started) {
		dump->admin = netlink_capable(cb->skb, CAP_NET_ADMIN);
		dump->began = ktime_get_ns();
	}
	*m = (struct xbz_message){
		.skb = skb,
		.request = cb->skb,
		.portid = NETLINK_CB(cb->skb).portid,
		.seq = cb->nlh->nlmsg_seq,
		.flags = NLM_F_MULTI,
		.cmd = cmd,
		.admin = dump->admin,
	};
	return dump;
}

int xbzrle_nl_session_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	struct xbz_session *s;
	struct xbz_message m;
	int ret;

	s = xbz_session_get(attrs, info->extack);
	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = xbz_message_new(&m, skb, info);
	if (!ret) {
		ret = xbz_fill_session(&m, s,
				       attrs[XBZRLE_A_SESSION_WANT_ESTIMATE]);
		ret = xbz_message_reply(&m, info, ret);
	}
	xbz_registry_put(s);
	return ret;
}

int xbzrle_nl_session_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct nlattr **attrs = xbz_dump_attrs(cb);
	struct xbz_session *s;
	struct xbz_message m;
	struct xbz_dump *dump;
	int ret = 0;

	if (attrs[XBZRLE_A_SESSION_ID]) {
		NL_SET_ERR_MSG_ATTR(cb->extack, attrs[XBZRLE_A_SESSION_ID],
				    "id: a dump is of all sessions");
		return -EINVAL;
	}
	dump = xbz_dump_begin(&m, skb, cb, XBZRLE_CMD_SESSION_GET);
	dump->started = true;
	for (; (s = xbz_registry_next(&dump->next)); dump->next++) {
		if (s->born <= dump->began)
			ret = xbz_fill_session(&m, s,
					       attrs[XBZRLE_A_SESSION_WANT_ESTIMATE]);
		xbz_registry_put(s);
		if (ret)
			break;
		cond_resched();
	}
	return skb->len ?: ret;
}

int xbzrle_nl_session_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *bytes = info->attrs[XBZRLE_A_SESSION_CACHE_BYTES];
	struct xbz_session *s;
	struct xbz_message m;
	void *head;
	u64 old;
	int ret;

	s = xbz_session_get(info->attrs, info->extack);
	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = -EINVAL;
	if (!bytes) {
		NL_SET_ERR_ATTR_MISS(info->extack, NULL,
				     XBZRLE_A_SESSION_CACHE_BYTES);
		NL_SET_ERR_MSG(info->extack,
			       "cache-bytes is missing: the cache's new size");
		goto out_put;
	}
	ret = xbz_message_new(&m, skb, info);
	if (ret)
		goto out_put;

	old = xbz_trim_resize(s, nla_get_u64(bytes));
	head = xbz_message_begin(&m);
	if (!head || nla_put_u32(m.skb, XBZRLE_A_SESSION_ID, s->id) ||
	    xbz_nl_put_u64(m.skb, XBZRLE_A_SESSION_CACHE_BYTES,
			   nla_get_u64(bytes)) ||
	    xbz_nl_put_u64(m.skb, XBZRLE_A_SESSION_OLD_CACHE_BYTES, old) ||
	    xbz_nl_put_u64(m.skb, XBZRLE_A_SESSION_CACHE_USED,
			   (u64)xbz_session_copies(s) << XBZRLE_PAGE_SHIFT))
		ret = -EMSGSIZE;
	else
		genlmsg_end(m.skb, head);
	ret = xbz_message_reply(&m, info, ret);
out_put:
	xbz_registry_put(s);
	return ret;
}

static u64 xbz_flush_all(void)
{
	struct xbz_session *s;
	unsigned long id = 0;
	u64 flushed = 0;

	for (; (s = xbz_registry_next(&id)); id++) {
		flushed += xbz_trim_flush(s);
		xbz_registry_put(s);
	}
	return flushed;
}

int xbzrle_nl_flush_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *id = info->attrs[XBZRLE_A_SESSION_ID];
	struct xbz_session *s = NULL;
	struct xbz_message m;
	u64 flushed;
	void *head;
	int ret;

	if (id)
		s = xbz_session_of(id, info->extack);
	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = xbz_message_new(&m, skb, info);
	if (ret)
		goto out_put;
	flushed = s ? xbz_trim_flush(s) : xbz_flush_all();
	head = xbz_message_begin(&m);
	if (!head || xbz_nl_put_u64(m.skb, XBZRLE_A_SESSION_FLUSHED, flushed))
		ret = -EMSGSIZE;
	else
		genlmsg_end(m.skb, head);
	ret = xbz_message_reply(&m, info, ret);
out_put:
	if (s)
		xbz_registry_put(s);
	return ret;
}

int xbzrle_nl_region_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *id = info->attrs[XBZRLE_A_REGION_ID];
	struct xbz_region *r;
	struct xbz_session *s;
	struct xbz_message m;
	int ret;

	s = xbz_session_get_for(info->attrs[XBZRLE_A_REGION_SESSION],
				XBZRLE_A_REGION_SESSION, info->extack);
	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = -EINVAL;
	if (!id) {
		NL_SET_ERR_ATTR_MISS(info->extack, NULL, XBZRLE_A_REGION_ID);
		NL_SET_ERR_MSG(info->extack,
			       "id is missing: the region's number");
		goto out_put;
	}
	ret = xbz_message_new(&m, skb, info);
	if (ret)
		goto out_put;

	mutex_lock(&s->map_lock);
	r = xbz_region_find(s, nla_get_u32(id));
	if (r) {
		ret = xbz_fill_region(&m, s, r);
	} else {
		NL_SET_ERR_MSG_ATTR(info->extack, id,
				    "no region has this number");
		ret = -ENOENT;
	}
	mutex_unlock(&s->map_lock);
	ret = xbz_message_reply(&m, info, ret);
out_put:
	xbz_registry_put(s);
	return ret;
}

/* The session of a dump of its parts; NULL once it has ended meanwhile. */
static struct xbz_session *xbz_dump_session(struct xbz_dump *dump,
					    struct nlattr *session, int attr,
					    struct netlink_ext_ack *extack)
{
	struct xbz_session *s = xbz_session_get_for(session, attr, extack);

	if (IS_ERR(s))
		return dump->started ? NULL : s;
	dump->started = true;
	return s;
}

int xbzrle_nl_region_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb)
{
	struct nlattr **attrs = xbz_dump_attrs(cb);
	struct xbz_session *s;
	struct xbz_message m;
	struct xbz_dump *dump;
	int ret = 0;

	if (attrs[XBZRLE_A_REGION_ID]) {
		NL_SET_ERR_MSG_ATTR(cb->extack, attrs[XBZRLE_A_REGION_ID],
				    "id: a dump is of all regions");
		return -EINVAL;
	}
	dump = xbz_dump_begin(&m, skb, cb, XBZRLE_CMD_REGION_GET);
	s = xbz_dump_session(dump, attrs[XBZRLE_A_REGION_SESSION],
			     XBZRLE_A_REGION_SESSION, cb->extack);
	if (IS_ERR_OR_NULL(s))
		return PTR_ERR_OR_ZERO(s);

	mutex_lock(&s->map_lock);
	for (; dump->next < s->regions_end && !ret; dump->next += !ret) {
		struct xbz_region *r = xbz_region_find(s, dump->next);

		if (r)
			ret = xbz_fill_region(&m, s, r);
	}
	mutex_unlock(&s->map_lock);
	xbz_registry_put(s);
	return skb->len ?: ret;
}

int xbzrle_nl_queue_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *id = info->attrs[XBZRLE_A_QUEUE_ID];
	struct xbz_session *s;
	struct xbz_message m;
	int ret;
	u32 nr;

	s = xbz_session_get_for(info->attrs[XBZRLE_A_QUEUE_SESSION],
				XBZRLE_A_QUEUE_SESSION, info->extack);
	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = -EINVAL;
	if (!id) {
		NL_SET_ERR_ATTR_MISS(info->extack, NULL, XBZRLE_A_QUEUE_ID);
		NL_SET_ERR_MSG(info->extack,
			       "id is missing: the queue's number");
		goto out_put;
	}
	ret = -ENOENT;
	nr = nla_get_u32(id);
	if (nr >= s->nr_queues) {
		NL_SET_ERR_MSG_ATTR(info->extack, id,
				    "no queue has this number");
		goto out_put;
	}
	nr = array_index_nospec(nr, s->nr_queues);
	ret = xbz_message_new(&m, skb, info);
	if (!ret) {
		ret = xbz_fill_queue(&m, s, &s->queues[nr]);
		ret = xbz_message_reply(&m, info, ret);
	}
out_put:
	xbz_registry_put(s);
	return ret;
}

int xbzrle_nl_queue_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nlattr **attrs = xbz_dump_attrs(cb);
	struct xbz_session *s;
	struct xbz_message m;
	struct xbz_dump *dump;
	int ret = 0;

	if (attrs[XBZRLE_A_QUEUE_ID]) {
		NL_SET_ERR_MSG_ATTR(cb->extack, attrs[XBZRLE_A_QUEUE_ID],
				    "id: a dump is of all queues");
		return -EINVAL;
	}
	dump = xbz_dump_begin(&m, skb, cb, XBZRLE_CMD_QUEUE_GET);
	s = xbz_dump_session(dump, attrs[XBZRLE_A_QUEUE_SESSION],
			     XBZRLE_A_QUEUE_SESSION, cb->extack);
	if (IS_ERR_OR_NULL(s))
		return PTR_ERR_OR_ZERO(s);

	for (; dump->next < s->nr_queues && !ret; dump->next += !ret)
		ret = xbz_fill_queue(&m, s, &s->queues[dump->next]);
	xbz_registry_put(s);
	return skb->len ?: ret;
}
