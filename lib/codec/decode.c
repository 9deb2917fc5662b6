// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder. It trusts nothing in its input, and uses a length only as it was
 * read when it was checked, so that an input that changes meanwhile can do no
 * more than a wrong one.
 */
#include "codec_priv.h"

/* The byte after the length, or NULL where there is no legal one. */
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
 * An nzrun that is short enough to be moved in words, of which @end and the
 * page's end are far enough away. What is behind the run in the page stays.
 */
static __always_inline void put_short(u8 *to, const u8 *from, unsigned int n)
{
	if (n >= 8) {
		u64 first = xbz_load64(from), last = xbz_load64(from + n - 8);

		xbz_store64(to, first);
		xbz_store64(to + n - 8, last);
	} else {
		u64 keep = xbz_cpu_to_le64(~0ULL << (8 * n));

		xbz_store64(to, (xbz_load64(to) & keep) | (xbz_load64(from) & ~keep));
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
		 * A zrun of any length and a short nzrun, with no branch that
		 * depends on the lengths. What does not fit, or is not legal,
		 * takes the way below.
		 */
		while (end - p >= SHORT_PAIR) {
			u64 w = xbz_le64_to_cpu(xbz_load64_once(p));
			unsigned int two = w >> 7 & 1;
			unsigned int head = 2 + two, at;

			z = (w & 0x7f) | ((w >> 1) & (0x7f80 & -two));
			n = w >> (8 + 8 * two) & 0xff;
			at = pos + z;
			/* A zrun of 0 behind the first, or bit 15 of a length. */
			if (unlikely((!z && pos) || n - 1 >= SHORT_RUN ||
				     at > XBZ_PAGE_SIZE - SHORT_RUN))
				break;
			put_short((u8 *)page + at, p + head, n);
			pos = at + n;
			p += head + n;
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
