/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Forecasts by the passes of a session that were seen, for forecast and top.
 */
#ifndef XBZCTL_FORECAST_H
#define XBZCTL_FORECAST_H

#include "netlink.h"

#include <xbzrle/forecast.h>

/* QEMU's downtime limit, if the user gives no other. */
#define FORECAST_DOWNTIME_MS 300

/* The passes that were seen, from zero bytes on, and the last one's number. */
struct forecast {
	struct xbz_forecast passes;
	uint64_t last;
};

/* Look at a session: its last pass is taken, if it was not seen before. */
void forecast_see(struct forecast *f, const struct xbzctl_session *s);

/* What to expect, with a downtime limit in milliseconds. */
void forecast_look(const struct forecast *f, const struct xbzctl_session *s,
		   unsigned int downtime_ms, struct xbz_forecast_result *r);

/* The verdict of a forecast that is known: a time from now on, or why there is none. */
void forecast_text(char *to, size_t size, const struct xbzctl_session *s,
		   const struct xbz_forecast_result *r);

/* The same and what it goes by; nothing if it is not known. */
void json_forecast(const char *key, const struct xbzctl_session *s,
		   const struct xbz_forecast_result *r);

#endif /* XBZCTL_FORECAST_H */
