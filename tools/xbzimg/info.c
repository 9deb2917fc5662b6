// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbzimg info: what a delta image is and what it rests on, without reading its groups.
 */
#include "xbzimg.h"

static void print_json(const struct delta *delta, uint64_t bytes, uint64_t records)
{
	fputs("{\"path\": ", stdout);
	put_json_string(delta->path);
	json_number("format", FORMAT_VERSION);
	json_number("bytes", delta->bytes);
	json_number("base_size", delta->base_size);
	json_number("size", delta->size);
	json_number("groups", delta->count);
	json_number("records", records);
	json_number("uncompressed", bytes);
	printf(", \"zstd\": %s", delta->features & FORMAT_ZSTD ? "true" : "false");
	if (delta_has_sums(delta))
		printf(", \"base_sum\": \"%016llx\", \"image_sum\": \"%016llx\"",
		       (unsigned long long)delta->base_sum, (unsigned long long)delta->image_sum);
	printf(", \"sum\": \"%016llx\"}\n", (unsigned long long)delta->sum);
}

static void print_text(const struct delta *delta, uint64_t bytes, uint64_t records)
{
	char text[16];

	printf("path          %s\n", delta->path);
	printf("format        %u%s\n", FORMAT_VERSION,
	       delta->features & FORMAT_ZSTD ? ", zstd" : "");
	printf("bytes         %llu (%s)\n", (unsigned long long)delta->bytes,
	       size_text(text, delta->bytes));
	printf("image         %llu (%s)\n", (unsigned long long)delta->size,
	       size_text(text, delta->size));
	printf("base          %llu (%s)\n", (unsigned long long)delta->base_size,
	       size_text(text, delta->base_size));
	if (delta_has_sums(delta)) {
		printf("image's sum   %016llx\n", (unsigned long long)delta->image_sum);
		printf("base's sum    %016llx\n", (unsigned long long)delta->base_sum);
	}
	printf("records       %llu in %zu groups\n", (unsigned long long)records, delta->count);
	printf("uncompressed  %llu (%s)\n", (unsigned long long)bytes, size_text(text, bytes));
	printf("sum           %016llx\n", (unsigned long long)delta->sum);
}

int xbzimg_info(const struct xbzimg *ctl, int argc, char **argv)
{
	uint64_t bytes = 0, records = 0;
	struct delta delta;
	struct error err;
	size_t i;

	(void)argc;
	if (!delta_open(&delta, argv[0], &err))
		return failed(&err);
	for (i = 0; i < delta.count; i++) {
		bytes += delta.groups[i].bytes;
		records += delta.groups[i].records;
	}
	if (ctl->json)
		print_json(&delta, bytes, records);
	else
		print_text(&delta, bytes, records);
	delta_close(&delta);
	return XBZIMG_OK;
}
