// SPDX-License-Identifier: GPL-2.0-only
/*
 * With a price for a byte of the link and one for a nanosecond of a processor, each
 * way of a page has a cost, and the cheapest way of each page makes the least sum.
 * To take the least time, prices have to be such that link and processors are busy
 * equally long, or that the one that is always longer counts alone: so the price
 * moves towards what took longer.
 */
#include <xbzrle/choice.h>

#include "codec/freestanding.h"
#include "core/record.h"

#include <xbzrle/codec.h>

/* Learned values have this fraction, and new ones this weight. */
#define XBZ_CHOICE_SHIFT 8
#define XBZ_CHOICE_WEIGHT 8

/*
 * What a processor takes for a page that is not compressed, and for bytes of any kind:
 * giving them to a socket (`make bench-wire`, raw). The comparison is no cost of a
 * delta, since every page gets it; nor is cutting runs, since a page whose delta turns
 * out to be too long got that, too.
 */
#define XBZ_RAW_NS 256
#define XBZ_NS_BYTES 16
#define XBZ_RAW_BYTES (8 + XBZ_PAGE_SIZE)
/* Bytes of a delta's record besides its payload. */
#define XBZ_DELTA_EXTRA (XBZ_HEAD_CONT + XBZ_DELTA_HEAD)

#define XBZ_PS_PER_S 1000000000000ULL
#define XBZ_PS_PER_NS 1000

/* Upper bounds, so that no product overflows. */
#define XBZ_LINK_MIN 100000
#define XBZ_MEAN_MAX 0xffffffffULL

void xbz_choice_init(struct xbz_choice *c, unsigned int processors)
{
	*c = (struct xbz_choice){
		.processors = processors ? processors : 1,
		.price = XBZ_CHOICE_ONE,
		.whole_bytes = (u64)XBZ_RAW_BYTES << XBZ_CHOICE_SHIFT,
		.whole_ns = (u64)XBZ_RAW_NS << XBZ_CHOICE_SHIFT,
	};
}

/* The mean of the first values, and then one that forgets. */
static u64 xbz_learn(const struct xbz_choice *c, u64 mean, u64 sum, u64 pages)
{
	u64 value = (sum << XBZ_CHOICE_SHIFT) / pages;

	if (value > XBZ_MEAN_MAX)
		value = XBZ_MEAN_MAX;
	return (mean * c->learned + value) / (c->learned + 1);
}

void xbz_choice_learn(struct xbz_choice *c, u64 pages, u64 bytes, u64 ns)
{
	if (!pages)
		return;
	c->whole_bytes = xbz_learn(c, c->whole_bytes, bytes, pages);
	c->whole_ns = xbz_learn(c, c->whole_ns, ns, pages);
	if (c->learned < XBZ_CHOICE_WEIGHT - 1)
		c->learned++;
}

/* What a byte of the link costs, in picoseconds, before its price. */
static u64 xbz_byte_ps(const struct xbz_choice *c)
{
	return XBZ_PS_PER_S / (c->link > XBZ_LINK_MIN ? c->link : XBZ_LINK_MIN);
}

static u64 xbz_forget(u64 sum)
{
	return sum - sum / XBZ_CHOICE_WEIGHT;
}

void xbz_choice_sent(struct xbz_choice *c, u64 link, u64 bytes, u64 ns)
{
	u64 sum, aim;

	c->link = link;
	if (!link)
		return;
	/* In ns, and bytes can be many: not in ps. */
	c->link_ns = xbz_forget(c->link_ns) + bytes * 1000 / (link / 1000000 + 1);
	c->cpu_ns = xbz_forget(c->cpu_ns) + ns / c->processors;
	sum = c->link_ns + c->cpu_ns;
	if (!sum)
		return;
	aim = XBZ_CHOICE_ONE * c->link_ns / sum;
	if (aim > XBZ_CHOICE_ONE / 2)
		c->price += (XBZ_CHOICE_ONE - c->price) *
			    (aim - XBZ_CHOICE_ONE / 2) / XBZ_CHOICE_ONE;
	else
		c->price -= c->price *
			    (XBZ_CHOICE_ONE / 2 - aim) / XBZ_CHOICE_ONE;
}

/**
 * struct xbz_prices - what is weighed against each other
 * @byte: price of a byte
 * @ns: price of a nanosecond
 */
struct xbz_prices {
	s64 byte;
	s64 ns;
};

static struct xbz_prices xbz_prices(const struct xbz_choice *c)
{
	if (!c->link)
		return (struct xbz_prices){ .byte = 1 };
	return (struct xbz_prices){
		.byte = c->price * xbz_byte_ps(c),
		.ns = (XBZ_CHOICE_ONE - c->price) * XBZ_PS_PER_NS /
		      c->processors,
	};
}

static s64 xbz_cost_whole(const struct xbz_choice *c,
			  const struct xbz_prices *p)
{
	return p->byte * (s64)(c->whole_bytes >> XBZ_CHOICE_SHIFT) +
	       p->ns * (s64)(c->whole_ns >> XBZ_CHOICE_SHIFT);
}

static s64 xbz_cost_raw(const struct xbz_prices *p)
{
	return p->byte * XBZ_RAW_BYTES + p->ns * XBZ_RAW_NS;
}

u32 xbz_choice_max_delta(const struct xbz_choice *c)
{
	struct xbz_prices p = xbz_prices(c);
	s64 other = xbz_choice_apart(c) ? xbz_cost_whole(c, &p) :
					  xbz_cost_raw(&p);
	s64 each = p.byte + p.ns / XBZ_NS_BYTES, most;

	most = each ? other / each - XBZ_DELTA_EXTRA : XBZ_DELTA_MAX;
	if (most < 1)
		return 1;
	return most < XBZ_DELTA_MAX ? most : XBZ_DELTA_MAX;
}

int xbz_choice_apart(const struct xbz_choice *c)
{
	struct xbz_prices p = xbz_prices(c);
	s64 raw = xbz_cost_raw(&p);

	return xbz_cost_whole(c, &p) <= raw + raw / 4;
}
