# SPDX-License-Identifier: GPL-2.0-only
"""The next Debian's compiler and libc, for kernels whose headers want them.

A tree made with mmdebstrap, of which /usr alone is kept. tests/vm/in-tree runs
commands with it in the place of this machine's.
"""

import shlex
import shutil
import pathlib

from . import cache, debian, progress
from .common import RIG, RigError

# What building modules takes; the libraries are those of objtool and modpost.
PACKAGES = ("gcc", "make", "kmod", "libelf1t64", "libssl3t64", "zlib1g")
NOT_NEEDED = ("doc", "man", "locale", "info", "i18n", "zoneinfo")


def make():
    """The command that is the tree's make."""
    key = cache.key(" ".join(PACKAGES), pathlib.Path(__file__))
    kept = cache.obtain("tree", f"{debian.NEWEST}-{key}", _build)
    return f"{shlex.quote(str(RIG / 'in-tree'))} {shlex.quote(str(kept / 'root'))} make"


def _build(work):
    if not shutil.which("mmdebstrap"):
        raise RigError("mmdebstrap is not installed; `tests/vm/provision tree` installs it")
    root = work / "full"
    progress.run(f"making a tree of Debian {debian.NEWEST}",
                 ["mmdebstrap", "--variant=essential", f"--include={','.join(PACKAGES)}",
                  *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in NOT_NEEDED),
                  "--aptopt=Acquire::Languages none",
                  debian.NEWEST, root, debian.mirror(debian.NEWEST)], work / "log")
    for path in ("usr", "etc/alternatives"):
        (work / "root" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).rename(work / "root" / path)
    shutil.rmtree(root)
