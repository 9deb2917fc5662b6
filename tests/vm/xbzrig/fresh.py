# SPDX-License-Identifier: GPL-2.0-only
"""A fresh tree of this machine's Debian, with a kernel that can be booted.

Made with mmdebstrap from the sources that apt has here. It has what DKMS and the
project's packages depend on, so that installing those needs no network.
"""

import os
import pathlib
import shutil

from . import cache, debian, progress
from .common import RigError

PACKAGES = ("linux-image-amd64", "linux-headers-amd64", "dkms", "udev", "kmod",
            "libmnl0", "gcc", "libc6-dev", "pkg-config")


def tree():
    """Its root. What is to be changed in it has to be a copy."""
    name, files = debian.release_sources()
    kernel = debian.candidate("linux-image-amd64") or ""
    key = cache.key(" ".join(PACKAGES), kernel, pathlib.Path(__file__))
    return cache.obtain("fresh", f"{name}-{key}",
                        lambda work: _build(work, name, files)) / "root"


def _build(work, name, sources):
    if not shutil.which("mmdebstrap"):
        raise RigError("mmdebstrap is not installed; "
                       "`tests/vm/provision deb-check` installs it")
    given = []
    for suffix, text in sources.items():
        given.append(work / f"debian.{suffix}")
        given[-1].write_text(text)
    # What it mounts goes with it, however it ends.
    progress.run(f"making a tree of Debian {name}",
                 ["unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=minbase",
                  f"--include={','.join(PACKAGES)}",
                  "--dpkgopt=path-exclude=/usr/share/locale/*",
                  "--aptopt=Acquire::Languages none",
                  name, work / "root", *given], work / "log",
                 # The rig boots with an initramfs of its own; this one takes minutes.
                 env=dict(os.environ, INITRD="No"))
