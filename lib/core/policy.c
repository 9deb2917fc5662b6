// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps what saves bytes. A page's score is the bytes that keeping it is expected to
 * save for each unit of memory: how likely it gets dirty again, times what its deltas
 * save, by its size. Documentation/design.rst, "The cache's policy", has the argument
 * and the measurements.
 *
 * How likely is learned from the guest, by class of pages (in which of the last passes
 * a page was dirty) and age (passes since it was sent): of the pages of a class and age,
 * the share that was sent in a pass. As with LHD (Beckmann, Chen, Cidon, NSDI 2018)
 * that is counted when a page is sent, so that pages that are not cached teach as
 * much as those that are, and no page is visited for it.
 *
 * Eviction samples entries at random and takes the one whose loss is least, as
 * Redis and LHD do: no order is kept, and nothing has to be moved on a hit.
 */
#include "core/policy.h"

#include <xbzrle/codec.h>

/* Sampled: XBZ_POLICY_GROUPS groups of so many neighbours, a cache line each. */
#define XBZ_SAMPLE_GROUP 8
/* Sampled entries that are asked whether they are pending. */
#define XBZ_SAMPLE_ASK 4

/*
 * Fields of the word of a page without an entry: struct xbz_hot in 64 bits, but
 * for what only an entry has.
 */
#define XBZ_WORD_FLAGS_SHIFT 2
#define XBZ_WORD_CLASS_SHIFT 8
#define XBZ_WORD_LAST_SHIFT 16
#define XBZ_WORD_SAVE_SHIFT 32
#define XBZ_WORD_OTHER_SHIFT 48

/* The class of pages that were not dirty since they were sent the first time. */
#define XBZ_CLASS_FIRST (XBZ_POLICY_CLASSES - 1)

/* Future passes count this much less for each pass, of 256. */
#define XBZ_DISCOUNT 96
/* A newcomer replaces what is worth less by more than this share, of 16. */
#define XBZ_MARGIN 1
/* Of pages that probably will find no victim, so many look for one; a power of two. */
#define XBZ_TRY_ONE_IN 8
/* Saving less than this is not worth a lookup. */
#define XBZ_SAVE_MIN 64
/*
 * What a share is before anything was learned: of pages that were not dirty since the
 * first pass, of those that were, more for each time; and what that weighs, in pages.
 */
#define XBZ_PRIOR_FIRST 4
#define XBZ_PRIOR_SHARE 128
#define XBZ_PRIOR_MORE 24
#define XBZ_PRIOR 4

static u32 xbz_random(struct xbz_policy *p)
{
	/* xorshift64* */
	p->seed ^= p->seed >> 12;
	p->seed ^= p->seed << 25;
	p->seed ^= p->seed >> 27;
	return p->seed * 0x2545f4914f6cdd1dULL >> 32;
}

static u32 xbz_random_below(struct xbz_policy *p, u32 n)
{
	return (u64)xbz_random(p) * n >> 32;
}

/* The share of pages of a class and age that is sent in a pass, of 256: unlearned. */
static u32 xbz_prior(u32 class, u32 age)
{
	if (class == XBZ_CLASS_FIRST)
		return XBZ_PRIOR_FIRST;
	return (XBZ_PRIOR_SHARE + XBZ_PRIOR_MORE * xbz_weight64((u64)class)) / age;
}

/* The same, of what was learned. */
static u32 xbz_share(const struct xbz_policy *p, u32 class, u32 age)
{
	u32 seen = p->sum_seen[class][age], sent = p->sum_sent[class][age];
	u32 share;

	while (seen >> 20) {
		seen /= 2;
		sent /= 2;
	}
	/* The sums are in quarters of a page. */
	share = (256 * sent + 4 * XBZ_PRIOR * xbz_prior(class, age)) /
		(seen + 4 * XBZ_PRIOR);
	return share < 256 ? share : 256;
}

/*
 * The expected use of a page that was not sent for @age passes and will not be in
 * this one: the chance of each later pass to be the next, discounted.
 */
static void xbz_policy_expect(struct xbz_policy *p)
{
	u32 class, age, share, value;

	for (class = 0; class < XBZ_POLICY_CLASSES; class++) {
		/* The last age is its own successor. */
		share = xbz_share(p, class, XBZ_POLICY_AGES);
		value = 256 * share / (256 - XBZ_DISCOUNT * (256 - share) / 256);
		p->value[class][XBZ_POLICY_AGES] = value;
		for (age = XBZ_POLICY_AGES; age--;) {
			share = xbz_share(p, class, age + 1);
			value = share + XBZ_DISCOUNT * (256 - share) / 256 * value / 256;
			p->value[class][age] = value;
		}
	}
}

/**
 * xbz_policy_init() - initialize the policy of an empty shard
 * @p: the policy; the caller then sets @limit, @blocks, and what else it wants
 * @seed: of the random numbers
 */
void xbz_policy_init(struct xbz_policy *p, u64 seed)
{
	u32 units;

	memset(p, 0, sizeof(*p));
	p->seed = seed ? seed : 1;
	p->pass = 1;
	p->other_max = XBZ_HEAD_CONT + XBZ_PAGE_SIZE;
	p->pack_cost = XBZ_POLICY_NO_PACK;
	p->packed_units = 256 * XBZ_POLICY_WHOLE / 3;
	p->ratio = 192;
	for (units = 1; units <= XBZ_POLICY_WHOLE; units++)
		p->inverse[units] = 65535 / units;
	xbz_policy_expect(p);
}

/**
 * xbz_policy_pass() - begin the next pass
 * @p: the policy
 *
 * Context: a few microseconds.
 */
void xbz_policy_pass(struct xbz_policy *p)
{
	u32 class, age, seen, sent, carry;

	for (class = 0; class < XBZ_POLICY_CLASSES; class++) {
		/* Pages that were not sent are a pass older; the last age has no end. */
		carry = p->seen[class][0];
		p->seen[class][0] = 0;
		for (age = 1; age <= XBZ_POLICY_AGES; age++) {
			seen = p->seen[class][age];
			sent = p->sent[class][age] < seen ? p->sent[class][age] : seen;
			p->sum_seen[class][age] = p->sum_seen[class][age] / 2 + 4 * seen;
			p->sum_sent[class][age] = p->sum_sent[class][age] / 2 + 4 * sent;
			p->sent[class][age] = 0;
			p->seen[class][age] = carry;
			carry = seen - sent;
		}
		p->seen[class][XBZ_POLICY_AGES] += carry;
	}
	p->pass++;
	xbz_policy_expect(p);
}

/**
 * xbz_policy_add() - add memory for %XBZ_POLICY_BLOCK entries
 * @p: the policy, whose @blocks has a place for one more
 * @block: the memory; need not be initialized
 */
void xbz_policy_add(struct xbz_policy *p, struct xbz_policy_block *block)
{
	p->blocks[p->room / XBZ_POLICY_BLOCK] = block;
	p->room += XBZ_POLICY_BLOCK;
}

/**
 * xbz_policy_spare() - take memory back that no entry needs
 * @p: the policy
 *
 * Return: what was given to xbz_policy_add(), or NULL if all of it is needed.
 */
struct xbz_policy_block *xbz_policy_spare(struct xbz_policy *p)
{
	if (p->room - p->nr < XBZ_POLICY_BLOCK)
		return NULL;
	p->room -= XBZ_POLICY_BLOCK;
	return p->blocks[p->room / XBZ_POLICY_BLOCK];
}

/* A page's history from its word, as its entry has it. */
static struct xbz_hot xbz_word_get(u64 word)
{
	u32 class = word >> XBZ_WORD_CLASS_SHIFT & 0x1f;
	struct xbz_hot hot = {
		.last = word >> XBZ_WORD_LAST_SHIFT,
		.save = word >> XBZ_WORD_SAVE_SHIFT,
		.other = word >> XBZ_WORD_OTHER_SHIFT,
		.class = class <= XBZ_CLASS_FIRST ? class : XBZ_CLASS_FIRST,
		.flags = word >> XBZ_WORD_FLAGS_SHIFT & XBZ_HOT_HISTORY,
	};

	/* A word that was never written is of a page that was sent once at most. */
	if (!hot.last)
		hot.class = XBZ_CLASS_FIRST;
	return hot;
}

static u64 xbz_word_make(const struct xbz_hot *hot)
{
	return (u64)(hot->flags & XBZ_HOT_HISTORY) << XBZ_WORD_FLAGS_SHIFT |
	       (u64)hot->class << XBZ_WORD_CLASS_SHIFT |
	       (u64)hot->last << XBZ_WORD_LAST_SHIFT |
	       (u64)hot->save << XBZ_WORD_SAVE_SHIFT |
	       (u64)hot->other << XBZ_WORD_OTHER_SHIFT;
}

static u32 xbz_age(const struct xbz_policy *p, const struct xbz_hot *hot)
{
	u16 age = (u16)p->pass - hot->last;

	return age < XBZ_POLICY_AGES ? age : XBZ_POLICY_AGES;
}

/* Counts the page in the class and age that it had, and gives it a new class. */
static void xbz_policy_learn(struct xbz_policy *p, struct xbz_hot *hot)
{
	u32 age;

	/* Without a history the page was sent in the first pass. */
	if (!hot->last)
		hot->last = 1;
	age = xbz_age(p, hot);
	if (p->pass == 1) {
		p->seen[XBZ_CLASS_FIRST][0]++;
		return;
	}
	if (!age)
		return;
	p->sent[hot->class][age]++;
	if (hot->class == XBZ_CLASS_FIRST)
		hot->class = 0;
	else
		hot->class = (hot->class << 1 | 1) << (age - 1) & (XBZ_CLASS_FIRST - 1);
	p->seen[hot->class][0]++;
	hot->last = p->pass;
}

static u32 xbz_overflows(const struct xbz_hot *hot)
{
	return hot->flags >> XBZ_HOT_OVER_SHIFT & 3;
}

static void xbz_set_overflows(struct xbz_hot *hot, u32 overflows)
{
	hot->flags &= ~(3 << XBZ_HOT_OVER_SHIFT);
	hot->flags |= overflows << XBZ_HOT_OVER_SHIFT;
}

static void xbz_set_other(struct xbz_hot *hot, u32 bytes)
{
	hot->other = bytes / 16 < 255 ? bytes / 16 : 255;
}

/* A page that was sent with a copy: what that saved. */
static void xbz_policy_hit(struct xbz_policy *p, struct xbz_hot *hot,
			   const struct xbz_policy_page *page)
{
	u32 saved, other, overflows = xbz_overflows(hot);

	/* Against zero it was shorter: that is what it takes without a copy. */
	if (page->kind == XBZ_SENT_ZERO_BASED)
		xbz_set_other(hot, page->bytes);
	other = hot->other ? 16 * hot->other : p->other_max;
	if (other > p->other_max)
		other = p->other_max;
	saved = other > page->bytes ? other - page->bytes : 0;
	/* Zero is sent in the same bytes without a copy: nothing is learned. */
	if (page->kind == XBZ_SENT_ZERO)
		return;
	if (page->kind == XBZ_SENT_RAW)
		saved = 0;
	if (saved < XBZ_SAVE_MIN)
		xbz_set_overflows(hot, overflows < 3 ? overflows + 1 : 3);
	else
		xbz_set_overflows(hot, 0);
	hot->save = hot->flags & XBZ_HOT_PROVEN ? (hot->save + saved) / 2 : saved;
	hot->flags |= XBZ_HOT_PROVEN;
	p->ratio += ((int)(256 * saved / other) - (int)p->ratio) / 16;
}

/* A page that was sent without a copy: what a copy would have saved. */
static void xbz_policy_miss(struct xbz_policy *p, struct xbz_hot *hot,
			    const struct xbz_policy_page *page)
{
	u32 other = page->bytes < p->other_max ? page->bytes : p->other_max;
	u32 overflows = xbz_overflows(hot);

	xbz_set_other(hot, other);
	/* Whether other content packs is worth a try at times. */
	if (!(xbz_random(p) & 7))
		hot->flags &= ~XBZ_HOT_HARD;
	if (overflows) {
		/* It saved nothing: a try is worth less each time, and in the end rare. */
		if (!(xbz_random(p) & 15))
			xbz_set_overflows(hot, overflows - 1);
		hot->flags &= ~XBZ_HOT_PROVEN;
		hot->save = (other * p->ratio >> 8) >> 2 * overflows;
	} else if (!(hot->flags & XBZ_HOT_PROVEN)) {
		hot->save = other * p->ratio >> 8;
	} else {
		/* What was measured once is not true for ever. */
		hot->save = (3 * hot->save + (other * p->ratio >> 8)) / 4;
		if (hot->save > other)
			hot->save = other;
	}
}

/* What a copy saves by unit of memory; a division takes longer. */
static u32 xbz_score(const struct xbz_policy *p, u32 value, u32 bytes, u32 units)
{
	return (u64)value * bytes * p->inverse[units] >> 10;
}

static u32 xbz_packed_units(const struct xbz_policy *p)
{
	return p->packed_units / 256;
}

/* A packed copy has to be unpacked for each use. */
static u32 xbz_saving(const struct xbz_policy *p, u32 save, enum xbz_grade grade)
{
	if (grade != XBZ_GRADE_PACKED)
		return save;
	return save > p->pack_cost ? save - p->pack_cost : 0;
}

static bool xbz_packs(const struct xbz_policy *p, const struct xbz_hot *hot)
{
	return !(hot->flags & (XBZ_HOT_HARD | XBZ_HOT_PACKED)) &&
	       hot->save > p->pack_cost &&
	       xbz_packed_units(p) < XBZ_POLICY_WHOLE;
}

/* The form for a page without an entry. */
static enum xbz_grade xbz_wish_new(const struct xbz_policy *p,
				   const struct xbz_hot *hot)
{
	u32 packed = xbz_packed_units(p);

	if (p->used + XBZ_POLICY_WHOLE <= p->limit || !xbz_packs(p, hot))
		return XBZ_GRADE_WHOLE;
	if (packed * hot->save >= XBZ_POLICY_WHOLE * (hot->save - p->pack_cost))
		return XBZ_GRADE_WHOLE;
	return XBZ_GRADE_PACKED;
}

/* The form for a page with an entry: packed and whole again costs time. */
static enum xbz_grade xbz_wish_again(const struct xbz_policy *p,
				     const struct xbz_hot *hot)
{
	u32 more = XBZ_POLICY_WHOLE - hot->units;

	if (!(hot->flags & XBZ_HOT_PACKED) || p->used + more <= p->limit ||
	    xbz_score(p, p->value[hot->class][0], p->pack_cost, more) > p->price)
		return XBZ_GRADE_WHOLE;
	return XBZ_GRADE_PACKED;
}

/**
 * xbz_policy_sent() - learn from a page that was sent, and choose its form
 * @p: the policy
 * @page: the page
 *
 * If @wish is nothing or zero, the caller removes the page's entry, if it has one,
 * and calls xbz_policy_set_zero() for zero. If it is whole and the page has a whole
 * copy, nothing is left to do.
 */
void xbz_policy_sent(struct xbz_policy *p, struct xbz_policy_page *page)
{
	struct xbz_hot *hot = &page->hot;
	u32 entry;

	xbz_policy_lookup(p, page->word, &entry);
	*hot = entry != XBZ_POLICY_NONE ? *xbz_policy_hot(p, entry) :
	       xbz_word_get(page->word ? *page->word : 0);
	xbz_policy_learn(p, hot);
	if (page->known == XBZ_KNOWN_COPY)
		xbz_policy_hit(p, hot, page);
	else if (page->kind != XBZ_SENT_ZERO)
		xbz_policy_miss(p, hot, page);

	if (page->kind == XBZ_SENT_ZERO ||
	    (page->known == XBZ_KNOWN_ZERO && page->kind == XBZ_SENT_SAME))
		page->wish = XBZ_GRADE_ZERO;
	else if (hot->save < XBZ_SAVE_MIN || !page->word ||
		 (entry != XBZ_POLICY_NONE && page->kind == XBZ_SENT_RAW))
		page->wish = XBZ_GRADE_NOTHING;
	else if (entry == XBZ_POLICY_NONE)
		page->wish = xbz_wish_new(p, hot);
	else
		page->wish = xbz_wish_again(p, hot);

	if (entry != XBZ_POLICY_NONE)
		*xbz_policy_hot(p, entry) = *hot;
	else if (page->word)
		*page->word = xbz_word_make(hot);
}

/* The least loss for each unit that an entry can give, if it is not pending. */
static u32 xbz_loss(const struct xbz_policy *p, const struct xbz_hot *hot, bool packs,
		    enum xbz_action *action)
{
	u32 age = xbz_age(p, hot);
	u32 value, loss, pack;

	/* Without the bitmap it may be pending. */
	if (age && !p->pending)
		age--;
	value = p->value[hot->class][age];

	*action = XBZ_ACTION_EVICT;
	loss = xbz_score(p, value, xbz_saving(p, hot->save, hot->flags & XBZ_HOT_PACKED ?
					   XBZ_GRADE_PACKED : XBZ_GRADE_WHOLE),
			 hot->units);
	if (!packs || !xbz_packs(p, hot))
		return loss;
	pack = xbz_score(p, value, p->pack_cost, XBZ_POLICY_WHOLE - xbz_packed_units(p));
	if (pack > loss)
		return loss;
	*action = XBZ_ACTION_PACK;
	return pack;
}

/* Draws the groups for the next sample, and prefetches them. */
static void xbz_draw(struct xbz_policy *p)
{
	u32 groups = (p->nr + XBZ_SAMPLE_GROUP - 1) / XBZ_SAMPLE_GROUP;
	u32 i, at;

	for (i = 0; i < XBZ_POLICY_GROUPS; i++) {
		p->next[i] = xbz_random_below(p, groups) * XBZ_SAMPLE_GROUP;
		__builtin_prefetch(xbz_policy_hot(p, p->next[i]));
		for (at = 0; at < XBZ_SAMPLE_GROUP; at += 2)
			__builtin_prefetch(xbz_policy_cold(p, p->next[i] + at));
	}
}

/* Samples entries: their numbers and losses. */
static u32 xbz_sample(struct xbz_policy *p, bool packs, u32 *entries, u32 *losses,
		      enum xbz_action *actions)
{
	u32 i, k, entry, nr = 0;

	/* Those that were drawn may be gone. */
	for (i = 0; i < XBZ_POLICY_GROUPS; i++) {
		entry = p->next[i] < p->nr ? p->next[i] : 0;
		for (k = 0; k < XBZ_SAMPLE_GROUP && entry < p->nr; k++, entry++, nr++) {
			entries[nr] = entry;
			losses[nr] = xbz_loss(p, xbz_policy_hot(p, entry), packs,
					      &actions[nr]);
		}
	}
	xbz_draw(p);
	return nr;
}

/*
 * The sampled entry with the least loss that is not pending; without a page that wants
 * room the one with the least loss, to be evicted.
 */
static u32 xbz_choose(struct xbz_policy *p, const struct xbz_policy_page *page,
		      enum xbz_action *action, u32 *loss)
{
	u32 entries[XBZ_POLICY_GROUPS * XBZ_SAMPLE_GROUP];
	u32 losses[XBZ_POLICY_GROUPS * XBZ_SAMPLE_GROUP];
	enum xbz_action actions[XBZ_POLICY_GROUPS * XBZ_SAMPLE_GROUP];
	u32 nr = xbz_sample(p, page, entries, losses, actions);
	u32 asked, i, best;

	for (asked = 0; asked < XBZ_SAMPLE_ASK; asked++) {
		const struct xbz_cold *cold;

		best = 0;
		for (i = 1; i < nr; i++)
			if (losses[i] < losses[best])
				best = i;
		if (losses[best] == XBZ_POLICY_NONE)
			break;
		cold = xbz_policy_cold(p, entries[best]);
		*loss = losses[best];
		*action = actions[best];
		losses[best] = XBZ_POLICY_NONE;
		if (page && cold->word == page->word)
			continue;
		if (*action == XBZ_ACTION_PACK || !p->pending || !page ||
		    xbz_policy_hot(p, entries[best])->last == (u16)p->pass ||
		    !p->pending(p->opaque, cold->key))
			return entries[best];
	}
	return XBZ_POLICY_NONE;
}

/**
 * xbz_policy_make_room() - say what makes room for a page
 * @p: the policy
 * @page: the page, from xbz_policy_sent()
 * @grade: the form that it would have, packed or whole
 * @units: memory that it would take
 * @victim: set to an entry
 *
 * The caller does as it is told and calls again. It may give up at any time.
 *
 * Return: what to do with @victim; or that there is room, or will be none.
 */
enum xbz_action xbz_policy_make_room(struct xbz_policy *p,
				     const struct xbz_policy_page *page,
				     enum xbz_grade grade, u32 units, u32 *victim)
{
	const struct xbz_hot *hot = &page->hot;
	enum xbz_action action;
	u32 entry, score, loss;

	xbz_policy_lookup(p, page->word, &entry);
	if (p->used + units - (entry != XBZ_POLICY_NONE ? hot->units : 0) <= p->limit)
		return XBZ_ACTION_DONE;
	if (!p->nr || units > p->limit)
		return XBZ_ACTION_REFUSE;
	score = xbz_score(p, p->value[hot->class][0], xbz_saving(p, hot->save, grade),
			  units);
	/* A page that is worth no more than what goes needs luck: seldom try. */
	if (16 * (u64)p->price >= (16 - XBZ_MARGIN) * (u64)score &&
	    xbz_random(p) & (XBZ_TRY_ONE_IN - 1))
		return XBZ_ACTION_REFUSE;
	*victim = xbz_choose(p, page, &action, &loss);
	if (*victim == XBZ_POLICY_NONE)
		return XBZ_ACTION_REFUSE;
	p->price += ((int)loss - (int)p->price) / 16;
	if (16 * (u64)loss >= (16 - XBZ_MARGIN) * (u64)score)
		return XBZ_ACTION_REFUSE;
	return action;
}

/**
 * xbz_policy_shrink() - say what to evict when there is no newcomer
 * @p: the policy
 * @victim: set to an entry
 *
 * Return: false if there is none.
 */
bool xbz_policy_shrink(struct xbz_policy *p, u32 *victim)
{
	enum xbz_action action;
	u32 loss;

	if (!p->nr)
		return false;
	*victim = xbz_choose(p, NULL, &action, &loss);
	return true;
}

static void xbz_policy_packed(struct xbz_policy *p, u32 units)
{
	p->packed_units += ((int)(256 * units) - (int)p->packed_units) / 32;
}

static void xbz_hot_grade(struct xbz_policy *p, struct xbz_hot *hot,
			  enum xbz_grade grade, u32 units)
{
	p->used += units - hot->units;
	hot->units = units;
	if (grade == XBZ_GRADE_PACKED) {
		hot->flags |= XBZ_HOT_PACKED;
		xbz_policy_packed(p, units);
	} else {
		hot->flags &= ~XBZ_HOT_PACKED;
	}
}

/**
 * xbz_policy_insert() - add an entry for a page that has none
 * @p: the policy
 * @page: the page, from xbz_policy_sent(), with a word
 * @grade: packed or whole
 * @units: memory that it takes, at most %XBZ_POLICY_WHOLE
 * @copy: the caller's
 *
 * Return: false if there is no memory for an entry; xbz_policy_add() adds some.
 */
bool xbz_policy_insert(struct xbz_policy *p, const struct xbz_policy_page *page,
		       enum xbz_grade grade, u32 units, unsigned long copy)
{
	struct xbz_cold *cold;
	struct xbz_hot *hot;

	if (p->nr == p->room)
		return false;
	hot = xbz_policy_hot(p, p->nr);
	cold = xbz_policy_cold(p, p->nr);
	*hot = page->hot;
	hot->units = 0;
	xbz_hot_grade(p, hot, grade, units);
	cold->word = page->word;
	cold->copy = copy;
	cold->key = page->key;
	*page->word = (u64)p->nr << XBZ_WORD_INDEX_SHIFT | XBZ_WORD_ENTRY;
	p->nr++;
	return true;
}

/**
 * xbz_policy_resize() - an entry's copy has another form or size now
 * @p: the policy
 * @entry: the entry
 * @grade: packed or whole
 * @units: memory that it takes
 * @copy: the caller's
 */
void xbz_policy_resize(struct xbz_policy *p, u32 entry, enum xbz_grade grade,
		       u32 units, unsigned long copy)
{
	xbz_hot_grade(p, xbz_policy_hot(p, entry), grade, units);
	xbz_policy_cold(p, entry)->copy = copy;
}

/**
 * xbz_policy_hard() - an entry's copy cannot be packed, or not now
 * @p: the policy
 * @entry: the entry
 */
void xbz_policy_hard(struct xbz_policy *p, u32 entry)
{
	xbz_policy_hot(p, entry)->flags |= XBZ_HOT_HARD;
}

/**
 * xbz_policy_hard_page() - a page that was sent cannot be packed
 * @p: the policy
 * @page: the page, from xbz_policy_sent(); wishes to be whole now
 */
void xbz_policy_hard_page(struct xbz_policy *p, struct xbz_policy_page *page)
{
	u32 entry;

	page->wish = XBZ_GRADE_WHOLE;
	page->hot.flags |= XBZ_HOT_HARD;
	xbz_policy_lookup(p, page->word, &entry);
	if (entry != XBZ_POLICY_NONE)
		xbz_policy_hard(p, entry);
	else
		*page->word = xbz_word_make(&page->hot);
}

/**
 * xbz_policy_remove() - remove an entry
 * @p: the policy
 * @entry: the entry; the last one takes its number
 *
 * The page's word keeps its history.
 *
 * Return: what was @copy, which is the caller's again.
 */
unsigned long xbz_policy_remove(struct xbz_policy *p, u32 entry)
{
	struct xbz_hot *hot = xbz_policy_hot(p, entry);
	struct xbz_cold *cold = xbz_policy_cold(p, entry);
	unsigned long copy = cold->copy;
	u32 last = --p->nr;

	p->used -= hot->units;
	*cold->word = xbz_word_make(hot);
	if (entry == last)
		return copy;
	*hot = *xbz_policy_hot(p, last);
	*cold = *xbz_policy_cold(p, last);
	*cold->word = (u64)entry << XBZ_WORD_INDEX_SHIFT | XBZ_WORD_ENTRY;
	return copy;
}

/**
 * xbz_policy_set_zero() - a page without an entry is zero
 * @word: the page's word, or NULL
 */
void xbz_policy_set_zero(u64 *word)
{
	if (word)
		*word = (*word & ~XBZ_WORD_STATE) | XBZ_WORD_ZERO;
}

/**
 * xbz_policy_set_nothing() - of a page without an entry nothing is known
 * @word: the page's word, which keeps its history
 */
void xbz_policy_set_nothing(u64 *word)
{
	*word &= ~XBZ_WORD_STATE;
}
