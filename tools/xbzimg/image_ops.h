/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What image.c asks of each kind of image. Offsets and sizes are within the image.
 */
#ifndef XBZIMG_IMAGE_OPS_H
#define XBZIMG_IMAGE_OPS_H

#include "image.h"

struct image_nbd;
struct file_extent;

struct image_ops {
	bool (*read)(struct image *image, unsigned int worker, void *to, size_t bytes,
		     uint64_t offset, struct error *err);
	bool (*extent)(struct image *image, unsigned int worker, uint64_t offset, uint64_t end,
		       uint64_t *bytes, enum extent *extent, struct error *err);
	void (*close)(struct image *image);
};

/**
 * struct image - an image that is open
 * @ops: of its kind; NULL if it is not open yet
 * @name: as it was given
 * @size: in bytes
 * @file: descriptor of a raw image
 * @extents: what each worker was told last of a raw image
 * @nbd: what else an image of a server has
 */
struct image {
	const struct image_ops *ops;
	char *name;
	uint64_t size;
	int file;
	struct file_extent *extents;
	struct image_nbd *nbd;
};

/* Each sets all but the name; after an error there is nothing to close. */
bool image_file_open(struct image *image, const char *path, bool probe, unsigned int workers,
		     struct error *err);
bool image_nbd_open(struct image *image, const char *uri, const char *bitmap,
		    unsigned int workers, struct error *err);
bool image_qcow2_open(struct image *image, const char *path, unsigned int workers,
		      struct error *err);

#endif /* XBZIMG_IMAGE_OPS_H */
