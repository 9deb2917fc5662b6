# SPDX-License-Identifier: GPL-2.0-only
"""The ten invariants of Documentation/design.rst, each broken on purpose, and as number 0
claims of security.rst that are none of these.

What lives here: which lines are broken, and which tests have to notice. What
does not: building and running (mutate).
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutation:
    """An edit of the sources that breaks one invariant, or a claim of security.rst."""
    invariant: int      # 0: security.rst
    name: str
    edits: tuple        # of (file, old text, new text); each old text is there once
    tests: tuple        # what notices, each 'kunit', 'unit' or a device test


MUTATIONS = (
    Mutation(1, "the page is read a second time for the cache", (
        ("kmod/encode.c",
         "	xbz_cache_commit(&q->cache, r, place->page, &sent,\n",
         "	if (copy_from_user(q->snapshot, u64_to_user_ptr(r->addr + rec.offset),\n"
         "			   XBZRLE_PAGE_SIZE))\n"
         "		return -EFAULT;\n"
         "	xbz_cache_commit(&q->cache, r, place->page, &sent,\n"),
    ), ("test_invariants",)),
    Mutation(1, "a page that became zero keeps a copy that is not", (
        ("lib/core/record.c",
         "	case XBZ_ZERO:\n"
         "		rec->known = XBZ_KNOWN_ZERO;\n",
         "	case XBZ_ZERO:\n"
         "		memset(rec->copy, 1, 1);\n"),
    ), ("unit",)),
    Mutation(1, "a packed copy is not brought up to date", (
        ("kmod/cache.c",
         "	if (grade == XBZ_GRADE_PACKED && sent->kind == XBZ_SENT_SAME &&\n",
         "	if (grade == XBZ_GRADE_PACKED &&\n"),
    ), ("kunit", "test_cache")),
    Mutation(1, "pages of whole chunks that were sent past the session stay known", (
        ("kmod/region.c",
         "		    !xbz_chunks_forget(s, r, chunk, next)) {\n",
         "		    !next) {\n"),
    ), ("test_datapath",)),
    Mutation(2, "the page is read before KVM's log is cleared", (
        ("kmod/encode.c",
         "	if (xbz_harvest_clear(b->s, place->region, place->page, &b->scratch))\n"
         "		return XBZRLE_STATUS_LOG;\n", ""),
        ("kmod/encode.c",
         "	bytes = xbz_record_page(",
         "	if (xbz_harvest_clear(b->s, r, place->page, &b->scratch))\n"
         "		return -EFAULT;\n"
         "	bytes = xbz_record_page("),
    ), ("test_invariants_log",)),
    Mutation(3, "a page that cannot be read is forgotten", (
        ("kmod/encode.c",
         "			set_bit(place.page, bitmap);\n", ""),
    ), ("test_invariants",)),
    Mutation(3, "a full ring loses the page that did not fit", (
        ("kmod/encode.c",
         "		return XBZRLE_STATUS_FULL;\n",
         "		return test_and_clear_bit(place->page, (unsigned long *)\n"
         "					  place->region->bitmap) ?\n"
         "		       XBZRLE_STATUS_FULL : XBZRLE_STATUS_FULL;\n"),
    ), ("test_datapath", "test_invariants")),
    Mutation(3, "a signal loses the page that was next", (
        ("kmod/encode.c",
         "		return XBZRLE_STATUS_SIGNAL;\n",
         "		return test_and_clear_bit(place->page, (unsigned long *)\n"
         "					  place->region->bitmap) ?\n"
         "		       XBZRLE_STATUS_SIGNAL : XBZRLE_STATUS_SIGNAL;\n"),
    ), ("test_invariants", "test_stress")),
    Mutation(4, "bits are cleared in KVM's log that were never fetched", (
        ("kmod/harvest.c",
         "		s->log_buf[i] = 0;\n"
         "		if (!fetched[i])\n"
         "			continue;\n"
         "		s->log_buf[i] = fetched[i] &\n"
         "				xbz_bitmap_fetch(slot->region->bitmap,\n"
         "						 slot->first + bit,\n"
         "						 min(hi - bit, 64UL));\n",
         "		s->log_buf[i] = ~0ULL >> (64 - min(hi - bit, 64UL));\n"),
    ), ("test_invariants_log",)),
    Mutation(5, "SYNC replaces what others put into the bitmap", (
        ("kmod/harvest.c",
         "	return xbz_bitmap_or(r->bitmap, page, word);\n",
         "	r->bitmap[page / 64] = 0;\n"
         "	return xbz_bitmap_or(r->bitmap, page, word);\n"),
    ), ("test_invariants_log",)),
    Mutation(5, "a bit taken out by others is cleared in KVM's log unseen", (
        ("kmod/harvest.c",
         "		s->log_buf[i] = fetched[i] &\n"
         "				xbz_bitmap_fetch(slot->region->bitmap,\n"
         "						 slot->first + bit,\n"
         "						 min(hi - bit, 64UL));\n",
         "		s->log_buf[i] = fetched[i];\n"
         "		(void)bit;\n"),
    ), ("test_invariants_log",)),
    Mutation(6, "pages change their queue from pass to pass", (
        ("kmod/queue.c",
         "	return (chunk + r->id) % s->nr_queues;\n",
         "	return (chunk + r->id + s->queues[0].counters.batches / 8) %\n"
         "	       s->nr_queues;\n"),
    ), ("test_invariants", "kunit")),
    Mutation(6, "two callers encode a queue at once", (
        ("kmod/encode.c",
         "	if (mutex_lock_killable(&q->lock))\n"
         "		return -EINTR;\n", ""),
    ), ("test_invariants", "test_stress")),
    Mutation(7, "a delta may be longer than the page", (
        ("lib/include/xbzrle/codec.h",
         "#define XBZ_DELTA_MAX 4092\n", "#define XBZ_DELTA_MAX 4200\n"),
    ), ("unit",)),
    Mutation(8, "the consumer's position is believed", (
        ("lib/core/ring.h",
         "	if (cons - seen > prod - seen)\n", "	if (cons == ~seen)\n"),
    ), ("unit", "test_hostile", "kunit")),
    Mutation(8, "a slot is believed to have the size that it was given", (
        ("kmod/harvest.c",
         "	return last == guard || behind != guard ? -EOVERFLOW : 0;\n",
         "	return 0;\n"),
    ), ("test_kvmlog",)),
    Mutation(9, "pages are freed as they are", (
        ("kmod/memory.c", "	clear_highpage(page);\n", ""),
    ), ("kunit", "test_secrets")),
    Mutation(9, "a packed copy is not wiped", (
        ("kmod/packed.c", "	xbz_wipe(last, bytes);\n", ""),
    ), ("kunit",)),
    Mutation(9, "what packs copies is freed as it is", (
        ("kmod/packed.c", "	memzero_explicit(packed, sizeof(*packed));\n", ""),
    ), ("test_secrets",)),
    Mutation(10, "the cache takes the cgroup's last page", (
        ("kmod/memory.c",
         "		*credit = min(xbz_mem_room(), XBZ_CREDIT);\n",
         "		*credit = XBZ_CREDIT;\n"),
    ), ("test_memcg",)),
    Mutation(10, "a copy that was evicted is still taken for one", (
        ("kmod/cache.c",
         "	unsigned long copy = xbz_policy_remove(&cache->policy, entry);\n",
         "	unsigned long copy = xbz_policy_cold(&cache->policy, entry)->copy;\n"),
    ), ("test_invariants", "kunit")),
    Mutation(10, "a packed copy that moves is not found", (
        ("kmod/packed.c", "		xbz_policy_cold(policy, entry)->copy = copy;\n", ""),
    ), ("kunit", "test_cache")),
    Mutation(10, "the entry that takes another one's number is not found", (
        ("lib/core/policy.c",
         "	*cold->word = (u64)entry << XBZ_WORD_INDEX_SHIFT | XBZ_WORD_ENTRY;\n"
         "	return copy;\n",
         "	return copy;\n"),
    ), ("unit", "test_invariants")),
    Mutation(0, "a user's sessions may have all of the host's limit", (
        ("kmod/memory.c",
         "		if (a->bounded && (pages > max || a->pages > max - pages))\n",
         "		if (a->bounded && a->parent && (pages > max || a->pages > max - pages))\n"),
    ), ("test_shares",)),
    Mutation(0, "a session may have all that its user may", (
        ("kmod/memory.c",
         "		if (a->bounded && (pages > max || a->pages > max - pages))\n",
         "		if (a->bounded && !a->parent && (pages > max || a->pages > max - pages))\n"),
    ), ("test_shares",)),
    Mutation(0, "a user has a share for each ID of a namespace", (
        ("kmod/memory.c", "			uid = ns->owner;\n", "			(void)ns;\n"),
    ), ("test_shares",)),
    Mutation(0, "a call takes memory until it is refused", (
        ("kmod/memory.c",
         "	return xbz_mem_ask(a, pages, false, false) ? 0 : a->error;\n",
         "	return 0;\n"),
    ), ("test_shares",)),
    Mutation(0, "another process uses a session", (
        ("kmod/main.c",
         "	if (s->mm != current->mm)\n"
         "		return -EPERM;\n", ""),
    ), ("test_foreign",)),
    Mutation(0, "what is mapped for reading is made writable", (
        ("kmod/ring.c", "VM_MAYEXEC | VM_MAYWRITE", "VM_MAYEXEC"),
    ), ("test_hostile",)),
    Mutation(0, "any file is taken for a VM", (
        ("kmod/harvest.c", "	if (!xbz_file_is_vm(file)) {\n", "	if (!file) {\n"),
    ), ("test_errors",)),
    Mutation(0, "cached pages are not charged to the memory cgroup", (
        ("kmod/memory.c",
         "#define XBZ_GFP_OPTIONAL (GFP_KERNEL_ACCOUNT |",
         "#define XBZ_GFP_OPTIONAL (GFP_KERNEL |"),
    ), ("test_memcg",)),
    Mutation(0, "a range may end behind its region", (
        ("kmod/region.c", "first >= r->nr_pages || nr > r->nr_pages - first",
         "first >= r->nr_pages"),
    ), ("test_errors", "test_hostile")),
)
