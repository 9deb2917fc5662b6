/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two deltas of a page as one, without the page that they are of.
 */
#ifndef XBZIMG_COMPOSE_H
#define XBZIMG_COMPOSE_H

#include <stdint.h>

#include "format.h"

/**
 * compose() - the delta that does what two deltas do one after the other
 * @out: receives it, or the page; %FORMAT_DELTA_MAX bytes
 * @older: payload that is applied first
 * @older_length: of it
 * @newer: payload that is applied to the result
 * @newer_length: of it
 *
 * Both payloads were decoded before, and so are valid.
 *
 * Return: bytes of the payload, or 0 if all bytes of the page are known, which @out has
 * then.
 */
unsigned int compose(uint8_t *out, const uint8_t *older, unsigned int older_length,
		     const uint8_t *newer, unsigned int newer_length);

#endif /* XBZIMG_COMPOSE_H */
