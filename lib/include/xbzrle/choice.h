/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cheapest way of a page where whole pages can be sent by channels that
 * compress: up to which size a delta is cheaper than the whole page.
 *
 * Sending takes bytes of the link and time of processors, and whichever is short
 * decides how long it takes. What a whole page costs by the channels is learned
 * from what they make of it. Which of both is short is learned from what was
 * sent. This is arithmetic and keeps no time: the caller measures.
 */
#ifndef XBZRLE_CHOICE_H
#define XBZRLE_CHOICE_H

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct xbz_choice - what is known of costs; initialize with xbz_choice_init()
 * @processors: number of processors that share the work
 * @price: how short the link is, from 0 to XBZ_CHOICE_ONE, which means that only
 *	bytes count; the rest is the processors'
 * @learned: number of reports that the means are of, at most 7
 * @padding: zero
 * @link: bytes that the link carries in a second, 0 while unknown
 * @whole_bytes: mean bytes of a whole page by the channels, in 1/256
 * @whole_ns: mean time of a processor that it takes, in 1/256 ns
 * @link_ns: time that the link took for what was sent lately
 * @cpu_ns: time that the processors took for it
 */
struct xbz_choice {
	__u32 processors;
	__u32 price;
	__u32 learned;
	__u32 padding;
	__u64 link;
	__u64 whole_bytes;
	__u64 whole_ns;
	__u64 link_ns;
	__u64 cpu_ns;
};

#define XBZ_CHOICE_ONE 1024

/**
 * xbz_choice_init() - begin without knowledge
 * @c: the costs
 * @processors: number of processors that share the work
 *
 * Until more is known, a whole page costs a page, and bytes alone count.
 */
void xbz_choice_init(struct xbz_choice *c, unsigned int processors);

/**
 * xbz_choice_learn() - report what the channels made of whole pages
 * @c: the costs
 * @pages: number of pages; 0 changes nothing
 * @bytes: of the link
 * @ns: of a processor
 */
void xbz_choice_learn(struct xbz_choice *c, __u64 pages, __u64 bytes, __u64 ns);

/**
 * xbz_choice_sent() - report what was sent since the last report, in all ways
 * @c: the costs
 * @link: bytes that the link carries in a second now
 * @bytes: bytes that were sent
 * @ns: time of processors that they took
 *
 * Moves the price towards what is shorter.
 */
void xbz_choice_sent(struct xbz_choice *c, __u64 link, __u64 bytes, __u64 ns);

/**
 * xbz_choice_max_delta() - the largest delta that is cheaper than the page
 * @c: the costs
 *
 * Return: bytes of payload, at least 1, for struct xbzrle_encode.
 */
__u32 xbz_choice_max_delta(const struct xbz_choice *c);

/**
 * xbz_choice_apart() - whether whole pages go by the channels
 * @c: the costs
 *
 * Return: 1, or 0 if a page that is not compressed, in the stream, is cheaper by
 * a quarter.
 */
int xbz_choice_apart(const struct xbz_choice *c);

#ifdef __cplusplus
}
#endif

#endif /* XBZRLE_CHOICE_H */
