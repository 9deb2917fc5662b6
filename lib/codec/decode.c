// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder. It trusts nothing in its input, and reads each byte of it once,
 * so that an input that changes meanwhile can do no more than a wrong one.
 */
#include "codec_priv.h"

/* The byte after the length, or NULL where there is no legal one. */
static __always_inline const u8 *get_len(const u8 *p, const u8 *end, unsigned int *n)
{
	unsigned int low, high;

	if (unlikely(p == end))
		return NULL;
	low = *p++;
	if (likely(low < 0x80)) {
		*n = low;
		return p;
	}
	if (unlikely(p == end))
		return NULL;
	high = *p++;
	if (unlikely(high >= 0x80))
		return NULL;
	*n = (low & 0x7f) | (high << 7);
	return p;
}

int xbz_decode(void *page, const void *in, size_t len)
{
	const u8 *p = in;
	const u8 *end = p + len;
	unsigned int pos = 0, z, n;

	if (!len)
		return -EBADMSG;

	do {
		p = get_len(p, end, &z);
		if (unlikely(!p || (!z && pos) || z > XBZ_PAGE_SIZE - pos))
			return -EBADMSG;
		pos += z;

		p = get_len(p, end, &n);
		if (unlikely(!p || !n || n > XBZ_PAGE_SIZE - pos || n > (size_t)(end - p)))
			return -EBADMSG;
		memcpy((u8 *)page + pos, p, n);
		pos += n;
		p += n;
	} while (p != end);

	return pos;
}
