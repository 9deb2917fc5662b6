# SPDX-License-Identifier: GPL-2.0-only
"""What is checked, and how commands are run on it. No checker has a list of
files: what is in the tree is what is checked."""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import subprocess

from xbzrig import cache, debian, progress

JOBS = os.cpu_count() or 1
SCRIPTS = "linux-source-6.1"
NOT_OURS = {".git", "build", "__pycache__"}


class CheckError(Exception):
    """A checker could not do its work; the text says why. That is a failure."""


@dataclasses.dataclass(frozen=True)
class Tree:
    """A checkout, or as much of one as the self-test wants."""
    root: pathlib.Path
    out: pathlib.Path               # for whatever is built
    marks: pathlib.Path | None = None   # what was found clean; in out if not given

    def files(self, *suffixes, under=("",)):
        """Paths, relative to the root, of files with such a name."""
        found = []
        for top in under:
            for directory, names, files in os.walk(self.root / top):
                names[:] = sorted(set(names) - NOT_OURS)
                found += [os.path.relpath(os.path.join(directory, name), self.root)
                          for name in sorted(files) if name.endswith(suffixes or "")]
        return found

    def scripts(self, *interpreters):
        """Paths of files whose first line names one of these as interpreter."""
        shebang = re.compile(rb"#!\s*(\S*/env\s+)?\S*?\b(%s)[\d.]*\s"
                             % b"|".join(name.encode() for name in interpreters))
        found = []
        for name in self.files():
            with open(self.root / name, "rb") as file:
                if shebang.match(file.read(80)):
                    found.append(name)
        return found

    def clean(self, *parts):
        """The file that is there if what these parts are of (contents, versions,
        arguments) was found to be clean before, and, without parts, where these files
        are. For checkers that look at nothing else; those that build have make to
        remember. Names are hashes of all that was looked at, so checkouts share them."""
        path = self.marks or self.out / "clean"
        path.mkdir(parents=True, exist_ok=True)
        return path / cache.key(*map(str, parts)) if parts else path


def run(argv, cwd=None, env=None, timeout=600):
    """(status, output) of a command, stderr with it; CheckError if it hangs or
    is not there."""
    argv = [str(arg) for arg in argv]
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, timeout=timeout, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
    except FileNotFoundError as error:
        raise CheckError(f"{error.filename} is not there: "
                         "tests/vm/provision lint installs what lint needs") from error
    except subprocess.TimeoutExpired as error:
        raise CheckError(f"{argv[0]} did not end within {timeout} s: {' '.join(argv)}") from error
    return done.returncode, done.stdout


def run_all(commands, **options):
    """run() of several commands, as many at a time as there are CPUs."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(lambda argv: run(argv, **options), commands))


def make(*arguments, cwd=None):
    """(status, output) of make, or of a script that calls it, with all CPUs."""
    env = {name: value for name, value in os.environ.items()
           if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O")}
    env.update(MAKEFLAGS=f"-k -j{JOBS} --output-sync=target", LC_ALL="C")
    return run(arguments, cwd=cwd, env=env)


def kernel_scripts():
    """The kernel's scripts/ folder, of which no package but the source has all."""
    source = debian.installed(SCRIPTS)
    if not source:
        raise CheckError(f"{SCRIPTS} is not installed: tests/vm/provision lint")

    def unpack(work):
        progress.run(f"unpacking scripts/ of {SCRIPTS}",
                     ["tar", "-C", work, "--strip-components=1", "-I", "xz -T0",
                      "-xf", f"/usr/src/{SCRIPTS}.tar.xz", f"{SCRIPTS}/scripts"], work / "log")

    return cache.obtain("linux-scripts", source[SCRIPTS], unpack) / "scripts"
