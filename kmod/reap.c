// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reaper: the module's one worker, which wipes and frees what calls leave
 * behind. To wipe a page takes 175 ns, so the end of a session, a smaller cache, a
 * flush or the end of a region would take seconds otherwise, in QEMU's way or in
 * generic netlink's. What waits for it stays charged until it is freed.
 *
 * Work is done in turn; an owner of much does a little and adds its work again.
 */
#include "reap.h"
#include "memory.h"

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

/* What waits for memory waits so long for the reaper, at most. */
#define XBZ_REAP_WAIT_MS 1000

static struct workqueue_struct *xbz_reaper;
/* What owes memory: sessions that have ended, regions and pages that are gone. */
static atomic_t xbz_owing = ATOMIC_INIT(0);

/**
 * xbz_reap() - have the worker do something
 * @work: what; may be added again while it runs
 *
 * Context: any.
 * Return: false if it waits already.
 */
bool xbz_reap(struct work_struct *work)
{
	return queue_work(xbz_reaper, work);
}

/**
 * xbz_reap_owes() - count what the reaper is to free
 * @a: the account that it is charged to
 * @n: 1 when it is handed over, -1 when it is freed
 *
 * Context: any.
 */
void xbz_reap_owes(struct xbz_account *a, int n)
{
	for (; a; a = a->parent)
		atomic_add(n, &a->owing);
	atomic_add(n, &xbz_owing);
}

/**
 * xbz_reap_settle() - wait until all that was handed over is freed
 *
 * Not by draining the queue: work adds itself again, and so may reclaim.
 *
 * Context: may sleep; nothing else is handed over any more.
 */
void xbz_reap_settle(void)
{
	while (atomic_read(&xbz_owing))
		usleep_range(500, 1000);
}

/**
 * xbz_reap_wait() - wait a moment if the reaper has something to free
 * @a: that is charged to this account; NULL for any
 * @tries: number of calls before this one, counted here
 *
 * Context: may sleep.
 * Return: whether memory may have been freed.
 */
bool xbz_reap_wait(const struct xbz_account *a, unsigned int *tries)
{
	if (!atomic_read(a ? &a->owing : &xbz_owing) || ++*tries > XBZ_REAP_WAIT_MS ||
	    fatal_signal_pending(current))
		return false;
	usleep_range(500, 1000);
	return true;
}

/**
 * xbz_reap_init() - create the worker
 *
 * Return: 0, or -ENOMEM.
 */
int __init xbz_reap_init(void)
{
	/* Frees memory, so it must not need any; and never in a CPU's way. */
	xbz_reaper = alloc_ordered_workqueue("xbzrle", WQ_MEM_RECLAIM);
	return xbz_reaper ? 0 : -ENOMEM;
}

/**
 * xbz_reap_exit() - end the worker
 *
 * Context: may sleep; nothing adds work any more.
 */
void xbz_reap_exit(void)
{
	destroy_workqueue(xbz_reaper);
}
