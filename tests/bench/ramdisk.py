# SPDX-License-Identifier: GPL-2.0-only
"""A Debian guest without a disk: Debian's kernel, and an initramfs of busybox, one load of
guests/, and those files of this machine that it runs.

What lives here: which files these are, and putting them together. What does not: which
loads there are (scenarios), and guests that have this machine's root (snapshots.py).

It has no disk because guests with one of this machine's directories do not migrate, and
the rig's QEMU has no other device to have one by.
"""

import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess

from snapshots import HERE
from xbzrig.common import CHECKOUT, RigError
from xbzrig.machines import BUSYBOX

# What a load runs, besides busybox: programs, modules of Python, sources that gcc reads.
PROGRAMS = {
    "redis": ("redis-check-rdb", "redis-cli", "redis-benchmark"),
    "memtester": ("memtester",),
    "gcc": ("gcc", "as"),
    "python": ("python3",),
    "sqlite": ("python3",),
}
MODULES = {"python": "os,random", "sqlite": "os,random,sqlite3"}
PRINT_FILES = """\
import {0}, encodings.utf_8, encodings.ascii, encodings.latin_1, sys
for m in list(sys.modules.values()):
    for path in (getattr(m, "__file__", None), getattr(m, "__cached__", None)):
        if path:
            print(path)
"""
INIT = """\
#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
export XBZ_OUT=/tmp XBZ_WORK=/tmp/work {environment}
{load} >/dev/null 2>&1 &
exec /report >/dev/ttyS0
"""


def _output(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False).stdout


def _which(name):
    # What the system has, whatever else is in the path.
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        raise RigError(f"{name} is not installed; `tests/vm/provision bench` installs it")
    return path


def _files(load):
    """The files of this machine that a load runs, without libraries."""
    files = {_which(name) for name in PROGRAMS.get(load, ())}
    if load in MODULES:
        # As the guest's will: this program's own path must not go in.
        files |= set(_output(_which("python3"), "-I", "-c",
                             PRINT_FILES.format(MODULES[load])).split())
    if load == "gcc":
        sources = sorted((CHECKOUT / "lib/codec").glob("*.c"))
        files.add(_output("gcc", "-print-prog-name=cc1").strip())
        for source in sources:
            files |= set(_output("gcc", "-M", f"-I{CHECKOUT}/lib/include", source)
                         .replace("\\\n", " ").split()[1:])
    return {os.path.abspath(path) for path in files if os.path.isfile(path)}


def _libraries(files):
    return {path for file in files
            for path in re.findall(r"(/\S+) \(0x", _output("ldd", file))}


def build(to, load, programs, environment=None):
    """Write the initramfs of a guest that runs the load, a command: a program of guests/,
    or one of those that are compiled for it, 'programs'. Returns a hash of what is in it:
    the archive itself has numbers of inodes."""
    name, *arguments = shlex.split(load)
    root = pathlib.Path(f"{to}.d")
    shutil.rmtree(root, ignore_errors=True)
    for directory in ("bin", "dev", "proc", "sys", "tmp", "usr/bin"):
        (root / directory).mkdir(parents=True)
    files = _files(name)
    for path in files | _libraries(files):
        # The checkout may be anywhere.
        inside = root / ("src/" + os.path.relpath(path, CHECKOUT)
                         if path.startswith(f"{CHECKOUT}/") else path[1:])
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, inside)
    shutil.copy(BUSYBOX, root / "bin")
    for applet in _output(BUSYBOX, "--list").split():
        if not (root / "bin" / applet).exists():
            (root / "bin" / applet).symlink_to("busybox")
    if name in programs:
        shutil.copy(programs[name], root / name)
        program = f"/{name}"
    else:
        program = f"/src/tests/bench/guests/{name}"
        (root / program[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "guests" / name, root / program[1:])
    shutil.copy(programs["report"], root / "report")
    init = root / "init"
    init.write_text(INIT.format(
        load=shlex.join([program, *arguments]),
        environment=shlex.join(f"{k}={v}" for k, v in (environment or {}).items())))
    init.chmod(0o755)
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    with open(to, "wb") as file:
        subprocess.run([BUSYBOX, "cpio", "-o", "-H", "newc"], cwd=root, check=True,
                       input=names, text=True, stdout=file, stderr=subprocess.DEVNULL)
    digest = hashlib.sha256(names.encode())
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    shutil.rmtree(root)
    return digest.hexdigest()
