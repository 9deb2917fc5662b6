# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU that emulates machines: the installed one if it will do, or else that of
this release's backports, unpacked in the cache and never installed.

Debian 12's 7.2 translates code while another processor may write it, and goes on
with the old code: a processor met the breakpoint of a jump label that was just
turned, and looped in its handler for ever. QEMU 8.1 locks the page first (its commit
deba78709ae8, "accel/tcg: Always lock pages before translation").

The QEMUs that migrate, stock and patched, are other ones and not from here.
"""

import re

from . import cache, debian, progress
from .common import RigError

BINARY = "qemu-system-x86_64"
PACKAGES = ("qemu-system-x86", "qemu-system-common", "qemu-system-data")
# Firmware is the installed one's.
FIRMWARE = "/usr/share/seabios"
# The first that has the commit above.
FIXED = [8, 1]


def command():
    """The begin of a command line that emulates a machine."""
    if upstream(debian.installed(PACKAGES[0]).get(PACKAGES[0], "")) >= FIXED:
        return [BINARY]
    root = newest(cache.root() / "emulator") or _fetch()
    return [root / "root/usr/bin" / BINARY, "-L", root / "root/usr/share/qemu", "-L", FIRMWARE]


def upstream(version):
    """[major, minor] of a Debian version of QEMU, [] if it is none."""
    match = re.match(r"(?:\d+:)?(\d+)\.(\d+)", version)
    return [int(number) for number in match.groups()] if match else []


def newest(directory):
    """Of unpacked QEMUs, each called after its version, the newest; None if there
    is none."""
    return max((path for path in directory.glob("*") if path.is_dir()),
               key=lambda path: debian.version_key(path.name), default=None)


def _fetch():
    release = debian.codename()
    apt = debian.other_release(f"{release}-backports")
    version = debian.candidate(PACKAGES[0], apt)
    if upstream(version or "") < FIXED:
        raise RigError(f"{release}-backports has QEMU {version or 'not at all'}; it has to "
                       f"be {FIXED[0]}.{FIXED[1]} or later")

    def make(work):
        for package in PACKAGES:
            deb = debian.download(package, version, work, work / "log", apt)
            debian.unpack(deb, work / "root", work / "log")
            deb.unlink()
        # It lives on the libraries that the installed one brought.
        progress.run("trying it", [work / "root/usr/bin" / BINARY, "--version"],
                     work / "log")

    return cache.obtain("emulator", version.replace(":", "."), make)
