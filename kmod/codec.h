/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which variant of the codec runs. Its functions are declared in <xbzrle/codec.h>.
 */
#ifndef _XBZ_CODEC_H
#define _XBZ_CODEC_H

int xbz_codec_init(void);
int xbz_codec_use(const char *name);

#endif /* _XBZ_CODEC_H */
