/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A session for tests of errors: one of everything, so that each ioctl has
 * something that it could do.
 */
#ifndef XBZT_FIXTURE_H
#define XBZT_FIXTURE_H

#include "fakevm.h"

#define FIXTURE_SLOT 1
#define FIXTURE_SLOT_PAGES 130

/**
 * struct xbzt_fixture - a session with two queues, a VM and a few bits set
 * @vm: the VM's file, with manual protect
 * @s: the session
 * @ram: a region; its first pages are a slot's
 * @spare: a region without a slot
 * @slot: the slot, FIXTURE_SLOT
 * @free: memory for one region more, of FIXTURE_FREE pages
 */
struct xbzt_fixture {
	int vm;
	struct xbzt_session *s;
	struct xbzt_region *ram;
	struct xbzt_region *spare;
	struct xbzt_slot slot;
	uint8_t *free;
};

#define FIXTURE_FREE 8

struct xbzt_fixture xbzt_fixture(void);

/* The session does its work, its slot included; then it is closed. */
void xbzt_fixture_done(struct xbzt_fixture *f);

/**
 * xbzt_in_child() - run something in another process
 * @run: asserts nothing; its result, 0 to 255, is the child's exit status
 * @arg: what it works on
 *
 * Return: what @run returned, 256 + the signal that killed it, or -1.
 */
int xbzt_in_child(int (*run)(void *arg), void *arg);

#endif /* XBZT_FIXTURE_H */
