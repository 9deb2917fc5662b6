# SPDX-License-Identifier: GPL-2.0-only
"""Images for the tests of xbzimg, and how it is called."""

import os
import pathlib
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
        kind = rng.randrange(8)
        if kind == 0:
            new[at:end] = bytes(end - at)
        elif kind == 1:
            new[at:end] = page(rng)[:end - at]
        elif kind == 2:     # the worst for runs
            new[at:end:2] = rng.randbytes(len(new[at:end:2]))
        elif kind == 3:     # and for a merge
            first = at + rng.randrange(min(2, end - at))
            new[first:end:4] = rng.randbytes(len(range(first, end, 4)))
        else:
            for _ in range(rng.choice((1, 3, 40, 400))):
                new[rng.randrange(at, end)] = rng.randrange(256)
    return bytes(new)


def holes(path):
    """Bytes of a file that are not on the disk."""
    status = os.stat(path)
    return status.st_size - status.st_blocks * 512
