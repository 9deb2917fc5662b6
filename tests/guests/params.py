# SPDX-License-Identifier: GPL-2.0-only
"""The parameters of the load generator's boot sector: units, limits, and what can be
read back from an image.

What lives here: what the program that makes images (build) shares with the one
that migrates them (tests/e2e/migrate). What does not: the assembler run.
"""

import argparse
import re
import struct

PAGE = 4096
# The guest runs below the PCI hole of a PC and above its first megabyte.
LOWEST_BASE = 1 << 20
HIGHEST_END = 3 << 30
# Below this the guest's 32-bit ticks per page would overflow.
LOWEST_RATE = 2


class BadParameter(argparse.ArgumentTypeError):
    """A parameter that the boot sector cannot work with."""


def parse_size(text):
    """'16M', '512K', '1G' or plain bytes -> bytes."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    if not match:
        raise BadParameter(f"'{text}' is no size; write 16M, 512K or bytes")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


def check(v):
    """Raise BadParameter, naming the mend, unless the guest can run this."""
    stride = v["stride"]
    for good, text in (
            (v["footprint"] >= PAGE and v["footprint"] % PAGE == 0,
             f"the footprint must be a multiple of {PAGE} bytes, and at least that"),
            (v["base"] >= LOWEST_BASE and v["base"] % PAGE == 0,
             f"the base must be page aligned and at or above {LOWEST_BASE:#x}, where "
             f"no BIOS data is"),
            (v["base"] + v["footprint"] <= HIGHEST_END,
             "base + footprint passes 3G, where a PC's PCI hole begins"),
            (stride >= 1 and (PAGE % stride == 0 or stride % PAGE == 0),
             f"the stride must divide {PAGE} or be a multiple of it"),
            (not v["rate"] or LOWEST_RATE <= v["rate"] < 1 << 32,
             f"the rate must be 0 (no limit) or at least {LOWEST_RATE} pages/s"),
            (1 <= v["words"] <= 1 << 16, "there must be 1 to 65536 words")):
        if not good:
            raise BadParameter(text)


def end(path):
    """The end of the memory that the image at 'path' dirties."""
    with open(path, "rb") as f:
        head = f.read(16)
    if head[4:8] != b"XBZD":
        raise BadParameter(f"{path} was not made by tests/guests/build")
    return sum(struct.unpack_from("<II", head, 8))
