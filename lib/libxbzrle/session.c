// SPDX-License-Identifier: GPL-2.0-only
/*
 * The session's life: open, setup and close, and the calls that concern neither
 * a region nor a queue. Regions and slots are in region.c, rings and batches in
 * queue.c.
 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* An ioctl of the device. Returns a descriptor or 0, or a negative errno. */
static int device_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int xbzrle_ioctl(const struct xbzrle_session *s, unsigned long request, void *arg)
{
	if (s->fd < 0)
		return -ENOTCONN;
	return ioctl(s->fd, request, arg) < 0 ? -errno : 0;
}

/* @fd may be another device, and the module another version. */
static int check_device(int fd)
{
	struct xbzrle_info info = { .size = sizeof(info) };
	int ret;

	ret = device_ioctl(fd, XBZRLE_INFO, &info);
	if (ret < 0)
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
	s->device_fd = fd;
	s->fd = -1;
	ret = check_device(fd);
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
	if (s->fd >= 0)
		close(s->fd);
	close(s->device_fd);
	free(s->scratch);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int xbzrle_session_info(struct xbzrle_session *s, struct xbzrle_info *info)
{
	info->flags = 0;
	return device_ioctl(s->device_fd, XBZRLE_INFO, info);
}

int xbzrle_session_setup(struct xbzrle_session *s, const struct xbzrle_config *cfg)
{
	struct xbzrle_setup setup = { .size = sizeof(setup) };
	int ret;

	if (cfg->size != sizeof(*cfg) || cfg->reserved)
		return -EINVAL;
	if (s->fd >= 0)
		return -EISCONN;
	setup.flags = cfg->flags;
	setup.page_shift = XBZRLE_PAGE_SHIFT;
	setup.nr_queues = cfg->nr_queues;
	setup.ring_bytes = cfg->ring_bytes;
	setup.cache_bytes = cfg->cache_bytes;
	setup.vm_fd = cfg->vm_fd;
	setup.log_block_pages = cfg->log_block_pages;
	if (cfg->name)
		memccpy(setup.name, cfg->name, 0, sizeof(setup.name) - 1);

	ret = device_ioctl(s->device_fd, XBZRLE_SETUP, &setup);
	if (ret < 0)
		return ret;
	s->fd = ret;
	ret = xbzrle_queues_map(s, &setup);
	if (ret) {
		close(s->fd);
		s->fd = -1;
	}
	return ret;
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
