/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy of a cache's shard: which pages it keeps, and in which form. It sees
 * page numbers, sizes and outcomes. Memory, copies and their packing are the
 * caller's, which asks here what to do and reports here what was done.
 */
#ifndef _XBZ_CORE_POLICY_H
#define _XBZ_CORE_POLICY_H

#include "codec/freestanding.h"
#include "core/record.h"

/* The unit of memory, and what a whole copy takes of it with its entry. */
#define XBZ_POLICY_UNIT 32
#define XBZ_POLICY_WHOLE (4096 / XBZ_POLICY_UNIT + 1)

/* 64 GiB. */
#define XBZ_POLICY_LIMIT_MAX 0x80000000U

/* More bytes than any copy saves. */
#define XBZ_POLICY_NO_PACK (2 * 4096)

/* Entries of a block, which is a page. */
#define XBZ_POLICY_BLOCK 128

/* Classes of pages by their history, and passes since they were sent last. */
#define XBZ_POLICY_CLASSES 17
#define XBZ_POLICY_AGES 8

/* Groups of entries that are looked at for a victim. */
#define XBZ_POLICY_GROUPS 2

#define XBZ_POLICY_NONE (~0U)

/**
 * enum xbz_grade - in which form a page is known
 * @XBZ_GRADE_NOTHING: not at all
 * @XBZ_GRADE_ZERO: it is zero, which takes no memory
 * @XBZ_GRADE_PACKED: by a packed copy
 * @XBZ_GRADE_WHOLE: by a copy
 */
enum xbz_grade {
	XBZ_GRADE_NOTHING,
	XBZ_GRADE_ZERO,
	XBZ_GRADE_PACKED,
	XBZ_GRADE_WHOLE,
};

/**
 * struct xbz_hot - what decides whether an entry is kept; eight share a cache line
 * @last: the pass in which the page was sent last
 * @save: bytes that its deltas save, on average
 * @class: by its history, below %XBZ_POLICY_CLASSES
 * @units: memory that it takes
 * @other: bytes of the page when it is sent without a copy, in units of 16
 * @flags: XBZ_HOT_*
 */
struct xbz_hot {
	u16 last;
	u16 save;
	u8 class;
	u8 units;
	u8 other;
	u8 flags;
};

/* Does not pack; its saving was measured; saved nothing so often (0 to 3); packed. */
#define XBZ_HOT_HARD 0x01
#define XBZ_HOT_PROVEN 0x02
#define XBZ_HOT_OVER_SHIFT 2
#define XBZ_HOT_PACKED 0x10
/* What outlives the entry. */
#define XBZ_HOT_HISTORY 0x0f

/**
 * struct xbz_cold - what is needed of an entry once it is chosen
 * @word: the page's word
 * @copy: the caller's
 * @key: the caller's name for the page
 */
struct xbz_cold {
	u64 *word;
	unsigned long copy;
	u64 key;
};

/**
 * struct xbz_policy_block - the memory of %XBZ_POLICY_BLOCK entries
 * @hot: their decisive part
 * @cold: the rest
 */
struct xbz_policy_block {
	struct xbz_hot hot[XBZ_POLICY_BLOCK];
	struct xbz_cold cold[XBZ_POLICY_BLOCK];
};

/**
 * struct xbz_policy - the policy of a shard
 * @limit: memory that it may take, in units, at most %XBZ_POLICY_LIMIT_MAX; the
 *	caller may change it between calls, and then shrinks
 * @used: that it takes
 * @nr: entries in use, from 0 on
 * @room: entries for which there are blocks
 * @blocks: the blocks; the caller's array, which it grows by xbz_policy_add()
 * @pending: whether the page of that key will still be sent in this pass; may be
 *	NULL, and may err
 * @opaque: for @pending
 * @other_max: most bytes that a page takes without a copy
 * @pack_cost: bytes that the link carries in the time in which a page is packed and
 *	unpacked; at %XBZ_POLICY_NO_PACK no page is packed
 * @pass: the number of the pass, from 1 on
 * @seed: state of the random numbers
 * @next: entries at which the groups of the next sample begin
 * @packed_units: what a packed copy takes, on average, times 256
 * @ratio: of the bytes without a copy, the share that a copy saves, times 256
 * @price: what the units of memory that are taken would have saved, on average
 * @inverse: 65535 by units
 * @value: expected use of a page by class and passes since it was sent, times 256
 * @seen: pages by class and age
 * @sent: of these, how many were sent in this pass
 * @sum_seen: @seen of the passes before, halved for each pass
 * @sum_sent: @sent likewise
 */
struct xbz_policy {
	u32 limit;
	u32 used;
	u32 nr;
	u32 room;
	struct xbz_policy_block **blocks;
	bool (*pending)(void *opaque, u64 key);
	void *opaque;
	u32 other_max;
	u32 pack_cost;
	u32 pass;
	u64 seed;
	u32 next[XBZ_POLICY_GROUPS];
	u32 packed_units;
	u32 ratio;
	u32 price;
	u16 inverse[XBZ_POLICY_WHOLE + 1];
	u16 value[XBZ_POLICY_CLASSES][XBZ_POLICY_AGES + 1];
	u32 seen[XBZ_POLICY_CLASSES][XBZ_POLICY_AGES + 1];
	u32 sent[XBZ_POLICY_CLASSES][XBZ_POLICY_AGES + 1];
	u32 sum_seen[XBZ_POLICY_CLASSES][XBZ_POLICY_AGES + 1];
	u32 sum_sent[XBZ_POLICY_CLASSES][XBZ_POLICY_AGES + 1];
};

/**
 * struct xbz_policy_page - a page that was sent, and the policy's wish
 * @word: the page's word; NULL if it has none
 * @key: the caller's name for the page
 * @kind: how it was sent
 * @bytes: bytes of its record
 * @known: what was known of the page before
 * @wish: out: the form to keep it in. %XBZ_GRADE_WHOLE, %XBZ_GRADE_PACKED: the
 *	caller calls xbz_policy_make_room() and then xbz_policy_insert() or
 *	xbz_policy_resize()
 * @hot: out: its entry, if it is inserted
 */
struct xbz_policy_page {
	u64 *word;
	u64 key;
	enum xbz_kind kind;
	u32 bytes;
	enum xbz_known known;
	enum xbz_grade wish;
	struct xbz_hot hot;
};

/**
 * enum xbz_action - what makes room
 * @XBZ_ACTION_DONE: there is room
 * @XBZ_ACTION_EVICT: evict an entry
 * @XBZ_ACTION_PACK: pack a whole copy
 * @XBZ_ACTION_REFUSE: nothing: all that is kept is worth more
 */
enum xbz_action {
	XBZ_ACTION_DONE,
	XBZ_ACTION_EVICT,
	XBZ_ACTION_PACK,
	XBZ_ACTION_REFUSE,
};

void xbz_policy_init(struct xbz_policy *p, u64 seed);
void xbz_policy_pass(struct xbz_policy *p);
void xbz_policy_add(struct xbz_policy *p, struct xbz_policy_block *block);
struct xbz_policy_block *xbz_policy_spare(struct xbz_policy *p);
void xbz_policy_sent(struct xbz_policy *p, struct xbz_policy_page *page);
enum xbz_action xbz_policy_make_room(struct xbz_policy *p,
				     const struct xbz_policy_page *page,
				     enum xbz_grade grade, u32 units, u32 *victim);
bool xbz_policy_shrink(struct xbz_policy *p, u32 *victim);
bool xbz_policy_insert(struct xbz_policy *p, const struct xbz_policy_page *page,
		       enum xbz_grade grade, u32 units, unsigned long copy);
void xbz_policy_resize(struct xbz_policy *p, u32 entry, enum xbz_grade grade,
		       u32 units, unsigned long copy);
void xbz_policy_hard(struct xbz_policy *p, u32 entry);
void xbz_policy_hard_page(struct xbz_policy *p, struct xbz_policy_page *page);
unsigned long xbz_policy_remove(struct xbz_policy *p, u32 entry);
void xbz_policy_set_zero(u64 *word);
void xbz_policy_set_nothing(u64 *word);

/* The two lowest bits of a page's word, and its entry's number. */
#define XBZ_WORD_STATE 3ULL
#define XBZ_WORD_ZERO 1ULL
#define XBZ_WORD_ENTRY 2ULL
#define XBZ_WORD_INDEX_SHIFT 32

static inline struct xbz_hot *xbz_policy_hot(const struct xbz_policy *p, u32 entry)
{
	return &p->blocks[entry / XBZ_POLICY_BLOCK]->hot[entry % XBZ_POLICY_BLOCK];
}

static inline struct xbz_cold *xbz_policy_cold(const struct xbz_policy *p, u32 entry)
{
	return &p->blocks[entry / XBZ_POLICY_BLOCK]->cold[entry % XBZ_POLICY_BLOCK];
}

/**
 * xbz_policy_lookup() - say in which form a page is known
 * @p: the policy
 * @word: the page's word, or NULL
 * @entry: set to its entry, or to %XBZ_POLICY_NONE
 */
static inline enum xbz_grade xbz_policy_lookup(const struct xbz_policy *p,
					       const u64 *word, u32 *entry)
{
	u64 state = word ? *word & XBZ_WORD_STATE : 0;

	*entry = XBZ_POLICY_NONE;
	if (state == XBZ_WORD_ENTRY) {
		*entry = *word >> XBZ_WORD_INDEX_SHIFT;
		return xbz_policy_hot(p, *entry)->flags & XBZ_HOT_PACKED ?
		       XBZ_GRADE_PACKED : XBZ_GRADE_WHOLE;
	}
	return state ? XBZ_GRADE_ZERO : XBZ_GRADE_NOTHING;
}

/* Memory of a packed copy with its entry, in units. */
static inline u32 xbz_policy_units(u32 bytes)
{
	return (bytes + XBZ_POLICY_UNIT - 1) / XBZ_POLICY_UNIT + 1;
}

#endif /* _XBZ_CORE_POLICY_H */
