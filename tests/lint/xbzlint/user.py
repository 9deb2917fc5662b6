# SPDX-License-Identifier: GPL-2.0-only
"""User space: its own Makefiles build it, with an analyzer as the compiler. So
whatever flags a file has, it has them here, and only what changed is looked at
again: make remembers."""

import os
import re

from .source import CheckError, make, run_all

# How single programs are built, that no Makefile has: the example of the
# documentation and what a test preloads.
LOOSE = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Iuapi", "-Ilib/include"]


def build(tree, name, *variables, without=()):
    """All folders with a Makefile, the library first, which others link."""
    folders = sorted({os.path.dirname(path) for path in tree.files("Makefile")} - {"", *without})
    library = tree.out / name / "lib/libxbzrle"
    found = ""
    for folder in sorted(folders, key=lambda folder: not folder.startswith("lib/")):
        # The unit tests have a second build, for the sanitizers: the same code.
        status, text = make("make", "-s", "-C", tree.root / folder,
                            f"O={tree.out / name / folder}", f"LIB={library}",
                            "kinds=plain", *variables)
        if status:
            found += text
    return found.replace(f"{tree.root}/", "")


def loose(tree, *compiler, also=()):
    """Those in folders that have neither Makefile nor Kbuild; tests/bench/qemu is
    compiled with QEMU's source, which is not there."""
    sources = [path for path in tree.files(".c", under=("Documentation", "tests"))
               if not re.search("/(kunit|qemu)/", path) and
               not any((tree.root / path).with_name(name).exists()
                       for name in ("Makefile", "Kbuild"))]
    sources += tree.files(".c", under=also)
    commands = [[*compiler, *LOOSE, "-c", "-o", os.devnull, source] for source in sources]
    return "".join(text for status, text in run_all(commands, cwd=tree.root) if status)


def analyzer(tree):
    """The fuzzers' Makefile wants clang; gcc sees them as loose files."""
    flags = ["-O2", "-g", "-fanalyzer", "-fdiagnostics-plain-output"]
    gcc = [tree.root / "tests/lint/no-vectors", "gcc"]
    return (build(tree, "analyzer", f"CC={' '.join(map(str, gcc))}", f"CFLAGS={' '.join(flags)}",
                  without=("tests/fuzz",)) +
            loose(tree, *gcc, *flags, also=("tests/fuzz",)))


def clang_tidy(tree):
    """.clang-tidy says which checks, and why not others."""
    wrapper = tree.root / "tests/lint/tidy-cc"
    config = tree.root / ".clang-tidy"
    if not config.exists():
        raise CheckError(f"{config} is not there")
    # The wrapper finds it in its environment.
    os.environ["XBZ_CLEAN"] = str(tree.clean())
    return (build(tree, "clang-tidy", f"CC={wrapper}", f"CLANG={wrapper}", "CFLAGS=-O2 -g") +
            loose(tree, wrapper))
