/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The encoders of one version of QEMU, those that are static in its xbzrle.c,
 * too. QEMU's headers come first.
 */
#ifndef XBZ_BENCH_QEMU_ENCODERS_H
#define XBZ_BENCH_QEMU_ENCODERS_H

typedef int encode_function(uint8_t *old_buf, uint8_t *new_buf, int slen,
			    uint8_t *dst, int dlen);

/**
 * struct encoders - what one version has
 * @scalar: every version has it
 * @avx512: NULL if there is none
 */
struct encoders {
	encode_function *scalar;
	encode_function *avx512;
};

extern const struct encoders encoders;

#endif /* XBZ_BENCH_QEMU_ENCODERS_H */
