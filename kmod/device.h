/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_DEVICE_H
#define _XBZ_DEVICE_H

int xbz_device_init(void);
void xbz_device_exit(void);

#endif /* _XBZ_DEVICE_H */
