// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selects the encoder's variant in user space: once, when the program or
 * library is loaded. kmod/codec.c selects the kernel's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "codec_priv.h"

struct variant {
	const char *name;
	bool (*usable)(void);
	xbz_encode_fn *encode;
	xbz_encode_fn *encode_zero_base;
};

static bool always(void)
{
	return true;
}

#ifdef XBZ_CODEC_X86
/* The processor supports it and the operating system saves its registers. */
static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

static bool has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
	       __builtin_cpu_supports("avx512vpopcntdq");
}
#endif

/* Best first. */
static const struct variant variants[] = {
#ifdef XBZ_CODEC_X86
	{ "avx512", has_avx512, xbz_encode_avx512, xbz_encode_zero_base_avx512 },
	{ "avx2", has_avx2, xbz_encode_avx2, xbz_encode_zero_base_avx2 },
#endif
	{ "portable", always, xbz_encode_portable, xbz_encode_zero_base_portable },
};

static const struct variant *chosen = &variants[ARRAY_SIZE(variants) - 1];

int xbz_codec_select(const char *name)
{
	bool automatic = !strcmp(name, "auto");
	bool known = automatic;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		if (!automatic && strcmp(name, variants[i].name))
			continue;
		known = true;
		if (!variants[i].usable())
			continue;
		__atomic_store_n(&chosen, &variants[i], __ATOMIC_RELAXED);
		return 0;
	}
	return known ? -EOPNOTSUPP : -EINVAL;
}

const char *xbz_codec_name(void)
{
	return __atomic_load_n(&chosen, __ATOMIC_RELAXED)->name;
}

static __attribute__((constructor)) void choose(void)
{
	const char *name = getenv("XBZ_CODEC");
	int ret;

#ifdef XBZ_CODEC_X86
	__builtin_cpu_init();
#endif
	xbz_codec_select("auto");
	if (!name || !*name)
		return;
	ret = xbz_codec_select(name);
	if (ret)
		fprintf(stderr, "xbzrle: XBZ_CODEC: invalid codec '%s', %s; using %s\n", name,
			ret == -EINVAL ? "expected auto, portable, avx2 or avx512" :
					 "not supported by this processor",
			xbz_codec_name());
}

int xbz_encode(void *out, size_t cap, void *ref, const void *cur)
{
	return __atomic_load_n(&chosen, __ATOMIC_RELAXED)->encode(out, cap, ref, cur);
}

int xbz_encode_zero_base(void *out, size_t cap, void *ref_or_null, const void *cur)
{
	if (!ref_or_null)
		return xbz_stream_zero_base(out, cap, cur);
	return __atomic_load_n(&chosen, __ATOMIC_RELAXED)->encode_zero_base(out, cap, ref_or_null,
									     cur);
}
