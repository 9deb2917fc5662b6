# SPDX-License-Identifier: GPL-2.0-only
"""Images for the tests of xbzimg, and how it is called."""

import ctypes
import os
import pathlib
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
XBZIMG = ROOT / "build/xbzimg"
PAGE = 4096


def run(*argv, status=0, **options):
    """stdout and stderr of a command that ends so."""
    done = subprocess.run([str(arg) for arg in argv], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **options)
    if done.returncode != status:
        raise AssertionError(f"{argv}: status {done.returncode}: {done.stdout}")
    return done.stdout


def xbzimg(*argv, **options):
    return run(XBZIMG, *argv, **options)


def write(path, content):
    """A file, with holes for zero pages."""
    with open(path, "wb") as file:
        for at in range(0, len(content), PAGE):
            page = content[at:at + PAGE]
            if any(page):
                file.seek(at)
                file.write(page)
        file.truncate(len(content))
    return path


def page(rng):
    """A page as databases, file systems and others have them."""
    kind = rng.randrange(6)
    if kind == 0:
        return bytes(PAGE)
    if kind == 1:
        return rng.randbytes(PAGE)
    if kind == 2:
        return bytes([rng.randrange(256)]) * PAGE
    if kind == 3:
        return (b"%d some text of a log, line by line\n" % rng.randrange(1000) * 128)[:PAGE]
    begin = rng.randrange(PAGE)
    return (bytes(begin) + rng.randbytes(rng.randrange(1, 200)) + bytes(PAGE))[:PAGE]


def image(rng, size):
    """An image of so many bytes."""
    return b"".join(page(rng) for _ in range(0, size, PAGE))[:size]


def changed(rng, old, size, part=3):
    """What may become of an image, one page of `part` changed."""
    new = bytearray(old[:size])
    new += image(rng, size - len(new)) if rng.random() < 0.7 else bytes(size - len(new))
    for at in range(0, size, PAGE):
        if rng.randrange(part):
            continue
        end = min(at + PAGE, size)
        kind = rng.randrange(11)
        if kind == 0:
            new[at:end] = bytes(end - at)
        elif kind == 1:
            new[at:end] = page(rng)[:end - at]
        elif kind == 2:     # the worst for runs
            new[at:end:2] = rng.randbytes(len(new[at:end:2]))
        elif kind == 3:     # and for a merge
            first = at + rng.randrange(min(2, end - at))
            new[first:end:4] = rng.randbytes(len(range(first, end, 4)))
        elif kind < 7:      # moved, or written twice
            source = old if kind < 6 else new[:at]
            begin = rng.randrange(len(source) // PAGE + 1) * PAGE
            begin += rng.choice((0, 0, rng.randrange(PAGE)))
            moved = source[begin:begin + end - at]
            new[at:at + len(moved)] = moved
            if at < end and rng.randrange(2):
                new[rng.randrange(at, end)] ^= 1
        else:
            for _ in range(rng.choice((1, 3, 40, 400))):
                new[rng.randrange(at, end)] = rng.randrange(256)
    return bytes(new)


def number(value):
    """7 bits in each byte, the lowest first."""
    content = bytearray()
    while value >= 128:
        content.append(value & 127 | 128)
        value >>= 7
    return bytes(content + bytes([value]))


def xxh3(content, seed=0):
    """The sum of delta images."""
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_64bits_withSeed.restype = ctypes.c_uint64
    return library.XXH3_64bits_withSeed(bytes(content), ctypes.c_size_t(len(content)),
                                        ctypes.c_uint64(seed))


def crafted(path, base, pages):
    """A delta image of an image that is as long as its base, by pages that are put together:
    {page: [(zero bytes that precede the copy, its length, where it comes from), ...]}. Copies
    of the image are of pages before."""
    content, index, new = bytearray(), bytearray(), bytearray(base)
    for page, copies in pages.items():
        pos, shift, program, bytes_of = 0, page * PAGE, b"", bytearray()
        for before, length, source in copies:
            pos += before
            turn, shift = source - pos - shift, source - pos
            program += number(before) + number(length)
            program += number(3 + (2 * turn if turn >= 0 else -2 * turn - 1)) if turn else b"\0"
            pos += length
            whole, at = (base, source) if source < len(base) else (new, source - len(base))
            bytes_of += bytes(before) + whole[at:at + length]
        new[page * PAGE:(page + 1) * PAGE] = bytes_of[:PAGE].ljust(PAGE, b"\0")
        # Each is a group.
        group = struct.pack("<HHI", 0, 4 << 13 | len(copies),
                            xxh3(new[page * PAGE:(page + 1) * PAGE], page) & 0xffffffff)
        group += program + bytes(max(0, PAGE - sum(length for _, length, _ in copies)))
        index += struct.pack("<QQIIIIQ", 64 + len(content), page, 1, len(group), len(group), 1,
                             xxh3(group))
        content += group
    header = struct.pack("<8sIIQQQQQQ", b"xbzimg\r\n", 2, PAGE, 0, 0, len(base), len(base), 0, 0)
    trailer = struct.pack("<QQQQQQ", 64 + len(content), len(pages), xxh3(index), 0, 0, 0)
    path.write_bytes(header + content + index + trailer +
                     struct.pack("<Q8s", xxh3(header + trailer), b"xbzimg\r\n"))
    return new


def holes(path):
    """Bytes of a file that are not on the disk."""
    status = os.stat(path)
    return status.st_size - status.st_blocks * 512
