/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_FDINFO_H
#define _XBZ_FDINFO_H

struct seq_file;
struct xbz_session;

void xbz_fdinfo_show(struct seq_file *m, struct xbz_session *s);

#endif /* _XBZ_FDINFO_H */
