# SPDX-License-Identifier: GPL-2.0
"""Kernels with checkers that no Debian kernel has, compiled from linux-source-6.1
for the rig's QEMU.

The artifact is what is left of the build tree when all is removed that
neither booting nor compiling a module against it needs.
"""

import dataclasses
import os
import pathlib
import re

from . import cache, debian, progress
from .common import RIG, RigError
from .kernels import Kernel
from .umlkernel import LEFT_OUT, SOURCE

IMAGE = "arch/x86/boot/bzImage"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What makes one kernel another than the next."""
    configs: tuple      # names in configs/, laid on allnoconfig one upon the other


RECIPES = {
    "debug": Recipe(("common", "x86", "debug")),
}

# What booting and building a module against the tree needs.
KEPT = re.compile(
    r"^(scripts|include)/|^arch/x86/include/|\.(h|ko)$|"
    r"(^|/)(Makefile[^/]*|Kbuild[^/]*|Kconfig[^/]*)$|^tools/objtool/objtool$|"
    r"^(\.config|Module\.symvers|System\.map|vmlinux\.symvers|log|"
    r"modules\.\w+|arch/x86/boot/bzImage|arch/[^/]*/kernel/[\w.]*\.lds)$")


def get(name):
    """The kernel of that name, built if it is not in the cache."""
    recipe = RECIPES[name]
    source = debian.installed(SOURCE)
    if not source:
        raise RigError(f"{SOURCE} is not installed; `tests/rig/provision debug` "
                       "installs it and what builds it")
    version = source[SOURCE]
    config = "".join((RIG / f"configs/{part}.config").read_text() for part in recipe.configs)
    key = cache.key(version, repr(recipe), config, pathlib.Path(__file__))
    tree = cache.obtain(name, f"{version}-{key}",
                        lambda work: _build(work, name, recipe, config))
    release = (tree / "include/config/kernel.release").read_text().strip()
    return Kernel(name=name, release=release, image=tree / IMAGE, modules=tree, kdir=tree)


def _build(work, name, recipe, config):
    log = work / "log"
    # Each build unpacks its sources anew: times say nothing about contents.
    env = dict(os.environ, CCACHE_DIR=str(cache.root() / "ccache"), CCACHE_MAXSIZE="1G",
               CCACHE_SLOPPINESS="include_file_ctime,include_file_mtime,time_macros")
    progress.run(f"unpacking {SOURCE}",
                 ["tar", "-C", work, "--strip-components=1", "-I", "xz -T0",
                  *(f"--exclude={SOURCE}/{pattern}" for pattern in LEFT_OUT),
                  "-xf", f"/usr/src/{SOURCE}.tar.xz"], log)
    (work / "rig.config").write_text(config)
    # So that uname -r, and what is built for it, tells one from the other.
    make = ["make", "-C", work, "CC=ccache gcc", f"LOCALVERSION=-{name}"]
    progress.run(f"configuring the kernel {name}", [*make, "allnoconfig"], log,
                 env=dict(env, KCONFIG_ALLCONFIG=str(work / "rig.config")))
    _check_config(work, name, config)
    progress.run(f"building the kernel {name}",
                 [*make, f"-j{os.cpu_count()}", "bzImage", "modules"], log,
                 progress.kbuild, env=env)
    _prune(work)


def _check_config(tree, name, config):
    """kconfig drops what it does not know without a word; we do not."""
    got = set((tree / ".config").read_text().splitlines())
    lost = [line for line in config.splitlines()
            if line.startswith("CONFIG_") and line not in got]
    if lost:
        raise RigError(f"kernel {name}: kconfig did not take {', '.join(lost)}: a "
                       "misspelt name, or a dependency that is not set")


def _prune(tree):
    for directory, _, files in os.walk(tree, topdown=False):
        for name in files:
            path = os.path.join(directory, name)
            if not KEPT.search(os.path.relpath(path, tree)):
                os.unlink(path)
        if not os.listdir(directory):
            os.rmdir(directory)
