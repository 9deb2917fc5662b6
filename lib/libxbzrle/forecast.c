// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest is a set of pages that it writes to, so many times in a second: half of the
 * writes are at random, the other half go round. In a pass of the time t, with
 * x = t * rate / set, the random ones make a clean page dirty with the chance
 *
 *	f = 1 - exp(-x),
 *
 * and one that is sent in the pass, at a time in it that is as good as any, with
 *
 *	g = 1 - f / x.
 *
 * Those that go round come to the clean pages first, as the others were written to later.
 * Two passes do not tell these guests apart, and each is often taken for the other by
 * itself; what the half of each expects is right more often than either.
 *
 * Set and rate are those by which the last passes come out best. Then passes are played
 * until what is left fits the downtime limit, or for too long.
 */
#include <xbzrle/forecast.h>

#include <stdbool.h>

#define PAGE 4096
#define NS 1e9
/* Fewer pages have no mean, and a shorter time no bandwidth. */
#define PAGES_MIN 64
#define LINK_NS 300000000
/* A consumer looks at what is left so often, so no pass is shorter. */
#define STEP 0.05
#define SECONDS (XBZ_FORECAST_MS / 1e3)
/* What is tried: rates per page of the set, and sets from the largest one seen on. */
#define RATE_MIN 0.001
#define RATE_FACTOR 1.06
#define RATES 280
#define SET_FACTOR 1.03
#define SETS 130
/* An older pass counts so much less. */
#define AGING 0.7
/* An error that is so little less is not less: the lower rate counts. */
#define AGREE 0.0001
/* Of a remedy, in which a bit more of it is found each. */
#define HALVINGS 14
#define LINK_MOST 64

struct model {
	double set, rate;		/* pages, and writes to each of them in a second */
	double dirty;			/* pages at the last sync */
	double page_bytes, link;	/* bytes; in a second */
	double downtime;		/* seconds */
};

/*
 * A pass without the rest of the first one, which is sent in the second one, before all
 * else, for the first time, and is any of the guest's memory.
 */
struct pass {
	double dirty, pages, bytes, fresh;
	double seconds, sent_seconds;
	double f, g;
};

struct play {
	bool fits;
	double seconds, halfway, left;
	unsigned int passes;
};

static double least(double a, double b)
{
	return a < b ? a : b;
}

static __u64 round_up(double x)
{
	return least(x, 1e18) + 0.999;
}

/* 1 - exp(-x) for x >= 0; the library links no libm. */
static double chance(double x)
{
	double sum = 0, term;
	int halved = 0, i;

	if (x > 40)
		return 1;
	while (x > 0.5) {
		x /= 2;
		halved++;
	}
	/* Its series; doubled, it is 1 - (1 - sum)^2. */
	term = x;
	for (i = 2; i < 13; i++) {
		sum += term;
		term *= -x / i;
	}
	while (halved--)
		sum *= 2 - sum;
	return sum;
}

static const struct xbz_forecast_pass *pass_ago(const struct xbz_forecast *f, unsigned int ago)
{
	return &f->passes[(f->nr - 1 - ago) % XBZ_FORECAST_PASSES];
}

static unsigned int remembered(const struct xbz_forecast *f)
{
	return f->nr < XBZ_FORECAST_PASSES ? f->nr : XBZ_FORECAST_PASSES;
}

static struct pass take_pass(const struct xbz_forecast *f, unsigned int ago)
{
	const struct xbz_forecast_pass *p = pass_ago(f, ago), *first;
	struct pass own = {
		.dirty = p->dirty,
		.pages = least(p->pages, p->dirty),
		.bytes = p->bytes,
		.fresh = p->fresh,
		.seconds = p->ns / NS,
		.sent_seconds = p->ns / NS,
	};
	double rest, bytes;

	if (p->number != 2 || ago + 1 >= remembered(f))
		return own;
	first = pass_ago(f, ago + 1);
	if (p->dirty <= first->fresh || !first->pages || !p->bytes)
		return own;
	rest = least(p->dirty - first->fresh, own.pages);
	bytes = least(rest * first->bytes / first->pages, p->bytes);
	own.dirty = first->fresh;
	own.pages -= rest;
	own.bytes -= bytes;
	own.sent_seconds *= own.bytes / p->bytes;
	return own;
}

static void set_rate(struct pass *p, double rate)
{
	double x = rate * p->sent_seconds;

	p->f = chance(rate * p->seconds);
	p->g = x > 0.0001 ? 1 - chance(x) / x : x / 2;
}

/* Pages that a pass makes dirty. */
static double fresh_of(const struct model *m, const struct pass *p)
{
	double of_set = least(m->set, p->dirty), clean = m->set - of_set;
	double sent = p->dirty > 0 ? p->pages * of_set / p->dirty : 0;
	double writes = m->set * m->rate * p->seconds;
	double first = least(writes, clean), rest = writes - first, late, round = first;

	if (rest > 0 && of_set > 0) {
		/* A page that is come to so late was sent before. */
		late = (1 + first / writes) / 2;
		round += sent * (rest < of_set ? late * rest / of_set :
						 1 - (1 - late) * of_set / rest);
	}
	return (clean * p->f + sent * p->g + round) / 2;
}

static double error_of(const struct model *m, const struct pass *p, unsigned int nr)
{
	double weight = 1, sum = 0, off;
	unsigned int i;

	for (i = 0; i < nr; i++, weight *= AGING) {
		off = (fresh_of(m, &p[i]) - p[i].fresh) / (p[i].fresh + 1);
		sum += weight * off * off;
	}
	return sum;
}

static void fit(const struct xbz_forecast *f, struct model *m)
{
	unsigned int nr = remembered(f), i, rates, sets;
	struct pass p[XBZ_FORECAST_PASSES];
	double error, best = -1, seen = 1;
	struct model try = *m;

	for (i = 0; i < nr; i++) {
		p[i] = take_pass(f, i);
		if (seen < p[i].fresh)
			seen = p[i].fresh;
	}
	try.rate = RATE_MIN;
	for (rates = 0; rates < RATES; rates++, try.rate *= RATE_FACTOR) {
		for (i = 0; i < nr; i++)
			set_rate(&p[i], try.rate);
		try.set = seen;
		for (sets = 0; sets < SETS; sets++, try.set *= SET_FACTOR) {
			error = error_of(&try, p, nr);
			if (best >= 0 && error + AGREE >= best)
				continue;
			best = error;
			*m = try;
		}
	}
}

/* What a page takes, and what the link carries; false while that is not known. */
static bool take_means(const struct xbz_forecast *f, struct model *m)
{
	double pages = 0, page_bytes = 0, link_bytes = 0;
	__u64 ns = 0;
	unsigned int i;

	for (i = 0; i < remembered(f); i++) {
		const struct xbz_forecast_pass *p = pass_ago(f, i);
		const struct pass own = take_pass(f, i);

		if (pages < PAGES_MIN && p->number > 1) {
			pages += own.pages;
			page_bytes += own.bytes;
		}
		if (ns < LINK_NS) {
			ns += p->ns;
			link_bytes += p->bytes;
		}
	}
	if (pages < PAGES_MIN || link_bytes <= 0 || !ns)
		return false;
	m->page_bytes = page_bytes > pages ? page_bytes / pages : 1;
	m->link = link_bytes / (ns / NS);
	return true;
}

static void play(const struct model *m, struct play *to)
{
	double room = m->link * m->downtime / m->page_bytes;
	struct pass p = { .dirty = m->dirty };

	*to = (struct play){ .halfway = p.dirty };
	while (p.dirty > room && to->seconds < SECONDS) {
		p.seconds = (p.dirty - room) * m->page_bytes / m->link;
		if (p.seconds < STEP)
			p.seconds = STEP;
		p.sent_seconds = p.seconds;
		p.pages = least(p.dirty, p.seconds * m->link / m->page_bytes);
		set_rate(&p, m->rate);
		p.dirty += fresh_of(m, &p) - p.pages;
		to->seconds += p.seconds;
		to->passes++;
		if (to->seconds < SECONDS / 2)
			to->halfway = p.dirty;
	}
	to->fits = p.dirty <= room && to->seconds <= SECONDS;
	to->left = p.dirty;
}

/* The least value of a member of the model with which it fits, 0 if there is none. */
static double least_value(const struct model *m, double *member, double most)
{
	double low = 0, high = most;
	struct play p;
	int i;

	*member = most;
	play(m, &p);
	if (!p.fits)
		return 0;
	for (i = 0; i < HALVINGS; i++) {
		*member = (low + high) / 2;
		play(m, &p);
		if (p.fits)
			high = *member;
		else
			low = *member;
	}
	return high;
}

static void find_remedies(const struct model *m, __u32 known_bytes, bool fits,
			  struct xbz_forecast_result *r)
{
	struct model other = *m;
	struct play p;

	r->downtime_ms = round_up(1e3 * least_value(&other, &other.downtime, SECONDS));
	other = *m;
	r->bandwidth = round_up(least_value(&other, &other.link, m->link * LINK_MOST));
	if (fits || !known_bytes || known_bytes >= m->page_bytes)
		return;
	other = *m;
	other.page_bytes = known_bytes;
	play(&other, &p);
	if (p.fits)
		r->cache_bytes = round_up(m->set * PAGE);
}

void xbz_forecast_pass(struct xbz_forecast *f, const struct xbz_forecast_pass *pass)
{
	f->passes[f->nr++ % XBZ_FORECAST_PASSES] = *pass;
}

void xbz_forecast_look(const struct xbz_forecast *f, __u32 downtime_ms, __u32 known_bytes,
		       struct xbz_forecast_result *r)
{
	struct model m = { .downtime = downtime_ms / 1e3 };
	const struct xbz_forecast_pass *last;
	struct play p;

	*r = (struct xbz_forecast_result){ .verdict = XBZ_FORECAST_UNKNOWN };
	if (f->nr < 2 || !take_means(f, &m))
		return;
	fit(f, &m);
	last = pass_ago(f, 0);
	m.dirty = last->fresh + (double)last->dirty - least(last->pages, last->dirty);

	play(&m, &p);
	r->link = round_up(m.link);
	r->page_bytes = round_up(m.page_bytes);
	r->set = round_up(m.set);
	r->rate = round_up(m.set * m.rate);
	find_remedies(&m, known_bytes, p.fits, r);
	if (p.fits) {
		r->verdict = XBZ_FORECAST_CONVERGES;
		r->passes = p.passes;
		r->ms = 1e3 * p.seconds;
	} else if (p.left < 0.9 * p.halfway) {
		r->verdict = XBZ_FORECAST_LATER;
	} else if (m.set * m.rate * m.page_bytes >= m.link) {
		r->verdict = XBZ_FORECAST_FASTER;
	} else {
		r->verdict = XBZ_FORECAST_ABOVE;
	}
}
