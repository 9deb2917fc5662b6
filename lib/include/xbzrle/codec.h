/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The XBZRLE codec: one 4 KiB page against its last-sent copy, and back.
 *
 * What lives here: the codec's whole public interface, the same for the module
 * and for user space. What does not: record headers, rings and caches; a
 * payload is what this codec knows, a record is its caller's.
 *
 * Payload: (zrun nzrun)+, each length a ULEB128 of one or two bytes, the nzrun
 * followed by that many new bytes. A zrun of 0 is legal only first, an nzrun
 * of 0 never, a trailing zrun is left out.
 */
#ifndef XBZRLE_CODEC_H
#define XBZRLE_CODEC_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stddef.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define XBZ_PAGE_SIZE 4096

/*
 * The longest payload that still pays. A delta's record has 3 bytes more than
 * the raw page's before its payload, so 4092 is the last length that makes it
 * the shorter of the two.
 */
#define XBZ_DELTA_MAX 4092

/*
 * The same for a page without a cached copy, whose delta needs a zero record
 * (9 bytes) in front: 9 + 11 + 4083 < 8 + 4096.
 */
#define XBZ_ZERO_BASE_MAX 4083

enum { XBZ_SAME = 0, XBZ_RAW = -1, XBZ_ZERO = -2 };

/**
 * xbz_encode() - make the delta that turns the cached copy into the page
 * @out: where the payload goes
 * @cap: bytes that may be written at @out; a payload has at most XBZ_DELTA_MAX,
 *	 but what is behind it may be written to as well
 * @ref: the cached copy, XBZ_PAGE_SIZE bytes; becomes the new one
 * @cur: the page, XBZ_PAGE_SIZE bytes; somebody may be writing to it
 *
 * Every byte of @cur is read exactly once, and the result, @ref and @out all
 * derive from that snapshot. In every case *@ref equals the snapshot
 * afterwards: a raw page is sent from there. The bytes of @out after the
 * payload, up to @cap, are undefined. The buffers must not overlap; no
 * alignment is needed. The payload has the least length the grammar allows.
 *
 * Context: does not sleep, takes no lock, uses up to 2.3 KiB of stack. In the
 * kernel: where vector registers may be used the fastest variant runs, with
 * preemption off for the length of the call, elsewhere the portable one.
 *
 * Return:
 * * > 0	- bytes of payload in @out, at most XBZ_DELTA_MAX
 * * XBZ_SAME	- the page is unchanged, even if it is all zero
 * * XBZ_ZERO	- the page has become all zero (a zero record has 9 bytes and
 *		  the shortest delta's 14, so zero always wins)
 * * XBZ_RAW	- a delta would not be shorter than the page, or not fit @cap
 */
int xbz_encode(void *out, size_t cap, void *ref, const void *cur);

/**
 * xbz_encode_zero_base() - make the delta that turns a zero page into the page
 * @out: where the payload goes
 * @cap: bytes that may be written at @out; a payload has at most
 *	 XBZ_ZERO_BASE_MAX, but what is behind it may be written to as well
 * @ref_or_null: XBZ_PAGE_SIZE bytes that receive the snapshot; @cur itself, if
 *		 nobody writes to it meanwhile; or NULL
 * @cur: the page, XBZ_PAGE_SIZE bytes; somebody may be writing to it
 *
 * For a page whose old content is not known: the caller sends a zero record
 * and then this delta. What xbz_encode() says of its snapshot, buffers and
 * context holds here too. With @ref_or_null equal to @cur nothing is copied.
 * With NULL it is several times slower, and a raw page has to be read anew; the
 * parse may then differ from the one with a snapshot, its length does not.
 *
 * Return:
 * * > 0	- bytes of payload in @out, at most XBZ_ZERO_BASE_MAX
 * * XBZ_ZERO	- the page is all zero
 * * XBZ_RAW	- the pair of records would not be shorter than the raw one,
 *		  or the payload not fit @cap
 */
int xbz_encode_zero_base(void *out, size_t cap, void *ref_or_null, const void *cur);

/**
 * xbz_decode() - apply a payload to the page it was made against
 * @page: XBZ_PAGE_SIZE bytes, changed in place
 * @in: the payload
 * @len: its bytes
 *
 * Never writes outside @page and never reads outside @in, whatever the input.
 * After an error @page may hold the runs that came before the bad one.
 *
 * Refused: an empty payload; a payload that ends inside a length, after a
 * zrun or inside an nzrun's bytes; a zrun of 0 that is not first; an nzrun of
 * 0; a length whose second byte has its continuation bit set; a run past the
 * end of the page.
 *
 * Taken: a length below 128 padded to two bytes, and equal bytes in an nzrun.
 * QEMU's decoder takes and refuses the same, but for the empty payload, which
 * it takes for a page without changes.
 *
 * Context: any; does not sleep, takes no lock.
 *
 * Return: bytes of page covered, to the end of the last nzrun, or -EBADMSG.
 */
int xbz_decode(void *page, const void *in, size_t len);

/**
 * xbz_codec_name() - which variant of the encoder is in use
 *
 * All variants give the same bytes.
 *
 * Context: any.
 *
 * Return: "portable", "avx2" or "avx512".
 */
const char *xbz_codec_name(void);

#ifndef __KERNEL__
/**
 * xbz_codec_select() - choose the variant of the encoder
 * @name: "portable", "avx2", "avx512", or "auto" for the best that this
 *	  processor can run
 *
 * The best is chosen when the library is loaded, or the one that the variable
 * XBZ_CODEC in the environment names; so this is for tests and measurements.
 * In the kernel the module's parameter codec= does it.
 *
 * Context: any thread; encoders that run meanwhile are not disturbed.
 *
 * Return: 0, -EINVAL if there is no such variant, or -EOPNOTSUPP if this
 * processor cannot run it.
 */
int xbz_codec_select(const char *name);
#endif

#ifdef __cplusplus
}
#endif

#endif /* XBZRLE_CODEC_H */
