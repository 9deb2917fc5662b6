// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes into the decoder. Fails if it touches a byte outside its two
 * buffers, if it takes or refuses anything else than the plain model of the
 * rules does, or if it makes another page of it.
 */
#include <stdlib.h>
#include <string.h>

#include <xbzrle/codec.h>

#include "../unit/model.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	/* Of exactly their size, so that ASan sees the first byte outside. */
	u8 *in = malloc(size);
	u8 *page = malloc(XBZ_PAGE_SIZE);
	static u8 want[XBZ_PAGE_SIZE];
	int got;

	if (!page)
		abort();
	if (size) {
		if (!in)
			abort();
		memcpy(in, data, size);
	}
	memset(page, 0x5a, XBZ_PAGE_SIZE);
	memset(want, 0x5a, XBZ_PAGE_SIZE);

	got = xbz_decode(page, in, size);
	if (got != model_decode(want, data, size))
		abort();
	if (memcmp(page, want, XBZ_PAGE_SIZE))
		abort();

	free(page);
	free(in);
	return 0;
}
