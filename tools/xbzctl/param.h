/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module in sysfs: its version, and its parameters, which are the host's
 * settings.
 */
#ifndef XBZCTL_PARAM_H
#define XBZCTL_PARAM_H

#include "xbzctl.h"

#include <stddef.h>
#include <stdint.h>

enum param {
	PARAM_CACHE,
	PARAM_QUEUES,
	PARAM_LIMIT,
	PARAM_SHARE,
	NR_PARAMS,
};

/* Their names in /etc/xbzrle.conf. */
extern const char *const param_names[NR_PARAMS];

/**
 * param_parse() - parse a parameter's value
 * @which: the parameter
 * @text: as a person writes it
 * @value: set to the value; sizes are in bytes
 *
 * Return: NULL, or a description of valid values.
 */
const char *param_parse(enum param which, const char *text, uint64_t *value);

/**
 * param_read() - read a parameter
 * @which: the parameter
 * @value: set to its value; sizes are in bytes
 *
 * Return: 0, or -errno; an error has been printed.
 */
int param_read(enum param which, uint64_t *value);

/**
 * param_change() - change a parameter
 * @which: the parameter
 * @value: its new value
 * @old: set to its value before
 *
 * Return: 0, or -errno; an error has been printed.
 */
int param_change(enum param which, uint64_t value, uint64_t *old);

/* Print a change: as JSON, one object. */
void param_print(const struct xbzctl *ctl, enum param which, uint64_t old,
		 uint64_t new);

/**
 * module_read() - read a file of the module in sysfs
 * @name: "version", or "parameters/NAME"
 * @text: set to its first line
 * @size: size of @text
 *
 * Return: 0, or -errno; an error has been printed.
 */
int module_read(const char *name, char *text, size_t size);

#endif /* XBZCTL_PARAM_H */
