# SPDX-License-Identifier: GPL-2.0-only
"""What needs no build: scripts, and the ABI's structures as the compiler lays them out."""

import re

from .source import CheckError, run

HEADER = "linux/xbzrle.h"
HOLE = re.compile(r"XXX|\b(holes|padding|bit_padding|bit holes|paddings):")


def python(tree):
    """What the compiler warns of, too, is an error to pyflakes then."""
    names = sorted({*tree.files(".py"), *tree.scripts("python")})
    return run(["/usr/bin/python3", "-W", "error", "-m", "pyflakes", *names], tree.root)[1]


def shellcheck(tree):
    """Suppressions stand in the scripts, above the line that they are about."""
    scripts = tree.scripts("sh", "bash", "dash")
    return run(["shellcheck", "--color=never", "--external-sources", *scripts], tree.root)[1]


def pahole(tree):
    """A structure that pahole does not find has not been checked: a failure."""
    text = (tree.root / "uapi" / HEADER).read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    kinds = re.findall(r"^\s*((?:struct|union)\s+\w+)\s*\{", text, re.M)
    if not kinds or len(kinds) != len(re.findall(r"\b(?:struct|union)\b[^;{}()]*\{", text)):
        raise CheckError(f"{HEADER}: not every structure has a name of its own, "
                         f"at the start of a line: {', '.join(kinds) or 'none'}")

    out = tree.out / "pahole"
    out.mkdir(parents=True, exist_ok=True)
    (out / "abi.c").write_text(f"#include <{HEADER}>\n" + "".join(
        f"{kind} v{number};\n" for number, kind in enumerate(kinds)))
    found, layouts = [], {}
    # The multiarch folder has asm/, which -m32 looks for elsewhere.
    multiarch = run(["gcc", "-print-multiarch"])[1].strip()
    for bits in ("64", "32"):
        status, text = run(["gcc", f"-m{bits}", "-g", "-Wall", "-Wextra", "-Werror", "-c",
                            "-I", tree.root / "uapi", "-idirafter", f"/usr/include/{multiarch}",
                            "-o", out / f"abi{bits}.o", out / "abi.c"])
        if status:
            return text
        for kind in kinds:
            name = kind.split()[1]
            text = run(["pahole", "-C", name, out / f"abi{bits}.o"])[1]
            if not text.startswith(f"{kind.split()[0]} {name} {{"):
                found.append(f"{kind}: pahole does not find it: {text.strip()}")
            elif HOLE.search(text):
                found.append(f"{kind}, -m{bits}, has holes or padding:\n{text}")
            # Offsets and sizes, without where they lie in cache lines.
            layouts[bits, kind] = re.findall(r"(\w+)(?:\[\d+\])?;\s*/\*\s*(\d+\s+\d+)", text)
    found += [f"{kind} differs for 32-bit programs: {layouts['32', kind]} "
              f"against {layouts['64', kind]}"
              for kind in kinds if layouts["32", kind] != layouts["64", kind]]
    return "\n".join(found)
