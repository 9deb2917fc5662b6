// SPDX-License-Identifier: GPL-2.0-only
/*
 * The socket to the netlink family, with libmnl: requests, and answers as plain
 * structs.
 */
#include "netlink.h"
#include "xbzctl.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel's largest part of a dump. */
#define BUFFER_BYTES 32768
#define GROUPS 3

struct xbzctl_nl {
	struct mnl_socket *socket;
	uint16_t family;
	uint32_t groups[GROUPS];
	size_t nr_groups;
	uint32_t seq;
	char request[1024];
	char answer[BUFFER_BYTES];
};

/* Attributes by number. Those above @max come from a newer module: ignored. */
struct table {
	const struct nlattr **tb;
	unsigned int max;
};

static int to_table(const struct nlattr *attr, void *data)
{
	const struct table *t = data;

	if (mnl_attr_get_type(attr) <= t->max)
		t->tb[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static void attributes(const struct nlmsghdr *msg, const struct nlattr **tb,
		       unsigned int max)
{
	struct table t = { tb, max };

	mnl_attr_parse(msg, sizeof(struct genlmsghdr), to_table, &t);
}

static uint64_t number(const struct nlattr *attr)
{
	uint64_t value = 0;

	/* Of any size. Little endian only, as x86 is. */
	if (attr && mnl_attr_get_payload_len(attr) <= sizeof(value))
		memcpy(&value, mnl_attr_get_payload(attr),
		       mnl_attr_get_payload_len(attr));
	return value;
}

static void text(char *to, size_t size, const struct nlattr *attr)
{
	if (attr)
		snprintf(to, size, "%.*s", (int)mnl_attr_get_payload_len(attr),
			 (const char *)mnl_attr_get_payload(attr));
}

static void numbers(const struct nlattr *nest, uint64_t *to, unsigned int max)
{
	const struct nlattr *tb[64] = { 0 };
	struct table t = { tb, max };
	unsigned int i;

	if (!nest)
		return;
	mnl_attr_parse_nested(nest, to_table, &t);
	for (i = 1; i <= max; i++)
		to[i] = number(tb[i]);
}

uint8_t xbzctl_nl_cmd(const struct nlmsghdr *msg)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(msg);

	return genl->cmd;
}

/*
 * Estimate the pages that are dirty now and their bytes in the stream, from the
 * bytes of a page in this pass and the last one. A page counts as whole before
 * any has been encoded.
 */
static void estimate(struct xbzctl_session *s)
{
	const uint64_t *now = s->pass, *last = s->last;
	uint64_t pages = now[XBZRLE_A_PASS_PAGES] + last[XBZRLE_A_PASS_PAGES];
	/* The product with a number of pages exceeds 64 bits. */
	unsigned __int128 bytes;

	bytes = now[XBZRLE_A_PASS_BYTES] + last[XBZRLE_A_PASS_BYTES];
	if (now[XBZRLE_A_PASS_REMAINING] > now[XBZRLE_A_PASS_PAGES])
		s->dirty = now[XBZRLE_A_PASS_REMAINING] -
			   now[XBZRLE_A_PASS_PAGES];
	s->bytes = pages ? bytes * s->dirty / pages :
			   s->dirty * XBZCTL_RAW_BYTES;
}

void xbzctl_take_session(const struct nlmsghdr *msg, void *data)
{
	const struct nlattr *tb[XBZRLE_A_SESSION_MAX + 1] = { 0 };
	struct xbzctl_session *s = data;

	memset(s, 0, sizeof(*s));
	attributes(msg, tb, XBZRLE_A_SESSION_MAX);
	s->id = number(tb[XBZRLE_A_SESSION_ID]);
	s->named = tb[XBZRLE_A_SESSION_PID];
	text(s->name, sizeof(s->name), tb[XBZRLE_A_SESSION_NAME]);
	s->pid = number(tb[XBZRLE_A_SESSION_PID]);
	s->uid = number(tb[XBZRLE_A_SESSION_UID]);
	s->age = number(tb[XBZRLE_A_SESSION_AGE]);
	s->vm = number(tb[XBZRLE_A_SESSION_VM]);
	s->queues = number(tb[XBZRLE_A_SESSION_QUEUES]);
	s->regions = number(tb[XBZRLE_A_SESSION_REGIONS]);
	s->broken = number(tb[XBZRLE_A_SESSION_BROKEN]);
	s->max_delta = number(tb[XBZRLE_A_SESSION_MAX_DELTA]);
	s->pages = number(tb[XBZRLE_A_SESSION_PAGES]);
	s->ring_bytes = number(tb[XBZRLE_A_SESSION_RING_BYTES]);
	s->cache_bytes = number(tb[XBZRLE_A_SESSION_CACHE_BYTES]);
	s->flushed = number(tb[XBZRLE_A_SESSION_FLUSHED]);
	s->memory_used = number(tb[XBZRLE_A_SESSION_MEMORY_USED]);
	s->memory_max = number(tb[XBZRLE_A_SESSION_MEMORY_MAX]);
	s->user_used = number(tb[XBZRLE_A_SESSION_USER_USED]);
	s->user_max = number(tb[XBZRLE_A_SESSION_USER_MAX]);
	s->warning = number(tb[XBZRLE_A_SESSION_WARNING]);
	s->queue = tb[XBZRLE_A_SESSION_QUEUE] ?
			   (int64_t)number(tb[XBZRLE_A_SESSION_QUEUE]) : -1;
	numbers(tb[XBZRLE_A_SESSION_STATS], s->stats, XBZRLE_A_STATS_MAX);
	s->cache_used = s->stats[XBZRLE_A_STATS_CACHE_PAGES] * 4096;
	numbers(tb[XBZRLE_A_SESSION_PASS], s->pass, XBZRLE_A_PASS_MAX);
	s->has_last = tb[XBZRLE_A_SESSION_LAST_PASS];
	numbers(tb[XBZRLE_A_SESSION_LAST_PASS], s->last, XBZRLE_A_PASS_MAX);
	estimate(s);
}

void xbzctl_take_queue(const struct nlmsghdr *msg, void *data)
{
	const struct nlattr *tb[XBZRLE_A_QUEUE_MAX + 1] = { 0 };
	struct xbzctl_queue *q = data;

	attributes(msg, tb, XBZRLE_A_QUEUE_MAX);
	q->id = number(tb[XBZRLE_A_QUEUE_ID]);
	q->broken = number(tb[XBZRLE_A_QUEUE_BROKEN]);
	numbers(tb[XBZRLE_A_QUEUE_STATS], q->stats, XBZRLE_A_STATS_MAX);
}

static void take_totals(const struct nlmsghdr *msg, void *data)
{
	const struct nlattr *tb[XBZRLE_A_TOTALS_MAX + 1] = { 0 };
	struct xbzctl_totals *t = data;

	attributes(msg, tb, XBZRLE_A_TOTALS_MAX);
	t->started = number(tb[XBZRLE_A_TOTALS_STARTED]);
	t->ended = number(tb[XBZRLE_A_TOTALS_ENDED]);
	t->refused = number(tb[XBZRLE_A_TOTALS_REFUSED]);
	t->memory_used = number(tb[XBZRLE_A_TOTALS_MEMORY_USED]);
	t->memory_max = number(tb[XBZRLE_A_TOTALS_MEMORY_MAX]);
	numbers(tb[XBZRLE_A_TOTALS_STATS], t->stats, XBZRLE_A_STATS_MAX);
}

static struct nlmsghdr *begin(struct xbzctl_nl *nl, uint16_t type, uint8_t cmd,
			      uint16_t flags)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(nl->request);
	struct genlmsghdr *genl;

	msg->nlmsg_type = type;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	msg->nlmsg_seq = ++nl->seq;
	genl = mnl_nlmsg_put_extra_header(msg, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = 1;
	return msg;
}

struct nlmsghdr *xbzctl_nl_request(struct xbzctl_nl *nl, uint8_t cmd,
				   uint16_t flags)
{
	return begin(nl, nl->family, cmd, flags);
}

/* The kernel's text about a refused request, or NULL. */
static const char *extack(const struct nlmsghdr *msg, size_t header)
{
	const struct nlattr *tb[NLMSGERR_ATTR_MAX + 1] = { 0 };
	struct table t = { tb, NLMSGERR_ATTR_MAX };

	if (!(msg->nlmsg_flags & NLM_F_ACK_TLVS) ||
	    mnl_nlmsg_get_payload_len(msg) < header)
		return NULL;
	mnl_attr_parse(msg, header, to_table, &t);
	return tb[NLMSGERR_ATTR_MSG] &&
	       mnl_attr_validate(tb[NLMSGERR_ATTR_MSG], MNL_TYPE_NUL_STRING) == 0 ?
	       mnl_attr_get_str(tb[NLMSGERR_ATTR_MSG]) : NULL;
}

static int refused(const struct nlmsghdr *msg)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(msg);
	bool done = msg->nlmsg_type == NLMSG_DONE;
	size_t header = done ? sizeof(int) : sizeof(*error);
	int ret = error->error;
	const char *what;

	if (!ret)
		return 0;
	/* Without NLM_F_CAPPED the request follows the error. */
	if (!done && !(msg->nlmsg_flags & NLM_F_CAPPED))
		header += error->msg.nlmsg_len - sizeof(error->msg);
	what = extack(msg, MNL_ALIGN(header));
	fprintf(stderr, "xbzctl: %s%s%s\n", strerror(-ret), what ? ": " : "",
		what ? what : "");
	if (ret == -EPERM)
		fprintf(stderr, "  this needs CAP_NET_ADMIN: run as root\n");
	return ret;
}

static int lost(const char *what)
{
	int ret = -errno;

	fprintf(stderr, "xbzctl: netlink: %s: %s\n", what, strerror(-ret));
	return ret;
}

int xbzctl_nl_call(struct xbzctl_nl *nl,
		   void (*call)(const struct nlmsghdr *msg, void *data),
		   void *data)
{
	const struct nlmsghdr *request = (const void *)nl->request;

	if (mnl_socket_sendto(nl->socket, request, request->nlmsg_len) < 0)
		return lost("send");
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl->socket, nl->answer,
						sizeof(nl->answer));
		const struct nlmsghdr *msg = (const void *)nl->answer;
		int left = n;

		if (n < 0)
			return lost("receive");
		for (; mnl_nlmsg_ok(msg, left); msg = mnl_nlmsg_next(msg, &left)) {
			/* An event, or an answer to an earlier request. */
			if (msg->nlmsg_seq != nl->seq)
				continue;
			if (msg->nlmsg_type == NLMSG_ERROR ||
			    msg->nlmsg_type == NLMSG_DONE)
				return refused(msg);
			if (call)
				call(msg, data);
		}
	}
}

/* The groups' numbers: a nest of nests. */
static void take_groups(struct xbzctl_nl *nl, const struct nlattr *nest)
{
	static const char *const names[GROUPS] = {
		XBZRLE_MCGRP_SESSION, XBZRLE_MCGRP_PASS, XBZRLE_MCGRP_WARNING,
	};
	const struct nlattr *group;
	size_t i;

	mnl_attr_for_each_nested(group, nest) {
		const struct nlattr *tb[CTRL_ATTR_MCAST_GRP_MAX + 1] = { 0 };
		struct table t = { tb, CTRL_ATTR_MCAST_GRP_MAX };

		mnl_attr_parse_nested(group, to_table, &t);
		for (i = 0; i < GROUPS; i++)
			if (tb[CTRL_ATTR_MCAST_GRP_NAME] &&
			    !strcmp(mnl_attr_get_str(tb[CTRL_ATTR_MCAST_GRP_NAME]),
				    names[i]) &&
			    nl->nr_groups < GROUPS)
				nl->groups[nl->nr_groups++] =
					number(tb[CTRL_ATTR_MCAST_GRP_ID]);
	}
}

static void take_family(const struct nlmsghdr *msg, void *data)
{
	const struct nlattr *tb[CTRL_ATTR_MAX + 1] = { 0 };
	struct xbzctl_nl *nl = data;

	attributes(msg, tb, CTRL_ATTR_MAX);
	nl->family = number(tb[CTRL_ATTR_FAMILY_ID]);
	if (tb[CTRL_ATTR_MCAST_GROUPS])
		take_groups(nl, tb[CTRL_ATTR_MCAST_GROUPS]);
}

/* 0, or -errno; nothing has been printed. */
static int find_family(struct xbzctl_nl *nl)
{
	struct nlmsghdr *msg = begin(nl, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	ssize_t n;

	mnl_attr_put_strz(msg, CTRL_ATTR_FAMILY_NAME, XBZRLE_FAMILY_NAME);
	if (mnl_socket_sendto(nl->socket, msg, msg->nlmsg_len) < 0)
		return -errno;
	while (!nl->family) {
		const struct nlmsghdr *answer = (const void *)nl->answer;
		const struct nlmsgerr *error;

		n = mnl_socket_recvfrom(nl->socket, nl->answer,
					sizeof(nl->answer));
		if (n < 0)
			return -errno;
		error = mnl_nlmsg_get_payload(answer);
		if (answer->nlmsg_type == NLMSG_ERROR)
			return error->error ? error->error : -ENOENT;
		take_family(answer, nl);
	}
	return 0;
}

static struct xbzctl_nl *try_open(int *ret)
{
	struct xbzctl_nl *nl = calloc(1, sizeof(*nl));
	int on = 1;

	*ret = -ENOMEM;
	if (!nl)
		return NULL;
	nl->socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!nl->socket || mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		*ret = -errno;
		goto out_close;
	}
	mnl_socket_setsockopt(nl->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(nl->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	*ret = find_family(nl);
	if (!*ret)
		return nl;
out_close:
	if (nl->socket)
		mnl_socket_close(nl->socket);
	free(nl);
	return NULL;
}

struct xbzctl_nl *xbzctl_nl_open(void)
{
	struct xbzctl_nl *nl;
	int ret;

	nl = try_open(&ret);
	if (nl)
		return nl;
	if (ret == -ENOENT)
		fprintf(stderr,
			"xbzctl: the kernel has no netlink family 'xbzrle'\n"
			"  load the module: modprobe xbzrle\n"
			"  in a container: the family is only in the host's network namespace\n");
	else
		fprintf(stderr, "xbzctl: netlink: %s\n", strerror(-ret));
	return NULL;
}

bool xbzctl_nl_there(void)
{
	int ret;
	struct xbzctl_nl *nl = try_open(&ret);

	xbzctl_nl_close(nl);
	return nl;
}

void xbzctl_nl_close(struct xbzctl_nl *nl)
{
	if (!nl)
		return;
	mnl_socket_close(nl->socket);
	free(nl);
}

int xbzctl_nl_fd(const struct xbzctl_nl *nl)
{
	return mnl_socket_get_fd(nl->socket);
}

int xbzctl_nl_listen(struct xbzctl_nl *nl)
{
	size_t i;

	for (i = 0; i < nl->nr_groups; i++)
		if (mnl_socket_setsockopt(nl->socket, NETLINK_ADD_MEMBERSHIP,
					  &nl->groups[i], sizeof(nl->groups[i])) < 0)
			return lost("listen");
	return 0;
}

int xbzctl_nl_events(struct xbzctl_nl *nl,
		     void (*call)(const struct nlmsghdr *msg, void *data),
		     void *data)
{
	ssize_t n = mnl_socket_recvfrom(nl->socket, nl->answer,
					sizeof(nl->answer));
	const struct nlmsghdr *msg = (const void *)nl->answer;
	int left = n;

	if (n < 0)
		return -errno;
	for (; mnl_nlmsg_ok(msg, left); msg = mnl_nlmsg_next(msg, &left))
		if (msg->nlmsg_type == nl->family)
			call(msg, data);
	return 0;
}

int xbzctl_get_totals(struct xbzctl_nl *nl, struct xbzctl_totals *t)
{
	xbzctl_nl_request(nl, XBZRLE_CMD_STATS_GET, 0);
	return xbzctl_nl_call(nl, take_totals, t);
}

int xbzctl_get_session(struct xbzctl_nl *nl, uint32_t id,
		       struct xbzctl_session *s)
{
	struct nlmsghdr *msg = xbzctl_nl_request(nl, XBZRLE_CMD_SESSION_GET, 0);

	mnl_attr_put_u32(msg, XBZRLE_A_SESSION_ID, id);
	return xbzctl_nl_call(nl, xbzctl_take_session, s);
}

struct list {
	struct xbzctl_session *all;
	long nr;
	bool no_memory;
};

static void add_session(const struct nlmsghdr *msg, void *data)
{
	struct list *list = data;
	struct xbzctl_session *all = list->all;

	if (list->nr % 64 == 0)
		all = realloc(all, (list->nr + 64) * sizeof(*all));
	if (!all) {
		list->no_memory = true;
		return;
	}
	list->all = all;
	xbzctl_take_session(msg, &all[list->nr++]);
}

long xbzctl_get_sessions(struct xbzctl_nl *nl, struct xbzctl_session **all)
{
	struct list list = { 0 };
	int ret;

	xbzctl_nl_request(nl, XBZRLE_CMD_SESSION_GET, NLM_F_DUMP);
	ret = xbzctl_nl_call(nl, add_session, &list);
	if (!ret && list.no_memory) {
		fprintf(stderr, "xbzctl: no memory\n");
		ret = -ENOMEM;
	}
	if (ret) {
		free(list.all);
		return ret;
	}
	*all = list.all;
	return list.nr;
}
