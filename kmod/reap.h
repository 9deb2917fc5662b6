/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_REAP_H
#define _XBZ_REAP_H

#include <linux/types.h>

struct work_struct;
struct xbz_account;

int xbz_reap_init(void);
void xbz_reap_exit(void);
bool xbz_reap(struct work_struct *work);
void xbz_reap_owes(struct xbz_account *a, int n);
void xbz_reap_settle(void);
bool xbz_reap_wait(const struct xbz_account *a, unsigned int *tries);

#endif /* _XBZ_REAP_H */
