// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's settings: see settings.h.
 */
#include "settings.h"
#include "args.h"
#include "print.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)

#define MIB (1ULL << 20)
/* The module has the limit as a 32-bit number of MiB. */
#define LIMIT_MAX (UINT32_MAX * MIB)

const char *const setting_names[NR_SETTINGS] = {
	[SETTING_CACHE] = "default-cache",
	[SETTING_QUEUES] = "default-queues",
	[SETTING_LIMIT] = "memory-limit",
};

static const char size_help[] =
	"a number of bytes, or one with k, m, g, t or % of the host's memory";

static const char *limit_read(const char *text, uint64_t host, uint64_t *value)
{
	if (!size_read(text, host, value))
		return size_help;
	if (*value > LIMIT_MAX)
		return "less than 4096t";
	/*
	 * In whole MiB, which a part of the host's memory hardly ever is. Never
	 * more than what was said; but 0 says something else.
	 */
	if (*value)
		*value = *value < MIB ? MIB : *value / MIB * MIB;
	return NULL;
}

static const char *queues_read(const char *text, uint64_t *value)
{
	char *end;

	/* An overflow is ULONG_MAX, and above the limit, too. */
	*value = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || !*value ||
	    *value > XBZRLE_NL_QUEUES_MAX)
		return "a whole number from 1 to " STRING(XBZRLE_NL_QUEUES_MAX);
	return NULL;
}

const char *setting_read(enum setting which, const char *text, uint64_t host,
			 uint64_t *value)
{
	switch (which) {
	case SETTING_LIMIT:
		return limit_read(text, host, value);
	case SETTING_QUEUES:
		return queues_read(text, value);
	default:
		return size_read(text, host, value) ? NULL : size_help;
	}
}

static void take(const struct nlmsghdr *msg, void *data)
{
	xbzctl_parse_settings(msg, data);
}

int settings_change(struct xbzctl_nl *nl, const struct wanted *wanted,
		    struct xbzctl_settings *s)
{
	struct nlmsghdr *msg = xbzctl_nl_request(nl, XBZRLE_CMD_SETTINGS_SET, 0);

	if (wanted->set[SETTING_CACHE])
		mnl_attr_put_u64(msg, XBZRLE_A_SETTINGS_DEFAULT_CACHE,
				 wanted->value[SETTING_CACHE]);
	if (wanted->set[SETTING_QUEUES])
		mnl_attr_put_u32(msg, XBZRLE_A_SETTINGS_DEFAULT_QUEUES,
				 wanted->value[SETTING_QUEUES]);
	if (wanted->set[SETTING_LIMIT])
		mnl_attr_put_u64(msg, XBZRLE_A_SETTINGS_MEMORY_LIMIT,
				 wanted->value[SETTING_LIMIT]);
	return xbzctl_nl_call(nl, take, s);
}

static void change_json(const char *what, uint64_t old, uint64_t new)
{
	json_open(NULL, '{');
	json_text("what", what);
	json_u64("old", old);
	json_u64("new", new);
	json_close('{');
}

void change_print(const struct xbzctl *ctl, const char *what, uint64_t old,
		  uint64_t new, const char *automatic)
{
	char a[16], b[16];

	if (ctl->json)
		change_json(what, old, new);
	else
		printf("%s: %s, was %s\n", what,
		       !new && automatic ? automatic : size_text(b, new),
		       !old && automatic ? automatic : size_text(a, old));
}

void settings_print(const struct xbzctl *ctl, const struct wanted *wanted,
		    const struct xbzctl_settings *s)
{
	if (wanted->set[SETTING_CACHE])
		change_print(ctl, "default cache", s->old[SETTING_CACHE],
			     s->default_cache, NULL);
	if (wanted->set[SETTING_QUEUES] && ctl->json)
		change_json("default queues", s->old[SETTING_QUEUES],
			    s->default_queues);
	else if (wanted->set[SETTING_QUEUES])
		printf("default queues: %llu, was %llu\n",
		       (unsigned long long)s->default_queues,
		       (unsigned long long)s->old[SETTING_QUEUES]);
	if (wanted->set[SETTING_LIMIT])
		change_print(ctl, "limit of all sessions",
			     s->old[SETTING_LIMIT], s->memory_limit,
			     "a quarter of the host's memory");
}
