// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/fdinfo tells of a session: which of a process's files is which
 * session, and what it holds. Who may look at that file may debug the process,
 * so the name is no secret there. The netlink family has the rest.
 *
 * Lines are "xbzrle-KEY:\tVALUE"; there may come more, none goes.
 */
#include "fdinfo.h"
#include "session.h"

#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/string_helpers.h>
#include <linux/xbzrle.h>

static void xbz_fdinfo_u64(struct seq_file *m, const char *key, u64 value)
{
	seq_printf(m, "xbzrle-%s:\t%llu\n", key, value);
}

static void xbz_fdinfo_locked(struct seq_file *m, struct xbz_session *s)
{
	struct xbzrle_counters sum = { };

	/* Its process chose it: a line is to stay a line. */
	seq_puts(m, "xbzrle-name:\t");
	seq_escape_mem(m, s->name, strlen(s->name),
		       ESCAPE_SPACE | ESCAPE_SPECIAL, NULL);
	seq_putc(m, '\n');

	xbz_session_sum(s, &sum);
	xbz_fdinfo_u64(m, "vm", s->vm ? 1 : 0);
	xbz_fdinfo_u64(m, "queues", s->nr_queues);
	xbz_fdinfo_u64(m, "cache-bytes", s->cache_bytes);
	xbz_fdinfo_u64(m, "cache-used",
		       sum.cache_pages << XBZRLE_PAGE_SHIFT);
	xbz_fdinfo_u64(m, "pass", s->now.number);
	xbz_fdinfo_u64(m, "pages-same", sum.pages_same);
	xbz_fdinfo_u64(m, "pages-zero", sum.pages_zero);
	xbz_fdinfo_u64(m, "pages-delta", sum.pages_delta);
	xbz_fdinfo_u64(m, "pages-raw", sum.pages_raw);
	xbz_fdinfo_u64(m, "bytes", sum.bytes);
}

/**
 * xbz_fdinfo_show() - tell of a session
 * @m: where to
 * @s: the session; before SETUP there is nothing but its number, which is 0
 *
 * Waits for nothing that the session's process can hold up.
 *
 * Context: may sleep; the session's file is held.
 */
void xbz_fdinfo_show(struct seq_file *m, struct xbz_session *s)
{
	mutex_lock(&s->map_lock);
	xbz_fdinfo_u64(m, "session", s->mm ? s->id : 0);
	if (s->mm)
		xbz_fdinfo_locked(m, s);
	mutex_unlock(&s->map_lock);
}
