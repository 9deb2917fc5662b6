// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder. It trusts nothing in its input, and reads each length once, so
 * that it uses the value that it checked. An input that changes during the call
 * can do no more harm than an invalid one.
 */
#include "codec_priv.h"

/* Reads a length. Returns the byte behind it, or NULL if it is not legal. */
static __always_inline const u8 *get_len(const u8 *p, const u8 *end, unsigned int *n)
{
	unsigned int low, high;

	if (unlikely(p == end))
		return NULL;
	low = xbz_load8_once(p++);
	if (likely(low < 0x80)) {
		*n = low;
		return p;
	}
	if (unlikely(p == end))
		return NULL;
	high = xbz_load8_once(p++);
	if (unlikely(high >= 0x80))
		return NULL;
	*n = (low & 0x7f) | (high << 7);
	return p;
}

/*
 * Copies a short nzrun in words. The page is only written: reading the bytes
 * around the run would wait for memory.
 */
static __always_inline void put_short(u8 *to, const u8 *from, unsigned int n)
{
	if (n >= 8) {
		u64 first = xbz_load64(from), last = xbz_load64(from + n - 8);

		xbz_store64(to, first);
		xbz_store64(to + n - 8, last);
	} else if (n >= 4) {
		u32 first = xbz_load32(from), last = xbz_load32(from + n - 4);

		xbz_store32(to, first);
		xbz_store32(to + n - 4, last);
	} else {
		u8 first = from[0], middle = from[n / 2], last = from[n - 1];

		to[0] = first;
		to[n / 2] = middle;
		to[n - 1] = last;
	}
}

#define SHORT_RUN 16
/* Two lengths of two bytes and a short run. */
#define SHORT_PAIR (4 + SHORT_RUN)

int xbz_decode(void *page, const void *in, size_t len)
{
	const u8 *p = in;
	const u8 *end = p + len;
	unsigned int pos = 0, z, n;

	if (!len)
		return -EBADMSG;

	do {
		/*
		 * A zrun of any length and a short nzrun. The next pair's
		 * position depends on loaded bytes, so that no more than an add
		 * may come between: a branch that is rarely mispredicted is
		 * faster than arithmetic. A pair that does not fit or is not
		 * legal is left to the code below.
		 */
		while (end - p >= SHORT_PAIR) {
			const u8 *from;
			unsigned int at;

			z = xbz_load8_once(p);
			n = xbz_load8_once(p + 1);
			from = p + 2;
			if (unlikely(z >= 0x80)) {
				/* A length of three bytes exceeds the page. */
				z = (z & 0x7f) | n << 7;
				n = xbz_load8_once(p + 2);
				from = p + 3;
			}
			at = pos + z;
			/* A zrun of 0 that is not first, or a long nzrun. */
			if (unlikely((!z && pos) || n - 1 >= SHORT_RUN ||
				     at > XBZ_PAGE_SIZE - SHORT_RUN))
				break;
			put_short((u8 *)page + at, from, n);
			pos = at + n;
			p = from + n;
		}
		if (p == end)
			break;

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
