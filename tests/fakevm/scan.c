// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks through all memory, free pages too, for a secret: so that a test can
 * tell whether pages were wiped before they were given back. Only the test that
 * planted the secret knows what to find.
 */
#include "vm.h"

#include <linux/compiler.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/* Every 64th word of a page is looked at: what was wiped has none of them. */
#define XBZ_FAKEVM_SAMPLES 8
#define XBZ_FAKEVM_STEP (PAGE_SIZE / sizeof(u64) / XBZ_FAKEVM_SAMPLES)

/* The samples are kept inverted: the secret lies nowhere, or it would be found. */
static bool xbz_fakevm_page_has(const u64 *page, const u64 *inverted)
{
	unsigned int i;
	u64 word;

	for (i = 0; i < XBZ_FAKEVM_SAMPLES; i++)
		if (!get_kernel_nofault(word, page + i * XBZ_FAKEVM_STEP) &&
		    word == ~inverted[i])
			return true;
	return false;
}

/*
 * A page that is looked at byte by byte: for a word of the middle, as those at an end
 * of what is copied can be left in a thread's vector registers.
 */
static u8 xbz_fakevm_page[PAGE_SIZE];

static bool __no_sanitize_address xbz_fakevm_has_anywhere(const void *page, u64 inverted)
{
	unsigned int i;
	u64 word;

	if (copy_from_kernel_nofault(xbz_fakevm_page, page, PAGE_SIZE))
		return false;
	for (i = 0; i <= PAGE_SIZE - sizeof(word); i++) {
		memcpy(&word, &xbz_fakevm_page[i], sizeof(word));
		/* Or a register would have the secret, and a stack that saves it. */
		word ^= inverted;
		OPTIMIZER_HIDE_VAR(word);
		if (word == ~0ULL)
			return true;
	}
	return false;
}

static int xbz_fakevm_scan_node(struct xbz_fakevm_scan *arg, int nid,
				const u64 *inverted)
{
	unsigned long end = node_end_pfn(nid);
	unsigned long pfn;

	for (pfn = node_start_pfn(nid); pfn < end; pfn++) {
		struct page *page = pfn_to_online_page(pfn);

		if (!page || PageReserved(page))
			continue;
		arg->pages++;
		arg->found += arg->anywhere ?
			xbz_fakevm_has_anywhere(page_address(page), inverted[1]) :
			xbz_fakevm_page_has(page_address(page), inverted);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * xbz_fakevm_scan() - look for a secret in all memory
 * @arg: as XBZ_FAKEVM_SCAN has it; the outputs are filled in
 *
 * Return: 0 or -EINTR.
 */
int xbz_fakevm_scan(struct xbz_fakevm_scan *arg)
{
	u64 inverted[XBZ_FAKEVM_SAMPLES];
	int nid, ret = 0;
	unsigned int i;

	for (i = 0; i < XBZ_FAKEVM_SAMPLES; i++)
		inverted[i] = ~xbz_fakevm_secret(arg->seed, i * XBZ_FAKEVM_STEP);

	arg->pages = 0;
	arg->found = 0;
	for_each_online_node(nid) {
		ret = xbz_fakevm_scan_node(arg, nid, inverted);
		if (ret)
			break;
	}
	memset(xbz_fakevm_page, 0, sizeof(xbz_fakevm_page));
	return ret;
}
