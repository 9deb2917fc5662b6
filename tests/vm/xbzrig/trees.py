# SPDX-License-Identifier: GPL-2.0-only
"""Trees of Debian, made with mmdebstrap.

fresh() is this machine's release, with a kernel that can be booted and what DKMS and
the project's packages depend on, so that installing those needs no network.

newest_make() is of the newest release, whose compiler and libc the headers of some kernels
want; /usr alone is kept. tests/vm/in-tree runs commands with it in the place of this
machine's.

foreign() is this release for another architecture, unpacked and never run: what programs
and modules are compiled against.

stock_qemu() is of the newest release and has another QEMU, which runs on this machine by
the tree's libraries.
"""

import os
import pathlib
import re
import shlex
import shutil

from . import cache, debian, progress
from .common import RIG, RigError

FRESH = ("linux-image-amd64", "linux-headers-amd64", "dkms", "udev", "kmod",
         "libmnl0", "gcc", "libc6-dev", "pkg-config",
         "libnbd0", "libxxhash0", "libzstd1", "nbdkit")
# What building modules takes; the libraries are those of objtool and modpost.
COMPILER = ("gcc", "clang", "make", "kmod", "libelf1t64", "libssl3t64", "zlib1g")

# Debian's and the kernel's name of the other architecture, and its compiler's.
FOREIGN = "arm64"
CROSS = "aarch64-linux-gnu-"
SYSROOT = ("libc6-dev", "libcmocka-dev", "libmnl-dev", "libnbd-dev", "libxxhash-dev",
           "libzstd-dev", "nbdkit-plugin-dev", f"linux-headers-{FOREIGN}")

# Stock QEMUs, and the suite that has each.
STOCK = {"10.0": debian.NEWEST, "11.1": f"{debian.NEWEST}-backports"}
QEMU = "qemu-system-x86"
# Runs the program of its name in the tree beside it.
RUN = """\
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
lib=$root/usr/lib/x86_64-linux-gnu
QEMU_MODULE_DIR=$lib/qemu exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib" \\
	"$root/usr/bin/${0##*/}" "$@"
"""


def fresh():
    """The root of the tree. What is to be changed in it has to be a copy."""
    key = cache.key(" ".join(FRESH), debian.candidate("linux-image-amd64") or "",
                    pathlib.Path(__file__))
    name = debian.codename()
    return cache.obtain("fresh", f"{name}-{key}", lambda work: _make(
        work, "root", name, "minbase", FRESH, debian.sources())) / "root"


def newest_make():
    """The command that is the newest release's make."""
    def make(work):
        _make(work, "full", debian.NEWEST, "essential", COMPILER, [debian.mirror(debian.NEWEST)])
        for path in ("usr", "etc/alternatives"):
            (work / "root" / path).parent.mkdir(parents=True, exist_ok=True)
            (work / "full" / path).rename(work / "root" / path)
        shutil.rmtree(work / "full")

    key = cache.key(" ".join(COMPILER), pathlib.Path(__file__))
    kept = cache.obtain("tree", f"{debian.NEWEST}-{key}", make)
    return f"{shlex.quote(str(RIG / 'in-tree'))} {shlex.quote(str(kept / 'root'))} make"


def foreign():
    """The root of the tree, in which the programs of the kernel's headers are this
    machine's."""
    def make(work):
        _make(work, "root", debian.codename(), "extract",
              [f"{package}:{FOREIGN}" for package in SYSROOT], debian.sources(),
              f"--architectures=amd64,{FOREIGN}")
        relocate(next((work / "root/usr/src").glob(f"linux-headers-*-{FOREIGN}")))

    key = cache.key(" ".join(SYSROOT), pathlib.Path(__file__))
    return cache.obtain("foreign", f"{debian.codename()}-{key}", make) / "root"


def stock_qemu(version):
    """The path of that upstream version of qemu-system-x86_64, as Debian has it."""
    suite = STOCK[version]
    sources = [debian.mirror(name) for name in {debian.NEWEST, suite}]

    def make(work):
        _make(work, "root", debian.NEWEST, "essential", [QEMU], sources,
              f"--aptopt=APT::Default-Release \"{suite}\"")
        script = work / "qemu-system-x86_64"
        script.write_text(RUN)
        script.chmod(0o755)

    has = debian.candidate(QEMU, debian.other_release(suite)) or ""
    key = cache.key(has, RUN, pathlib.Path(__file__))
    return cache.obtain("stock", f"{has.replace(':', '.')}-{key}", make) / "qemu-system-x86_64"


def relocate(headers):
    """Make headers that were unpacked work where they are."""
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace(
        "/usr/src/", "$(dir $(realpath $(lastword $(MAKEFILE_LIST))))../"))
    # Of a release whose compiler this machine has not got, its own will do.
    variables = headers / ".kernelvariables"
    variables.write_text(re.sub(r"gcc-\d+$", "gcc", variables.read_text(), flags=re.M))
    # It is there for BTF, which would take a program more, pahole.
    (headers / "vmlinux").unlink(missing_ok=True)


def _make(work, root, name, variant, packages, sources, *more):
    if not shutil.which("mmdebstrap"):
        raise RigError("mmdebstrap is not installed; `tests/vm/provision tree` installs it")
    # What root's mounts goes with it, however it ends.
    own_mounts = [] if os.geteuid() else ["unshare", "--mount"]
    progress.run(f"making a tree of Debian {name}",
                 [*own_mounts, "mmdebstrap", f"--variant={variant}",
                  f"--include={','.join(packages)}",
                  "--dpkgopt=path-exclude=/usr/share/locale/*",
                  "--aptopt=Acquire::Languages none", *more, name, work / root, *sources],
                 work / "log",
                 # The rig boots with an initramfs of its own; this one takes minutes.
                 env=dict(os.environ, INITRD="No"))
