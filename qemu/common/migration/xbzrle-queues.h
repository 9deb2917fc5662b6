/*
 * How many queues a session of /dev/xbzrle gets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_QUEUES_H
#define QEMU_MIGRATION_XBZRLE_QUEUES_H

/**
 * xbzrle_queues: the number of queues for a migration that begins
 *
 * @asked: the user's number, or 0
 */
unsigned int xbzrle_queues(uint32_t asked);

/* The number of processors that this process may keep busy, at least 1. */
unsigned int xbzrle_processors(void);

#endif
