# SPDX-License-Identifier: GPL-2.0-only
"""A checker that finds nothing might look at nothing. Each gets a copy of the
product with one fault in it, and has to name the fault."""

import pathlib
import re
import shutil
import tempfile

from .tree import CheckError, Tree

COPIED = ("Kbuild", ".clang-tidy", "kmod", "lib", "scripts", "uapi", "tests/lint")
# Where looking at all of it would only take time.
LESS = {"checkpatch": ("kmod",), "coccicheck": ("kmod",)}
ARGUMENTS = {"coccicheck": {"only": "free/"}}

# In a file of the module: what each of the kernel's checkers is to find, and
# the others do not. Built alone, since a whole module takes long.
KMOD = "kmod/vm.c"
KMOD_ONLY = "xbzrle-y := kmod/vm.o\n"
LIB = "lib/libxbzrle/session.c"

# checker: ({file: what is appended to it}, what has to be said)
FAULTS = {
    "python": ({"tests/lint/fault.py": "def fault(:\n"},
               r"fault\.py.*invalid syntax"),
    "shellcheck": ({"scripts/fault": "#!/bin/sh\nrm -rf $1/$2\n"},
                   r"scripts/fault line 2[^§]*SC2086"),
    "pahole": ({"uapi/linux/xbzrle.h":
                "struct xbzrle_fault {\n\t__u32 a;\n\t__u64 b;\n};\n"},
               r"struct xbzrle_fault, -m64, has holes"),
    "kernel-doc": ({KMOD: "/**\n * xbz_fault() - a\n * @wrong: b\n */\n"
                          "int xbz_fault(int right)\n{\n\treturn right;\n}\n"},
                   r"kmod/vm\.c:\d+: warning:.*'right' not described"),
    "checkpatch": ({KMOD: "static int xbz_fault( int a)\n{\n\treturn a;\n}\n"},
                   r"kmod/vm\.c:\d+: ERROR:SPACING"),
    "sparse": ({KMOD: "__le32 xbz_fault(u32 a);\n__le32 xbz_fault(u32 a)\n{\n"
                      "\treturn a;\n}\n",
                "Kbuild": KMOD_ONLY},
               r"kmod/vm\.c:\d+:\d+: error: incorrect type in return expression"),
    # gcc accepts it without a word at W=1.
    "clang": ({KMOD: "int xbz_fault(int a);\nint xbz_fault(int a)\n{\n"
                     "\tif ((a == 1))\n\t\treturn 2;\n\treturn a;\n}\n",
               "Kbuild": KMOD_ONLY},
              r"kmod/vm\.c:\d+:\d+: error: .*-Wparentheses-equality"),
    "coccicheck": ({KMOD: "void xbz_fault(void *p)\n{\n\tif (p)\n\t\tkfree(p);\n}\n"},
                   r"kmod/vm\.c:\d+:\d+-\d+: WARNING: NULL check before"),
    "analyzer": ({LIB: "char *xbz_fault(int n);\nchar *xbz_fault(int n)\n{\n"
                       "\tchar *p = malloc(8);\n\n\tif (!p || n)\n\t\treturn NULL;\n"
                       "\treturn p;\n}\n"},
                 r"session\.c:\d+:\d+: error: leak of 'p'"),
    "clang-tidy": ({LIB: "int xbz_fault(const int *p);\nint xbz_fault(const int *p)\n{\n"
                         "\treturn sizeof(p) / sizeof(p[0]);\n}\n"},
                   r"session\.c:\d+:\d+: error: .*bugprone-sizeof-expression"),
}
# Other sources of the library would only take time.
ONLY_LIB = ("analyzer", "clang-tidy")


def check(name, checker, root):
    """Nothing if the checker names the fault, else what it said instead."""
    files, said = FAULTS[name]
    with tempfile.TemporaryDirectory(prefix="xbz-lint-") as directory:
        tree = Tree(pathlib.Path(directory).resolve() / "src",
                    pathlib.Path(directory).resolve() / "out")
        for source in LESS.get(name, COPIED):
            tree.root.mkdir(exist_ok=True)
            if (root / source).is_dir():
                shutil.copytree(root / source, tree.root / source, symlinks=True)
            elif (root / source).exists():
                shutil.copy(root / source, tree.root / source)
        for file, text in files.items():
            with open(tree.root / file, "a", encoding="utf-8") as out:
                out.write(text)
        if name in ONLY_LIB:
            shutil.rmtree(tree.root / "lib/codec")
            for path in (tree.root / "lib/libxbzrle").glob("*.c"):
                if path.name != pathlib.Path(LIB).name:
                    path.unlink()
        try:
            text = checker(tree, **ARGUMENTS.get(name, {}))
        except CheckError as error:
            text = str(error)
    if re.search(said, text):
        return ""
    return f"this was to be said: {said}\nthis was:\n{text or 'nothing'}"
