/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading and writing all of something.
 */
#ifndef XBZIMG_IO_H
#define XBZIMG_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * read_all() - read so many bytes at an offset
 * @file: descriptor
 * @to: memory for them
 * @bytes: how many
 * @offset: in the file
 *
 * Return: false with errno, which is ENODATA if the file ends before.
 */
bool read_all(int file, void *to, size_t bytes, uint64_t offset);

/**
 * write_all() - write so many bytes at an offset
 * @file: descriptor
 * @from: the bytes
 * @bytes: how many
 * @offset: in the file
 *
 * Return: false with errno.
 */
bool write_all(int file, const void *from, size_t bytes, uint64_t offset);

#endif /* XBZIMG_IO_H */
