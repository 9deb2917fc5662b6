# SPDX-License-Identifier: GPL-2.0-only
"""What Documentation/admin-guide.rst tells its reader to type, and where a test
does so. What is typed in literal blocks counts; a block without a prompt is a
file, whose path is the last one in the paragraph before it, or an excerpt if that
has none."""

import pathlib
import re

import docutils.core
from docutils import nodes

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "Documentation/admin-guide.rst"
PROMPT = re.compile(r"(#|\(qemu\)) (.+)")

# Blocks with one of these are run by nothing: they want QEMU 10 and the libvirt of Debian 13.
NEWER = (
    "(qemu) migrate_set_capability multifd on",
    "(qemu) migrate_set_parameter multifd-compression zstd",
    "# virsh migrate --live --parallel --parallel-connections 4 --comp-methods zstd guest "
    "qemu+ssh://destination/system",
)


def steps(text=None):
    """What the reader does, in order: ("#" or "(qemu)", command) or (path, lines)."""
    # Sphinx' roles are errors to it, which it is not to report.
    document = docutils.core.publish_doctree(text or GUIDE.read_text(encoding="utf-8"),
                                             settings_overrides={"report_level": 5})
    before = None
    for node in document.findall():
        if isinstance(node, nodes.paragraph):
            before = node
        if not isinstance(node, nodes.literal_block):
            continue
        lines = node.astext().splitlines()
        found = [PROMPT.fullmatch(line) for line in lines if line.strip()]
        if all(found):
            if not any(line in NEWER for line in lines):
                yield from (match.groups() for match in found)
        elif any(found):
            raise ValueError(f"not every line is a command: {lines}")
        else:
            paths = [literal.astext() for literal in before.findall(nodes.literal)
                     if literal.astext().startswith("/")]
            if paths:
                yield paths[-1], lines


def commands(text=None):
    """All commands with their prompts."""
    return [f"{kind} {command}" for kind, command in steps(text)
            if not kind.startswith("/")]
