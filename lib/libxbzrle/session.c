// SPDX-License-Identifier: GPL-2.0-only
/*
 * A session as a whole: opening, setup, closing, and the calls that concern
 * neither a region nor a queue. Regions and slots are in region.c, rings and
 * batches in queue.c.
 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int xbzrle_ioctl(const struct xbzrle_session *s, unsigned long request, void *arg)
{
	return ioctl(s->fd, request, arg) < 0 ? -errno : 0;
}

/* Asks a device that may be none, and a module that may be another version. */
static int check_device(const struct xbzrle_session *s)
{
	struct xbzrle_info info = { .size = sizeof(info) };
	int ret;

	ret = xbzrle_ioctl(s, XBZRLE_INFO, &info);
	if (ret)
		return ret;
	if (info.abi_version != XBZRLE_ABI_VERSION ||
	    info.scratch_min > XBZRLE_SCRATCH_MIN)
		return -EPROTO;
	return 0;
}

int xbzrle_session_open_fd(struct xbzrle_session **out, int fd)
{
	struct xbzrle_session *s;
	int ret;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->fd = fd;
	ret = check_device(s);
	if (ret)
		goto err_free;
	ret = -pthread_mutex_init(&s->lock, NULL);
	if (ret)
		goto err_free;
	*out = s;
	return 0;

err_free:
	free(s);
	return ret;
}

int xbzrle_session_open(struct xbzrle_session **out, const char *path)
{
	int fd, ret;

	fd = open(path ? path : XBZRLE_DEFAULT_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = xbzrle_session_open_fd(out, fd);
	if (ret)
		close(fd);
	return ret;
}

void xbzrle_session_close(struct xbzrle_session *s)
{
	if (!s)
		return;
	xbzrle_regions_unmap(s);
	xbzrle_queues_unmap(s);
	close(s->fd);
	free(s->scratch);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int xbzrle_session_info(struct xbzrle_session *s, struct xbzrle_info *info)
{
	info->flags = 0;
	return xbzrle_ioctl(s, XBZRLE_INFO, info);
}

int xbzrle_session_setup(struct xbzrle_session *s, const struct xbzrle_config *cfg)
{
	struct xbzrle_setup setup = { .size = sizeof(setup) };
	int ret;

	if (cfg->size != sizeof(*cfg))
		return -EINVAL;
	setup.flags = cfg->flags;
	setup.page_shift = XBZRLE_PAGE_SHIFT;
	setup.nr_queues = cfg->nr_queues;
	setup.ring_bytes = cfg->ring_bytes;
	setup.cache_bytes = cfg->cache_bytes;
	setup.vm_fd = cfg->vm_fd;
	if (cfg->name)
		memccpy(setup.name, cfg->name, 0, sizeof(setup.name) - 1);

	ret = xbzrle_ioctl(s, XBZRLE_SETUP, &setup);
	if (ret)
		return ret;
	return xbzrle_queues_map(s, &setup);
}

int xbzrle_session_cache_resize(struct xbzrle_session *s, uint64_t cache_bytes)
{
	struct xbzrle_cache arg = {
		.size = sizeof(arg),
		.cache_bytes = cache_bytes,
	};

	return xbzrle_ioctl(s, XBZRLE_CACHE, &arg);
}

int xbzrle_session_counters(struct xbzrle_session *s, uint32_t queue,
			    struct xbzrle_counters *counters)
{
	counters->flags = 0;
	counters->queue = queue;
	counters->reserved = 0;
	return xbzrle_ioctl(s, XBZRLE_COUNTERS, counters);
}
