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

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/workqueue.h>

static struct workqueue_struct *xbz_reaper;

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
 * xbz_reap_exit() - finish all work, also what it adds, and end the worker
 *
 * Context: may sleep; nothing else adds work any more.
 */
void xbz_reap_exit(void)
{
	destroy_workqueue(xbz_reaper);
}
