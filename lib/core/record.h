/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records of QEMU's RAM stream: one page on the wire, given what is known of the
 * destination's page. The payload of a delta is the codec's.
 */
#ifndef _XBZ_CORE_RECORD_H
#define _XBZ_CORE_RECORD_H

#include "codec/freestanding.h"

/* Flags in the low bits of a record's first word. */
#define XBZ_FLAG_ZERO 0x02
#define XBZ_FLAG_PAGE 0x08
#define XBZ_FLAG_CONTINUE 0x20
#define XBZ_FLAG_XBZRLE 0x40

/* First byte of a delta record's body: QEMU knows this one encoding. */
#define XBZ_DELTA_ENCODING 0x01

/* Header of a record that continues the block of the one before. */
#define XBZ_HEAD_CONT 8
/* Bytes of a delta record between its header and its payload. */
#define XBZ_DELTA_HEAD 3
/* Bytes of a zero record behind its header. */
#define XBZ_ZERO_BODY 1

/*
 * Largest payload of a delta against zero. The destination clears the page and
 * then decodes, which is slower than a copy; saving less than an eighth of the
 * page does not pay for that.
 */
#define XBZ_ZERO_BASE_PAYS 3584

/* From so many bytes on, a delta against a cached page is compared with one to zero. */
#define XBZ_DELTA_LONG 1024
/* If so many of 32 words are zero. */
#define XBZ_SPARSE_WORDS 8

/**
 * enum xbz_known - what is known of a page's content at the destination
 * @XBZ_KNOWN_NOTHING: nothing
 * @XBZ_KNOWN_ZERO: it is zero
 * @XBZ_KNOWN_COPY: it equals the cached page
 */
enum xbz_known {
	XBZ_KNOWN_NOTHING,
	XBZ_KNOWN_ZERO,
	XBZ_KNOWN_COPY,
};

/**
 * enum xbz_kind - how a page was sent
 * @XBZ_SENT_SAME: not at all: it is unchanged
 * @XBZ_SENT_ZERO: as a zero record
 * @XBZ_SENT_DELTA: as a delta
 * @XBZ_SENT_ZERO_BASED: as a zero record and a delta to it
 * @XBZ_SENT_RAW: whole
 */
enum xbz_kind {
	XBZ_SENT_SAME,
	XBZ_SENT_ZERO,
	XBZ_SENT_DELTA,
	XBZ_SENT_ZERO_BASED,
	XBZ_SENT_RAW,
};

/**
 * struct xbz_block - a block's name in the stream
 * @len: its length, 1 to 255
 * @name: its bytes
 */
struct xbz_block {
	u8 len;
	const void *name;
};

/**
 * struct xbz_record - one page on its way to the stream
 * @block: the page's block
 * @offset: the page's byte offset in the block, page aligned
 * @cont: a record that is not whole continues the block of the one before
 * @cont_whole: so does a whole record; other than @cont where whole records are
 *	a stream of their own
 * @max_delta: largest size of the deltas that the page is sent as, with the zero
 *	record that a delta against zero may need, in bytes of payload; 0 for what
 *	is shorter than the page
 * @snapshot: the page; private to the caller, which does not write to it
 * @copy: with %XBZ_KNOWN_COPY the cached page; becomes the snapshot
 * @known: what is known of the destination's page; in: before the record, out:
 *	once the record is applied. Other than %XBZ_KNOWN_COPY, the content of
 *	@copy is undefined. %XBZ_KNOWN_NOTHING: the destination holds @snapshot,
 *	which may be cached
 * @kind: out: how the page is sent
 */
struct xbz_record {
	const struct xbz_block *block;
	u64 offset;
	bool cont;
	bool cont_whole;
	u32 max_delta;
	const void *snapshot;
	void *copy;
	enum xbz_known known;
	enum xbz_kind kind;
};

size_t xbz_record_page(void *out, struct xbz_record *rec);

#endif /* _XBZ_CORE_RECORD_H */
