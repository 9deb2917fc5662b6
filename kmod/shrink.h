/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_SHRINK_H
#define _XBZ_SHRINK_H

struct xbz_session;

int xbz_shrink_add(struct xbz_session *s);
void xbz_shrink_del(struct xbz_session *s);
int xbz_shrink_init(void);
void xbz_shrink_exit(void);

#endif /* _XBZ_SHRINK_H */
