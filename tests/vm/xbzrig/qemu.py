# SPDX-License-Identifier: GPL-2.0-only
"""Debian's QEMU, built from its source package with our patches.

Only the binary is kept. Its firmware is that of the installed package, which
is the same version: the source package comes without.
"""

import pathlib
import shutil

from . import cache, debian, progress
from .common import RigError

# What a migration needs, and nothing else: a third of the objects, and no
# dependency on libraries that a fresh machine has not got. Of devices, those that
# a PC cannot be without, and a display, whose memory migrates.
DEVICES = "include ../i386-softmmu/default.mak\nCONFIG_VGA_PCI=y\n"
CONFIGURE = [
    "--target-list=x86_64-softmmu", "--without-default-features",
    "--without-default-devices", "--with-devices-x86_64=rig",
    "--enable-kvm", "--enable-tcg", "--enable-fdt=system", "--enable-gnutls",
    "--disable-debug-info", "--disable-werror", "--prefix=/usr",
    "--firmwarepath=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu"]
# What our patches add to configure; PKG_CONFIG_PATH says where libxbzrle is.
CONFIGURE_PATCHED = ["--enable-libxbzrle"]
BINARY = "qemu-system-x86_64"


def read_series(directory):
    """The patches of a quilt series, in order; none if there is no series."""
    series = directory / "series"
    if not series.exists():
        return []
    lines = (line.split("#")[0].split() for line in series.read_text().splitlines())
    patches = [directory / words[0] for words in lines if words]
    for patch in patches:
        if not patch.is_file():
            raise RigError(f"{series} names {patch.name}, which is not there")
    return patches


def key_files(paths):
    """All files under the given paths, in an order that does not depend on
    the file system."""
    files = set()
    for path in paths:
        if not path.exists():
            raise RigError(f"{path} is not there")
        files |= {path} if path.is_file() else {
            below for below in path.rglob("*") if below.is_file()}
    return sorted(files)


def build(patches, extra_configure, keyed):
    """The path of a qemu-system-x86_64, built if it is not in the cache."""
    source = debian.source_of("qemu-system-x86")
    if not source:
        raise RigError("qemu-system-x86 is not installed, and its version is the one "
                       "to build; `tests/vm/provision qemu` installs it")
    package, version = source
    configure = [*CONFIGURE, *(CONFIGURE_PATCHED if patches else []), *extra_configure]
    return _obtain(version, patches, configure, keyed,
                   lambda: source_files(package, version))


def build_source(directory, version, keyed):
    """The same of the source package in a directory, which has our patches among
    its own; whatever makes it differ from another of that version is keyed."""
    return _obtain(version, [], [*CONFIGURE, *CONFIGURE_PATCHED], keyed, lambda: directory)


def _obtain(version, patches, configure, keyed, source):
    key = cache.key(version, "\0".join(configure), pathlib.Path(__file__),
                    *patches, *keyed)
    name = f"{version.replace(':', '.')}-{key}"
    kept = cache.obtain("qemu", name,
                        lambda work: _build(work, source(), patches, configure))
    return kept / BINARY


def source_files(package, version, suite=None):
    """The directory that holds the source package's files; suite names another
    Debian release than the machine's."""
    return cache.obtain(
        "qemu-source", version.replace(":", "."),
        lambda work: debian.download_source(package, version, work, work / "log", suite))


def _build(work, source, patches, configure):
    log = work / "log"
    tree = work / "tree"
    build_dir = work / "build"
    dsc = next(source.glob("*.dsc"))
    progress.run(f"unpacking {dsc.name}",
                 ["dpkg-source", "--no-check", "--no-copy", "-x", dsc, tree], log)
    for patch in patches:
        progress.run(f"applying {patch.name}",
                     ["patch", "-d", tree, "-p1", "--fuzz=0", "--batch",
                      "--no-backup-if-mismatch", "-i", patch], log)
    (tree / "configs/devices/x86_64-softmmu/rig.mak").write_text(DEVICES)
    env = cache.ccache_environment()
    build_dir.mkdir()
    progress.run("configuring QEMU",
                 [tree / "configure", "--cc=ccache gcc", *configure], log,
                 cwd=build_dir, env=env)
    progress.run("building QEMU", ["ninja", "-C", build_dir, BINARY], log,
                 progress.ninja, env=env)
    (build_dir / BINARY).rename(work / BINARY)
    shutil.rmtree(tree)
    shutil.rmtree(build_dir)
