/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far a command is, on a terminal: the part that is done, the rate and the time that
 * is left.
 */
#ifndef XBZIMG_PROGRESS_H
#define XBZIMG_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * progress_begin() - there is something to show from here on
 * @bytes: that are to be done
 * @quiet: show nothing, even on a terminal
 */
void progress_begin(uint64_t bytes, bool quiet);

/**
 * progress_add() - some of it is done
 * @bytes: how much
 *
 * Context: any thread.
 */
void progress_add(uint64_t bytes);

/**
 * progress_show() - show it, unless it was shown a moment ago
 */
void progress_show(void);

/**
 * progress_end() - leave no trace of it on the terminal
 *
 * Return: seconds since progress_begin().
 */
double progress_end(void);

#endif /* XBZIMG_PROGRESS_H */
