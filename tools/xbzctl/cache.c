// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl cache: `size` is the size of a session's cache, or the default of new
 * sessions; `limit` is the host's limit on the memory of all sessions, `share` what
 * of it is for one user.
 */
#include "args.h"
#include "netlink.h"
#include "param.h"
#include "print.h"
#include "xbzctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int usage(void)
{
	fprintf(stderr,
		"Usage: xbzctl cache size SIZE [SESSION]\n"
		"       xbzctl cache limit SIZE\n"
		"       xbzctl cache share PERCENT\n\n"
		"SIZE is a number of bytes, with k, m, g or t of 1024, 1024^2 ..., or with %% of\n"
		"the host's memory. Without SESSION, size is the default of new sessions.\n"
		"PERCENT of the limit is for one user, and as much of that for one session.\n");
	return XBZCTL_USAGE;
}

static int set_session(const struct xbzctl *ctl, uint32_t id, uint64_t bytes)
{
	struct xbzctl_nl *nl = xbzctl_nl_open();
	struct xbzctl_session s;
	char what[64], a[16], b[16];
	struct nlmsghdr *msg;
	int ret = -ENOENT;

	if (nl)
		ret = xbzctl_get_session(nl, id, &s);
	if (!ret) {
		msg = xbzctl_nl_request(nl, XBZRLE_CMD_SESSION_SET, 0);
		mnl_attr_put_u32(msg, XBZRLE_A_SESSION_ID, id);
		mnl_attr_put_u64(msg, XBZRLE_A_SESSION_CACHE_BYTES, bytes);
		ret = xbzctl_nl_call(nl, NULL, NULL);
	}
	xbzctl_nl_close(nl);
	if (ret)
		return ret;
	snprintf(what, sizeof(what), "cache of session %u", id);
	if (ctl->json)
		json_change(what, s.cache_bytes, bytes);
	else
		printf("%s: %s, was %s\n", what, size_text(a, bytes),
		       size_text(b, s.cache_bytes));
	return 0;
}

static int set_host(const struct xbzctl *ctl, enum param which, const char *text)
{
	const char *valid;
	uint64_t value, old;
	int ret;

	valid = param_parse(which, text, &value);
	if (valid) {
		fprintf(stderr, "xbzctl: %s takes %s, not '%s'\n",
			param_names[which], valid, text);
		return -ERANGE;
	}
	ret = param_change(which, value, &old);
	if (!ret)
		param_print(ctl, which, old, value);
	return ret;
}

/**
 * xbzctl_cache() - the subcommand
 * @ctl: options before it
 * @argc: number of @argv, which begins with the subcommand
 * @argv: see usage()
 *
 * Return: the exit status.
 */
int xbzctl_cache(const struct xbzctl *ctl, int argc, char **argv)
{
	enum param which;
	uint32_t id = 0;
	uint64_t bytes;
	bool session;
	int ret;

	if (argc < 3)
		return usage();
	if (!strcmp(argv[1], "limit"))
		which = PARAM_LIMIT;
	else if (!strcmp(argv[1], "share"))
		which = PARAM_SHARE;
	else if (!strcmp(argv[1], "size"))
		which = PARAM_CACHE;
	else
		return usage();
	session = which == PARAM_CACHE && argc == 4;
	if (argc > 3 + session)
		return usage();
	if (which != PARAM_SHARE && !size_read(argv[2], host_memory(), &bytes)) {
		fprintf(stderr, "xbzctl: '%s' is not a size\n", argv[2]);
		return usage();
	}
	if (session && !session_read(argv[3], &id))
		return XBZCTL_USAGE;

	if (session)
		ret = set_session(ctl, id, bytes);
	else
		ret = set_host(ctl, which, argv[2]);
	if (!ret && ctl->json)
		json_end();
	return ret ? XBZCTL_FAILED : XBZCTL_OK;
}
