// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzimg verify: every byte of delta images, and with a base that all of it fits and gives
 * the image that it should.
 */
#include <stdlib.h>

#include "jobs.h"
#include "page.h"
#include "progress.h"
#include "restore.h"
#include "xbzimg.h"

struct verify {
	const struct delta *delta;
	struct delta_cursor *cursors;
};

static bool do_group(void *arg, unsigned int worker, uint64_t job, struct error *err)
{
	struct verify *verify = arg;

	progress_add(verify->delta->groups[job].stored);
	return delta_group(verify->delta, &verify->cursors[worker], job, err);
}

static bool verify_delta(const struct delta *delta, unsigned int threads, struct error *err)
{
	struct verify verify = { .delta = delta };
	struct jobs jobs = {
		.count = delta->count,
		.threads = threads,
		.arg = &verify,
		.work = do_group,
	};
	unsigned int i;
	bool good;

	verify.cursors = calloc(threads, sizeof(*verify.cursors));
	if (!verify.cursors)
		return error_errno(err, "memory for threads");
	for (i = 0; i < threads; i++)
		verify.cursors[i].at = GROUP_NONE;
	good = jobs_run(&jobs, err);
	for (i = 0; i < threads; i++)
		delta_cursor_free(&verify.cursors[i]);
	free(verify.cursors);
	return good;
}

static bool verify_deltas(const struct xbzimg *ctl, char *const *paths, int count,
			  struct error *err)
{
	struct deltas deltas;
	uint64_t bytes = 0;
	bool good = true;
	size_t i;

	if (!deltas_open(&deltas, paths, count, err))
		return false;
	for (i = 0; i < deltas.count; i++)
		bytes += deltas.delta[i].bytes;
	progress_begin(bytes, ctl->quiet);
	for (i = 0; good && i < deltas.count; i++)
		good = verify_delta(&deltas.delta[i], ctl->threads, err);
	progress_end();
	deltas_close(&deltas);
	return good;
}

static bool verify_chain(const struct xbzimg *ctl, char *const *paths, int count,
			 struct error *err)
{
	struct chain *chain = chain_open(ctl->base, paths, count, ctl->threads, err);
	bool good;

	if (!chain)
		return false;
	progress_begin(chain_size(chain), ctl->quiet);
	good = restore(chain, ctl->threads, NULL, err);
	progress_end();
	chain_close(chain);
	return good;
}

int xbzimg_verify(const struct xbzimg *ctl, int argc, char **argv)
{
	struct error err;
	bool good;

	good = verify_deltas(ctl, argv, argc, &err) &&
	       (!ctl->base || verify_chain(ctl, argv, argc, &err));
	if (ctl->json) {
		printf("{\"sound\": %s", good ? "true" : "false");
		if (!good) {
			fputs(", \"error\": ", stdout);
			put_json_string(err.text);
		}
		puts("}");
	} else if (good && !ctl->quiet) {
		puts(ctl->base ? "sound, and the base is the right one" : "sound");
	}
	return good ? XBZIMG_OK : failed(&err);
}
