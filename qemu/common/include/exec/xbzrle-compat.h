/*
 * What has another place or name in other versions of QEMU, for the files that
 * /dev/xbzrle adds.  They are written for the newest version.  What concerns
 * migration alone is in migration/xbzrle-compat.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef EXEC_XBZRLE_COMPAT_H
#define EXEC_XBZRLE_COMPAT_H

/* sysemu/ was renamed in 10.0. */
#if __has_include("system/kvm.h")
#include "system/kvm.h"
#include "system/system.h"
#else
#include "sysemu/kvm.h"
#include "sysemu/sysemu.h"
#endif

/* Headers of memory were moved from exec/ in 10.1. */
#if __has_include("system/memory.h")
#include "system/memory.h"
#include "system/ramblock.h"
#else
#include "exec/memory.h"
#include "exec/ramblock.h"
#endif

#if QEMU_VERSION_MAJOR < 9
#define bql_locked qemu_mutex_iothread_locked
#endif

#endif
