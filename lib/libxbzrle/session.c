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

int xbz_ioctl(const struct xbz_session *s, unsigned long request, void *arg)
{
	return ioctl(s->fd, request, arg) < 0 ? -errno : 0;
}

/* Asks a device that may be none, and a module that may be another version. */
static int check_device(const struct xbz_session *s)
{
	struct xbzrle_info info = { .size = sizeof(info) };
	int ret;

	ret = xbz_ioctl(s, XBZRLE_INFO, &info);
	if (ret)
		return ret;
	if (info.abi_version != XBZRLE_ABI_VERSION ||
	    info.scratch_min > XBZRLE_SCRATCH_MIN)
		return -EPROTO;
	return 0;
}

int xbz_session_open_fd(struct xbz_session **out, int fd)
{
	struct xbz_session *s;
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

int xbz_session_open(struct xbz_session **out, const char *path)
{
	int fd, ret;

	fd = open(path ? path : XBZ_DEFAULT_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = xbz_session_open_fd(out, fd);
	if (ret)
		close(fd);
	return ret;
}

void xbz_session_close(struct xbz_session *s)
{
	if (!s)
		return;
	xbz_regions_unmap(s);
	xbz_queues_unmap(s);
	close(s->fd);
	free(s->scratch);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int xbz_session_info(struct xbz_session *s, struct xbzrle_info *info)
{
	info->flags = 0;
	return xbz_ioctl(s, XBZRLE_INFO, info);
}

int xbz_session_setup(struct xbz_session *s, const struct xbz_config *cfg)
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

	ret = xbz_ioctl(s, XBZRLE_SETUP, &setup);
	if (ret)
		return ret;
	return xbz_queues_map(s, &setup);
}

int xbz_session_cache_resize(struct xbz_session *s, uint64_t cache_bytes)
{
	struct xbzrle_cache arg = {
		.size = sizeof(arg),
		.cache_bytes = cache_bytes,
	};

	return xbz_ioctl(s, XBZRLE_CACHE, &arg);
}

int xbz_session_counters(struct xbz_session *s, uint32_t queue,
			 struct xbzrle_counters *counters)
{
	counters->flags = 0;
	counters->queue = queue;
	counters->reserved = 0;
	return xbz_ioctl(s, XBZRLE_COUNTERS, counters);
}
