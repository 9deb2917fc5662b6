/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From the change map to the payload: which gaps are merged, where runs begin
 * and end, and the bytes. Every variant includes this once, after it has said
 *
 *	xbz_scan()		compare, copy and collect the change map
 *	xbz_scan_zero()		the same for a page without a cached copy
 *	xbz_close()		fill the gaps of 1 and 2
 *	xbz_flatten()		a line's edges, from bits to numbers
 *	XBZ_WIDE		bytes that xbz_copy_wide() copies
 *	xbz_copy_wide()		copies so many, of which not all may be wanted
 *	xbz_emit_dense()	cut and write by lines, for pages of many runs; or
 *				return false and have changed nothing but @out
 *
 * An edge is a byte whose state differs from that of the byte before it, so
 * edges are by turns a run's first byte and the first behind it.
 *
 * Nothing here looks at the old page or at the live one.
 *
 * Why this parse has the least possible length. A gap costs one or two bytes
 * as a zrun, and a header for the nzrun behind it, or its own bytes when it is
 * merged; taking only a part of it never gains. Lengths from 128 on have two
 * bytes. Hence:
 *
 *  - a gap of 1 is always merged: 1 byte against at least 2, while the merged
 *    length takes no more bytes than the two lengths did;
 *  - a gap of 3 or more never: the header saved is worth at most 3 bytes, and
 *    that only between two long runs, where it is a tie;
 *  - a gap of 2 is a tie while the lengths stay short. Over a chain of runs
 *    with gaps of 2 the sum is a constant plus the number of nzruns that are
 *    long. A run that is long by itself makes that number at least one, and
 *    merging the whole chain makes it one. A chain with no such run has none
 *    if it is cut into pieces below 128.
 *
 * So gaps of 1 and 2 are closed by bit operations on the map, and only an
 * nzrun of 128 bytes or more is looked at again.
 *
 * Why it goes by way of an array of edges. How many runs a line has cannot be
 * predicted, and a loop over them mispredicts once a line. Turning bits into
 * numbers has no branch that depends on them; then there is one loop over the
 * runs of the whole page, and a run of up to XBZ_WIDE bytes is written without
 * a branch either: header in one store, bytes in one more.
 */

/*
 * Runs are at least 3 bytes apart once the short gaps are closed, so a line has
 * at most 32 edges.
 */
#define XBZ_LINE_EDGES 32
#define XBZ_EDGES_FULL 128
#define XBZ_EDGES_MAX (XBZ_EDGES_FULL + 2 * XBZ_LINE_EDGES)

/* The run, with not a byte written that is not needed. */
static bool xbz_put_run(struct xbz_emitter *e, unsigned int start, unsigned int stop)
{
	unsigned int z = start - e->pos;
	unsigned int n = stop - start;

	if (e->p > e->limit ||
	    xbz_len_size(z) + xbz_len_size(n) + n > (size_t)(e->limit - e->p))
		return false;
	e->p = xbz_put_len(e->p, z);
	e->p = xbz_put_len(e->p, n);
	memcpy(e->p, e->page + start, n);
	e->p += n;
	e->pos = stop;
	return true;
}

/* Where the next gap of 2 inside a closed run begins, or @stop. */
static unsigned int xbz_next_gap(const u64 *map, unsigned int from, unsigned int stop)
{
	unsigned int line = from / XBZ_LINE_SIZE;
	u64 keep = ~0ULL << (from % XBZ_LINE_SIZE);

	for (; line * XBZ_LINE_SIZE < stop; line++) {
		u64 m = map[1 + line];
		u64 gaps = ~(m | (m >> 1) | (map[2 + line] << 63)) & keep;

		if (gaps) {
			unsigned int at = line * XBZ_LINE_SIZE + xbz_ctz64(gaps);

			return at < stop ? at : stop;
		}
		keep = ~0ULL;
	}
	return stop;
}

/* A closed run of 128 bytes or more: whole, or in pieces that are all short. */
static xbz_noinline bool xbz_put_long_run(struct xbz_emitter *e, unsigned int start,
					  unsigned int stop)
{
	unsigned int at, gap, from, to;

	/* In pieces it has as many bytes as whole, but for a longer header. */
	if (e->p > e->limit || stop - start + 2 > (size_t)(e->limit - e->p))
		return false;

	for (at = start; at < stop; at = gap + 2) {
		gap = xbz_next_gap(e->map, at, stop);
		if (gap - at >= XBZ_LEN_TWO)
			return xbz_put_run(e, start, stop);
	}

	from = start;
	to = start;
	for (at = start; at < stop; at = gap + 2) {
		gap = xbz_next_gap(e->map, at, stop);
		if (gap - from >= XBZ_LEN_TWO) {
			if (!xbz_put_run(e, from, to))
				return false;
			from = at;
		}
		to = gap;
	}
	return xbz_put_run(e, from, to);
}

/* The runs between @count edges, of which the last may still be without its end. */
static __always_inline bool xbz_put_runs(struct xbz_emitter *e, const u16 *at,
					 unsigned int count)
{
	/* In registers: what is in memory is forwarded, and that is slow. */
	unsigned int pos = e->pos, i;
	const u8 *page = e->page;
	u8 *p = e->p, *end = e->end;

	for (i = 0; i + 1 < count; i += 2) {
		unsigned int start = at[i], stop = at[i + 1];
		unsigned int z = start - pos, n = stop - start;
		bool ok;

		if (likely(n <= XBZ_WIDE && start <= XBZ_PAGE_SIZE - XBZ_WIDE &&
			   end - p >= 4 + XBZ_WIDE)) {
			unsigned int high = z >> 7;
			unsigned int two = high != 0;

			xbz_store32_le(p, (z & 0x7f) | two << 7 | high << 8 | n << (8 + 8 * two));
			p += 2 + two;
			xbz_copy_wide(p, page + start);
			p += n;
			pos = stop;
			continue;
		}
		e->p = p;
		e->pos = pos;
		ok = n < XBZ_LEN_TWO ? xbz_put_run(e, start, stop) :
				       xbz_put_long_run(e, start, stop);
		if (!ok)
			return false;
		p = e->p;
		pos = stop;
	}
	e->p = p;
	e->pos = pos;
	return true;
}

/**
 * xbz_emit() - cut the runs from a change map and write the payload
 * @out: where it goes
 * @cap: bytes that may be written there
 * @max: bytes that it may have
 * @page: the snapshot that @diff belongs to
 * @diff: the changes, at least one
 *
 * Return: bytes of payload, or XBZ_RAW when they are more than @cap or @max.
 */
static __always_inline int xbz_emit(void *out, size_t cap, size_t max, const void *page,
				    const struct xbz_diff *diff)
{
	struct xbz_emitter e = {
		.p = out,
		.limit = (u8 *)out + (cap < max ? cap : max),
		.end = (u8 *)out + cap,
		.page = page,
		.map = diff->map,
	};
	struct xbz_closed closed xbz_uninitialized;
	u16 at[XBZ_EDGES_MAX] xbz_uninitialized;
	unsigned int count = 0;
	u64 lines;

	xbz_close(&closed, diff);
	if (closed.dense && xbz_emit_dense(&e, &closed))
		return e.p > e.limit ? XBZ_RAW : e.p - (u8 *)out;

	lines = closed.lines;
	while (lines) {
		unsigned int line = xbz_ctz64(lines);

		lines &= lines - 1;
		count = xbz_flatten(at, count, xbz_edges(&closed, line), line * XBZ_LINE_SIZE);
		if (unlikely(count >= XBZ_EDGES_FULL)) {
			if (!xbz_put_runs(&e, at, count))
				return XBZ_RAW;
			at[0] = at[count - 1];
			count &= 1;
		}
	}
	if (count & 1)
		at[count++] = XBZ_PAGE_SIZE;
	if (!xbz_put_runs(&e, at, count) || e.p > e.limit)
		return XBZ_RAW;
	return e.p - (u8 *)out;
}

static __always_inline int xbz_encode_variant(void *out, size_t cap, void *ref, const void *cur)
{
	struct xbz_diff diff xbz_uninitialized;

	xbz_scan(&diff, ref, cur);
	if (!diff.groups)
		return XBZ_SAME;
	if (!diff.nonzero)
		return XBZ_ZERO;
	return xbz_emit(out, cap, XBZ_DELTA_MAX, ref, &diff);
}

static __always_inline int xbz_encode_zero_base_variant(void *out, size_t cap, void *ref,
							const void *cur)
{
	struct xbz_diff diff xbz_uninitialized;

	xbz_scan_zero(&diff, ref, cur);
	if (!diff.nonzero)
		return XBZ_ZERO;
	return xbz_emit(out, cap, XBZ_ZERO_BASE_MAX, ref, &diff);
}
