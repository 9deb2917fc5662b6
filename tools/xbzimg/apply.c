// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzimg apply: the image of a base and delta images, as a raw file with holes.
 */
#include <stdlib.h>
#include <unistd.h>

#include "output.h"
#include "progress.h"
#include "restore.h"
#include "xbzimg.h"

int xbzimg_apply(const struct xbzimg *ctl, int argc, char **argv)
{
	const char *path = argv[argc - 1];
	struct output output;
	struct chain *chain;
	struct error err;
	uint64_t size;
	bool good;
	double seconds;

	chain = chain_open(argv[0], argv + 1, argc - 2, ctl->threads, &err);
	if (!chain)
		return failed(&err);
	size = chain_size(chain);
	good = check_output(path, argv, argc - 1, &err) && output_open(&output, path, &err);
	if (!good)
		goto out;
	progress_begin(size, ctl->quiet);
	good = !ftruncate(output.file, size) || error_errno(&err, "%s", path);
	good = good && restore(chain, ctl->threads, &output, &err);
	if (good)
		good = output_commit(&output, &err);
	else
		output_discard(&output);
	seconds = progress_end();
out:
	chain_close(chain);
	if (!good)
		return failed(&err);
	if (ctl->json) {
		fputs("{\"path\": ", stdout);
		put_json_string(path);
		json_number("size", size);
		printf(", \"seconds\": %.3f}\n", seconds);
	} else if (!ctl->quiet) {
		char text[16], rate[16];

		printf("%s: %s, %s/s\n", path, size_text(text, size),
		       size_text(rate, seconds > 0 ? (uint64_t)(size / seconds) : 0));
	}
	return XBZIMG_OK;
}
