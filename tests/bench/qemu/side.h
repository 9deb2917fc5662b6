/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's side of the bench: one shared object for each version of QEMU, which
 * exports one of these. Neither this project's headers nor QEMU's are needed
 * to read it.
 */
#ifndef XBZ_BENCH_QEMU_SIDE_H
#define XBZ_BENCH_QEMU_SIDE_H

#include <stddef.h>
#include <stdint.h>

#define QEMU_SIDE_SYMBOL qemu_side
#define QEMU_SIDE_NAME "qemu_side"

/**
 * struct sink - receives a stream, or throws it away
 * @take: called with consecutive bytes; NULL throws them away
 * @opaque: for @take
 */
struct sink {
	void (*take)(void *opaque, const void *p, size_t len);
	void *opaque;
};

struct qemu_save;

/**
 * struct qemu_side - a version of QEMU
 * @version: which one
 * @nr_encoders: how many encoders it has that this processor can run
 * @encoders: their names
 * @open: a page cache for so many pages, and a stream into @sink
 * @load: put a page into the cache, as sent
 * @cached: the cache's copy of a page
 * @save: the save path of one page that is in the cache
 * @save_any: the save path of any page in the pass @generation, behind the first;
 *	the bytes of its record, whose header is that of the same block as before
 * @flush: empty the stream's buffer
 * @close: free a page cache; its stream is not used again
 * @decode: apply a payload to a page; -1 if it is not one
 */
struct qemu_side {
	const char *version;
	unsigned int nr_encoders;
	const char *encoders[4];
	struct qemu_save *(*open)(size_t pages, unsigned int encoder,
				  struct sink *sink);
	void (*load)(struct qemu_save *save, size_t page, const void *content);
	const void *(*cached)(struct qemu_save *save, size_t page);
	void (*save)(struct qemu_save *save, size_t page, const void *content);
	size_t (*save_any)(struct qemu_save *save, size_t page, const void *content,
			   uint64_t generation);
	void (*flush)(struct qemu_save *save);
	void (*close)(struct qemu_save *save);
	int (*decode)(const void *in, size_t len, void *page);
};

#endif /* XBZ_BENCH_QEMU_SIDE_H */
