/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The KUnit suites that are linked into xbzrle.ko when it is built with
 * XBZ_KUNIT=1, each in a file of its own.
 */
#ifndef XBZ_KUNIT_SUITES_H
#define XBZ_KUNIT_SUITES_H

#include "reap.h"
#include "ring.h"

#include <kunit/test.h>

extern struct kunit_suite xbz_cache_suite;
extern struct kunit_suite xbz_codec_portable_suite;
extern struct kunit_suite xbz_codec_avx2_suite;
extern struct kunit_suite xbz_codec_avx512_suite;
extern struct kunit_suite xbz_queue_suite;

/* What the reaper does with pages; the suites may run before there is one. */
static inline void xbz_test_reap(struct xbz_pages *p)
{
	xbz_reap_owes(p->account, 1);
	p->reap.func(&p->reap);
}

#endif /* XBZ_KUNIT_SUITES_H */
