/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The codec's variants, for the code that selects one: select.c in user space,
 * kmod/codec.c in the kernel. All variants produce the same bytes. A variant
 * traps where its instructions may not be used.
 */
#ifndef XBZ_CODEC_VARIANTS_H
#define XBZ_CODEC_VARIANTS_H

#include <xbzrle/codec.h>

typedef int xbz_encode_fn(void *out, size_t cap, void *ref, const void *cur);

xbz_encode_fn xbz_encode_portable, xbz_encode_zero_base_portable;

/* __builtin_shufflevector() needs gcc 12; older versions have only portable. */
#if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 12)
#define XBZ_CODEC_X86 1
/* AVX2, BMI1, BMI2, POPCNT */
xbz_encode_fn xbz_encode_avx2, xbz_encode_zero_base_avx2;
/* The same and AVX512F, BW, VL, VBMI, VBMI2, VPOPCNTDQ */
xbz_encode_fn xbz_encode_avx512, xbz_encode_zero_base_avx512;
#endif

/**
 * xbz_stream_zero_base() - encode against the zero page without a snapshot
 * @out: receives the payload
 * @cap: size of @out
 * @cur: the page, of which each byte is read once
 *
 * Return: as xbz_encode_zero_base().
 */
int xbz_stream_zero_base(void *out, size_t cap, const void *cur);

#endif /* XBZ_CODEC_VARIANTS_H */
