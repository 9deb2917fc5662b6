/*
 * How many queues a session of /dev/xbzrle gets.
 *
 * A queue has a thread that encodes, so the default is the number of processors
 * that this process can keep busy: those of its affinity, and no more than the
 * bandwidth of its control groups pays for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <xbzrle/xbzrle.h>
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "xbzrle-compat.h"
#include "xbzrle-queues.h"

/* A host has other things to do, too. */
#define DEFAULT_QUEUES_MAX 8

bool xbzrle_check_queues(uint32_t queues, Error **errp)
{
    if (queues > XBZRLE_MAX_QUEUES) {
        error_setg(errp, "Parameter 'xbzrle-dev-queues' expects 1 to %u, or 0 "
                   "for the number of processors, at most %u",
                   XBZRLE_MAX_QUEUES, DEFAULT_QUEUES_MAX);
        return false;
    }
    return true;
}

/* Processors that one control group pays for; UINT_MAX without a limit. */
static unsigned int cgroup_processors(const char *path)
{
    g_autofree char *file = g_strdup_printf("/sys/fs/cgroup%s/cpu.max", path);
    g_autofree char *text = NULL;
    uint64_t quota, period;

    if (!g_file_get_contents(file, &text, NULL, NULL) ||
        sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) != 2 ||
        !period) {
        return UINT_MAX;
    }
    return MIN(DIV_ROUND_UP(quota, period), UINT_MAX);
}

/* The least of all control groups that this process is in (version 2). */
unsigned int xbzrle_processors(void)
{
    g_autofree char *text = NULL;
    unsigned int least = g_get_num_processors();
    char *path, *end;

    if (!g_file_get_contents("/proc/self/cgroup", &text, NULL, NULL)) {
        return least;
    }
    path = g_str_has_prefix(text, "0::") ? text : strstr(text, "\n0::");
    if (!path) {
        return least;
    }
    path = strchr(path, '/');
    if (!path) {
        return least;
    }
    path[strcspn(path, "\n")] = '\0';
    while ((end = strrchr(path, '/'))) {
        least = MIN(least, cgroup_processors(path));
        *end = '\0';
    }
    return MAX(least, 1);
}

unsigned int xbzrle_queues(uint32_t asked)
{
    return asked ? asked : MIN(xbzrle_processors(), DEFAULT_QUEUES_MAX);
}
