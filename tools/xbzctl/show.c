// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl show: one session, with its regions and queues.
 */
#include "args.h"
#include "netlink.h"
#include "print.h"
#include "xbzctl.h"

#include <linux/genetlink.h>
#include <stdio.h>

/* A region or a queue, as it comes. */
struct parts {
	bool json;
};

static const struct nlattr *find(const struct nlmsghdr *msg, unsigned int type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, msg, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

static uint64_t u64_of(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u64(attr) : 0;
}

static void take_region(const struct nlmsghdr *msg, void *data)
{
	const struct nlattr *id = find(msg, XBZRLE_A_REGION_ID);
	const struct nlattr *name = find(msg, XBZRLE_A_REGION_NAME);
	uint64_t pages = u64_of(find(msg, XBZRLE_A_REGION_PAGES));
	uint64_t dirty = u64_of(find(msg, XBZRLE_A_REGION_DIRTY));
	const struct parts *parts = data;
	char buffer[64], size[16];

	if (!id)
		return;
	if (parts->json) {
		json_open(NULL, '{');
		json_u64("id", mnl_attr_get_u32(id));
		if (name)
			json_text("name", mnl_attr_get_str(name));
		json_u64("pages", pages);
		json_u64("dirty", dirty);
		json_close('{');
		return;
	}
	printf("region %-4u   %-20s %s, %llu pages dirty\n",
	       mnl_attr_get_u32(id),
	       name ? safe(buffer, mnl_attr_get_str(name)) : "-",
	       size_text(size, pages << 12), (unsigned long long)dirty);
}

static void take_queue(const struct nlmsghdr *msg, void *data)
{
	const struct nlattr *stats = find(msg, XBZRLE_A_QUEUE_STATS);
	const struct nlattr *id = find(msg, XBZRLE_A_QUEUE_ID);
	const struct nlattr *broken = find(msg, XBZRLE_A_QUEUE_BROKEN);
	const struct parts *parts = data;
	xbzctl_stats_t values = { 0 };
	const struct nlattr *attr;
	char size[16];

	if (!id || !stats || !broken)
		return;
	mnl_attr_for_each_nested(attr, stats)
		if (mnl_attr_get_type(attr) <= XBZRLE_A_STATS_MAX)
			values[mnl_attr_get_type(attr)] = u64_of(attr);
	if (parts->json) {
		json_open(NULL, '{');
		json_u64("id", mnl_attr_get_u32(id));
		json_bool("broken", mnl_attr_get_u8(broken));
		json_stats("stats", values);
		json_close('{');
		return;
	}
	printf("queue %-4u    %s sent, %llu copies%s\n", mnl_attr_get_u32(id),
	       size_text(size, values[XBZRLE_A_STATS_BYTES]),
	       (unsigned long long)values[XBZRLE_A_STATS_CACHE_PAGES],
	       mnl_attr_get_u8(broken) ? ", BROKEN" : "");
}

static void print_pass(const char *title, const uint64_t *pass)
{
	char size[16];

	printf("%-13s %llu: %.2f s, %llu pages, %s\n", title,
	       (unsigned long long)pass[XBZRLE_A_PASS_NUMBER],
	       pass[XBZRLE_A_PASS_TIME] / 1e9,
	       (unsigned long long)pass[XBZRLE_A_PASS_PAGES],
	       size_text(size, pass[XBZRLE_A_PASS_BYTES]));
}

static void print_session(const struct xbzctl_session *s)
{
	char a[16], b[16], name[64];
	size_t i;

	printf("session       %u\n", s->id);
	if (s->named)
		printf("name          %s\nprocess       %u of user %u\n",
		       safe(name, s->name), s->pid, s->uid);
	printf("age           %.1f s\n", s->age / 1e9);
	printf("VM            %s\n",
	       s->vm ? "KVM's dirty log is harvested" : "none");
	printf("guest         %s in %u regions\n", size_text(a, s->pages << 12),
	       s->regions);
	printf("cache         %s, %s used\n", size_text(a, s->cache_bytes),
	       size_text(b, s->cache_used));
	printf("queues        %u with rings of %s, %u broken\n", s->queues,
	       size_text(a, s->ring_bytes), s->broken);
	print_pass("pass", s->pass);
	if (s->has_last)
		print_pass("last pass", s->last);
	if (s->has_estimate)
		printf("estimate      %llu dirty pages, %s in the stream\n",
		       (unsigned long long)s->dirty, size_text(a, s->bytes));
	for (i = 0; i < nr_counters; i++)
		printf("%-13s %-14llu %s\n", counters[i].name,
		       (unsigned long long)s->stats[counters[i].attr],
		       counters[i].help);
}

/* All regions or queues of a session. */
static int parts_of(struct xbzctl_nl *nl, uint32_t id, uint8_t cmd,
		    unsigned int attr,
		    void (*take)(const struct nlmsghdr *msg, void *data),
		    struct parts *parts)
{
	struct nlmsghdr *msg = xbzctl_nl_request(nl, cmd, NLM_F_DUMP);

	mnl_attr_put_u32(msg, attr, id);
	return xbzctl_nl_call(nl, take, parts);
}

static int show(struct xbzctl_nl *nl, uint32_t id, bool json)
{
	struct parts parts = { json };
	struct xbzctl_session s;
	int ret;

	ret = xbzctl_get_session(nl, id, true, &s);
	if (ret)
		return ret;
	if (json) {
		json_open(NULL, '{');
		json_session("session", &s);
		json_open("regions", '[');
	} else {
		print_session(&s);
	}
	ret = parts_of(nl, id, XBZRLE_CMD_REGION_GET, XBZRLE_A_REGION_SESSION,
		       take_region, &parts);
	if (json) {
		json_close('[');
		json_open("queues", '[');
	}
	if (!ret)
		ret = parts_of(nl, id, XBZRLE_CMD_QUEUE_GET,
			       XBZRLE_A_QUEUE_SESSION, take_queue, &parts);
	if (json) {
		json_close('[');
		json_close('{');
		json_end();
	}
	return ret;
}

/**
 * xbzctl_show() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: a session
 *
 * Return: the exit status.
 */
int xbzctl_show(const struct xbzctl *ctl, int argc, char **argv)
{
	struct xbzctl_nl *nl;
	uint32_t id;
	int ret;

	if (argc != 2) {
		fprintf(stderr, "Usage: xbzctl show SESSION\n");
		return XBZCTL_USAGE;
	}
	if (!session_read(argv[1], &id))
		return XBZCTL_USAGE;
	nl = xbzctl_nl_open();
	if (!nl)
		return XBZCTL_FAILED;
	ret = show(nl, id, ctl->json);
	xbzctl_nl_close(nl);
	return ret ? XBZCTL_FAILED : XBZCTL_OK;
}
