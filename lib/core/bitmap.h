/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bits between a KVM slot's bitmap and its region's, which need not be aligned
 * to each other. Both are arrays of 64-bit words.
 */
#ifndef _XBZ_CORE_BITMAP_H
#define _XBZ_CORE_BITMAP_H

#include "codec/freestanding.h"

u64 xbz_bitmap_or(u64 *dst, u64 bit, u64 word);
u64 xbz_bitmap_fetch(const u64 *src, u64 bit, unsigned int nbits);

#endif /* _XBZ_CORE_BITMAP_H */
