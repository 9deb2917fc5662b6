/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shrinkers and list_lru, where kernels differ. For shrink.c only.
 */
#ifndef _XBZ_COMPAT_SHRINKER_H
#define _XBZ_COMPAT_SHRINKER_H

#include <linux/list_lru.h>
#include <linux/shrinker.h>
#include <linux/version.h>

#define XBZ_SHRINKER_FLAGS \
	(SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE | SHRINKER_NONSLAB)

/* The walk's callback gets the list's lock up to 6.12. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define XBZ_LRU_CALLBACK(_name) \
	enum lru_status _name(struct list_head *item, \
			      struct list_lru_one *list, void *data)
#else
#define XBZ_LRU_CALLBACK(_name) \
	enum lru_status _name(struct list_head *item, \
			      struct list_lru_one *list, spinlock_t *lock, \
			      void *data)
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define xbz_lru_add list_lru_add_obj
#define xbz_lru_del list_lru_del_obj
#else
#define xbz_lru_add list_lru_add
#define xbz_lru_del list_lru_del
#endif

/**
 * xbz_shrinker_init() - register a shrinker with a list_lru by memory cgroup
 * @lru: the list to initialize
 * @count: its count_objects
 * @scan: its scan_objects
 *
 * The callbacks may be called before @lru is initialized.
 *
 * Return: the shrinker, or an ERR_PTR.
 */
static inline struct shrinker *
xbz_shrinker_init(struct list_lru *lru,
		  unsigned long (*count)(struct shrinker *,
					 struct shrink_control *),
		  unsigned long (*scan)(struct shrinker *,
					struct shrink_control *))
{
	struct shrinker *shrinker;
	int ret;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker = shrinker_alloc(XBZ_SHRINKER_FLAGS, "xbzrle");
	if (!shrinker)
		return ERR_PTR(-ENOMEM);
	ret = list_lru_init_memcg(lru, shrinker);
	if (ret) {
		shrinker_free(shrinker);
		return ERR_PTR(ret);
	}
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
	shrinker_register(shrinker);
#else
	static struct shrinker xbz_shrinker;

	shrinker = &xbz_shrinker;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
	shrinker->flags = XBZ_SHRINKER_FLAGS;
	ret = register_shrinker(shrinker, "xbzrle");
	if (ret)
		return ERR_PTR(ret);
	/* It has the number that the list needs only from here on. */
	ret = list_lru_init_memcg(lru, shrinker);
	if (ret) {
		unregister_shrinker(shrinker);
		return ERR_PTR(ret);
	}
#endif
	return shrinker;
}

static inline void xbz_shrinker_exit(struct shrinker *shrinker,
				     struct list_lru *lru)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_free(shrinker);
#else
	unregister_shrinker(shrinker);
#endif
	list_lru_destroy(lru);
}

#endif /* _XBZ_COMPAT_SHRINKER_H */
