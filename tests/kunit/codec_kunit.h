/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The codec's KUnit suites, for whoever registers the module's suites.
 */
#ifndef XBZ_CODEC_KUNIT_H
#define XBZ_CODEC_KUNIT_H

#include <kunit/test.h>

extern struct kunit_suite xbz_codec_portable_suite;
extern struct kunit_suite xbz_codec_avx2_suite;
extern struct kunit_suite xbz_codec_avx512_suite;

#endif /* XBZ_CODEC_KUNIT_H */
