# SPDX-License-Identifier: GPL-2.0-only
"""What is in a bzImage. The format: the kernel's Documentation/x86/boot.rst."""

import lzma
import struct

XZ = b"\xfd7zXZ\0"


def vmlinux(image):
    """The kernel in a bzImage that is compressed with xz, or None of others, which
    unpack themselves quickly; with xz it takes an emulated processor three seconds at
    each boot."""
    data = image.read_bytes()
    if data[0x202:0x206] != b"HdrS" or struct.unpack_from("<H", data, 0x206)[0] < 0x208:
        return None
    setup = ((data[0x1f1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[setup + offset:setup + offset + length]
    if not payload.startswith(XZ):
        return None
    # Its length is behind it.
    kernel = lzma.LZMADecompressor().decompress(payload)
    return kernel if kernel.startswith(b"\x7fELF") else None
