// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzctl cache: sizes of caches. `size` is a session's, or the default for those
 * to come; `limit` is what all sessions may use together.
 */
#include "args.h"
#include "netlink.h"
#include "print.h"
#include "settings.h"
#include "xbzctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int usage(void)
{
	fprintf(stderr,
		"Usage: xbzctl cache size SIZE [SESSION]\n"
		"       xbzctl cache limit SIZE\n\n"
		"SIZE is a number of bytes, with k, m, g or t of 1024, 1024^2 ..., or with %% of\n"
		"the host's memory. Without SESSION, size is the default of those to come.\n");
	return XBZCTL_USAGE;
}

static void take_session(const struct nlmsghdr *msg, void *data)
{
	xbzctl_parse_session(msg, data);
}

static int set_session(const struct xbzctl *ctl, struct xbzctl_nl *nl,
		       uint32_t id, uint64_t bytes)
{
	struct nlmsghdr *msg = xbzctl_nl_request(nl, XBZRLE_CMD_SESSION_SET, 0);
	struct xbzctl_session s;
	char what[64];
	int ret;

	mnl_attr_put_u32(msg, XBZRLE_A_SESSION_ID, id);
	mnl_attr_put_u64(msg, XBZRLE_A_SESSION_CACHE_BYTES, bytes);
	ret = xbzctl_nl_call(nl, take_session, &s);
	if (ret)
		return ret;
	snprintf(what, sizeof(what), "cache of session %u", id);
	change_print(ctl, what, s.old_cache_bytes, s.cache_bytes, NULL);
	return 0;
}

static int set_host(const struct xbzctl *ctl, struct xbzctl_nl *nl,
		    enum setting which, const char *text, uint64_t host)
{
	struct wanted wanted = { 0 };
	struct xbzctl_settings s;
	const char *right;
	int ret;

	right = setting_read(which, text, host, &wanted.value[which]);
	if (right) {
		fprintf(stderr, "xbzctl: %s takes %s, not '%s'\n",
			setting_names[which], right, text);
		return -ERANGE;
	}
	wanted.set[which] = true;
	ret = settings_change(nl, &wanted, &s);
	if (ret)
		return ret;
	settings_print(ctl, &wanted, &s);
	return 0;
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
	struct xbzctl_settings settings;
	struct xbzctl_nl *nl;
	bool limit, session;
	uint32_t id = 0;
	uint64_t bytes;
	int ret;

	if (argc < 3)
		return usage();
	limit = !strcmp(argv[1], "limit");
	session = !limit && argc == 4;
	if ((!limit && strcmp(argv[1], "size")) || argc > 3 + session)
		return usage();
	if (!size_read(argv[2], 0, &bytes)) {
		fprintf(stderr, "xbzctl: '%s' is no size\n", argv[2]);
		return usage();
	}
	if (session && !session_read(argv[3], &id))
		return XBZCTL_USAGE;

	nl = xbzctl_nl_open();
	if (!nl)
		return XBZCTL_FAILED;
	ret = xbzctl_get_settings(nl, &settings);
	if (!ret) {
		size_read(argv[2], settings.memory_host, &bytes);
		ret = session ? set_session(ctl, nl, id, bytes) :
				set_host(ctl, nl,
					 limit ? SETTING_LIMIT : SETTING_CACHE,
					 argv[2], settings.memory_host);
	}
	if (!ret && ctl->json)
		json_end();
	xbzctl_nl_close(nl);
	return ret ? XBZCTL_FAILED : XBZCTL_OK;
}
