# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU that emulates machines: the installed one if it will do, or else that of
this release's backports, unpacked in the cache and never installed.

Debian 12's 7.2 translates code while another processor may write it, and goes on
with the old code: a processor met the breakpoint of a jump label that was just
turned, and looped in its handler for ever. QEMU 8.1 locks the page first (its commit
deba78709ae8, "accel/tcg: Always lock pages before translation").

The QEMUs that migrate, stock and patched, are other ones and not from here.
"""

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
    if fixed(debian.installed(PACKAGES[0]).get(PACKAGES[0])):
        return [BINARY]
    root = cache.obtain("emulator", debian.codename(), _fetch) / "root/usr"
    return [root / "bin" / BINARY, "-L", root / "share/qemu", "-L", FIRMWARE]


def fixed(version):
    """Whether a Debian version of QEMU, or None, has the commit above."""
    return debian.version_key((version or "").rpartition(":")[2])[:2] >= FIXED


def _fetch(work):
    release = debian.codename()
    apt = debian.other_release(f"{release}-backports")
    version = debian.candidate(PACKAGES[0], apt)
    if not fixed(version):
        raise RigError(f"{release}-backports has QEMU {version or 'not at all'}; it has to "
                       f"be {FIXED[0]}.{FIXED[1]} or later")
    for package in PACKAGES:
        debian.unpack(package, version, work, apt)
    # It lives on the libraries that the installed one brought.
    progress.run("trying it", [work / "root/usr/bin" / BINARY, "--version"], work / "log")
