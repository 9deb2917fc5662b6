// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl monitor: events, a line each.
 */
#include "args.h"
#include "netlink.h"
#include "print.h"
#include "xbzctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {
	[XBZRLE_CMD_SESSION_START] = "start",
	[XBZRLE_CMD_SESSION_END] = "end",
	[XBZRLE_CMD_SESSION_PASS] = "pass",
	[XBZRLE_CMD_SESSION_WARNING] = "warning",
};

static const char *warning_text(uint32_t warning)
{
	switch (warning) {
	case XBZRLE_WARNING_CONSUMER:
		return "the consumer's position is invalid";
	case XBZRLE_WARNING_LOG:
		return "KVM's dirty log could not be fetched";
	case XBZRLE_WARNING_MEMORY:
		return "the limit of all sessions is reached";
	default:
		return "unknown";
	}
}

static void print_text(uint8_t cmd, const struct xbzctl_session *s)
{
	char a[16], b[16];

	printf("%-8s session %u", kinds[cmd], s->id);
	switch (cmd) {
	case XBZRLE_CMD_SESSION_END:
		printf(" after %.1f s: %s in %llu passes", s->age / 1e9,
		       size_text(a, s->stats[XBZRLE_A_STATS_BYTES]),
		       (unsigned long long)s->stats[XBZRLE_A_STATS_SYNCS]);
		break;
	case XBZRLE_CMD_SESSION_PASS:
		printf(" pass %llu: %llu dirty; before: %llu pages, %s in %.2f s",
		       (unsigned long long)s->pass[XBZRLE_A_PASS_NUMBER],
		       (unsigned long long)s->pass[XBZRLE_A_PASS_DIRTY],
		       (unsigned long long)s->last[XBZRLE_A_PASS_PAGES],
		       size_text(a, s->last[XBZRLE_A_PASS_BYTES]),
		       s->last[XBZRLE_A_PASS_TIME] / 1e9);
		printf("; cache %s", size_text(b, s->cache_used));
		break;
	case XBZRLE_CMD_SESSION_WARNING:
		printf(": %s", warning_text(s->warning));
		if (s->queue >= 0)
			printf(", queue %lld", (long long)s->queue);
		break;
	default:
		break;
	}
	putchar('\n');
}

static void print_json(uint8_t cmd, const struct xbzctl_session *s)
{
	json_open(NULL, '{');
	json_text("event", kinds[cmd]);
	json_u64("session", s->id);
	switch (cmd) {
	case XBZRLE_CMD_SESSION_END:
		json_double("age_seconds", s->age / 1e9);
		json_stats("stats", s->stats);
		break;
	case XBZRLE_CMD_SESSION_PASS:
		json_u64("pass", s->pass[XBZRLE_A_PASS_NUMBER]);
		json_u64("dirty", s->pass[XBZRLE_A_PASS_DIRTY]);
		json_u64("last_pages", s->last[XBZRLE_A_PASS_PAGES]);
		json_u64("last_bytes", s->last[XBZRLE_A_PASS_BYTES]);
		json_double("last_seconds", s->last[XBZRLE_A_PASS_TIME] / 1e9);
		json_u64("cache_bytes", s->cache_bytes);
		json_u64("cache_used", s->cache_used);
		break;
	case XBZRLE_CMD_SESSION_WARNING:
		json_text("warning", warning_text(s->warning));
		if (s->queue >= 0)
			json_u64("queue", s->queue);
		break;
	default:
		break;
	}
	json_close('{');
	json_end();
}

struct monitor {
	bool json;
	double left;
};

static void take(const struct nlmsghdr *msg, void *data)
{
	uint8_t cmd = xbzctl_nl_cmd(msg);
	struct monitor *m = data;
	struct xbzctl_session s;

	/* Ignore the events of a newer module. */
	if (cmd >= ARRAY_SIZE(kinds) || !kinds[cmd] || m->left < 1)
		return;
	xbzctl_take_session(msg, &s);
	if (m->json)
		print_json(cmd, &s);
	else
		print_text(cmd, &s);
	/* Do not delay events in a pipe. */
	fflush(stdout);
	m->left--;
}

static int run(struct xbzctl_nl *nl, struct monitor *m)
{
	int ret;

	if (xbzctl_nl_listen(nl))
		return XBZCTL_FAILED;
	fprintf(stderr, "xbzctl: listening\n");
	while (m->left >= 1) {
		ret = xbzctl_nl_events(nl, take, m);
		if (ret == -ENOBUFS) {
			fprintf(stderr, "xbzctl: events were lost\n");
		} else if (ret && ret != -EINTR) {
			fprintf(stderr, "xbzctl: netlink: %s\n",
				strerror(-ret));
			return XBZCTL_FAILED;
		}
		if (ferror(stdout))
			return XBZCTL_FAILED;
	}
	return XBZCTL_OK;
}

/**
 * xbzctl_monitor() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: -n COUNT, to end after so many events
 *
 * Return: the exit status.
 */
int xbzctl_monitor(const struct xbzctl *ctl, int argc, char **argv)
{
	struct monitor m = { .json = ctl->json, .left = 1e300 };
	struct xbzctl_nl *nl;
	int opt, ret;

	optind = 1;
	while ((opt = getopt(argc, argv, "+n:")) != -1) {
		if (opt != 'n')
			return XBZCTL_USAGE;
		if (!number_read("-n", optarg, 1, 1e9, &m.left))
			return XBZCTL_USAGE;
	}
	if (optind != argc) {
		fprintf(stderr, "Usage: xbzctl monitor [-n COUNT]\n");
		return XBZCTL_USAGE;
	}
	nl = xbzctl_nl_open();
	if (!nl)
		return XBZCTL_FAILED;
	ret = run(nl, &m);
	xbzctl_nl_close(nl);
	return ret;
}
