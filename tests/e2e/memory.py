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

import os
import re

PAGE = 4096
CHUNK = 4 << 20
SECTION = re.compile(r"^\s+([0-9a-f]{16})-([0-9a-f]{16}) "
                     r"\(prio -?\d+, (?:ram|rom|nv-ram|nv-rom)\): (\S+)")
HOST_ADDRESS = re.compile(r"is (0x[0-9a-f]+)\s*$")


class DumpError(Exception):
    """The memory of a guest could not be read."""


def layout(mtree):
    """Sections [(start, end, block name)] of HMP's 'info mtree -f'."""
    sections, ours = [], False
    for line in mtree.splitlines():
        if line.startswith("FlatView"):
            if sections:
                break
            ours = False
        elif re.match(r'\s*AS "memory"', line):
            ours = True
        elif ours:
            m = SECTION.match(line)
            if m:
                sections.append((int(m[1], 16), int(m[2], 16) + 1, m[3]))
    if not sections:
        raise DumpError("no memory found in QEMU's 'info mtree -f'")
    return sections


def compare(a, b, base=0):
    """Compare two equally long buffers page by page.

    Returns (first differing address or None, differing bytes, differing
    pages); 'base' is the address of the first byte.
    """
    first, count, pages = None, 0, 0
    if len(a) != len(b):
        raise DumpError(f"dumps of {len(a)} and {len(b)} bytes")
    if a == b:
        return first, count, pages
    with memoryview(a) as va, memoryview(b) as vb:
        for at in range(0, len(va), PAGE):
            pa, pb = bytes(va[at:at + PAGE]), bytes(vb[at:at + PAGE])
            if pa == pb:
                continue
            wrong = [i for i in range(len(pa)) if pa[i] != pb[i]]
            pages += 1
            count += len(wrong)
            if first is None:
                first = base + at + wrong[0]
    return first, count, pages


class GuestMemory:
    """The memory of one stopped machine, by guest physical address."""

    def __init__(self, machine):
        self.machine = machine
        self.sections = layout(machine.qmp.human("info mtree -f"))

    def host_address(self, address):
        answer = self.machine.qmp.human(f"gpa2hva {address:#x}")
        m = HOST_ADDRESS.search(answer)
        if not m:
            raise DumpError(f"{self.machine.name}: no host address for "
                            f"{address:#x}: {answer.strip()}")
        return int(m[1], 16)

    def section_address(self, start, end):
        """Host address of a section, checked to be in one piece."""
        host = self.host_address(start)
        if self.host_address(end - 1) - host != end - 1 - start:
            raise DumpError(f"{self.machine.name}: {start:#x}-{end:#x} is "
                            f"not contiguous in QEMU")
        return host

    def read(self, host, into):
        """Fill the bytearray 'into' from the host address."""
        done = 0
        try:
            with open(f"/proc/{self.machine.process.pid}/mem", "rb", buffering=0) as f, \
                    memoryview(into) as view:
                while done < len(view):
                    n = os.preadv(f.fileno(), [view[done:]], host + done)
                    if not n:
                        raise OSError(0, "nothing is there")
                    done += n
        except OSError as e:
            raise DumpError(f"{self.machine.name}: cannot read its memory at "
                            f"{host + done:#x}: {e.strerror}; it takes root or the right "
                            f"to trace the process") from e


def whole(machine):
    """A copy of all memory of a stopped machine."""
    guest, copy = GuestMemory(machine), bytearray()
    for start, end, _ in guest.sections:
        piece = bytearray(end - start)
        guest.read(guest.section_address(start, end), piece)
        copy += piece
    return copy


def compare_guests(source, destination, progress, corrupt=False):
    """Compare all memory of two stopped machines.

    Returns {"identical", "bytes", "first", "differing_bytes",
    "differing_pages"}. With 'corrupt' one byte of what is read from the
    destination is flipped: the comparison has to find it.
    """
    a, b = GuestMemory(source), GuestMemory(destination)
    result = {"identical": False, "bytes": 0, "first": None,
              "differing_bytes": 0, "differing_pages": 0}
    if a.sections != b.sections:
        result["layouts"] = [[f"{s:#x}-{e:#x} {name}"
                              for s, e, name in m.sections] for m in (a, b)]
        return result
    total = sum(end - start for start, end, _ in a.sections)
    room = bytearray(CHUNK), bytearray(CHUNK)
    for start, end, _ in a.sections:
        hosts = [m.section_address(start, end) for m in (a, b)]
        for at in range(start, end, CHUNK):
            size = min(CHUNK, end - at)
            buffers = room if size == CHUNK else \
                (bytearray(size), bytearray(size))
            for m, host, buffer in zip((a, b), hosts, buffers):
                m.read(host + at - start, buffer)
            if corrupt and at + size == a.sections[-1][1]:
                buffers[1][size // 2] ^= 1
            first, count, pages = compare(*buffers, at)
            if result["first"] is None and first is not None:
                result["first"] = hex(first)
            result["differing_bytes"] += count
            result["differing_pages"] += pages
            result["bytes"] += size
            progress(f"comparing memory, {result['bytes'] >> 20} of "
                     f"{total >> 20} MiB")
    result["identical"] = result["differing_bytes"] == 0
    return result
