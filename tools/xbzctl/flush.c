// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl flush: drop the cached pages of a session, or of all sessions.
 */
#include "args.h"
#include "netlink.h"
#include "print.h"
#include "xbzctl.h"

#include <stdio.h>

/**
 * xbzctl_flush() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: a session, or nothing
 *
 * Return: the exit status.
 */
int xbzctl_flush(const struct xbzctl *ctl, int argc, char **argv)
{
	struct xbzctl_session s = { 0 };
	struct xbzctl_nl *nl;
	struct nlmsghdr *msg;
	uint32_t id = 0;
	char size[16];
	int ret;

	if (argc > 2) {
		fprintf(stderr, "Usage: xbzctl flush [SESSION]\n");
		return XBZCTL_USAGE;
	}
	if (argc == 2 && !session_read(argv[1], &id))
		return XBZCTL_USAGE;
	nl = xbzctl_nl_open();
	if (!nl)
		return XBZCTL_FAILED;
	msg = xbzctl_nl_request(nl, XBZRLE_CMD_FLUSH, 0);
	if (id)
		mnl_attr_put_u32(msg, XBZRLE_A_SESSION_ID, id);
	ret = xbzctl_nl_call(nl, xbzctl_take_session, &s);
	xbzctl_nl_close(nl);
	if (ret)
		return XBZCTL_FAILED;
	if (ctl->json) {
		json_open(NULL, '{');
		json_u64("flushed", s.flushed);
		json_close('{');
		json_end();
	} else {
		printf("dropped %s\n", size_text(size, s.flushed));
	}
	return XBZCTL_OK;
}
