/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All of a chain's image is read, checked against the sum that its delta images have of
 * it, and written to a file, or to none.
 */
#ifndef XBZIMG_RESTORE_H
#define XBZIMG_RESTORE_H

#include "chain.h"
#include "output.h"

/**
 * restore() - read an image, check it, write it
 * @chain: that is open for @threads workers
 * @threads: that work
 * @output: of the image's size, all of it zero; or NULL
 * @err: says what is wrong
 *
 * Return: false if the base is the wrong one, or something cannot be read or written.
 */
bool restore(struct chain *chain, unsigned int threads, const struct output *output,
	     struct error *err);

#endif /* XBZIMG_RESTORE_H */
