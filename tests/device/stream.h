/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The destination: reads batches of QEMU's RAM stream into memory, stricter
 * than QEMU does. Written from the format's description and not from the
 * module's code, of which it uses nothing but the codec's decoder.
 */
#ifndef XBZT_STREAM_H
#define XBZT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XBZT_DEST_BLOCKS 1024

/**
 * struct xbzt_block - a block of the destination's memory
 * @name: its name, a string
 * @mem: its pages
 * @nr_pages: how many
 * @owner: for each chunk 1 + the queue that it came from, 0 while unknown
 */
struct xbzt_block {
	const char *name;
	uint8_t *mem;
	uint64_t nr_pages;
	uint8_t *owner;
};

/**
 * struct xbzt_dest - a destination
 * @blocks: its blocks, NULL where there is none
 * @whole_apart: whole records are a stream of their own, which is read alongside
 * @error: what is wrong with the stream, empty as long as nothing is
 */
struct xbzt_dest {
	struct xbzt_block *blocks[XBZT_DEST_BLOCKS];
	bool whole_apart;
	char error[256];
};

/**
 * struct xbzt_applied - what was in a batch
 * @pages_zero: pages sent as a zero record alone
 * @pages_delta: pages sent as a delta, those against zero included
 * @pages_raw: pages sent whole
 * @zero_based: pages sent as a zero record and a delta
 * @bytes_delta: bytes of the pages sent as deltas
 */
struct xbzt_applied {
	uint64_t pages_zero;
	uint64_t pages_delta;
	uint64_t pages_raw;
	uint64_t zero_based;
	uint64_t bytes_delta;
};

/**
 * xbzt_dest_apply() - apply a batch
 * @dest: the destination
 * @queue: the queue that it came from
 * @batch: its bytes
 * @len: how many
 * @applied: set to what was in it
 *
 * Asserts nothing, so that any thread and any process can call it.
 *
 * Return: 0, or -1 with @dest->error set.
 */
int xbzt_dest_apply(struct xbzt_dest *dest, unsigned int queue,
		    const uint8_t *batch, size_t len,
		    struct xbzt_applied *applied);

#endif /* XBZT_STREAM_H */
