// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's defaults for sessions that leave the choice to it: parameters of
 * the module, and settings of the netlink family. The limit on all sessions
 * together is memory.c's.
 */
#include "settings.h"

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/xbzrle.h>

static unsigned long long default_cache_bytes = 64ULL << 20;
module_param(default_cache_bytes, ullong, 0644);
MODULE_PARM_DESC(default_cache_bytes,
		 "cache of a session that asks for the default; 64 MiB unless set");

static unsigned int default_queues = 1;
module_param(default_queues, uint, 0644);
MODULE_PARM_DESC(default_queues,
		 "queues of a session that asks for the default; 1 unless set");

/**
 * xbz_default_cache() - the cache of a session that asks for the default
 *
 * Return: bytes.
 */
u64 xbz_default_cache(void)
{
	return READ_ONCE(default_cache_bytes);
}

/**
 * xbz_default_queues() - the queues of a session that asks for the default
 *
 * Return: a number that SETUP takes.
 */
u32 xbz_default_queues(void)
{
	/* Nobody checked what was written to the parameter. */
	return clamp_t(u32, READ_ONCE(default_queues), 1, XBZRLE_MAX_QUEUES);
}

/**
 * xbz_default_cache_set() - change the default cache
 * @bytes: the new one, for sessions to come
 */
void xbz_default_cache_set(u64 bytes)
{
	WRITE_ONCE(default_cache_bytes, bytes);
}

/**
 * xbz_default_queues_set() - change the default queues
 * @nr: the new one, for sessions to come
 */
void xbz_default_queues_set(u32 nr)
{
	WRITE_ONCE(default_queues, nr);
}

/**
 * xbz_settings_apply() - put the defaults where a caller of SETUP wants them
 * @arg: as XBZRLE_SETUP has it
 *
 * Return: 0, or -EINVAL if it wants a default and says a number, too.
 */
int xbz_settings_apply(struct xbzrle_setup *arg)
{
	if (arg->flags & XBZRLE_SETUP_DEFAULT_CACHE) {
		if (arg->cache_bytes)
			return -EINVAL;
		arg->cache_bytes = xbz_default_cache();
	}
	if (arg->flags & XBZRLE_SETUP_DEFAULT_QUEUES) {
		if (arg->nr_queues)
			return -EINVAL;
		arg->nr_queues = xbz_default_queues();
	}
	return 0;
}
