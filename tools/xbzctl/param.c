// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module in sysfs: see param.h.
 */
#include "param.h"
#include "args.h"
#include "print.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/xbzrle.h>

#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)

#define MIB (1ULL << 20)
/* The module keeps the limit as a 32-bit number of MiB. */
#define LIMIT_MAX (UINT32_MAX * MIB)
#define PATH_BYTES 64

const char *const param_names[NR_PARAMS] = {
	[PARAM_CACHE] = "default-cache",
	[PARAM_QUEUES] = "default-queues",
	[PARAM_LIMIT] = "memory-limit",
	[PARAM_SHARE] = "share",
};

/* The file in sysfs, the unit of its value, and the name in output. */
static const struct {
	const char *file;
	uint64_t unit;
	const char *title;
} params[NR_PARAMS] = {
	[PARAM_CACHE] = { "parameters/default_cache_bytes", 1, "default cache" },
	[PARAM_QUEUES] = { "parameters/default_queues", 1, "default queues" },
	[PARAM_LIMIT] = { "parameters/memory_limit_mib", MIB,
			  "limit of all sessions" },
	[PARAM_SHARE] = { "parameters/share_percent", 1, "share in percent" },
};

static const char size_help[] =
	"a number of bytes, or one with k, m, g, t or % of the host's memory";

static const char *limit_parse(const char *text, uint64_t *value)
{
	if (!size_read(text, host_memory(), value))
		return size_help;
	if (*value > LIMIT_MAX)
		return "less than 4096t";
	/* Whole MiB, rounded down. But 0 is not a limit: 1 MiB is the smallest. */
	if (*value)
		*value = *value < MIB ? MIB : *value / MIB * MIB;
	return NULL;
}

/* A whole number from 1 to @max, and @unit may follow. */
static bool whole_read(const char *text, uint64_t max, const char *unit, uint64_t *value)
{
	char *end;

	/* An overflow yields ULONG_MAX, which is above the limit, too. */
	*value = strtoul(text, &end, 10);
	return isdigit((unsigned char)*text) && (!*end || !strcmp(end, unit)) &&
	       *value && *value <= max;
}

const char *param_parse(enum param which, const char *text, uint64_t *value)
{
	switch (which) {
	case PARAM_LIMIT:
		return limit_parse(text, value);
	case PARAM_QUEUES:
		return whole_read(text, XBZRLE_MAX_QUEUES, "", value) ? NULL :
		       "a whole number from 1 to " STRING(XBZRLE_MAX_QUEUES);
	case PARAM_SHARE:
		return whole_read(text, 100, "%", value) ? NULL :
		       "a whole number from 1% to 100%";
	default:
		return size_read(text, host_memory(), value) ? NULL : size_help;
	}
}

static const char *path_of(char path[PATH_BYTES], const char *name)
{
	snprintf(path, PATH_BYTES, XBZCTL_MODULE "/%s", name);
	return path;
}

static int failed(const char *path, int error)
{
	const char *mend = "";

	switch (error) {
	case ENOENT:
		mend = "\n  load the module: modprobe xbzrle";
		break;
	case EACCES:
	case EPERM:
		mend = "\n  run as root";
		break;
	case EROFS:
		mend = "\n  run it on the host, not in a container";
		break;
	case EINVAL:
	case ERANGE:
		mend = "\n  the module does not accept this value";
		break;
	default:
		break;
	}
	fprintf(stderr, "xbzctl: %s: %s%s\n", path, strerror(error), mend);
	return -error;
}

int module_read(const char *name, char *text, size_t size)
{
	char path[PATH_BYTES];
	int fd = open(path_of(path, name), O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (len < 0)
		return failed(path, error);
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

int param_read(enum param which, uint64_t *value)
{
	char text[32];
	int ret = module_read(params[which].file, text, sizeof(text));

	if (!ret)
		*value = strtoull(text, NULL, 10) * params[which].unit;
	return ret;
}

int param_change(enum param which, uint64_t value, uint64_t *old)
{
	char path[PATH_BYTES];
	int fd, ret = param_read(which, old);

	if (ret)
		return ret;
	fd = open(path_of(path, params[which].file), O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(path, errno);
	if (dprintf(fd, "%llu\n",
		    (unsigned long long)(value / params[which].unit)) < 0)
		ret = failed(path, errno);
	close(fd);
	return ret;
}

static const char *value_text(char buffer[16], enum param which, uint64_t value)
{
	if (which == PARAM_LIMIT && !value)
		return "a quarter of the host's memory";
	if (which != PARAM_QUEUES && which != PARAM_SHARE)
		return size_text(buffer, value);
	snprintf(buffer, 16, "%u", (unsigned int)value);
	return buffer;
}

void param_print(const struct xbzctl *ctl, enum param which, uint64_t old,
		 uint64_t new)
{
	char a[16], b[16];

	if (ctl->json)
		json_change(params[which].title, old, new);
	else
		printf("%s: %s, was %s\n", params[which].title,
		       value_text(a, which, new), value_text(b, which, old));
}
