/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory cgroups, where kernels differ. For memory.c only.
 */
#ifndef _XBZ_COMPAT_MEMCG_H
#define _XBZ_COMPAT_MEMCG_H

#include <linux/limits.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/page_counter.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

/**
 * xbz_memcg_room() - memory that the caller's memory cgroup has left
 * @limit: set to the lowest limit on the way to the root, in pages
 *
 * Takes memory.high for a limit, too: above it the kernel slows the process down
 * and reclaims its guest.
 *
 * Return: pages up to the nearest limit of the cgroup or one above it.
 */
static inline unsigned long xbz_memcg_room(unsigned long *limit)
{
	unsigned long room = ULONG_MAX;

	*limit = ULONG_MAX;
#ifdef CONFIG_MEMCG
	if (mem_cgroup_disabled())
		return room;

	struct mem_cgroup *memcg;

	rcu_read_lock();
	for (memcg = mem_cgroup_from_task(current); memcg;
	     memcg = parent_mem_cgroup(memcg)) {
		unsigned long max = min(READ_ONCE(memcg->memory.max),
					READ_ONCE(memcg->memory.high));
		unsigned long used = page_counter_read(&memcg->memory);

		*limit = min(*limit, max);
		room = min(room, max > used ? max - used : 0);
	}
	rcu_read_unlock();
#endif
	return room;
}

#endif /* _XBZ_COMPAT_MEMCG_H */
