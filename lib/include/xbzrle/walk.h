/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Takes a batch that was encoded with XBZRLE_ENCODE_WHOLE_APART to pieces: the
 * pages that were sent whole, and what lies between their records, which remains
 * a stream. Documentation/wire-format.rst has the format.
 */
#ifndef XBZRLE_WALK_H
#define XBZRLE_WALK_H

#include <linux/types.h>
#ifndef __KERNEL__
#include <stddef.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct xbz_walk - the way through a batch
 * @at: the next record
 * @left: bytes from there
 * @name: name of the previous whole record's block, NULL at the start
 * @name_len: its length
 * @in_stream: whether a record that is not whole came before
 */
struct xbz_walk {
	const __u8 *at;
	size_t left;
	const __u8 *name;
	__u32 name_len;
	__u32 in_stream;
};

/**
 * struct xbz_piece - a part of a batch
 * @data: a page, or records that lie in a row
 * @bytes: its size
 * @name: of a page: the name of its block, without a NUL; NULL for records. It
 *	lies in the batch, and pages of the same block that follow each other have
 *	the same pointer
 * @name_len: its length, 1 to 255
 * @offset: of a page: its offset in the block in bytes, page aligned
 */
struct xbz_piece {
	const void *data;
	size_t bytes;
	const __u8 *name;
	__u32 name_len;
	__u64 offset;
};

/**
 * xbz_walk_begin() - start at the beginning of a batch
 * @w: the way
 * @batch: the batch
 * @bytes: its size
 */
void xbz_walk_begin(struct xbz_walk *w, const void *batch, size_t bytes);

/**
 * xbz_walk_next() - take the next piece of a batch
 * @w: the way
 * @piece: set to the piece
 *
 * Pieces come in the order of the batch. Every length is checked against the
 * batch's end, so the batch need not be trusted.
 *
 * Return: 1 for a piece, 0 at the end, -EBADMSG if the batch is malformed there.
 */
int xbz_walk_next(struct xbz_walk *w, struct xbz_piece *piece);

#ifdef __cplusplus
}
#endif

#endif /* XBZRLE_WALK_H */
