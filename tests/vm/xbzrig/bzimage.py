# SPDX-License-Identifier: GPL-2.0-only
"""What is in a bzImage. The format: the kernel's Documentation/x86/boot.rst."""

import lzma
import struct

XZ = b"\xfd7zXZ\0"


def quick(image):
    """What to boot of a bzImage: if it is compressed with xz, which takes an emulated
    processor three seconds at each boot, the kernel in it; others unpack themselves
    quickly."""
    data = image.read_bytes()
    if data[0x202:0x206] != b"HdrS" or struct.unpack_from("<H", data, 0x206)[0] < 0x208:
        return data
    setup = ((data[0x1f1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[setup + offset:setup + offset + length]
    # Its length is behind it.
    return lzma.LZMADecompressor().decompress(payload) if payload.startswith(XZ) else data
