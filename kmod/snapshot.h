/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_SNAPSHOT_H
#define _XBZ_SNAPSHOT_H

int xbz_snapshot_read(void *snapshot, unsigned long addr, const void *copy);

#endif /* _XBZ_SNAPSHOT_H */
