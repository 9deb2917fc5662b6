// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl show: one session and its queues.
 */
#include "args.h"
#include "netlink.h"
#include "print.h"
#include "xbzctl.h"

#include <stdio.h>

static void take_queue(const struct nlmsghdr *msg, void *data)
{
	const bool *json = data;
	unsigned long long cached;
	struct xbzctl_queue q;
	char size[16];

	xbzctl_take_queue(msg, &q);
	if (*json) {
		json_open(NULL, '{');
		json_u64("id", q.id);
		json_bool("broken", q.broken);
		json_stats("stats", q.stats);
		json_close('{');
		return;
	}
	cached = q.stats[XBZRLE_A_STATS_CACHE_PAGES] -
		 q.stats[XBZRLE_A_STATS_PACKED_PAGES] +
		 q.stats[XBZRLE_A_STATS_CACHE_PACKED];
	printf("queue %-4u    %s sent, %llu cached pages%s\n", q.id,
	       size_text(size, q.stats[XBZRLE_A_STATS_BYTES]), cached,
	       q.broken ? ", BROKEN" : "");
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

/* A page goes whole where that is no dearer: beside multifd, which compresses it. */
static void print_ways(const struct xbzctl_session *s)
{
	uint64_t deltas = s->stats[XBZRLE_A_STATS_PAGES_DELTA];

	printf("ways          ");
	if (deltas)
		printf("a delta takes %llu bytes; ",
		       (unsigned long long)(s->stats[XBZRLE_A_STATS_BYTES_DELTA] / deltas));
	printf("a page whose delta would take more than %u goes whole\n",
	       s->max_delta ? s->max_delta : 4096);
}

static void print_session(const struct xbzctl_session *s)
{
	char a[16], b[16], name[64];
	unsigned int i;

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
	printf("memory        %s used of %s allowed\n", size_text(a, s->memory_used),
	       size_text(b, s->memory_max));
	if (s->named)
		printf("all of user   %s used of %s allowed\n",
		       size_text(a, s->user_used), size_text(b, s->user_max));
	printf("queues        %u with rings of %s, %u broken\n", s->queues,
	       size_text(a, s->ring_bytes), s->broken);
	print_pass("pass", s->pass);
	if (s->has_last)
		print_pass("last pass", s->last);
	printf("estimate      %llu dirty pages, %s in the stream\n",
	       (unsigned long long)s->dirty, size_text(a, s->bytes));
	print_ways(s);
	for (i = 1; i <= XBZRLE_A_STATS_MAX; i++)
		printf("%-13s %-14llu %s\n", counters[i].name,
		       (unsigned long long)s->stats[i], counters[i].help);
}

static int show(struct xbzctl_nl *nl, uint32_t id, bool json)
{
	struct xbzctl_session s;
	struct nlmsghdr *msg;
	int ret;

	ret = xbzctl_get_session(nl, id, &s);
	if (ret)
		return ret;
	if (json) {
		json_open(NULL, '{');
		json_session("session", &s);
		json_open("queues", '[');
	} else {
		print_session(&s);
	}
	msg = xbzctl_nl_request(nl, XBZRLE_CMD_QUEUE_GET, NLM_F_DUMP);
	mnl_attr_put_u32(msg, XBZRLE_A_QUEUE_SESSION, id);
	ret = xbzctl_nl_call(nl, take_queue, &json);
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
