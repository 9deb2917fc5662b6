# SPDX-License-Identifier: GPL-2.0-only
"""Debian's QEMU, built from its source package with our patches.

Only the binary is kept. It runs on this machine's libraries, whatever release
its source is from. Its firmware is that of the installed package: source packages
come without.
"""

import pathlib
import re
import shutil

from . import cache, debian, progress
from .common import CHECKOUT, RigError

# What a migration needs, and nothing else: a third of the objects, and no
# dependency on libraries that a fresh machine has not got. Of devices, those that
# a PC cannot be without, the floppy that guests boot from, a display, whose
# memory migrates, and memory that is plugged in parts.
DEVICES = ("include ../i386-softmmu/default.mak\n"
           "CONFIG_I440FX=y\nCONFIG_Q35=y\nCONFIG_FDC_ISA=y\nCONFIG_VGA_PCI=y\n"
           "CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_MEM=y\n")
# 10.2 does not link without CXL, nor start without the others that it stands on.
MORE_DEVICES = {"10.2": "CONFIG_PCI_EXPRESS=y\nCONFIG_PCIE_PORT=y\nCONFIG_PXB=y\n"
                "CONFIG_CXL=y\nCONFIG_CXL_MEM_DEVICE=y\n"}
CONFIGURE = [
    "--target-list=x86_64-softmmu", "--without-default-features",
    "--without-default-devices", "--with-devices-x86_64=rig",
    "--enable-kvm", "--enable-tcg", "--enable-fdt=system", "--enable-gnutls",
    "--enable-seccomp", "--enable-zstd",
    # What our patches add; PKG_CONFIG_PATH says where libxbzrle is.
    "--enable-libxbzrle",
    "--disable-debug-info", "--disable-werror", "--disable-install-blobs",
    "--prefix=/usr",
    "--firmwarepath=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu"]
BINARY = "qemu-system-x86_64"

# Those that have a series, and the release of Debian whose source they are, if it
# is not this machine's own.
SUITES = {"7.2": "bookworm", "10.0": "trixie", "10.2": "sid"}
# The first whose configure wants a Meson that is newer than Debian 12's.
NEW_MESON = [10]
MESON = [1, 5]


def key_files(paths):
    """All files under the given paths, in an order that does not depend on
    the file system."""
    return sorted(below for path in paths for below in (path, *path.rglob("*"))
                  if below.is_file())


def upstream(version):
    """1:7.2+dfsg-7 -> 7.2"""
    return re.match(r"(?:\d+:)?(\d+\.\d+)", version)[1]


def series(version, directory):
    """The patches for a QEMU of that Debian version, written to directory."""
    progress.run(f"writing the series for QEMU {upstream(version)}",
                 [CHECKOUT / "qemu/series", upstream(version), directory],
                 cache.root() / "qemu-series.log")
    names = pathlib.Path(directory, "series").read_text().split()
    return [pathlib.Path(directory, name) for name in names]


def source_version(asked):
    """(source package, Debian version, its suite or None) of the QEMU to build: of
    the asked upstream version, or else of the installed one's."""
    source = debian.source_of("qemu-system-x86")
    if source and asked in (None, upstream(source[1])):
        return *source, None
    if not asked:
        raise RigError("qemu-system-x86 is not installed, and its version is the one "
                       "to build; `tests/vm/provision qemu` installs it")
    if asked not in SUITES:
        raise RigError(f"there is no series for QEMU {asked}, only for "
                       f"{', '.join(SUITES)}")
    suite = SUITES[asked]
    return "qemu", debian.newest_source("qemu", suite, asked), suite


def build(version, patches, keyed, source):
    """The path of a qemu-system-x86_64, built if it is not in the cache; source() is the
    directory of the source package, which has our patches among its own if none are
    given. Whatever makes it differ from another of that version is keyed."""
    key = cache.key(version, pathlib.Path(__file__), *patches, *keyed)
    name = f"{version.replace(':', '.')}-{key}"
    return cache.obtain("qemu", name,
                        lambda work: _build(work, version, source(), patches)) / BINARY


def _python_path(version):
    """Where modules are that building this version takes and this release has not
    got: of a new Meson, which is Python and nothing else."""
    if debian.version_key(upstream(version)) < NEW_MESON or \
            debian.version_key(debian.installed("meson").get("meson", ""))[:2] >= MESON:
        return None
    apt = debian.other_release(debian.NEWEST)
    meson = debian.candidate("meson", apt)
    if not meson:
        raise RigError(f"the configured mirror has no meson in {debian.NEWEST}")

    return cache.obtain("meson", meson, lambda work: debian.unpack(
        "meson", meson, work, apt)) / "root/usr/lib/python3/dist-packages"


def source_files(package, version, suite=None):
    """The directory that holds the source package's files; suite names another
    Debian release than the machine's."""
    return cache.obtain(
        "qemu-source", version.replace(":", "."),
        lambda work: debian.download_source(package, version, work, work / "log", suite))


def _build(work, version, source, patches):
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
    (tree / "configs/devices/x86_64-softmmu/rig.mak").write_text(
        DEVICES + MORE_DEVICES.get(upstream(version), ""))
    env = cache.ccache_environment()
    python_path = _python_path(version)
    if python_path:
        env["PYTHONPATH"] = str(python_path)
    build_dir.mkdir()
    progress.run("configuring QEMU",
                 [tree / "configure", "--cc=ccache gcc", *CONFIGURE], log,
                 cwd=build_dir, env=env)
    progress.run("building QEMU", ["ninja", "-C", build_dir, BINARY], log, env=env)
    (build_dir / BINARY).rename(work / BINARY)
    shutil.rmtree(tree)
    shutil.rmtree(build_dir)
