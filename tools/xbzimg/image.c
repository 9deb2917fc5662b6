// SPDX-License-Identifier: GPL-2.0-only
/*
 * Images: see image.h. Which kind one is, and what is behind its end.
 */
#include "image_ops.h"

#include <stdlib.h>
#include <string.h>

#include "page.h"

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

static bool is_uri(const char *name)
{
	static const char *const schemes[] = {
		"nbd://", "nbds://", "nbd+unix://", "nbds+unix://", "nbd+vsock://", "nbds+vsock://",
	};
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (has_prefix(name, schemes[i]))
			return true;
	return false;
}

const char *image_path(const char *name)
{
	if (is_uri(name))
		return NULL;
	if (has_prefix(name, "raw:") || has_prefix(name, "qcow2:"))
		return strchr(name, ':') + 1;
	return name;
}

static bool open_kind(struct image *image, const char *bitmap, unsigned int workers,
		      struct error *err)
{
	const char *path = image_path(image->name);

	if (!path)
		return image_nbd_open(image, image->name, bitmap, workers, err);
	if (bitmap)
		return error_set(err, "%s: only an NBD server has a dirty bitmap", image->name);
	if (has_prefix(image->name, "qcow2:"))
		return image_qcow2_open(image, path, workers, err);
	return image_file_open(image, path, !has_prefix(image->name, "raw:"), workers, err);
}

struct image *image_open(const char *name, const char *bitmap, unsigned int workers,
			 struct error *err)
{
	struct image *image = calloc(1, sizeof(*image));

	if (!image) {
		error_errno(err, "%s", name);
		return NULL;
	}
	image->name = strdup(name);
	if (!image->name) {
		error_errno(err, "%s", name);
		goto fail;
	}
	if (!open_kind(image, bitmap, workers, err))
		goto fail;
	if (image->size < FORMAT_SIZE_MAX)
		return image;
	error_set(err, "%s: too large", name);
fail:
	image_close(image);
	return NULL;
}

void image_close(struct image *image)
{
	if (!image)
		return;
	if (image->ops)
		image->ops->close(image);
	free(image->name);
	free(image);
}

uint64_t image_size(const struct image *image)
{
	return image->size;
}

bool image_read(struct image *image, unsigned int worker, void *to, size_t bytes,
		uint64_t offset, struct error *err)
{
	size_t inside = offset < image->size ? min_u64(bytes, image->size - offset) : 0;

	memset((char *)to + inside, 0, bytes - inside);
	return !inside || image->ops->read(image, worker, to, inside, offset, err);
}

bool image_extent(struct image *image, unsigned int worker, uint64_t offset, uint64_t end,
		  uint64_t *bytes, enum extent *extent, struct error *err)
{
	if (offset >= image->size) {
		*bytes = end - offset;
		*extent = EXTENT_ZERO;
		return true;
	}
	return image->ops->extent(image, worker, offset, min_u64(end, image->size), bytes, extent,
				  err);
}
