# SPDX-License-Identifier: GPL-2.0-only
"""The checkers. Each takes a Tree and returns what it found, as text to show:
nothing, if nothing was found."""

import argparse
import pathlib
import time

from . import files, kernel, user
from .source import CheckError

ROOT = pathlib.Path(__file__).resolve().parents[3]
# In the order in which they run: the quick ones first. Documentation/testing.rst says
# what each checks.
CHECKERS = {
    "python": files.python, "shellcheck": files.shellcheck, "pahole": files.pahole,
    "kernel-doc": kernel.kernel_doc, "checkpatch": kernel.checkpatch,
    "analyzer": user.analyzer, "sparse": kernel.sparse, "clang": kernel.clang,
    "clang-tidy": user.clang_tidy, "coccicheck": kernel.coccicheck,
}


def run(about, check):
    """A program that prints a line of TAP for each checker that was named, or all of
    them: check(name) returns what is wrong."""
    parser = argparse.ArgumentParser(description=about,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checker", nargs="*", metavar="CHECKER",
                        help="all if none is given: " + ", ".join(CHECKERS))
    names = parser.parse_args().checker or list(CHECKERS)
    failed = False
    print(f"1..{len(names)}")
    for name in names:
        begin = time.monotonic()
        try:
            text = check(name)
        except CheckError as error:
            text = str(error)
        failed |= bool(text)
        print(f"{'not ok' if text else 'ok'} - {name} ({time.monotonic() - begin:.1f} s)")
        print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)
    return failed
