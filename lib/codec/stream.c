// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delta against the zero page without a buffer for a snapshot: each line is
 * read once and its runs are written before the next line is read. With a
 * snapshot, an encoder scans and emits. This one is for callers without a page
 * to spare; 4 KiB on the kernel's stack are not an option.
 *
 * Merging needs no look-ahead here: a gap of 1 is always merged, a gap of 2
 * once the run is long. That leaves at most one long nzrun in a chain of gaps
 * of 2, which is the least possible; runs.h has the proof.
 */
#include "codec_priv.h"

struct stream {
	u8 *out;
	size_t cap;
	size_t used;
	size_t run_at;		/* offset of the open nzrun's length in out */
	unsigned int run_len;
	unsigned int pos;	/* bytes of the page that are covered */
};

static bool open_run(struct stream *s, unsigned int start)
{
	unsigned int z = start - s->pos;
	size_t len_size = xbz_len_size(z);

	if (len_size + 1 > s->cap - s->used)
		return false;
	xbz_put_len(s->out + s->used, z);
	s->used += len_size;
	s->run_at = s->used++;
	s->run_len = 0;
	s->pos = start;
	return true;
}

/* Appends @gap zeros and @n bytes, and widens the length in front if needed. */
static bool grow_run(struct stream *s, unsigned int gap, const u8 *from, unsigned int n)
{
	unsigned int len = s->run_len + gap + n;
	size_t shift = xbz_len_size(len) - xbz_len_size(s->run_len);
	u8 *bytes = s->out + s->run_at + xbz_len_size(s->run_len);

	if (shift + gap + n > s->cap - s->used)
		return false;
	if (shift)
		memmove(bytes + shift, bytes, s->run_len);
	s->used += shift;
	memset(s->out + s->used, 0, gap);
	memcpy(s->out + s->used + gap, from, n);
	s->used += gap + n;
	xbz_put_len(s->out + s->run_at, len);
	s->run_len = len;
	s->pos += gap + n;
	return true;
}

static bool add_bytes(struct stream *s, unsigned int start, const u8 *from, unsigned int n)
{
	unsigned int gap = start - s->pos;
	bool merge = s->run_len && (gap < 2 || (gap == 2 && s->run_len >= XBZ_LEN_TWO));

	if (!merge) {
		if (!open_run(s, start))
			return false;
		gap = 0;
	}
	return grow_run(s, gap, from, n);
}

static bool add_line(struct stream *s, unsigned int at, const u64 *line)
{
	const u8 *bytes = (const u8 *)line;
	u64 bits = xbz_line_bits(line);

	while (bits) {
		unsigned int start = xbz_ctz64(bits);
		u64 rest = ~(bits >> start);
		unsigned int n = rest ? xbz_ctz64(rest) : XBZ_LINE_SIZE;

		if (!add_bytes(s, at + start, bytes + start, n))
			return false;
		if (start + n == XBZ_LINE_SIZE)
			break;
		bits &= ~0ULL << (start + n);
	}
	return true;
}

int xbz_stream_zero_base(void *out, size_t cap, const void *cur)
{
	struct stream s = {
		.out = out, .cap = cap < XBZ_ZERO_BASE_MAX ? cap : XBZ_ZERO_BASE_MAX,
	};
	const u8 *from = cur;
	unsigned int at, i;

	for (at = 0; at < XBZ_PAGE_SIZE; at += XBZ_LINE_SIZE) {
		u64 line[8], any = 0;

		for (i = 0; i < 8; i++) {
			line[i] = xbz_load64_once(from + at + 8 * i);
			any |= line[i];
		}
		if (any && !add_line(&s, at, line))
			return XBZ_RAW;
	}
	return s.used ? (int)s.used : XBZ_ZERO;
}
