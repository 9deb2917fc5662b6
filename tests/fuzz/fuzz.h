/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The entry point by which libFuzzer calls a target.
 */
#ifndef XBZ_FUZZ_H
#define XBZ_FUZZ_H

#include "../../lib/codec/freestanding.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#endif /* XBZ_FUZZ_H */
