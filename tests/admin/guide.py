# SPDX-License-Identifier: GPL-2.0-only
"""What Documentation/admin-guide.rst tells its reader to type, and where a test
does so. What is typed in literal blocks counts; a block without a prompt is a
file, whose path is the last one in the paragraph before it."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "Documentation/admin-guide.rst"
PROMPT = re.compile(r"(#|\(qemu\)) (.+)")

# Run by tests/deb/test_packages, where Debian packages can be installed; all others are
# run by tests/admin/test_guide.
PACKAGES = (
    "# make deb",
    "# apt install linux-headers-amd64 ./build/deb/{xbzrle-dkms,xbzctl,libxbzrle1}_*.deb",
    "# modprobe xbzrle",
    "# apt purge xbzrle-dkms xbzctl libxbzrle1",
)


def blocks(text):
    """(the paragraph before, lines) of each literal block."""
    # Each paragraph with its indent; a block is one paragraph or more.
    parts = [(len(part) - len(part.lstrip()), part.splitlines())
             for part in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n"))]
    before, at = "", 0
    while at < len(parts):
        indent, lines = parts[at]
        indent = len(lines[-1]) - len(lines[-1].lstrip())
        at += 1
        if lines[-1].lstrip().startswith(".. code-block::"):
            text_before = before
        elif lines[-1].endswith("::") and not lines[-1].startswith(".. "):
            text_before = " ".join(lines)
        else:
            before = " ".join(lines)
            continue
        block = []
        while at < len(parts) and parts[at][0] > indent:
            block += parts[at][1]
            at += 1
        depth = min(len(line) - len(line.lstrip()) for line in block)
        yield text_before, [line[depth:] for line in block]


def steps(text=None):
    """What the reader does, in order: ("#" or "(qemu)", command) or (path, lines)."""
    for before, lines in blocks(text if text is not None else
                                GUIDE.read_text(encoding="utf-8")):
        found = [PROMPT.fullmatch(line) for line in lines if line.strip()]
        if any(found):
            for line, match in zip([line for line in lines if line.strip()], found):
                if not match:
                    raise ValueError(f"neither a command nor a file: {line}")
                yield match[1], match[2]
        else:
            yield re.findall("``(/[^`]+)``", before)[-1], lines


def commands(text=None):
    """All commands with their prompts."""
    return [f"{kind} {command}" for kind, command in steps(text) if not kind.startswith("/")]
