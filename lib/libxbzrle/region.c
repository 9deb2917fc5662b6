// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions with their mapped bitmaps, the KVM slots that lie in them, SYNC, and
 * the calls on ranges of pages.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Adds a region to the table. The caller holds the session's lock. */
static int remember_region(struct xbzrle_session *s, uint32_t region, void *bitmap,
			   size_t bytes)
{
	struct xbzrle_region_map *maps;

	maps = realloc(s->regions, (s->nr_regions + 1) * sizeof(*maps));
	if (!maps)
		return -ENOMEM;
	s->regions = maps;
	maps[s->nr_regions++] = (struct xbzrle_region_map){
		.region = region,
		.bitmap = bitmap,
		.bytes = bytes,
	};
	return 0;
}

static void delete_region(struct xbzrle_session *s, uint32_t region)
{
	struct xbzrle_region_del del = { .size = sizeof(del),
					 .region = region };

	xbzrle_ioctl(s, XBZRLE_REGION_DEL, &del);
}

int xbzrle_session_region_add(struct xbzrle_session *s, const char *name, void *addr,
			      uint64_t nr_pages, uint32_t *region,
			      uint64_t **bitmap)
{
	struct xbzrle_region arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)addr,
		.nr_pages = nr_pages,
	};
	void *map;
	int ret;

	if (strlen(name) >= sizeof(arg.name))
		return -ENAMETOOLONG;
	memcpy(arg.name, name, strlen(name));

	pthread_mutex_lock(&s->lock);
	ret = xbzrle_ioctl(s, XBZRLE_REGION_SET, &arg);
	if (ret)
		goto out;
	map = mmap(NULL, arg.bitmap_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		   s->fd, arg.bitmap_offset);
	if (map == MAP_FAILED) {
		ret = -errno;
		goto err_delete;
	}
	ret = remember_region(s, arg.region, map, arg.bitmap_bytes);
	if (ret)
		goto err_unmap;
	*region = arg.region;
	*bitmap = map;
	goto out;

err_unmap:
	munmap(map, arg.bitmap_bytes);
err_delete:
	delete_region(s, arg.region);
out:
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int xbzrle_session_region_del(struct xbzrle_session *s, uint32_t region)
{
	struct xbzrle_region_del del = { .size = sizeof(del),
					 .region = region };
	size_t i;
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = xbzrle_ioctl(s, XBZRLE_REGION_DEL, &del);
	if (ret)
		goto out;
	for (i = 0; i < s->nr_regions; i++) {
		if (s->regions[i].region != region)
			continue;
		munmap(s->regions[i].bitmap, s->regions[i].bytes);
		s->regions[i] = s->regions[--s->nr_regions];
		break;
	}
out:
	pthread_mutex_unlock(&s->lock);
	return ret;
}

/* For close. The module removes its regions when the session ends. */
void xbzrle_regions_unmap(struct xbzrle_session *s)
{
	size_t i;

	for (i = 0; i < s->nr_regions; i++)
		munmap(s->regions[i].bitmap, s->regions[i].bytes);
	free(s->regions);
}

/*
 * Grows the scratch memory to a slot's need. The caller holds the session's
 * lock.
 */
static int grow_scratch(struct xbzrle_session *s, uint64_t nr_pages)
{
	uint64_t bytes = XBZRLE_SCRATCH_SYNC(nr_pages);
	uint64_t *scratch;

	if (bytes <= s->scratch_bytes)
		return 0;
	if (bytes > SIZE_MAX)
		return -ENOMEM;
	/* The content need not last between calls: no copy. */
	scratch = malloc(bytes);
	if (!scratch)
		return -ENOMEM;
	free(s->scratch);
	s->scratch = scratch;
	s->scratch_bytes = bytes;
	return 0;
}

int xbzrle_session_slot_set(struct xbzrle_session *s, uint32_t slot, uint32_t region,
			    uint64_t first_page, uint64_t nr_pages)
{
	struct xbzrle_slot arg = {
		.size = sizeof(arg),
		.slot = slot,
		.region = region,
		.first_page = first_page,
		.nr_pages = nr_pages,
	};
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = grow_scratch(s, nr_pages);
	if (!ret)
		ret = xbzrle_ioctl(s, XBZRLE_SLOT_SET, &arg);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

int xbzrle_session_slot_del(struct xbzrle_session *s, uint32_t slot)
{
	struct xbzrle_slot_del arg = { .size = sizeof(arg), .slot = slot };

	return xbzrle_ioctl(s, XBZRLE_SLOT_DEL, &arg);
}

int xbzrle_session_sync(struct xbzrle_session *s, struct xbzrle_sync *result)
{
	struct xbzrle_sync arg = { .size = sizeof(arg) };
	int ret;

	/* Keeps slot_set from replacing the scratch memory. */
	pthread_mutex_lock(&s->lock);
	ret = grow_scratch(s, 0);
	if (!ret) {
		arg.scratch = (uintptr_t)s->scratch;
		arg.scratch_bytes = s->scratch_bytes;
		ret = xbzrle_ioctl(s, XBZRLE_SYNC, &arg);
	}
	pthread_mutex_unlock(&s->lock);
	if (!ret && result)
		*result = arg;
	return ret;
}

int xbzrle_session_clear(struct xbzrle_session *s, uint32_t region,
			 uint64_t first_page, uint64_t nr_pages)
{
	uint64_t scratch[XBZRLE_SCRATCH_MIN / sizeof(uint64_t)];
	struct xbzrle_clear arg = {
		.size = sizeof(arg),
		.region = region,
		.first_page = first_page,
		.nr_pages = nr_pages,
		.scratch = (uintptr_t)scratch,
		.scratch_bytes = sizeof(scratch),
	};

	return xbzrle_ioctl(s, XBZRLE_CLEAR, &arg);
}

int xbzrle_session_invalidate(struct xbzrle_session *s, uint32_t region,
			      uint64_t first_page, uint64_t nr_pages)
{
	struct xbzrle_invalidate arg = {
		.size = sizeof(arg),
		.region = region,
		.first_page = first_page,
		.nr_pages = nr_pages,
	};

	return xbzrle_ioctl(s, XBZRLE_INVALIDATE, &arg);
}
