// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hands the suites to KUnit, which runs them when the module is loaded.
 */
#include "suites.h"

kunit_test_suites(&xbz_cache_suite, &xbz_codec_suite, &xbz_queue_suite);
