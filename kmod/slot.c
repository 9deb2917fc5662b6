// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of KVM memslots that a session harvests: where each lies in the
 * regions. Fetching and clearing their logs is harvest.c's.
 */
#include "slot.h"
#include "memory.h"
#include "region.h"
#include "session.h"

#include <linux/err.h>
#include <linux/slab.h>
#include <linux/xbzrle.h>

static void xbz_slot_free(struct xbz_slot *slot)
{
	xbz_mem_free(slot->fetched, BITS_TO_U64(slot->nr_pages),
		     sizeof(*slot->fetched));
	kfree(slot);
}

/**
 * xbz_slot_add() - harvest a slot from now on
 * @s: the session
 * @arg: as XBZRLE_SLOT_SET has it
 *
 * Context: the session's lock is held for writing.
 * Return: 0, or an error that uapi/linux/xbzrle.h lists.
 */
int xbz_slot_add(struct xbz_session *s, const struct xbzrle_slot *arg)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	struct xbz_region *r;
	struct xbz_slot *slot;
	int ret;

	if (!s->vm)
		return -ENODEV;
	r = xbz_region_range(s, arg->region, arg->first_page, arg->nr_pages);
	if (IS_ERR(r))
		return PTR_ERR(r);
	if (xa_load(&s->slots, arg->slot))
		return -EEXIST;
	if (s->nr_slots >= XBZRLE_MAX_SLOTS ||
	    arg->nr_pages > XBZ_SLOT_PAGES_MAX - s->slot_pages)
		return -ENOSPC;

	slot = kzalloc(sizeof(*slot), gfp);
	if (!slot)
		return -ENOMEM;
	slot->id = arg->slot;
	slot->region = r;
	slot->first = arg->first_page;
	slot->nr_pages = arg->nr_pages;
	ret = -ENOMEM;
	if (s->manual_protect) {
		slot->fetched = xbz_mem_zalloc(BITS_TO_U64(slot->nr_pages),
					       sizeof(*slot->fetched));
		if (!slot->fetched)
			goto err_free;
	}
	ret = xa_err(xa_store(&s->slots, slot->id, slot, gfp));
	if (ret)
		goto err_free;
	r->nr_slots++;
	s->nr_slots++;
	s->slot_pages += slot->nr_pages;
	return 0;

err_free:
	xbz_slot_free(slot);
	return ret;
}

static void xbz_slot_remove(struct xbz_session *s, struct xbz_slot *slot)
{
	xa_erase(&s->slots, slot->id);
	slot->region->nr_slots--;
	s->nr_slots--;
	s->slot_pages -= slot->nr_pages;
	xbz_slot_free(slot);
}

/**
 * xbz_slot_del() - give a slot's log back
 * @s: the session
 * @id: KVM's number for it
 *
 * What was fetched but not cleared stays set in KVM's log, too.
 *
 * Context: the session's lock is held for writing.
 * Return: 0, or -ENOENT.
 */
int xbz_slot_del(struct xbz_session *s, u32 id)
{
	struct xbz_slot *slot = xa_load(&s->slots, id);

	if (!slot)
		return -ENOENT;
	xbz_slot_remove(s, slot);
	return 0;
}

/**
 * xbz_slot_del_all() - give all logs back
 * @s: the session
 *
 * Context: nobody else can reach the session.
 */
void xbz_slot_del_all(struct xbz_session *s)
{
	struct xbz_slot *slot;
	unsigned long id;

	xa_for_each(&s->slots, id, slot)
		xbz_slot_remove(s, slot);
}
