# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that Debian has not got, compiled from linux-source-6.1: User Mode
Linux, and those with checkers, for the rig's QEMU.

The artifact is what is left of the build tree when all is removed that
neither booting nor compiling a module against it needs.
"""

import os
import pathlib
import re

from . import cache, debian, progress
from .common import RIG, RigError
from .kernels import Kernel

SOURCE = "linux-source-6.1"
# Most of the source is other architectures' and drivers' files: half the time
# to unpack, nothing to us. Their Kconfig files are read, so those stay.
LEFT_OUT = [f"{path}/*.[chS]" for path in (
    "arch/[!ux]*", "drivers/gpu", "drivers/infiniband", "drivers/media", "drivers/net/*",
    "drivers/scsi", "drivers/staging", "sound")] + [
        "*.dts", "*.dtsi", "*.rst", "tools/perf", "tools/testing"]


# make's ARCH, and names in configs/, laid on allnoconfig one upon the other.
RECIPES = {
    "uml": ("um", "common", "uml"),
    "kcov": ("um", "common", "uml", "kcov"),
    "debug": ("x86", "common", "x86", "debug"),
    "kcsan": ("x86", "common", "x86", "kcsan"),
}
# By make's ARCH; what make has to make is called so.
IMAGES = {"um": "linux", "x86": "arch/x86/boot/bzImage"}

# What building a module against the tree needs, of any of them.
KEPT = re.compile(
    r"^(scripts|include)/|^arch/(um|x86)/(include|um/asm)/|\.(h|ko)$|"
    r"(^|/)(Makefile[^/]*|Kbuild[^/]*|Kconfig[^/]*)$|^tools/objtool/objtool$|"
    r"^(\.config|Module\.symvers|System\.map|vmlinux\.symvers|log|"
    r"modules\.\w+|arch/[^/]*/kernel/[\w.]*\.lds)$")


def get(name):
    """The kernel of that name, built if it is not in the cache."""
    arch, *configs = RECIPES[name]
    uml = arch == "um"
    version = debian.installed(SOURCE).get(SOURCE)
    if not version:
        raise RigError(f"{SOURCE} is not installed; `tests/vm/provision "
                       f"{'uml' if uml else 'debug'}` installs it and what builds it")
    config = "".join((RIG / f"configs/{part}.config").read_text() for part in configs)
    key = cache.key(version, config, pathlib.Path(__file__))
    tree = cache.obtain(name, f"{version}-{key}",
                        lambda work: _build(work, name, arch, config))
    release = (tree / "include/config/kernel.release").read_text().strip()
    return Kernel(name=name, release=release, image=tree / IMAGES[arch],
                  modules=None if uml else tree, kdir=tree,
                  make="make ARCH=um" if uml else "make", uml=uml)


def _build(work, name, arch, config):
    log = work / "log"
    env = cache.ccache_environment()
    progress.run(f"unpacking {SOURCE}",
                 ["tar", "-C", work, "--strip-components=1", "-I", "xz -T0",
                  *(f"--exclude={SOURCE}/{pattern}" for pattern in LEFT_OUT),
                  "-xf", f"/usr/src/{SOURCE}.tar.xz"], log)
    (work / "rig.config").write_text(config)
    # So that uname -r, and what is built for it, tells one from the other.
    make = ["make", "-C", work, f"ARCH={arch}", "CC=ccache gcc",
            f"LOCALVERSION=-{name}",
            # Looks for local symbols that are exported, with a shell, nm and awk for
            # each object, a tenth of a second; Debian did that with the same source.
            "cmd_check_local_export="]
    progress.run(f"configuring the kernel {name}", [*make, "allnoconfig"], log,
                 env=dict(env, KCONFIG_ALLCONFIG=str(work / "rig.config")))
    _check_config(work, name, config)
    progress.run(f"building the kernel {name}",
                 [*make, f"-j{os.cpu_count()}", os.path.basename(IMAGES[arch]), "modules"],
                 log, env=env)
    _prune(work, IMAGES[arch])


def _check_config(tree, name, config):
    """kconfig drops what it does not know without a word; we do not."""
    got = set((tree / ".config").read_text().splitlines())
    lost = [line for line in config.splitlines()
            if line.startswith("CONFIG_") and line not in got]
    if lost:
        raise RigError(f"kernel {name}: kconfig did not take {', '.join(lost)}: a "
                       "misspelt name, or a dependency that is not set")


def _prune(tree, image):
    for directory, _, files in os.walk(tree, topdown=False):
        for name in files:
            path = os.path.join(directory, name)
            kept = os.path.relpath(path, tree)
            if kept != image and not KEPT.search(kept):
                os.unlink(path)
        if not os.listdir(directory):
            os.rmdir(directory)
