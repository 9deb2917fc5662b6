/*
 * What differs between versions of QEMU, for xbzrle-*.c.  They are written for
 * the newest version.  Here are the names that older ones have, and what is
 * done in another way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_MIGRATION_XBZRLE_COMPAT_H
#define QEMU_MIGRATION_XBZRLE_COMPAT_H

#include "exec/xbzrle-compat.h"
#if __has_include("system/ram_addr.h")
#include "system/ram_addr.h"
#else
#include "exec/ram_addr.h"
#endif
#include "qemu/main-loop.h"
#include "migration/misc.h"
#include "qapi/qapi-types-migration.h"
#include "migration.h"
#include "qemu-file.h"
#include "ram.h"

#if QEMU_VERSION_MAJOR >= 10

#include "qemu/stats64.h"
#include "migration-stats.h"
#include "options.h"
#include "xbzrle-multifd.h"

/* The name of a setting that excludes a session, NULL if there is none. */
static inline const char *compat_excluded(QEMUFile *f)
{
    return migrate_rdma() ? "RDMA" :
           migrate_mapped_ram() ? "mapped-ram" :
           migrate_mode() != MIG_MODE_NORMAL ? "a mode other than normal" :
           NULL;
}

static inline bool compat_migration_is_running(void)
{
    return migration_is_running();
}

/* Bytes a second that the user expects of the link when the guest is stopped. */
static inline uint64_t compat_switchover_bandwidth(void)
{
    return migrate_avail_switchover_bandwidth();
}

static inline void compat_set_forecast(XBZRLECacheStats *stats, char *text)
{
    stats->x_dev_forecast = text;
}

/* How info migrate looks */
#if QEMU_VERSION_MAJOR > 10 || QEMU_VERSION_MINOR
#define COMPAT_INFO "  dev_"
#define COMPAT_INFO_IS "="
#else
#define COMPAT_INFO "xbzrle device "
#define COMPAT_INFO_IS ": "
#endif

/* QEMU fetches the logs that it reads itself. */
static inline void compat_dirty_log_sync(void)
{
    memory_global_dirty_log_sync(false);
}

static inline void compat_count_pages(uint64_t normal, uint64_t zero)
{
    stat64_add(&mig_stats.normal_pages, normal);
    stat64_add(&mig_stats.zero_pages, zero);
}

/* Bytes went to the channel past the stream's buffers. */
static inline void compat_count_sent(QEMUFile *f, uint64_t bytes)
{
    stat64_add(&mig_stats.qemu_file_transferred, bytes);
}

/* Bytes that the window of the rate limit has less room for */
static inline void compat_count_rate(QEMUFile *f, uint64_t bytes)
{
    stat64_set(&mig_stats.rate_limit_start,
               stat64_get(&mig_stats.rate_limit_start) - bytes);
}

/* Bytes in the window of the rate limit, 100 ms; 0 for no limit */
static inline uint64_t compat_rate_limit(QEMUFile *f)
{
    return migration_rate_get();
}

#else

#define migrate_colo migrate_colo_enabled
#define migrate_multifd migrate_use_multifd
#define migrate_xbzrle migrate_use_xbzrle

#define RETRY_ON_EINTR(expr) TEMP_FAILURE_RETRY(expr)

/* They are ram.c's own. */
#define RAM_SAVE_FLAG_PAGE 0x08
#define RAM_SAVE_FLAG_CONTINUE 0x20
#define RAM_SAVE_FLAG_XBZRLE 0x40

static inline const char *compat_excluded(QEMUFile *f)
{
    return qemu_file_has_hooks(f) ? "RDMA" :
           migrate_use_compression() ? "compress" : NULL;
}

static inline bool compat_migration_is_running(void)
{
    return !migration_is_idle();
}

static inline uint64_t compat_switchover_bandwidth(void)
{
    return 0;
}

static inline void compat_set_forecast(XBZRLECacheStats *stats, char *text)
{
    stats->has_x_dev_forecast = text;
    stats->x_dev_forecast = text;
}

#define COMPAT_INFO "xbzrle device "
#define COMPAT_INFO_IS ": "

static inline void compat_dirty_log_sync(void)
{
    memory_global_dirty_log_sync();
}

static inline void compat_count_pages(uint64_t normal, uint64_t zero)
{
    ram_counters.normal += normal;
    ram_counters.duplicate += zero;
}

static inline void compat_count_rate(QEMUFile *f, uint64_t bytes)
{
    qemu_file_acct_rate_limit(f, bytes);
}

static inline void compat_count_sent(QEMUFile *f, uint64_t bytes)
{
    qemu_file_acct_rate_limit(f, bytes);
    qemu_file_credit_transfer(f, bytes);
}

static inline uint64_t compat_rate_limit(QEMUFile *f)
{
    return MAX(qemu_file_get_rate_limit(f), 0);
}

/* Its channels read pages in the guest, and sync at the end of a section. */
typedef struct XbzrleMultifd XbzrleMultifd;
struct xbzrle_batch;
struct xbzrle_session;
struct xbzrle_workers;

static inline bool xbzrle_multifd_wanted(void)
{
    return false;
}

static inline const char *xbzrle_multifd_excluded(void)
{
    return "multifd";
}

static inline uint64_t xbzrle_multifd_ring_bytes(unsigned int nr_queues)
{
    return 0;
}

static inline XbzrleMultifd *
xbzrle_multifd_new(struct xbzrle_session *session,
                   struct xbzrle_workers *workers, unsigned int nr_queues,
                   Error **errp)
{
    return NULL;
}

static inline void xbzrle_multifd_free(XbzrleMultifd *m)
{
}

static inline int64_t xbzrle_multifd_put(XbzrleMultifd *m, QEMUFile *f,
                                         unsigned int queue,
                                         const struct xbzrle_batch *batch)
{
    return -ENOSYS;
}

static inline uint64_t xbzrle_multifd_page_bytes(const XbzrleMultifd *m)
{
    return TARGET_PAGE_SIZE;
}

static inline void xbzrle_multifd_flushed(XbzrleMultifd *m, QEMUFile *f,
                                          uint64_t ns)
{
}

static inline bool xbzrle_multifd_wait(XbzrleMultifd *m, QEMUFile *f)
{
    return false;
}

static inline int xbzrle_multifd_sync(XbzrleMultifd *m, QEMUFile *f)
{
    return -ENOSYS;
}

#endif

#endif
