// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and writing: see io.h.
 */
#include "io.h"

#include <errno.h>
#include <unistd.h>

bool read_all(int file, void *to, size_t bytes, uint64_t offset)
{
	char *at = to;

	while (bytes) {
		ssize_t part = pread(file, at, bytes, offset);

		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return false;
		if (!part) {
			errno = ENODATA;
			return false;
		}
		at += part;
		bytes -= part;
		offset += part;
	}
	return true;
}

bool write_all(int file, const void *from, size_t bytes, uint64_t offset)
{
	const char *at = from;

	while (bytes) {
		ssize_t part = pwrite(file, at, bytes, offset);

		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return false;
		at += part;
		bytes -= part;
		offset += part;
	}
	return true;
}
