# SPDX-License-Identifier: GPL-2.0
"""User Mode Linux, compiled from Debian's linux-source-6.1.

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
CONFIG = RIG / "configs/uml.config"
# Most of the source is other architectures' and drivers' files: half the time
# to unpack, nothing to us. Their Kconfig files are read, so those stay.
LEFT_OUT = [f"{path}/*.[chS]" for path in (
    "arch/[!ux]*", "drivers/gpu", "drivers/infiniband", "drivers/media", "drivers/net/*",
    "drivers/scsi", "drivers/staging", "sound")] + [
        "*.dts", "*.dtsi", "*.rst", "tools/perf", "tools/testing"]
# What building a module against the tree needs.
KEPT = re.compile(
    r"^(scripts|include)/|^arch/(um|x86)/(include|um/asm)/|\.h$|"
    r"(^|/)(Makefile[^/]*|Kbuild[^/]*|Kconfig[^/]*)$|"
    r"^(\.config|Module\.symvers|System\.map|linux|vmlinux\.symvers|log|"
    r"modules\.\w+|arch/[^/]*/kernel/[\w.]*\.lds)$")


def get():
    """The UML kernel, built if it is not in the cache."""
    source = debian.installed(SOURCE)
    if not source:
        raise RigError(f"{SOURCE} is not installed; `tests/rig/provision uml` "
                       "installs it and what builds it")
    version = source[SOURCE]
    name = f"{version}-{cache.key(version, CONFIG, pathlib.Path(__file__))}"
    tree = cache.obtain("uml", name, _build)
    release = (tree / "include/config/kernel.release").read_text().strip()
    return Kernel(name="uml", release=release, image=tree / "linux", modules=None,
                  kdir=tree, make="make ARCH=um", uml=True)


def _build(work):
    log = work / "log"
    progress.run(f"unpacking {SOURCE}",
                 ["tar", "-C", work, "--strip-components=1", "-I", "xz -T0",
                  *(f"--exclude={SOURCE}/{pattern}" for pattern in LEFT_OUT),
                  "-xf", f"/usr/src/{SOURCE}.tar.xz"], log)
    make = ["make", "-C", work, "ARCH=um"]
    progress.run("configuring UML", [*make, "allnoconfig"], log,
                 env=dict(os.environ, KCONFIG_ALLCONFIG=str(CONFIG)))
    _check_config(work)
    progress.run("building UML", [*make, f"-j{os.cpu_count()}", "linux", "modules"], log,
                 progress.kbuild)
    _prune(work)


def _check_config(tree):
    """kconfig drops what it does not know without a word; we do not."""
    got = set((tree / ".config").read_text().splitlines())
    lost = [line for line in CONFIG.read_text().splitlines()
            if line.startswith("CONFIG_") and line not in got]
    if lost:
        raise RigError(f"{CONFIG.name}: kconfig did not take {', '.join(lost)}: a "
                       "misspelt name, or a dependency that is not set")


def _prune(tree):
    for directory, names, files in os.walk(tree, topdown=False):
        for name in files:
            path = os.path.join(directory, name)
            if not KEPT.search(os.path.relpath(path, tree)):
                os.unlink(path)
        if not os.listdir(directory):
            os.rmdir(directory)
