/*
 * Whether a migration by a session of /dev/xbzrle will converge: the passes that
 * libxbzrle's forecast wants to know of, and what it says, as a text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_FORECAST_H
#define QEMU_MIGRATION_XBZRLE_FORECAST_H

#include <xbzrle/forecast.h>

/* Begins as zero. */
typedef struct XbzrleForecast {
    struct xbz_forecast passes;
    /* The pass that runs; its time is the one of its begin */
    struct xbz_forecast_pass now;
} XbzrleForecast;

/* @dirty pages are dirty, by a sync. */
void xbzrle_forecast_sync(XbzrleForecast *f, uint64_t dirty);

void xbzrle_forecast_sent(XbzrleForecast *f, uint64_t pages, uint64_t bytes);

/*
 * Returns what to expect from now on, to be freed by the caller; NULL while it is
 * not known.
 */
char *xbzrle_forecast_text(const XbzrleForecast *f);

#endif
