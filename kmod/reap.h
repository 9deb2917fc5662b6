/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_REAP_H
#define _XBZ_REAP_H

#include <linux/types.h>

struct work_struct;

int xbz_reap_init(void);
void xbz_reap_exit(void);
bool xbz_reap(struct work_struct *work);
void xbz_reap_owes(int n);
void xbz_reap_settle(void);
bool xbz_reap_wait(unsigned int *tries);

#endif /* _XBZ_REAP_H */
