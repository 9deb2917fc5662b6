# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's side of the bench, compiled from Debian's QEMU source packages.

What lives here: which versions, which of their files, and how these are
compiled. Not one line of QEMU's is in this repository: the source package is
unpacked into the cache, and only the shared object is kept.
"""

import pathlib
import re
import shutil
import subprocess

from xbzrig import cache, debian, progress, qemu
from xbzrig.common import RigError, say

HERE = pathlib.Path(__file__).resolve().parent

# The other release of Debian whose QEMU has an encoder with AVX-512.
OTHER_SUITE = "trixie"

# QEMU's own flags that change code, and -O2, which the project's side gets too.
# What Debian adds to harden it is left out: it costs time.
CFLAGS = ["-O2", "-std=gnu11", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64",
          "-fno-strict-aliasing", "-fno-common", "-fwrapv", "-mcx16",
          # One object for each version, of which one symbol is seen; what its
          # files have besides, and want from others, is dropped by the linker.
          "-fPIC", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections"]
# QEMU's headers are looked for as a system's, so that warnings are ours.
WARNINGS = {"ours": ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"], "QEMU's": ["-w"]}
LDFLAGS = ["-shared", "-Wl,--gc-sections", "-Wl,-z,defs"]

# From QEMU's tree, where the version has them; xbzrle.c is included by ours.
SOURCES = ["migration/page_cache.c", "migration/qemu-file.c",
           "migration/migration-stats.c", "util/cutils.c", "util/bitops.c",
           "util/iov.c", "util/cpuinfo-i386.c"]
# Copied out of it without their neighbours, in whose place ours are found.
ALONE = ["migration/xbzrle.c", "migration/xbzrle.h", "migration/page_cache.h",
         "migration/qemu-file.h", "migration/migration-stats.h"]
INCLUDES = ["include", "host/include/x86_64", "host/include/generic", ""]
OURS = ["encoders.c", "stubs.c", "side.c"]


def build_all():
    """(paths of the shared objects, sentences about those that are missing)

    There is nothing to compare with without the QEMU of this release, but the
    other one may be out of reach.
    """
    built, missing = [installed()], []
    try:
        built.append(_other())
    except RigError as error:
        sentence = (f"no QEMU of {OTHER_SUITE}, so none of its encoder with AVX-512: "
                    f"{error}")
        say(f"warning: {sentence}")
        missing.append(sentence)
    return built, missing


def installed():
    """The QEMU of this machine's release."""
    source = debian.source_of("qemu-system-x86")
    if not source:
        raise RigError("qemu-system-x86 is not installed, and its version is the one "
                       "to measure; `tests/vm/provision bench` installs it")
    return _obtain(source[1], lambda: qemu.source_files(*source))


def _other():
    """That of the other release, if the machine's mirror has it."""
    version = debian.newest_source("qemu", OTHER_SUITE)
    return _obtain(version, lambda: qemu.source_files("qemu", version, OTHER_SUITE))


def _obtain(version, source):
    compiler = subprocess.run(["gcc", "-dumpfullversion"], stdout=subprocess.PIPE,
                              text=True, check=True).stdout
    key = cache.key(version, compiler, "\0".join(CFLAGS + LDFLAGS + SOURCES + ALONE),
                    *qemu.key_files([HERE / "qemu", pathlib.Path(__file__)]))
    name = f"{version.replace(':', '.')}-{key}"
    kept = cache.obtain("bench-qemu", name,
                        lambda work: _build(work, version, source()))
    return kept / "side.so"


def short(version):
    """1:7.2+dfsg-7 -> 7.2"""
    return re.match(r"(?:\d+:)?(\d+\.\d+)", version)[1]


def _build(work, version, source):
    log = work / "log"
    tree = work / "tree"
    alone = work / "alone"
    dsc = next(source.glob("*.dsc"))
    progress.run(f"unpacking {dsc.name}",
                 ["dpkg-source", "--no-check", "--no-copy", "-x", dsc, tree], log)
    alone.mkdir()
    present = [path for path in SOURCES if (tree / path).exists()]
    for path in [*present, *ALONE]:
        if (tree / path).exists():
            shutil.copy(tree / path, alone)
    flags = [*CFLAGS, f'-DQEMU_VERSION_NAME="{short(version)}"',
             "-isystem", alone, "-isystem", HERE / "qemu",
             "-isystem", HERE / "qemu/include"]
    for path in INCLUDES:
        flags += ["-isystem", tree / path]
    flags += _pkg_config("--cflags")
    objects = []
    for whose, paths in (("QEMU's", [alone / pathlib.Path(name).name for name in present]),
                         ("ours", [HERE / "qemu" / name for name in OURS])):
        for path in paths:
            objects.append(work / f"{path.stem}.o")
            progress.run(f"compiling {path.name}, {whose}, with QEMU {short(version)}",
                         ["gcc", *flags, *WARNINGS[whose], "-c", "-o", objects[-1], path],
                         log)
    progress.run("linking", ["gcc", *LDFLAGS, "-o", work / "side.so", *objects,
                             *_pkg_config("--libs")], log)
    shutil.rmtree(tree)
    shutil.rmtree(alone)


def _pkg_config(what):
    return subprocess.run(["pkg-config", what, "glib-2.0"], stdout=subprocess.PIPE,
                          text=True, check=True).stdout.split()
