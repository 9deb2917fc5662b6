/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The XBZRLE codec: encodes a 4 KiB page against its cached page, and decodes.
 *
 * This is the codec's public interface, the same for the module and for user
 * space. The codec makes payloads; the caller puts them into records. Rings and
 * caches are elsewhere.
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
 * The longest payload of a delta. A delta's record has 3 bytes more than a raw
 * page's in front of its payload, so 4092 is the largest length with which the
 * delta's record is the shorter one.
 */
#define XBZ_DELTA_MAX 4092

/*
 * The same for a page without a cached page, whose delta needs a zero record
 * (9 bytes) in front: 9 + 11 + 4083 < 8 + 4096.
 */
#define XBZ_ZERO_BASE_MAX 4083

enum { XBZ_SAME = 0, XBZ_RAW = -1, XBZ_ZERO = -2 };

/**
 * xbz_encode() - encode a page against its cached page
 * @out: receives the payload
 * @cap: size of @out; a payload has at most XBZ_DELTA_MAX bytes, but the
 *	 encoder may write to the rest of @out as well
 * @ref: the cached page, XBZ_PAGE_SIZE bytes; updated to the page
 * @cur: the page, XBZ_PAGE_SIZE bytes; other threads may be writing to it
 *
 * Every byte of @cur is read exactly once; the result, @ref and @out all derive
 * from that snapshot. @ref equals the snapshot afterwards, whatever is
 * returned: a raw page is sent from there. The bytes of @out after the payload,
 * up to @cap, are undefined. The buffers must not overlap; no alignment is
 * needed. The payload has the least length that the grammar allows.
 *
 * Context: does not sleep, takes no lock, uses up to 2.3 KiB of stack. In the
 * kernel, the fastest variant runs where vector registers may be used, with
 * preemption disabled during the call, and the portable variant elsewhere.
 *
 * Return:
 * * > 0	- bytes of payload in @out, at most XBZ_DELTA_MAX
 * * XBZ_SAME	- the page is unchanged, even if it is all zero
 * * XBZ_ZERO	- the page changed to all zero (a zero record has 9 bytes and
 *		  the shortest delta's 14, so zero is always shorter)
 * * XBZ_RAW	- a delta would not be shorter than the page, or not fit into
 *		  @cap
 */
int xbz_encode(void *out, size_t cap, void *ref, const void *cur);

/**
 * xbz_encode_zero_base() - encode a page against the zero page
 * @out: receives the payload
 * @cap: size of @out; a payload has at most XBZ_ZERO_BASE_MAX bytes, but the
 *	 encoder may write to the rest of @out as well
 * @ref_or_null: XBZ_PAGE_SIZE bytes that receive the snapshot; or @cur itself,
 *		 if no other thread writes to it during the call; or NULL
 * @cur: the page, XBZ_PAGE_SIZE bytes; other threads may be writing to it
 *
 * For a page whose content at the destination is not known: the caller sends a
 * zero record and then this delta. The snapshot, buffers and context are as for
 * xbz_encode(). With @ref_or_null equal to @cur nothing is copied. With NULL it
 * is several times slower, and a raw page has to be read again; the parse may
 * then differ from the one with a snapshot, but its length does not.
 *
 * Return:
 * * > 0	- bytes of payload in @out, at most XBZ_ZERO_BASE_MAX
 * * XBZ_ZERO	- the page is all zero
 * * XBZ_RAW	- the pair of records would not be shorter than the raw one,
 *		  or the payload not fit into @cap
 */
int xbz_encode_zero_base(void *out, size_t cap, void *ref_or_null, const void *cur);

/**
 * xbz_decode() - apply a payload to the page that it was encoded against
 * @page: XBZ_PAGE_SIZE bytes, changed in place
 * @in: the payload
 * @len: its size
 *
 * Never writes outside @page and never reads outside @in, whatever the input.
 * After an error @page may have the runs before the invalid one applied.
 *
 * Rejected: an empty payload; a payload that ends inside a length, after a
 * zrun or inside an nzrun's bytes; a zrun of 0 that is not first; an nzrun of
 * 0; a length whose second byte has its continuation bit set; a run past the
 * end of the page.
 *
 * Accepted: a length below 128 padded to two bytes, and equal bytes in an
 * nzrun. QEMU's decoder accepts and rejects the same, except for the empty
 * payload, which it accepts as a page without changes.
 *
 * Context: any; does not sleep, takes no lock.
 *
 * Return: bytes of the page that are covered, to the end of the last nzrun, or
 * -EBADMSG.
 */
int xbz_decode(void *page, const void *in, size_t len);

/**
 * xbz_codec_name() - name of the encoder's variant in use
 *
 * All variants produce the same bytes.
 *
 * Context: any.
 *
 * Return: "portable", "avx2" or "avx512".
 */
const char *xbz_codec_name(void);

#ifndef __KERNEL__
/**
 * xbz_codec_select() - select the encoder's variant
 * @name: "portable", "avx2", "avx512", or "auto" for the best that this
 *	  processor can run
 *
 * When the library is loaded, it selects the variant that the environment
 * variable XBZ_CODEC names, or else the best one, so this function is for tests
 * and measurements. In the kernel, the module parameter codec= selects it.
 *
 * Context: any thread; encoders that are running are not affected.
 *
 * Return: 0, -EINVAL if there is no such variant, or -EOPNOTSUPP if this
 * processor does not support it.
 */
int xbz_codec_select(const char *name);
#endif

#ifdef __cplusplus
}
#endif

#endif /* XBZRLE_CODEC_H */
