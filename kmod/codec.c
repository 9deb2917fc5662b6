// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which variant of the codec runs, and its use of vector registers.
 *
 * One page is one section of kernel_fpu_begin(): preemption is off, on some
 * kernels softirqs, too, for about a microsecond. A section never faults: the
 * callers pass pages that were copied from the guest before.
 */
#include "codec.h"

#include "codec/variants.h"

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#ifdef XBZ_CODEC_X86
#include "compat/simd.h"
#endif

static char *codec = "auto";

static int xbz_codec_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", xbz_codec_name());
}

/* Stores the requested name, which the kernel frees; reads as the one in use. */
static const struct kernel_param_ops xbz_codec_ops = {
	.set = param_set_charp,
	.get = xbz_codec_get,
	.free = param_free_charp,
};

module_param_cb(codec, &xbz_codec_ops, &codec, 0444);
__MODULE_PARM_TYPE(codec, "charp");
MODULE_PARM_DESC(codec,
		 "variant of the codec: auto (default), portable, avx2 or avx512; reads as the one in use");

/**
 * struct xbz_kvariant - a variant of the encoder
 * @name: its name in the parameter
 * @usable: this processor can run it
 * @choose: auto may choose it; NULL if always
 * @encode: its xbz_encode()
 * @encode_zero_base: its xbz_encode_zero_base()
 */
struct xbz_kvariant {
	const char *name;
	bool (*usable)(void);
	bool (*choose)(void);
	xbz_encode_fn *encode;
	xbz_encode_fn *encode_zero_base;
};

static bool xbz_has_portable(void)
{
	return true;
}

#ifdef XBZ_CODEC_X86
static bool xbz_has_avx2(void)
{
	return boot_cpu_has(X86_FEATURE_AVX2) && boot_cpu_has(X86_FEATURE_BMI1) &&
	       boot_cpu_has(X86_FEATURE_BMI2) && boot_cpu_has(X86_FEATURE_POPCNT) &&
	       xbz_saves_ymm();
}

static bool xbz_has_avx512(void)
{
	return xbz_has_avx2() && boot_cpu_has(X86_FEATURE_AVX512F) &&
	       boot_cpu_has(X86_FEATURE_AVX512BW) &&
	       boot_cpu_has(X86_FEATURE_AVX512VL) &&
	       boot_cpu_has(X86_FEATURE_AVX512VBMI) &&
	       boot_cpu_has(X86_FEATURE_AVX512_VBMI2) &&
	       boot_cpu_has(X86_FEATURE_AVX512_VPOPCNTDQ) &&
	       xbz_saves_zmm();
}

static bool xbz_choose_avx512(void)
{
	return !xbz_prefers_ymm();
}
#endif

#define XBZ_VARIANT(_name, ...) {					\
	.name = #_name,							\
	.usable = xbz_has_##_name,					\
	.encode = xbz_encode_##_name,					\
	.encode_zero_base = xbz_encode_zero_base_##_name,		\
	__VA_ARGS__							\
}

/* Best first; the last one runs everywhere. */
static const struct xbz_kvariant xbz_variants[] = {
#ifdef XBZ_CODEC_X86
	XBZ_VARIANT(avx512, .choose = xbz_choose_avx512),
	XBZ_VARIANT(avx2),
#endif
	XBZ_VARIANT(portable),
};

DEFINE_STATIC_CALL(xbz_encode_call, xbz_encode_portable);
DEFINE_STATIC_CALL(xbz_encode_zero_base_call, xbz_encode_zero_base_portable);

static const struct xbz_kvariant *xbz_chosen = &xbz_variants[ARRAY_SIZE(xbz_variants) - 1];

/* If false, only the portable variant may run; else xbz_vector_end() follows. */
static __always_inline bool xbz_vector_begin(void)
{
#ifdef XBZ_CODEC_X86
	if (likely(xbz_chosen->encode != xbz_encode_portable && may_use_simd())) {
		kernel_fpu_begin();
		return true;
	}
#endif
	return false;
}

static __always_inline void xbz_vector_end(void)
{
#ifdef XBZ_CODEC_X86
	kernel_fpu_end();
#endif
}

int xbz_encode(void *out, size_t cap, void *ref, const void *cur)
{
	int ret;

	if (!xbz_vector_begin())
		return xbz_encode_portable(out, cap, ref, cur);
	ret = static_call(xbz_encode_call)(out, cap, ref, cur);
	xbz_vector_end();
	return ret;
}

int xbz_encode_zero_base(void *out, size_t cap, void *ref_or_null, const void *cur)
{
	int ret;

	if (!ref_or_null)
		return xbz_stream_zero_base(out, cap, cur);
	if (!xbz_vector_begin())
		return xbz_encode_zero_base_portable(out, cap, ref_or_null, cur);
	ret = static_call(xbz_encode_zero_base_call)(out, cap, ref_or_null, cur);
	xbz_vector_end();
	return ret;
}

const char *xbz_codec_name(void)
{
	return xbz_chosen->name;
}

/**
 * xbz_codec_use() - choose the variant
 * @name: its name, or "auto" for the best one of this processor
 *
 * Context: process; no thread encodes.
 * Return: 0, -EINVAL for an unknown name, -EOPNOTSUPP if this processor cannot
 * run it.
 */
int xbz_codec_use(const char *name)
{
	bool automatic = sysfs_streq(name, "auto");
	bool known = automatic;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(xbz_variants); i++) {
		const struct xbz_kvariant *v = &xbz_variants[i];

		if (!automatic && !sysfs_streq(name, v->name))
			continue;
		known = true;
		if (!v->usable() || (automatic && v->choose && !v->choose()))
			continue;
		static_call_update(xbz_encode_call, v->encode);
		static_call_update(xbz_encode_zero_base_call, v->encode_zero_base);
		xbz_chosen = v;
		return 0;
	}
	return known ? -EOPNOTSUPP : -EINVAL;
}

/**
 * xbz_codec_init() - choose the variant that the parameter requests
 *
 * Return: 0, or the error of xbz_codec_use().
 */
int __init xbz_codec_init(void)
{
	int ret = xbz_codec_use(codec);

	if (ret == -EINVAL)
		pr_err("invalid codec '%s', expected auto, portable, avx2 or avx512\n", codec);
	else if (ret)
		pr_err("this processor cannot run codec '%s'; codec=auto chooses the best one\n",
		       codec);
	return ret;
}
