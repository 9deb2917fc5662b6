/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An image that is read: a raw file or device, what an NBD server has, or a qcow2 file by
 * way of qemu-nbd. Any number of threads read one image, each as a worker of its own.
 */
#ifndef XBZIMG_IMAGE_H
#define XBZIMG_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* What is known of a part of an image without reading it. */
enum extent {
	EXTENT_DATA,
	EXTENT_ZERO,
	/* Not in the dirty bitmap: as in the image that it was made from. */
	EXTENT_SAME,
};

struct image;

/**
 * image_open() - open an image
 * @name: a path, raw:PATH, qcow2:PATH, or an NBD URI
 * @bitmap: a dirty bitmap that the NBD server exports with it, or NULL
 * @workers: how many will read it at a time
 * @err: says why it failed
 *
 * A path without a format is that of a raw image, but one that looks like another format
 * is refused: a guest can write such a beginning to its disk.
 *
 * Return: the image, or NULL.
 */
struct image *image_open(const char *name, const char *bitmap, unsigned int workers,
			 struct error *err);
void image_close(struct image *image);

/**
 * image_path() - the file that a name is about
 * @name: as for image_open()
 *
 * Return: the path in @name, or NULL if it is a URI.
 */
const char *image_path(const char *name);

uint64_t image_size(const struct image *image);

/**
 * image_read() - read a part of an image
 * @image: that is open
 * @worker: that reads
 * @to: memory for it
 * @bytes: how many; what is behind the image's end is zero
 * @offset: in the image
 * @err: says why it failed
 *
 * Return: false if it cannot be read.
 */
bool image_read(struct image *image, unsigned int worker, void *to, size_t bytes,
		uint64_t offset, struct error *err);

/**
 * image_extent() - what is known of a part of an image
 * @image: that is open
 * @worker: that asks
 * @offset: where the part begins, before @end
 * @end: the part ends there or before
 * @bytes: receives how long it is, at least 1
 * @extent: receives what it is
 * @err: says why it failed
 *
 * Return: false if it cannot be told.
 */
bool image_extent(struct image *image, unsigned int worker, uint64_t offset, uint64_t end,
		  uint64_t *bytes, enum extent *extent, struct error *err);

#endif /* XBZIMG_IMAGE_H */
