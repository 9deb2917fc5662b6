# SPDX-License-Identifier: GPL-2.0-only
"""The parameter block of the load generator's boot sector.

What lives here: offsets, meanings and limits of the words in dirty.S's
parameter block, for the program that writes them (build) and for those that
read them back (tests/e2e). What does not: the assembler run, see build.
"""

import struct

SECTOR = 512
MAGIC_OFFSET = 4
MAGIC = b"XBZD"
PAGE = 4096

# name: (offset, default); all are little-endian 32-bit words.
FIELDS = {
    "footprint": (8, 16 << 20),
    "base": (12, 1 << 20),
    "stride": (16, 1024),
    "rate": (20, 0),
    "report": (24, 2),
    "mode": (28, 0),
    "words": (32, 64),
    "fill": (36, 0),
}
MODES = ("increment", "words")
REPORT_MS = 50

# The guest runs below the PCI hole of a PC and above its first megabyte.
LOWEST_BASE = 1 << 20
HIGHEST_END = 3 << 30
# Below this the guest's 32-bit ticks per page would overflow.
LOWEST_RATE = 2


class BadParameter(ValueError):
    """A parameter that the boot sector cannot work with."""


def parse_size(text):
    """'16M', '512K', '1G' or plain bytes -> bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, unit = text, 1
    if text and text[-1].upper() in units:
        number, unit = text[:-1], units[text[-1].upper()]
    try:
        value = float(number) * unit
    except ValueError:
        raise BadParameter(f"'{text}' is no size; write 16M, 512K or bytes") \
            from None
    if value < 0 or value != int(value):
        raise BadParameter(f"'{text}' is not a whole number of bytes")
    return int(value)


def check(values):
    """Raise BadParameter, naming the mend, unless the guest can run this."""
    v = values
    if v["footprint"] < PAGE or v["footprint"] % PAGE:
        raise BadParameter(f"footprint {v['footprint']} is not a multiple of "
                           f"{PAGE} bytes; give at least 4K")
    if v["base"] < LOWEST_BASE or v["base"] % PAGE:
        raise BadParameter(f"base {v['base']:#x} must be page aligned and at "
                           f"or above {LOWEST_BASE:#x}, where no BIOS data is")
    if v["base"] + v["footprint"] > HIGHEST_END:
        raise BadParameter("base + footprint passes 3G, where a PC's PCI hole "
                           "begins; make the footprint smaller")
    stride = v["stride"]
    if stride < 1 or (PAGE % stride and stride % PAGE):
        raise BadParameter(f"stride {stride} must divide {PAGE} or be a "
                           f"multiple of it")
    if v["rate"] and not LOWEST_RATE <= v["rate"] < 1 << 32:
        raise BadParameter(f"rate {v['rate']} pages/s is out of range; give "
                           f"0 (no limit) or at least {LOWEST_RATE}")
    if v["mode"] >= len(MODES):
        raise BadParameter(f"mode {v['mode']} is unknown")
    if not 1 <= v["words"] <= 1 << 16:
        raise BadParameter(f"words {v['words']} is not in 1..65536")
    if not 0 <= v["report"] <= 1200:
        raise BadParameter("report interval is not in 0..60000 ms")
    if v["fill"] not in (0, 1):
        raise BadParameter("fill is 0 or 1")


def patch(image, values):
    """A copy of the boot sector 'image' with the parameters written in."""
    check(values)
    out = bytearray(image)
    if len(out) != SECTOR or out[MAGIC_OFFSET:MAGIC_OFFSET + 4] != MAGIC:
        raise BadParameter("not a boot sector built from dirty.S")
    for name, (offset, _) in FIELDS.items():
        struct.pack_into("<I", out, offset, values[name])
    return bytes(out)


def read(path):
    """The parameters of the image at 'path', or None if it is another one."""
    with open(path, "rb") as f:
        image = f.read(SECTOR)
    if len(image) < SECTOR or \
            image[MAGIC_OFFSET:MAGIC_OFFSET + 4] != MAGIC:
        return None
    return {name: struct.unpack_from("<I", image, offset)[0]
            for name, (offset, _) in FIELDS.items()}
