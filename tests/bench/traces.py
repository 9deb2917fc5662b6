# SPDX-License-Identifier: GPL-2.0-only
"""Traces: which pages a real guest makes dirty in each pass, and with what content.

What lives here: recording a trace from a guest's memory, and thinning one out to a
sample. Documentation/traces.rst has the format. What does not: saving the memory
(snapshots.py), and replaying a trace (cache_bench.c).

Traces are kept in the cache. Samples are in tests/traces; their pages hold no
readable text, see sample().
"""

import dataclasses
import hashlib
import json
import lzma
import pathlib
import random
import struct

import snapshots
from snapshots import HERE, PAGE
from xbzrig import cache, debian, kernels
from xbzrig.common import RigError

PACKAGES = (*snapshots.PACKAGES, "stress-ng")
SAMPLES = HERE.parent / "traces"
MAGIC = b"xbztrace"
VERSION = 1
HEADER = struct.Struct("<8sIIQQ")
RECORD = struct.Struct("<IIQQ")
SPAN_ZERO, SPAN_DATA, PAGE_ZERO, PAGE_DATA = range(4)
ZERO = bytes(PAGE)

PASSES = 10
PLAN = snapshots.Plan(memory_mib=256, times=PASSES, apart_seconds=0.7)
GUESTS = {
    "boot": (dataclasses.replace(PLAN, warm=False), {}),
    "idle": (PLAN, {}),
    "redis": (PLAN, {}),
    "gcc": (PLAN, {}),
    "python": (PLAN, {"XBZ_ENTRIES": "200000"}),
    "sqlite": (PLAN, {}),
    "stress": (PLAN, {}),
    "generator": (PLAN, {}),
}


def get(name):
    """The trace of a guest, recorded if it is not in the cache."""
    kernel = kernels.get(kernels.DEFAULT)
    versions = [f"{package} {debian.installed(package).get(package)}"
                for package in PACKAGES]
    key = cache.key(HERE / "guests" / name, repr(GUESTS[name]), str(VERSION),
                    kernel.release, *versions)
    kept = cache.obtain("bench-traces", f"{name}-{key}",
                        lambda work: _make(work, name, kernel))
    return kept / "trace"


def describe(trace):
    """What is known of a trace in the cache."""
    return json.loads((trace.parent / "about.json").read_text())


def _make(work, name, kernel):
    plan, env = GUESTS[name]
    files = snapshots.run(work, name, kernel, plan, env)
    about = _record([path.read_bytes() for path in files], work / "trace")
    for path in files:
        path.unlink()
    (work / "about.json").write_text(json.dumps(
        {"guest": name, "kernel": kernel.release, **dataclasses.asdict(plan), **about},
        indent=1) + "\n")


def _record(memories, to):
    """Write a trace of a guest's memory at several times; what is in it."""
    dirty = [[number for number in range(len(new) // PAGE)
              if old[number * PAGE:(number + 1) * PAGE] !=
              new[number * PAGE:(number + 1) * PAGE]]
             for old, new in zip(memories, memories[1:])]
    ever = set().union(*dirty)
    if not ever:
        raise RigError("nothing changed in the guest's memory")
    pages = len(memories[0]) // PAGE
    writer = Writer(len(memories), pages)
    for number in range(pages):
        content = memories[0][number * PAGE:(number + 1) * PAGE]
        if number in ever:
            writer.page(1, number, content)
        else:
            writer.clean(number, content == ZERO)
    for passed, (numbers, memory) in enumerate(zip(dirty, memories[1:]), 2):
        for number in numbers:
            writer.page(passed, number, memory[number * PAGE:(number + 1) * PAGE])
    writer.write(to)
    return {"pages": pages, "ever_dirty": len(ever), "dirty": [len(d) for d in dirty]}


class Writer:
    """A trace in memory."""

    def __init__(self, passes, pages):
        self.passes = passes
        self.pages = pages
        self.parts = []
        self.records = 0
        self.last = {}
        self.span = None

    def _record(self, passed, what, page, count):
        self.parts.append(RECORD.pack(passed, what, page, count))
        self.records += 1

    def _end_span(self):
        if self.span:
            what, page, count = self.span
            self._record(1, what, page, count)
        self.span = None

    def clean(self, page, zero):
        """A page that is sent in the first pass and never dirty again."""
        what = SPAN_ZERO if zero else SPAN_DATA
        if self.span and self.span[0] == what and sum(self.span[1:]) == page:
            self.span[2] += 1
            return
        self._end_span()
        self.span = [what, page, 1]

    def page(self, passed, page, content):
        """A page with its content, which is kept as the difference to its last."""
        self._end_span()
        if content == ZERO:
            self._record(passed, PAGE_ZERO, page, 1)
        else:
            self._record(passed, PAGE_DATA, page, 1)
            self.parts.append(_xor(content, self.last.get(page, ZERO)))
        self.last[page] = content

    def write(self, to):
        with open(to, "wb") as file:
            file.write(self.head())
            for part in self.parts:
                file.write(part)

    def head(self):
        self._end_span()
        return HEADER.pack(MAGIC, VERSION, self.passes, self.pages, self.records)


def _xor(one, other):
    return (int.from_bytes(one, "little") ^
            int.from_bytes(other, "little")).to_bytes(PAGE, "little")


def read(path):
    """(header, records) of a trace; the record of a page has its content."""
    with open(path, "rb") as file:
        head = HEADER.unpack(file.read(HEADER.size))
        if head[:2] != (MAGIC, VERSION):
            raise RigError(f"{path}: is no trace of version {VERSION}")
        last, records = {}, []
        for _ in range(head[4]):
            passed, what, page, count = RECORD.unpack(file.read(RECORD.size))
            if what == PAGE_DATA:
                last[page] = _xor(file.read(PAGE), last.get(page, ZERO))
            elif what == PAGE_ZERO:
                last[page] = ZERO
            records.append((passed, what, page, count, last.get(page)))
        return head, records


def sample(trace, one_in, salt):
    """A trace's pages thinned out to one in so many, packed, as bytes.

    Pages are chosen by a hash of their number, so that each is there in all of its
    passes. Bytes other than zero are replaced by others, one by one: the lengths of
    deltas stay exactly what they are, but text cannot be read.
    """
    generator = random.Random(f"{salt} {random.SystemRandom().random()}")
    values = list(range(1, 256))
    generator.shuffle(values)
    table = bytes([0, *values])
    head, records = read(trace)

    def chosen(page):
        digest = hashlib.blake2b(f"{salt} {page}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") % one_in == 0

    writer = Writer(head[2], head[3])
    for passed, what, page, count, content in records:
        if what in (SPAN_ZERO, SPAN_DATA):
            for number in range(page, page + count):
                if chosen(number):
                    writer.clean(number, what == SPAN_ZERO)
        elif chosen(page):
            writer.page(passed, page, content.translate(table))
    return lzma.compress(writer.head() + b"".join(writer.parts), preset=9)


def samples():
    """The samples in the repository, by name."""
    return {path.name.split(".")[0]: path for path in sorted(SAMPLES.glob("*.trace.xz"))}


def unpack(path: pathlib.Path, to: pathlib.Path):
    """A sample as a trace."""
    to.write_bytes(lzma.decompress(path.read_bytes()))
    return to
