// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raw images: files, of which holes are known, and block devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_ops.h"
#include "io.h"
#include "page.h"

/**
 * struct file_extent - a part of the file
 * @begin: from where it was looked for
 * @end: where it ends
 * @kind: data or zero
 */
struct file_extent {
	uint64_t begin;
	uint64_t end;
	enum extent kind;
};

static bool file_read(struct image *image, unsigned int worker, void *to, size_t bytes,
		      uint64_t offset, struct error *err)
{
	(void)worker;
	if (!read_all(image->file, to, bytes, offset))
		return error_errno(err, "%s: at byte %llu", image->name,
				   (unsigned long long)offset);
	return true;
}

/*
 * Where the data or the hole that an offset is in ends: some file systems walk there, so it
 * is not asked for again and again. The descriptor's offset is not used otherwise, so threads
 * may move it as they like.
 */
static void find_extent(const struct image *image, uint64_t offset, struct file_extent *extent)
{
	off_t data = lseek(image->file, offset, SEEK_DATA), hole;

	*extent = (struct file_extent){ offset, image->size, EXTENT_ZERO };
	if (data < 0 && errno == ENXIO)
		return;
	if (data > (off_t)offset) {
		extent->end = data;
		return;
	}
	/* Also where holes cannot be asked for. */
	extent->kind = EXTENT_DATA;
	hole = data < 0 ? data : lseek(image->file, offset, SEEK_HOLE);
	if (hole > (off_t)offset)
		extent->end = hole;
}

static bool file_extent(struct image *image, unsigned int worker, uint64_t offset, uint64_t end,
			uint64_t *bytes, enum extent *kind, struct error *err)
{
	struct file_extent *extent = &image->extents[worker];

	(void)err;
	if (offset < extent->begin || offset >= extent->end)
		find_extent(image, offset, extent);
	*kind = extent->kind;
	*bytes = min_u64(extent->end, end) - offset;
	return true;
}

static void file_close(struct image *image)
{
	close(image->file);
	free(image->extents);
}

static const struct image_ops file_ops = {
	.read = file_read,
	.extent = file_extent,
	.close = file_close,
};

/* How other formats begin: an image that does is not raw unless somebody says so. */
static const char *looks_like(int file)
{
	static const struct {
		const char *magic;
		size_t bytes;
		const char *format;
	} formats[] = {
		{ "QFI\xfb", 4, "qcow2" },
		{ "KDMV", 4, "vmdk" },
		{ "vhdxfile", 8, "vhdx" },
		{ "xbzimg\r\n", 8, "a delta image" },
	};
	char begin[8] = "";
	size_t i;

	if (!read_all(file, begin, sizeof(begin), 0))
		return NULL;
	for (i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (!memcmp(begin, formats[i].magic, formats[i].bytes))
			return formats[i].format;
	return NULL;
}

static bool check_file(struct image *image, const char *path, bool probe, struct error *err)
{
	struct stat status;
	const char *format;
	off_t size;

	if (fstat(image->file, &status))
		return error_errno(err, "%s", path);
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return error_set(err, "%s: neither a file nor a block device", path);
	format = probe ? looks_like(image->file) : NULL;
	if (format)
		return error_set(err, "%s: it looks like %s; say raw:%s if it is not%s", path,
				 format, path, strcmp(format, "qcow2") ? "" : ", or qcow2:PATH");
	size = lseek(image->file, 0, SEEK_END);
	if (size < 0)
		return error_errno(err, "%s", path);
	image->size = size;
	return true;
}

bool image_file_open(struct image *image, const char *path, bool probe, unsigned int workers,
		     struct error *err)
{
	image->file = open(path, O_RDONLY | O_CLOEXEC);
	if (image->file < 0)
		return error_errno(err, "%s", path);
	image->extents = calloc(workers, sizeof(*image->extents));
	if (!image->extents)
		error_errno(err, "%s", path);
	if (!image->extents || !check_file(image, path, probe, err)) {
		file_close(image);
		return false;
	}
	image->ops = &file_ops;
	return true;
}
