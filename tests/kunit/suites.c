// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hands the suites to KUnit, which runs them when the module is loaded.
 */
#include "suites.h"

kunit_test_suites(&xbz_cache_suite, &xbz_codec_portable_suite, &xbz_codec_avx2_suite,
		  &xbz_codec_avx512_suite, &xbz_queue_suite);
