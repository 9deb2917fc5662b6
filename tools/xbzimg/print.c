// SPDX-License-Identifier: GPL-2.0-only
/*
 * Output that subcommands share: see xbzimg.h.
 */
#include <stdlib.h>

#include "image.h"
#include "output.h"
#include "xbzimg.h"

int failed(const struct error *err)
{
	fprintf(stderr, "xbzimg: %s\n", err->text);
	return XBZIMG_FAILED;
}

void json_number(const char *key, uint64_t value)
{
	printf(", \"%s\": %llu", key, (unsigned long long)value);
}

void made_add(struct made *sum, const struct made *part)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sum->kinds); i++)
		sum->kinds[i] += part->kinds[i];
	sum->base_sum += part->base_sum;
	sum->image_sum += part->image_sum;
}

void made_print(const struct xbzimg *ctl, const char *path, uint64_t bytes, uint64_t image,
		const struct made *made, double seconds)
{
	uint64_t deltas = made->kinds[FORMAT_DELTA] + made->kinds[FORMAT_DELTA_ZERO];
	uint64_t copied = made->kinds[FORMAT_COPIES], raw = made->kinds[FORMAT_RAW];
	uint64_t zero = made->kinds[FORMAT_ZERO], pages = deltas + copied + raw + zero;
	char size[16], rate[16];

	if (ctl->json) {
		fputs("{\"path\": ", stdout);
		put_json_string(path);
		json_number("bytes", bytes);
		json_number("size", image);
		json_number("delta_pages", deltas);
		json_number("copied_pages", copied);
		json_number("raw_pages", raw);
		json_number("zero_pages", zero);
		printf(", \"seconds\": %.3f}\n", seconds);
	} else if (!ctl->quiet) {
		printf("%s: %s for %llu pages: ", path, size_text(size, bytes),
		       (unsigned long long)pages);
		printf("%llu deltas, %llu copied, %llu raw, %llu zero; %s/s\n",
		       (unsigned long long)deltas, (unsigned long long)copied,
		       (unsigned long long)raw, (unsigned long long)zero,
		       size_text(rate, seconds > 0 ? (uint64_t)(image / seconds) : 0));
	}
}

bool check_output(const char *path, char *const *inputs, int count, struct error *err)
{
	int i;

	for (i = 0; i < count; i++) {
		const char *input = image_path(inputs[i]);

		if (input && output_is(path, input))
			return error_set(err, "%s: it is read, and would be replaced", path);
	}
	return true;
}
