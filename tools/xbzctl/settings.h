/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's settings by name: what one may be, how it is changed, and how the
 * change is printed.
 */
#ifndef XBZCTL_SETTINGS_H
#define XBZCTL_SETTINGS_H

#include "netlink.h"
#include "xbzctl.h"

#include <stdbool.h>
#include <stdint.h>

/* In the order of struct xbzctl_settings's old values. */
enum setting {
	SETTING_CACHE,
	SETTING_QUEUES,
	SETTING_LIMIT,
	NR_SETTINGS,
};

/* Their names, those of the family's spec. */
extern const char *const setting_names[NR_SETTINGS];

/**
 * struct wanted - settings to be changed
 * @set: which
 * @value: to what
 */
struct wanted {
	bool set[NR_SETTINGS];
	uint64_t value[NR_SETTINGS];
};

/**
 * setting_read() - read what a setting is to be
 * @which: the setting
 * @text: as people write it
 * @host: the host's memory
 * @value: set to what the module takes
 *
 * Return: NULL, or what would be right.
 */
const char *setting_read(enum setting which, const char *text, uint64_t host,
			 uint64_t *value);

/**
 * settings_change() - change settings, all or none
 * @nl: the socket
 * @wanted: which, one at least
 * @s: receives them as they are then, and as they were
 *
 * Return: 0, or -errno; why has been said then.
 */
int settings_change(struct xbzctl_nl *nl, const struct wanted *wanted,
		    struct xbzctl_settings *s);

/* Print what has changed: as JSON an object each, of a list or by itself. */
void settings_print(const struct xbzctl *ctl, const struct wanted *wanted,
		    const struct xbzctl_settings *s);

/* Print a size that has changed; @automatic is what 0 stands for, or NULL. */
void change_print(const struct xbzctl *ctl, const char *what, uint64_t old,
		  uint64_t new, const char *automatic);

#endif /* XBZCTL_SETTINGS_H */
