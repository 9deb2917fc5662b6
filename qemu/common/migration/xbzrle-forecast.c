/*
 * Whether a migration by a session of /dev/xbzrle will converge.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/timer.h"
#include "xbzrle-compat.h"
#include "xbzrle-forecast.h"

void xbzrle_forecast_sync(XbzrleForecast *f, uint64_t dirty)
{
    struct xbz_forecast_pass *p = &f->now;
    uint64_t left = p->dirty - MIN(p->pages, p->dirty);
    uint64_t ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    uint64_t begin = p->ns;

    if (p->number) {
        p->ns = ns - begin;
        p->fresh = dirty - MIN(left, dirty);
        xbz_forecast_pass(&f->passes, p);
    }
    *p = (struct xbz_forecast_pass) {
        .number = p->number + 1,
        .ns = ns,
        .dirty = dirty,
    };
}

void xbzrle_forecast_sent(XbzrleForecast *f, uint64_t pages, uint64_t bytes)
{
    f->now.pages += pages;
    f->now.bytes += bytes;
}

/* Bytes of a page whose content at the destination is known; 0 if none was. */
static uint32_t known_bytes(void)
{
    uint64_t pages = xbzrle_counters.pages;

    return pages ? xbzrle_counters.bytes / pages + 8 : 0;
}

static void append_size(GString *s, const char *before, uint64_t bytes,
                        const char *after)
{
    g_autofree char *size = size_to_str(bytes);

    if (bytes) {
        g_string_append_printf(s, "%s%s%s", before, size, after);
    }
}

char *xbzrle_forecast_text(const XbzrleForecast *f)
{
    uint64_t limit = migrate_get_current()->parameters.downtime_limit;
    uint64_t ms = (qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - f->now.ns) /
                  SCALE_MS;
    struct xbz_forecast_result r;
    GString *s;

    xbz_forecast_look(&f->passes, limit, known_bytes(), &r);
    switch (r.verdict) {
    case XBZ_FORECAST_UNKNOWN:
        return NULL;
    case XBZ_FORECAST_CONVERGES:
        return g_strdup_printf("converges in %.1f s",
                               (r.ms - MIN(ms, r.ms)) / 1000.0);
    case XBZ_FORECAST_FASTER:
        s = g_string_new("never, dirtied faster than sent");
        break;
    case XBZ_FORECAST_ABOVE:
        s = g_string_new("never, more stays dirty than the downtime allows");
        break;
    default:
        s = g_string_new(NULL);
        g_string_printf(s, "not within %u s", XBZ_FORECAST_MS / 1000);
    }
    append_size(s, "; would with ", r.bandwidth, " a second");
    if (r.downtime_ms) {
        g_string_append_printf(s, "; with a downtime limit of %u ms",
                               r.downtime_ms);
    }
    append_size(s, "; with a cache of ", r.cache_bytes, "");
    return g_string_free(s, false);
}
