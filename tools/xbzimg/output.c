// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that are written atomically: see output.h. A file system that has files without
 * a name leaves nothing behind whatever ends the program; with others, a temporary name
 * is removed by the handler of the signals that people send.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_ROOM 256

/* What the handler removes, if there is a folder. */
static char hidden_name[NAME_ROOM];
static int hidden_folder = -1;

static void interrupted(int number)
{
	int folder = __atomic_load_n(&hidden_folder, __ATOMIC_RELAXED);

	if (folder >= 0)
		unlinkat(folder, hidden_name, 0);
	/* The handler is gone: the default action ends the program. */
	raise(number);
}

static void handle_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = interrupted, .sa_flags = SA_RESETHAND };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct sigaction old;

		if (!sigaction(numbers[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

static void announce(int folder)
{
	__atomic_store_n(&hidden_folder, folder, __ATOMIC_RELEASE);
}

/* Announces a new temporary name to the handler. */
static bool hide(struct output *output)
{
	uint64_t number;

	announce(-1);
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return false;
	snprintf(hidden_name, sizeof(hidden_name), ".xbzimg-%016" PRIx64, number);
	announce(output->folder);
	return true;
}

static void reveal(struct output *output)
{
	announce(-1);
	output->hidden = false;
}

/* Without /proc, a nameless file would not get a name. */
static bool create(struct output *output, mode_t mode)
{
	if (!access("/proc/self/fd", X_OK))
		output->file = openat(output->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	if (output->file >= 0)
		return true;
	if (!hide(output))
		return false;
	output->file = openat(output->folder, hidden_name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC,
			      mode);
	output->hidden = output->file >= 0;
	return output->hidden;
}

bool output_open(struct output *output, const char *path, struct error *err)
{
	struct stat old;
	char *copy;
	bool there;

	*output = (struct output){ .path = path, .file = -1, .folder = -1 };
	copy = strdup(path);
	if (copy)
		output->name = strdup(basename(copy));
	free(copy);
	copy = strdup(path);
	if (!output->name || !copy) {
		error_errno(err, "%s", path);
		goto fail;
	}
	output->folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (output->folder < 0) {
		error_errno(err, "%s", path);
		goto fail;
	}
	handle_signals();
	there = !stat(path, &old);
	if (there && !S_ISREG(old.st_mode)) {
		error_set(err, "%s: not a file; it would be replaced by one", path);
		goto fail;
	}
	/* Who could not read the old file shall not read the new one, at no time. */
	if (!create(output, there ? 0600 : 0666) ||
	    (there && fchmod(output->file, old.st_mode & 07777))) {
		error_errno(err, "%s", path);
		goto fail;
	}
	free(copy);
	return true;

fail:
	free(copy);
	output_discard(output);
	return false;
}

/* A nameless file gets its name at once if that is free, and else a temporary one. */
static bool link_file(struct output *output, bool *named)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", output->file);
	if (!linkat(AT_FDCWD, self, output->folder, output->name, AT_SYMLINK_FOLLOW)) {
		*named = true;
		return true;
	}
	if (errno != EEXIST || !hide(output))
		return false;
	output->hidden = true;
	return !linkat(AT_FDCWD, self, output->folder, hidden_name, AT_SYMLINK_FOLLOW);
}

bool output_commit(struct output *output, struct error *err)
{
	bool named = false, good = false;

	if (fsync(output->file) || (!output->hidden && !link_file(output, &named)) ||
	    (!named && renameat(output->folder, hidden_name, output->folder, output->name))) {
		error_errno(err, "%s", output->path);
		goto out;
	}
	reveal(output);
	good = !fsync(output->folder);
	if (!good)
		error_errno(err, "%s", output->path);
out:
	output_discard(output);
	return good;
}

void output_discard(struct output *output)
{
	if (output->hidden)
		unlinkat(output->folder, hidden_name, 0);
	reveal(output);
	if (output->file >= 0)
		close(output->file);
	if (output->folder >= 0)
		close(output->folder);
	free(output->name);
	*output = (struct output){ .file = -1, .folder = -1 };
}

bool output_is(const char *path, const char *input)
{
	struct stat one, other;

	return !stat(path, &one) && !stat(input, &other) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}
