/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's LZ4, if it has any. For packed.c only.
 */
#ifndef _XBZ_COMPAT_LZ4_H
#define _XBZ_COMPAT_LZ4_H

#include <linux/kconfig.h>

#if IS_ENABLED(CONFIG_LZ4_COMPRESS) && IS_ENABLED(CONFIG_LZ4_DECOMPRESS)

#include <linux/lz4.h>

/* Bytes to work with; 0: there is no LZ4. */
#define XBZ_LZ4_WORK LZ4_MEM_COMPRESS

static inline int xbz_lz4_pack(const void *from, int bytes, void *to, int max,
			       void *work)
{
	return LZ4_compress_default(from, to, bytes, max, work);
}

static inline int xbz_lz4_unpack(const void *from, int bytes, void *to, int max)
{
	return LZ4_decompress_safe(from, to, bytes, max);
}

#else

#define XBZ_LZ4_WORK 0

static inline int xbz_lz4_pack(const void *from, int bytes, void *to, int max,
			       void *work)
{
	return 0;
}

static inline int xbz_lz4_unpack(const void *from, int bytes, void *to, int max)
{
	return -1;
}

#endif

#endif /* _XBZ_COMPAT_LZ4_H */
