// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's xbzrle.c, included, so that the encoders that are static in it can be
 * reached. A file of its own, so that no call of them can be inlined that is
 * none in QEMU.
 *
 * Since 8.0 xbzrle_encode_buffer() chooses by the processor; the scalar encoder
 * has another name then, which a macro gives it.
 */
#include "xbzrle.c"

#include "encoders.h"

#ifdef xbzrle_encode_buffer
const struct encoders encoders = {
	.scalar = xbzrle_encode_buffer_int,
	.avx512 = xbzrle_encode_buffer_avx512,
};
#else
const struct encoders encoders = {
	.scalar = xbzrle_encode_buffer,
};
#endif
