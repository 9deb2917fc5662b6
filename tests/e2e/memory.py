# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of the whole memory of two stopped guests.

What lives here: which ranges are memory, reading them, comparing them. What
does not: when the guests may be compared, see migration.py.

Memory is what the guest's processor can address and QEMU calls RAM or ROM:
main memory, firmware, video memory. Device registers are left out. It is read
straight from the two processes, at the addresses that QEMU's own monitor
gives: QMP's pmemsave writes 1 KiB at a time, which takes a minute for a small
guest under emulation, and files as large as the guests.
"""

import re

PAGE = 4096
SECTION = re.compile(r"^\s+([0-9a-f]{16})-([0-9a-f]{16}) "
                     r"\(prio -?\d+, (?:ram|rom|nv-ram|nv-rom)\): (\S+)", re.M)
HOST_ADDRESS = re.compile(r"is (0x[0-9a-f]+)\s*$")


class DumpError(Exception):
    """The memory of a guest could not be read."""


def layout(mtree):
    """Sections [(start, end, block name)] of HMP's 'info mtree -f'."""
    view = next((view for view in mtree.split("FlatView")
                 if re.search(r'^\s*AS "memory"', view, re.M)), "")
    sections = [(int(start, 16), int(last, 16) + 1, name)
                for start, last, name in SECTION.findall(view)]
    if not sections:
        raise DumpError("no memory found in QEMU's 'info mtree -f'")
    return sections


def compare(a, b, base=0):
    """Compare two equally long buffers page by page.

    Returns (first differing address or None, differing bytes, differing
    pages); 'base' is the address of the first byte.
    """
    if len(a) != len(b):
        raise DumpError(f"dumps of {len(a)} and {len(b)} bytes")
    first, count, pages = None, 0, 0
    for at in range(0, len(a) if a != b else 0, PAGE):
        pa, pb = a[at:at + PAGE], b[at:at + PAGE]
        if pa == pb:
            continue
        wrong = [i for i in range(len(pa)) if pa[i] != pb[i]]
        pages += 1
        count += len(wrong)
        if first is None:
            first = base + at + wrong[0]
    return first, count, pages


def host_address(machine, address):
    answer = machine.qmp.human(f"gpa2hva {address:#x}")
    m = HOST_ADDRESS.search(answer)
    if not m:
        raise DumpError(f"{machine.name}: no host address for {address:#x}: {answer.strip()}")
    return int(m[1], 16)


def read(machine, start, end):
    """A copy of what a stopped machine has in a section, which is in one piece in QEMU."""
    host = host_address(machine, start)
    if host_address(machine, end - 1) - host != end - 1 - start:
        raise DumpError(f"{machine.name}: {start:#x}-{end:#x} is not contiguous in QEMU")
    try:
        with open(f"/proc/{machine.process.pid}/mem", "rb") as f:
            f.seek(host)
            return f.read(end - start)
    except OSError as e:
        raise DumpError(f"{machine.name}: cannot read its memory at {host:#x}: "
                        f"{e.strerror}; it takes root or the right to trace the "
                        f"process") from e


def sections_of(machine):
    return layout(machine.qmp.human("info mtree -f"))


def whole(machine):
    """A copy of all memory of a stopped machine."""
    return [read(machine, start, end) for start, end, _ in sections_of(machine)]


def compare_guests(source, destination, corrupt=False):
    """Compare all memory of two stopped machines.

    Returns {"bytes", "first", "differing_bytes", "differing_pages"}. With
    'corrupt' one byte of what is read from the destination is flipped: the
    comparison has to find it.
    """
    sections, others = sections_of(source), sections_of(destination)
    if sections != others:
        raise DumpError("memory is laid out differently: " + " against ".join(
            ", ".join(f"{start:#x}-{end:#x} {name}" for start, end, name in each)
            for each in (sections, others)))
    result = {"bytes": 0, "first": None, "differing_bytes": 0, "differing_pages": 0}
    for start, end, _ in sections:
        a, b = read(source, start, end), bytearray(read(destination, start, end))
        if corrupt and end == sections[-1][1]:
            b[len(b) // 2] ^= 1
        first, count, pages = compare(a, b, start)
        if result["first"] is None and first is not None:
            result["first"] = hex(first)
        result["differing_bytes"] += count
        result["differing_pages"] += pages
        result["bytes"] += len(a)
    return result
