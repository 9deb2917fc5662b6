/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Vector registers in the kernel, where kernels differ: x86-64 and User Mode
 * Linux on it. For codec.c only.
 */
#ifndef _XBZ_COMPAT_SIMD_H
#define _XBZ_COMPAT_SIMD_H

#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/simd.h>

#ifdef CONFIG_UML

/* The host saves the registers that its flags announce. */
static inline bool xbz_saves_ymm(void)
{
	return true;
}

static inline bool xbz_saves_zmm(void)
{
	return true;
}

#else

static inline bool xbz_saves_ymm(void)
{
	return cpu_has_xfeatures(XFEATURE_MASK_SSE | XFEATURE_MASK_YMM, NULL);
}

static inline bool xbz_saves_zmm(void)
{
	return xbz_saves_ymm() && cpu_has_xfeatures(XFEATURE_MASK_AVX512, NULL);
}

#endif /* CONFIG_UML */

/* zmm registers make this processor slower; 6.12 and older cannot tell. */
static inline bool xbz_prefers_ymm(void)
{
#ifdef X86_FEATURE_PREFER_YMM
	return boot_cpu_has(X86_FEATURE_PREFER_YMM);
#else
	return false;
#endif
}

#endif /* _XBZ_COMPAT_SIMD_H */
