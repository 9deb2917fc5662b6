/*
 * How many queues a session of /dev/xbzrle gets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_QUEUES_H
#define QEMU_MIGRATION_XBZRLE_QUEUES_H

/* What a queue's thread takes for a page, which is not measured. */
#define XBZRLE_ENCODE_NS 1000

/**
 * xbzrle_check_queues: whether a session can have so many queues
 *
 * Returns false with @errp set if not
 *
 * @queues: what the user asks for; 0 for as many as seem good
 */
bool xbzrle_check_queues(uint32_t queues, Error **errp);

/**
 * xbzrle_queues: the number of queues for a migration that begins
 *
 * @asked: the user's number, or 0
 */
unsigned int xbzrle_queues(uint32_t asked);

/* The number of processors that this process may keep busy, at least 1. */
unsigned int xbzrle_processors(void);

#endif
