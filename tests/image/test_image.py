#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xbzimg: delta images give the image that they were made from, or an error. Prints TAP.

  tests/image/test_image.py [NAME...]

Each test says what would have to break for it to fail. XBZ_TEST_SCALE multiplies what is
done at random, XBZ_SEED repeats a run.
"""

import json
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

# pylint: disable=wrong-import-position,import-error
import jsonschema                                           # noqa: E402
import tap                                                  # noqa: E402
from images import (PAGE, ROOT, XBZIMG, changed, crafted, holes, image, run, write,    # noqa: E402
                    xbzimg, xxh3)
from qmp import QMP                                         # noqa: E402

SCHEMA = json.loads((ROOT / "Documentation/xbzimg.schema.json").read_text(encoding="utf-8"))
SCALE = int(os.environ.get("XBZ_TEST_SCALE", 1))
SEED = int(os.environ.get("XBZ_SEED", random.randrange(1 << 32)))
# In memory, if there is room: fsync() costs more than all the rest.
PLACE = "/dev/shm" if os.path.isdir("/dev/shm") and (
    shutil.disk_usage("/dev/shm").free > 512 << 20) else None
NO_TMPFILE = dict(os.environ, LD_PRELOAD=str(ROOT / "build/image/no-tmpfile.so"))


def as_json(command, *argv):
    """What a command prints with --json, inside its schema."""
    said = json.loads(xbzimg(command, "--json", *argv))
    jsonschema.validate(said, {**SCHEMA, "$ref": f"#/definitions/{command}"})
    return said


class ImageTest(unittest.TestCase):
    """A folder of its own, and random numbers that are those of the test's name."""

    def setUp(self):
        self.rng = random.Random(f"{SEED} {self.id()}")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xbzimg-", dir=PLACE))
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return self.folder / name

    def pair(self, pages=300, part=3):
        """Base and image, as files."""
        old = image(self.rng, pages * PAGE)
        new = changed(self.rng, old, pages * PAGE, part)
        return write(self.path("base"), old), write(self.path("new"), new)

    def same(self, one, other):
        """The files have the same bytes."""
        if pathlib.Path(one).read_bytes() != pathlib.Path(other).read_bytes():
            self.fail(f"seed {SEED}: {one} and {other} differ")

    def refused(self, pattern, *argv):
        """The command fails, says so, and leaves nothing."""
        before = set(os.listdir(self.folder))
        self.assertRegex(xbzimg(*argv, status=1), pattern)
        self.assertEqual(before, set(os.listdir(self.folder)))


class RoundTrip(ImageTest):
    """What is restored is what was there."""

    def test_random(self):
        """Fails if some image is not restored, whatever became of its pages and its size, or
        if threads or compression make a difference to what is restored."""
        for _ in range(20 * SCALE):
            sizes = [self.rng.choice((0, 1, PAGE - 1, PAGE, PAGE + 1,
                                      self.rng.randrange(200 * PAGE))) for _ in range(2)]
            old = image(self.rng, sizes[0])
            base = write(self.path("base"), old)
            new = write(self.path("new"), changed(self.rng, old, sizes[1],
                                                  self.rng.choice((1, 3, 30))))
            delta = self.path("delta")
            xbzimg("create", "--zstd", self.rng.choice((0, 1, 3)),
                   *self.rng.choice(((), ("--in-place",))), base, new, delta)
            xbzimg("verify", "--base", base, delta)
            xbzimg("apply", base, delta, self.path("again"))
            self.same(new, self.path("again"))

    def test_grown(self):
        """Fails if a page behind the end of the base is taken for the page of the image that
        has the same number among all that can be copied."""
        old, new = self.rng.randbytes(40 * PAGE - 10), bytearray(self.rng.randbytes(100 * PAGE))
        for at in range(60 * PAGE, 100 * PAGE, PAGE):
            same, other = at - 40 * PAGE, at - 55 * PAGE
            new[at:at + 512] = bytes(512)
            new[at + 512:at + 1536] = new[same + 512:same + 1536]
            new[at + 1536:at + PAGE] = new[other + 1536:other + PAGE]
        base, delta = write(self.path("base"), old), self.path("delta")
        xbzimg("create", base, write(self.path("new"), new), delta)
        xbzimg("apply", base, delta, self.path("again"))
        self.same(self.path("new"), self.path("again"))

    def test_chunks(self):
        """Fails if images larger than the part that a thread takes are not restored, or if
        the file depends on how many threads make it."""
        old = image(self.rng, 5000 * PAGE + 77)
        base = write(self.path("base"), old)
        new = write(self.path("new"), changed(self.rng, old, len(old), 20))
        for threads in (1, 2, 7):
            xbzimg("create", "--threads", threads, base, new, self.path(f"delta{threads}"))
            xbzimg("apply", "--threads", threads, base, self.path(f"delta{threads}"),
                   self.path("again"))
            self.same(new, self.path("again"))
            self.same(self.path("delta1"), self.path(f"delta{threads}"))

    def test_look(self):
        """Fails if another processor would make another file."""
        run(ROOT / "build/image/look", 2000 * SCALE, self.rng.randrange(1 << 30))

    def test_races(self):
        """Fails if ThreadSanitizer finds two threads at the same data."""
        program = ROOT / "build/image/threads/xbzimg"
        old = image(self.rng, 200 * PAGE) + bytes(13000 * PAGE) + image(self.rng, 200 * PAGE)
        base = write(self.path("base"), old)
        new = write(self.path("new"), changed(self.rng, old, len(old), 5))
        for argv in (("create", base, new, self.path("there")),
                     ("create", new, base, self.path("back")),
                     ("verify", "--base", base, self.path("there"), self.path("back")),
                     ("merge", self.path("there"), self.path("back"), self.path("merged")),
                     ("apply", base, self.path("there"), self.path("again"))):
            run(program, *argv, "--threads", 4)
        self.same(new, self.path("again"))

    def test_same(self):
        """Fails if equal images have records."""
        base, _ = self.pair()
        said = as_json("create", base, base, self.path("delta"))
        self.assertEqual([said[name] for name in said if name.endswith("_pages")], [0] * 4)
        self.assertEqual(said["bytes"], 128)

    def test_small_changes(self):
        """Fails if a change of a few bytes takes more than some dozen."""
        old = self.rng.randbytes(1000 * PAGE)
        new = bytearray(old)
        for at in range(0, len(new), PAGE):
            new[at + 100] ^= 1
        base, delta = write(self.path("base"), old), self.path("delta")
        said = as_json("create", base, write(self.path("new"), new), delta)
        self.assertEqual(said["delta_pages"], 1000)
        self.assertLess(said["bytes"], 1000 * 24)

    def test_moved(self):
        """Fails if a page takes more than some dozen bytes whose content the base has
        elsewhere, at whatever distance, or the image itself has before it; if it takes as few
        when nothing that was moved is to be looked for; or if it is not restored."""
        old = self.rng.randbytes(2000 * PAGE)
        fresh = self.rng.randbytes(400 * PAGE)
        # A disk that is half full, which is what there is memory for.
        base, delta = write(self.path("base"), old + bytes(len(old))), self.path("delta")
        for moved, raw in ((old[500 * PAGE:], 0), (old[777:], 0),
                           (old[999 * PAGE + 5:] + old[:1000 * PAGE], 0),
                           (old + fresh + bytes(5000) + fresh[123:], 400)):
            new = write(self.path("new"), moved)
            said = as_json("create", base, new, delta)
            self.assertGreater(said["copied_pages"], 350)
            # Samples of random bytes miss a page, rarely.
            self.assertLess(said["raw_pages"] - raw, 40)
            self.assertLess(said["bytes"] - raw * PAGE, 2000 * 24 + 40 * PAGE)
            xbzimg("apply", base, delta, self.path("again"))
            self.same(new, self.path("again"))
            self.assertGreater(as_json("create", "--in-place", base, new, delta)["bytes"],
                               said["bytes"] * 1.8)

    def test_inserted(self):
        """Fails if bytes that are inserted into a page, or removed from it, take more than
        some dozen, also if only what is in place is looked at."""
        old, delta = self.rng.randbytes(1000 * PAGE), self.path("delta")
        new = bytearray(old)
        for at in range(0, len(new), PAGE):
            new[at:at + PAGE] = old[at:at + 100] + b"inserted" + old[at + 100:at + PAGE - 8]
        base = write(self.path("base"), old)
        for option in ((), ("--in-place",)):
            said = as_json("create", *option, base, write(self.path("new"), new), delta)
            self.assertEqual(said["copied_pages"], 1000)
            self.assertLess(said["bytes"], 1000 * 32)
            xbzimg("apply", base, delta, self.path("again"))
            self.same(self.path("new"), self.path("again"))

    def test_sparse(self):
        """Fails if holes of a large image are read, or are filled when it is restored."""
        old, new = self.path("base"), self.path("new")
        for path, byte in ((old, b"a"), (new, b"b")):
            with open(path, "wb") as file:
                for at in (0, 5 << 30, (200 << 30) + 3 * PAGE):
                    file.seek(at)
                    file.write(byte * 5000)
                file.truncate(300 << 30)
        begin = time.monotonic()
        xbzimg("create", old, new, self.path("delta"))
        xbzimg("apply", old, self.path("delta"), self.path("again"))
        self.assertLess(time.monotonic() - begin, 60)
        self.assertLess(os.stat(self.path("again")).st_blocks * 512, 1 << 20)
        xbzimg("create", new, self.path("again"), self.path("none"))
        self.assertEqual(self.path("none").stat().st_size, 128)

    def test_trimmed(self):
        """Fails if pages that became zero take a record each, or are no holes again."""
        base = write(self.path("base"), self.rng.randbytes(3000 * PAGE))
        new = write(self.path("new"), bytes(3000 * PAGE))
        self.assertLess(as_json("create", base, new, self.path("delta"))["bytes"], 300)
        xbzimg("apply", base, self.path("delta"), self.path("again"))
        self.assertEqual(holes(self.path("again")), 3000 * PAGE)


class Chains(ImageTest):
    """Delta images upon delta images."""

    def chain(self, count):
        """Files base, image0.., delta0..; sizes change in any way."""
        content = image(self.rng, self.rng.randrange(1, 120 * PAGE))
        base = write(self.path("base"), content)
        deltas, images = [], [base]
        for number in range(count):
            size = len(content) if self.rng.random() < 0.4 else self.rng.randrange(150 * PAGE)
            content = changed(self.rng, content, size, self.rng.choice((2, 5)))
            images.append(write(self.path(f"image{number}"), content))
            delta = self.path(f"delta{number}")
            if self.rng.random() < 0.5:
                xbzimg("create", base, *deltas, images[-1], delta)
            else:
                xbzimg("create", images[-2], images[-1], delta)
            deltas.append(delta)
        return images, deltas

    def test_chains(self):
        """Fails if a chain gives another image than its last one, or if merging any part of
        it does."""
        for _ in range(10 * SCALE):
            images, deltas = self.chain(4)
            again, merged = self.path("again"), self.path("merged")
            xbzimg("apply", images[0], *deltas, again)
            self.same(images[-1], again)
            begin = self.rng.randrange(3)
            end = self.rng.randrange(begin + 2, 5)
            xbzimg("merge", "--zstd", self.rng.choice((0, 3)), *deltas[begin:end], merged)
            xbzimg("verify", "--base", images[begin], merged)
            xbzimg("apply", images[0], *deltas[:begin], merged, *deltas[end:], again)
            self.same(images[-1], again)

    def test_merge_many_runs(self):
        """Fails if two deltas that are as long as deltas get, and longer together, do not
        give the page."""
        old = self.rng.randbytes(PAGE)
        one, two = bytearray(old), bytearray(old)
        for at in range(0, PAGE, 4):
            one[at] ^= 1
            two[at] ^= 1
            two[at + 2] ^= 1
        base = write(self.path("base"), old)
        first, last = write(self.path("one"), one), write(self.path("two"), two)
        xbzimg("create", "--zstd", 0, base, first, self.path("delta1"))
        xbzimg("create", "--zstd", 0, first, last, self.path("delta2"))
        self.assertEqual(as_json("merge", self.path("delta1"), self.path("delta2"),
                                 self.path("merged"))["delta_pages"], 1)
        xbzimg("apply", base, self.path("merged"), self.path("again"))
        self.same(last, self.path("again"))

    def test_merge_moved(self):
        """Fails if what two delta images move, one after the other, is not merged to what both
        do, or takes more than its place."""
        contents = [self.rng.randbytes(1000 * PAGE)]
        contents.append(contents[0][300 * PAGE + 40:] + contents[0][:300 * PAGE + 40])
        contents.append(bytearray(contents[1][600 * PAGE:] + contents[1][77:600 * PAGE + 77]))
        for at in range(0, len(contents[2]), 5 * PAGE):
            contents[2][at + 1000] ^= 1
        base, one, two = (write(self.path(f"image{number}"), content)
                          for number, content in enumerate(contents))
        xbzimg("create", base, one, self.path("delta1"))
        xbzimg("create", one, two, self.path("delta2"))
        said = as_json("merge", self.path("delta1"), self.path("delta2"), self.path("merged"))
        self.assertEqual(said["copied_pages"], 1000)
        self.assertLess(said["bytes"], 1000 * 32)
        xbzimg("verify", "--base", base, self.path("merged"))
        xbzimg("apply", base, self.path("merged"), self.path("again"))
        self.same(two, self.path("again"))

    def test_order(self):
        """Fails if delta images in the wrong order, or with a gap, are not refused."""
        content = image(self.rng, 100 * PAGE)
        images = [write(self.path("image0"), content)]
        for number in range(1, 4):
            content = changed(self.rng, content, len(content))
            images.append(write(self.path(f"image{number}"), content))
            xbzimg("create", images[-2], images[-1], self.path(f"delta{number}"))
        deltas = [self.path(f"delta{number}") for number in range(1, 4)]
        for wrong in ((0, 2), (1, 0), (0, 1, 1)):
            chain = [deltas[number] for number in wrong]
            self.refused("does not rest on", "verify", *chain)
            self.refused("does not rest on", "merge", *chain, self.path("merged"))
            self.refused("does not rest on", "apply", images[0], *chain, self.path("again"))

    def test_map(self):
        """Fails if the map has gaps, or says of a page that it is in another delta image than
        the newest one that changed it, or that it is zero when it is not."""
        for _ in range(5 * SCALE):
            images, deltas = self.chain(3)
            contents = [path.read_bytes() for path in images]
            at = 0
            for part in as_json("map", *deltas):
                self.assertEqual(part["start"], at)
                at += part["length"]
                for start in range(part["start"], at, PAGE):
                    end = min(start + PAGE, at)
                    pages = [content[start:end].ljust(end - start, b"\0")
                             for content in contents]
                    depth = part["depth"]
                    below = pages[:len(pages) - depth]
                    self.assertEqual(pages[-1], below[-1])
                    self.assertEqual(part["present"], depth < 3)
                    if part["zero"]:
                        self.assertFalse(any(pages[-1]))
            self.assertEqual(at, len(contents[-1]))


class Faults(ImageTest):
    """An error, and never a wrong image."""

    def test_wrong_base(self):
        """Fails if a base is taken that differs in its size, or that differs in a page and
        gives another image; or if the error does not say that it is the base."""
        base, new = self.pair()
        delta, content = self.path("delta"), base.read_bytes()
        xbzimg("create", base, new, delta)
        other = self.path("other")
        kinds, refused = {"delta": 0, "base": 0}, {"delta": 0, "base": 0}
        for part in as_json("map", delta):
            at = part["start"]
            # A delta against zero rests on nothing.
            if kinds.get(part["kind"], 11) > 10 or not any(content[at:at + PAGE]):
                continue
            kinds[part["kind"]] += 1
            wrong = bytearray(content)
            wrong[at + self.rng.randrange(PAGE)] ^= 1
            write(other, wrong)
            # A byte may be one that nothing rests on.
            said = run("sh", "-c", f"{XBZIMG} verify --json --base {other} {delta} || :")
            if json.loads(said.splitlines()[-1])["sound"]:
                xbzimg("apply", other, delta, self.path("again"))
                self.same(new, self.path("again"))
                self.path("again").unlink()
                continue
            refused[part["kind"]] += 1
            self.refused("wrong base", "apply", other, delta, self.path("again"))
            self.refused("wrong base", "verify", "--base", other, delta)
        self.assertTrue(all(refused.values()), refused)
        for wrong in (content + b"x", content[:-1], b""):
            write(other, wrong)
            self.refused("is not the base of", "apply", other, delta, self.path("again"))
        write(other, image(self.rng, 300 * PAGE))
        self.refused("wrong base", "apply", other, delta, self.path("again"))

    def test_truncated(self):
        """Fails if a file that ends early, at any of its bytes, is not refused by all that
        read it, and named."""
        base, new = self.pair(40)
        delta, short = self.path("delta"), self.path("short")
        xbzimg("create", base, new, delta)
        content = delta.read_bytes()
        for length in {0, 1, 63, 64, 127, 128, len(content) - 1,
                       *(self.rng.randrange(len(content)) for _ in range(20))}:
            short.write_bytes(content[:length])
            for argv in (("info", short), ("verify", short), ("map", short),
                         ("apply", base, short, self.path("again")),
                         ("merge", short, delta, self.path("merged")),
                         ("serve", "--unix", self.path("socket"), base, short)):
                self.refused(f"^xbzimg: {re.escape(str(short))}: ", *argv)

    def test_corrupted(self):
        """Fails if one of ten thousand changed files is read without an error, or if the
        reader touches memory outside of its own when their sums are right again."""
        for level in (0, 3):
            base, new = self.pair(30)
            xbzimg("create", "--zstd", level, base, new, self.path("delta"))
            run(ROOT / "build/image/corrupt", base, self.path("delta"), 5000 * SCALE,
                self.rng.randrange(1 << 30))

    def test_crafted(self):
        """Fails if copies are followed that lead to copies of the same image, or out of the
        images; or if sound ones are not."""
        old = self.rng.randbytes(1400 * PAGE)
        base, delta, size = write(self.path("base"), old), self.path("delta"), len(old)
        for reason, pages in (
                (None, {5: [(0, PAGE, 17)], 6: [(7, 100, size + 5 * PAGE), (0, 20, size - 20)]}),
                ("a copy of a copy", {4: [(0, 9, size)], 5: [(0, 9, size + 4 * PAGE)],
                                      6: [(0, PAGE, size + 5 * PAGE)]}),
                ("no known kind", {5: [(0, PAGE, size + 5 * PAGE)]}),
                ("no known kind", {5: [(0, PAGE, size + 4 * PAGE + 1)]}),
                ("no known kind", {5: [(0, PAGE, size - 1)]}),
                ("no known kind", {5: [(0, PAGE + 1, 0)]}),
                ("no known kind", {5: [(0, 0, 0)]}),
                ("no known kind", {5: [(PAGE, 1, 0)]}),
                ("no known kind", {5: []})):
            new = crafted(delta, old, pages)
            if reason:
                self.refused(reason, "apply", base, delta, self.path("again"))
                continue
            xbzimg("apply", base, delta, self.path("again"))
            self.same(write(self.path("new"), new), self.path("again"))
            self.path("again").unlink()

    def test_copies_of_copies(self):
        """Fails if a chain is read or merged in which each page takes thousands of others, or
        one is refused in which it takes many."""
        old = self.rng.randbytes(1400 * PAGE)
        base, deltas = write(self.path("base"), old), [self.path("delta1"), self.path("delta2")]
        scattered = [(0, 3, page * PAGE + page) for page in range(1365)]
        new = crafted(deltas[0], old, {page: scattered for page in range(100, 164)})
        last = crafted(deltas[1], bytes(new),
                       {1000: [(0, 9, page * PAGE + page) for page in range(100, 140)]})
        xbzimg("apply", base, *deltas, self.path("again"))
        self.same(write(self.path("new"), last), self.path("again"))
        xbzimg("merge", *deltas, self.path("merged"))
        xbzimg("apply", base, self.path("merged"), self.path("again"))
        self.same(self.path("new"), self.path("again"))
        self.path("again").unlink()
        self.path("merged").unlink()
        crafted(deltas[1], bytes(new),
                {1000: [(0, 9, page * PAGE + page) for page in range(100, 164)]})
        self.refused("too many copies of copies", "apply", base, *deltas, self.path("again"))
        self.refused("too many copies of copies", "merge", *deltas, self.path("merged"))

    def test_hole(self):
        """Fails if a crafted file takes memory for what is a hole in it."""
        delta, entries = self.path("delta"), 1 << 36
        header = struct.pack("<8sIIQQQQQQ", b"xbzimg\r\n", 2, PAGE, 0, 0, 0, 1 << 59, 0, 0)
        trailer = struct.pack("<QQQQQQ", 64, entries, 0, 0, 0, 0)
        with open(delta, "wb") as file:
            file.write(header)
            file.seek(64 + 40 * entries)
            file.write(trailer + struct.pack("<Q8s", xxh3(header + trailer), b"xbzimg\r\n"))
        self.refused("invalid entry", "info", delta)

    def test_full(self):
        """Fails if a file system that is full gives anything but an error that names the
        file, or keeps a part of it."""
        base, new = self.pair(300, 2)
        xbzimg("create", base, new, self.path("there"))
        xbzimg("create", new, base, self.path("back"))
        self.path("small").mkdir()
        for argv in (("create", base, new), ("apply", base, self.path("there")),
                     ("merge", self.path("there"), self.path("back"))):
            command = " ".join(str(arg) for arg in (XBZIMG, *argv, self.path("small/file")))
            said = run("unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                       f"mount -t tmpfs -o size=8k tmpfs {self.path('small')}; {command}; "
                       f"echo $?; ls -A {self.path('small')}")
            self.assertRegex(said, r"small/file: No space left on device\n1\n$")

    def test_unheard(self):
        """Fails if a command succeeds whose output is lost."""
        base, new = self.pair(10)
        delta = self.path("delta")
        xbzimg("create", base, new, delta)
        for command in (f"info {delta}", f"map --json {delta}", f"create {base} {new} {delta}"):
            run("sh", "-c", f"{XBZIMG} {command} >/dev/full", status=1)

    def test_mode(self):
        """Fails if a file that takes the place of another can be read by more users, even
        while it is written."""
        base, new = self.pair(10)
        delta = self.path("delta")
        for mode in (0o600, 0o640):
            for env in (None, NO_TMPFILE):
                delta.touch()
                delta.chmod(mode)
                said = xbzimg("create", base, new, delta, env=env)
                self.assertEqual(delta.stat().st_mode & 0o7777, mode)
                self.assertEqual("created with mode 600" in said, bool(env))

    def test_versions(self):
        """Fails if a file of another version, or with unknown features, is not refused with
        that as the reason."""
        base, new = self.pair(10)
        delta = self.path("delta")
        xbzimg("create", base, new, delta)
        for at, byte, reason in ((8, 1, "version 1"), (8, 3, "version 3"), (16, 7, "features")):
            content = bytearray(delta.read_bytes())
            content[at] = byte
            self.path("later").write_bytes(content)
            self.refused(reason, "info", self.path("later"))

    def test_inputs(self):
        """Fails if a file that is read would be replaced, if an image of another format is
        taken for a raw one, or a missing file or server is not named."""
        base, new = self.pair(10)
        delta = self.path("delta")
        xbzimg("create", base, new, delta)
        self.refused("would be replaced", "create", base, new, base)
        self.refused("would be replaced", "create", f"raw:{base}", new, base)
        self.refused("would be replaced", "apply", base, delta, base)
        self.refused("not a file", "create", base, new, "/dev/null")
        self.path("q").write_bytes(b"QFI\xfb" + new.read_bytes()[4:])
        self.refused("looks like qcow2", "create", base, self.path("q"), self.path("d"))
        xbzimg("create", base, f"raw:{self.path('q')}", self.path("d"))
        self.refused("missing: No such file", "create", base, self.path("missing"), delta)
        self.refused("nbd", "create", base, "nbd+unix:///?socket=/tmp/xbzimg-none", delta)
        self.refused("only an NBD server", "create", "--bitmap", "x", base, new, delta)
        self.refused("not a delta image", "info", base)
        for argv in (("nonsense",), ("create", base), ("info", "--zstd", 3, delta),
                     ("create", "--zstd", 99, base, new, delta), (), ("info", delta, delta),
                     ("create", "--threads", "x", base, new, delta), ("serve", base, delta)):
            xbzimg(*argv, status=2)


class Kills(ImageTest):
    """The old file or the new one."""

    def kill(self, number, argv, env=None):
        """A command that is ended at some moment; whether it was."""
        with subprocess.Popen([str(arg) for arg in (XBZIMG, *argv)], env=env,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            time.sleep(self.rng.random() * self.seconds)
            child.send_signal(number)
            return child.wait() == -number

    def end_often(self, number, argv, target, env=None):
        """Whatever moment it is ended at, the target has the old content or the new one, and
        nothing else is in the folder."""
        begin = time.monotonic()
        xbzimg(*argv)
        self.seconds = (time.monotonic() - begin) * 1.1
        new, old, killed = target.read_bytes(), b"old", 0
        names = set(os.listdir(self.folder))
        for count in range(20 * SCALE):
            target.unlink(missing_ok=True)
            if count % 2:
                target.write_bytes(old)
            was = self.kill(number, argv, env)
            killed += was
            # The first run may have been slower than the others are, or quicker.
            self.seconds *= 1.1 if was else 0.7
            there = target.read_bytes() if target.exists() else b""
            self.assertIn(there, (new, old if count % 2 else b""))
            left = set(os.listdir(self.folder)) - names
            if env and number == signal.SIGKILL:
                for name in left:
                    self.path(name).unlink()
            else:
                self.assertEqual(left, set())
        self.assertGreater(killed, 0)

    def setUp(self):
        super().setUp()
        old = image(self.rng, 1500 * PAGE)
        self.base = write(self.path("base"), old)
        self.new = write(self.path("new"), changed(self.rng, old, len(old), 2))

    def test_create(self):
        """Fails if create, killed, leaves part of a file."""
        delta = self.path("delta")
        self.end_often(signal.SIGKILL, ("create", self.base, self.new, delta), delta)

    def test_merge(self):
        """Fails if merge, killed, leaves part of a file."""
        xbzimg("create", self.base, self.new, self.path("delta1"))
        xbzimg("create", self.new, self.base, self.path("delta2"))
        self.end_often(signal.SIGKILL, ("merge", self.path("delta1"), self.path("delta2"),
                                        self.path("merged")), self.path("merged"))

    def test_apply(self):
        """Fails if apply, killed, leaves part of an image."""
        xbzimg("create", self.base, self.new, self.path("delta"))
        self.end_often(signal.SIGKILL, ("apply", self.base, self.path("delta"),
                                        self.path("again")), self.path("again"))

    def test_interrupted(self):
        """Fails if SIGINT or SIGTERM leave anything behind, also on a file system that has no
        files without a name."""
        delta = self.path("delta")
        # Shells let commands in the background ignore it, and so would the children.
        self.addCleanup(signal.signal, signal.SIGINT,
                        signal.signal(signal.SIGINT, signal.default_int_handler))
        for number in (signal.SIGINT, signal.SIGTERM):
            self.end_often(number, ("create", self.base, self.new, delta), delta, NO_TMPFILE)

    def test_killed_with_a_name(self):
        """Fails if create, killed on such a file system, leaves part of a file by its name."""
        delta = self.path("delta")
        self.end_often(signal.SIGKILL, ("create", self.base, self.new, delta), delta, NO_TMPFILE)


class Servers(ImageTest):
    """NBD, both ways."""

    server = None

    def stop(self):
        """Ends the server, if there is one."""
        if self.server:
            self.server.kill()
            self.server.wait()
            self.server = None

    def qemu_nbd(self, *argv):
        """A server at a socket, instead of the one before; its URI."""
        self.stop()
        socket = self.path(f"socket{self.rng.random()}")
        self.server = subprocess.Popen(["qemu-nbd", "-t", "-r", "-k", socket, *argv])
        self.addCleanup(self.stop)
        for _ in range(500):
            if socket.exists():
                return f"nbd+unix:///?socket={socket}"
            time.sleep(0.02)
        return self.fail("no server")

    def serve(self, *argv):
        """nbdcopy and nbdinfo of what a chain serves."""
        script = (f"nbdcopy $uri {self.path('served')} && nbdinfo --json --map $uri && "
                  f"qemu-img compare -f raw -F raw $uri {self.path('served')}")
        return xbzimg("serve", *argv, "--", "-U", "-", "--run", script)

    def test_serve(self):
        """Fails if what is served is not the image, or if holes are not said to be holes."""
        old = image(self.rng, 300 * PAGE) + bytes(5000 * PAGE) + image(self.rng, 100 * PAGE)
        new = changed(self.rng, old[:300 * PAGE], 300 * PAGE) + old[300 * PAGE:]
        last = changed(self.rng, new[:300 * PAGE], 300 * PAGE) + new[300 * PAGE:]
        base = write(self.path("base"), old)
        xbzimg("create", base, write(self.path("new"), new), self.path("delta1"))
        xbzimg("create", self.path("new"), write(self.path("last"), last), self.path("delta2"))
        said = self.serve(base, self.path("delta1"), self.path("delta2"))
        self.same(self.path("served"), self.path("last"))
        extents = json.loads(said[:said.index("]") + 1])
        self.assertTrue(any(part["type"] == 3 and part["length"] >= 4999 * PAGE
                            for part in extents), said)
        self.assertIn("Images are identical", said)

    def test_serve_odd(self):
        """Fails if an image whose size is no multiple of a page is not served to its last
        byte."""
        old = image(self.rng, 50 * PAGE)
        new = changed(self.rng, old, 60 * PAGE + 1000)
        base = write(self.path("base"), old)
        xbzimg("create", base, write(self.path("new"), new), self.path("delta"))
        xbzimg("serve", base, self.path("delta"), "--", "-U", "-", "--run",
               f"nbdcopy $uri {self.path('served')}")
        self.same(self.path("served"), self.path("new"))

    def test_overlay(self):
        """Fails if QEMU cannot write to an overlay upon what is served."""
        base, new = self.pair()
        xbzimg("create", base, new, self.path("delta"))
        overlay = self.path("overlay")
        script = (f"qemu-img create -q -f qcow2 -F raw -b $uri {overlay} && "
                  f"qemu-io -c 'write -P 7 8192 4096' {overlay} && "
                  f"qemu-img convert -O raw {overlay} {self.path('raw')}")
        xbzimg("serve", base, self.path("delta"), "--", "-U", "-", "--run", script)
        want = bytearray(new.read_bytes())
        want[8192:12288] = b"\7" * 4096
        self.assertEqual(self.path("raw").read_bytes(), bytes(want))

    def test_boot(self):
        """Fails if a machine does not start from an overlay upon what is served, or cannot
        write to it."""
        base, new = self.pair()
        # Writes itself to the second sector, and resets the machine.
        boot = bytes.fromhex("31c08ec0bb007cb80103b90200b600cd1372feb0fee664f4").ljust(510, b"\0")
        want = bytearray(new.read_bytes())
        want[:510], want[510:512] = boot, b"\x55\xaa"
        write(new, want)
        xbzimg("create", base, new, self.path("delta"))
        overlay = self.path("overlay")
        script = (f"qemu-img create -q -f qcow2 -F raw -b $uri {overlay} && "
                  "timeout 60 qemu-system-x86_64 -accel tcg -m 32 -display none -nodefaults "
                  f"-no-reboot -drive file={overlay},format=qcow2,if=ide && "
                  f"qemu-img convert -O raw {overlay} {self.path('raw')}")
        xbzimg("serve", base, self.path("delta"), "--", "-U", "-", "--run", script)
        want[512:1024] = want[:512]
        self.assertEqual(self.path("raw").read_bytes(), bytes(want))

    def test_serve_refuses(self):
        """Fails if a wrong base is served, or one that turns out to be wrong gives anything
        but an error."""
        base, new = self.pair(300, 2)
        delta = self.path("delta")
        xbzimg("create", "--in-place", base, new, delta)
        other = write(self.path("other"), image(self.rng, 300 * PAGE))
        self.refused("wrong base", "serve", "--unix", self.path("socket"), other, delta)
        # The first delta of a group may be looked at before anything is served, the next is
        # not. A delta against zero rests on nothing.
        wrong = bytearray(base.read_bytes())
        at = [at for part in as_json("map", delta) if part["kind"] == "delta"
              for at in range(part["start"], part["start"] + part["length"], PAGE)
              if any(wrong[at:at + PAGE])][1]
        wrong[at:at + PAGE] = bytes(byte ^ 1 for byte in wrong[at:at + PAGE])
        write(other, wrong)
        # qemu-io takes its leave, also after an error; nbdkit 1.32 may end by an assertion of
        # its own if a client with several connections does not.
        said = xbzimg("serve", other, delta, "--", "-U", "-", "--run",
                      f"qemu-io -r -f raw -c 'read {at} {PAGE}' $uri", status=1)
        self.assertIn("wrong base", said)
        self.assertIn("Input/output error", said)

    def test_plugin(self):
        """Fails if nbdkit does not take the plugin's parameters, or names of files that are
        relative to where it was called."""
        base, new = self.pair(20)
        xbzimg("create", base, new, self.path("delta"))
        said = run("nbdkit", "-U", "-", ROOT / "build/nbdkit-xbzimg-plugin.so", "base=raw:base",
                   "delta", "--run", "nbdcopy $uri served", cwd=self.folder)
        self.same(self.path("served"), new)
        said = run("nbdkit", "-U", "-", ROOT / "build/nbdkit-xbzimg-plugin.so", "delta",
                   "--run", "true", cwd=self.folder, status=1)
        self.assertIn("base= is missing", said)

    def test_qcow2(self):
        """Fails if a qcow2 file, or what a server exports, gives another delta image than
        the same raw image."""
        base, new = self.pair()
        overlay = self.path("a:b.qcow2")
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", new, f"file:{overlay}")
        xbzimg("create", base, new, self.path("delta"))
        for number, name in enumerate((
                lambda: f"qcow2:{overlay}",
                lambda: self.qemu_nbd("-f", "qcow2", f"file:{overlay}"),
                lambda: self.qemu_nbd("-f", "raw", "-e", "5", new))):
            xbzimg("create", base, name(), self.path(f"delta{number}"))
            self.same(self.path("delta"), self.path(f"delta{number}"))
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", base, self.path("base.qcow2"))
        xbzimg("apply", f"qcow2:{self.path('base.qcow2')}", self.path("delta"),
               self.path("again"))
        self.same(new, self.path("again"))

    def test_bitmap(self):
        """Fails if what is not in a dirty bitmap is read or recorded, what is in it is not,
        or if a delta image upon another one has not the sum of the image."""
        disk, base = self.path("disk.qcow2"), self.path("base")
        content = write(self.path("content"), image(self.rng, 512 * PAGE))
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", content, disk)
        deltas = []
        shutil.copy(content, base)
        for number in range(3):
            run("qemu-img", "bitmap", "--add", "-g", "4096", disk, f"night{number}")
            for _ in range(20):
                at = self.rng.randrange(2040) * 1024
                length = self.rng.choice((512, 1024, 9216))
                run("qemu-io", "-c", f"write -P {self.rng.randrange(255)} {at} {length}", disk)
            run("qemu-img", "convert", "-O", "raw", disk, self.path("want"))
            uri = self.qemu_nbd("-f", "qcow2", "-B", f"night{number}", disk)
            delta = self.path(f"delta{number}")
            if number == 0:
                xbzimg("create", base, uri, delta)
            said = as_json("create", "--bitmap", f"night{number}", base, *deltas, uri,
                           self.path("by-bitmap"))
            self.assertGreater(said["delta_pages"] + said["raw_pages"] + said["zero_pages"], 0)
            if number:
                shutil.copy(self.path("by-bitmap"), delta)
            deltas.append(delta)
            xbzimg("apply", base, *deltas[:-1], self.path("by-bitmap"), self.path("again"))
            self.same(self.path("want"), self.path("again"))
            self.assertEqual("image_sum" in as_json("info", self.path("by-bitmap")), number > 0)
            if number < 2:
                self.stop()
        self.refused("no dirty bitmap 'nonsense'", "create", "--bitmap", "nonsense", base, uri,
                     self.path("none"))
        # What is not in it is not looked at.
        write(base, bytes(512 * PAGE))
        said = as_json("create", "--bitmap", "night2", base, uri, self.path("by-bitmap"))
        self.assertLess(said["raw_pages"] + said["delta_pages"], 200)


class Memory(ImageTest):
    """Memory that was saved."""

    def save(self, number, content):
        """Files of a machine's memory, which has this content, as QEMU and libvirt save it."""
        path = self.path(f"content{number}")
        path.write_bytes(content)
        socket, files = self.path(f"qmp{number}"), {}
        with subprocess.Popen([
                "qemu-system-x86_64", "-S", "-accel", "tcg", "-m", "32", "-display", "none",
                "-nodefaults", "-qmp", f"unix:{socket},server=on,wait=off",
                "-device", f"loader,file={path},addr=0x1000000,force-raw=on"]) as child:
            self.addCleanup(child.kill)
            qmp = QMP.connect(str(socket), lambda: child.poll() is None, 60)
            for name, command, arguments in (
                    ("raw", "pmemsave", {"val": 0, "size": 32 << 20, "filename": "{}"}),
                    ("dump", "dump-guest-memory", {"paging": False, "protocol": "file:{}"}),
                    ("stream", "migrate", {"uri": "exec:cat >{}"})):
                files[name] = self.path(f"{name}{number}")
                qmp.command(command, **{
                    key: value.format(files[name]) if isinstance(value, str) else value
                    for key, value in arguments.items()})
            while qmp.command("query-migrate")["status"] not in ("completed", "failed"):
                time.sleep(0.1)
            qmp.command("quit")
            child.wait()
        return files

    def test_saved(self):
        """Fails if memory that was saved, by pmemsave as Firecracker and Cloud Hypervisor have
        it, as a dump, or as the stream that virsh save writes, is not restored, or takes more
        than what changed: also where all that follows moves."""
        content = bytearray(self.rng.randbytes(8 << 20))
        content[:50 * PAGE:2 * PAGE] = bytes(25)
        content[100 * PAGE:101 * PAGE] = bytes(PAGE)
        old = self.save(0, content)
        for at in range(0, len(content), 100_000):
            content[at] ^= 1
        content[100 * PAGE:101 * PAGE] = self.rng.randbytes(PAGE)
        new = self.save(1, content)
        for name, path in new.items():
            delta = self.path("delta")
            xbzimg("create", old[name], path, delta)
            self.assertGreater(path.stat().st_size, 8 << 20)
            self.assertLess(delta.stat().st_size, 512 << 10, name)
            xbzimg("apply", old[name], delta, self.path("again"))
            self.same(path, self.path("again"))


class People(ImageTest):
    """What a person sees."""

    def test_json(self):
        """Fails if JSON of a command is outside of its schema, or does not say what is so."""
        base, new = self.pair()
        delta, merged = self.path("delta"), self.path('quo"te')
        made = as_json("create", base, new, delta)
        self.assertEqual(made["bytes"], delta.stat().st_size)
        xbzimg("create", new, base, self.path("back"))
        self.assertEqual(as_json("merge", delta, self.path("back"), merged)["path"],
                         str(merged))
        self.assertEqual(as_json("apply", base, delta, self.path("again"))["size"], 300 * PAGE)
        said = as_json("info", merged)
        self.assertEqual(said["base_sum"], said["image_sum"])
        self.assertEqual(as_json("info", delta)["image_sum"],
                         as_json("info", self.path("back"))["base_sum"])
        self.assertTrue(as_json("verify", delta)["sound"])
        self.path("broken").write_bytes(delta.read_bytes()[:-9] + b"123456789")
        said = json.loads(xbzimg("verify", "--json", self.path("broken"), status=1)
                          .splitlines()[-1])
        jsonschema.validate(said, {**SCHEMA, "$ref": "#/definitions/verify"})
        self.assertFalse(said["sound"])

    def test_text(self):
        """Fails if a command says nothing on success, or says something with --quiet."""
        base, new = self.pair()
        delta = self.path("delta")
        again = self.path("again")
        for argv, pattern in (((base, new, delta), r"delta: .* pages: \d+ deltas"),
                              ((base, delta, again), "again: 1.2M"), ((delta,), "^sound$")):
            command = {3: "create", 1: "verify"}[len(argv)] if argv[-1] != again else "apply"
            self.assertRegex(xbzimg(command, *argv), pattern)
            self.assertEqual(xbzimg(command, "--quiet", *argv), "")
        self.assertRegex(xbzimg("info", delta), r"(?m)^records +\d+ in \d+ groups$")
        self.assertRegex(xbzimg("map", delta), r"(?m)^0 +\d+ +[01] +\w+$")
        self.assertIn("create", xbzimg("--help"))
        self.assertRegex(xbzimg("--version"), r"^xbzimg \d")

    def test_progress(self):
        """Fails if a terminal is not shown how far a command is, or is left with a part of
        it; or if it is shown with --quiet."""
        slow = (f"nbdkit -U - pattern 12M --filter=delay rdelay=50ms --run "
                f"'{XBZIMG} create %s {self.path('base')} $uri {self.path('delta')}'")
        write(self.path("base"), bytes(12 << 20))
        for option, seen in (("--threads=1", True), ("--quiet", False)):
            master, terminal = pty.openpty()
            with subprocess.Popen(["bash", "-c", slow % option], stderr=terminal,
                                  stdout=subprocess.DEVNULL) as child:
                os.close(terminal)
                said = b""
                while True:
                    try:
                        part = os.read(master, 4096)
                    except OSError:
                        break
                    said += part
                self.assertEqual(child.wait(), 0, said)
            os.close(master)
            found = re.search(rb"\d+ %  [\d.]+ MB/s  \d+:\d\d left", said)
            self.assertEqual(bool(found), seen, said)
            if seen:
                self.assertTrue(said.endswith(b"\r\x1b[K"), said)

    def test_pages(self):
        """Fails if the man page has a fault or does not name a command or an option."""
        page = ROOT / "Documentation/man/xbzimg.1"
        self.assertEqual(run("sh", "-c", f"man -l -Tutf8 --warnings {page} 2>&1 >/dev/null"), "")
        self.assertEqual(run("mandoc", "-T", "lint", "-W", "warning", page), "")
        text = page.read_text(encoding="utf-8")
        for line in xbzimg("--help").splitlines():
            named = re.match("  (--)?([a-z]+) ", line)
            if named:
                self.assertRegex(text, rf"\.(It|Op)? ?(Cm|Fl) {'-' if named[1] else ''}"
                                 rf"{named[2]}\b")

    def test_options(self):
        """Fails if the help, the man page's synopsis and what a command takes are not the same
        options."""
        helped = {}
        for option, commands in re.findall(r"(?m)^  --([a-z-]+) .*\(([a-z, ]+)\)$",
                                           xbzimg("--help")):
            for command in commands.split(", "):
                helped.setdefault(command, set()).add(option)
        page = (ROOT / "Documentation/man/xbzimg.1").read_text(encoding="utf-8")
        synopsis = page.split(".Sh SYNOPSIS")[1].split(".Sh DESCRIPTION")[0]
        self.assertEqual(helped, {
            re.search(r"\.Cm (\w+)", part)[1]: set(re.findall(r"[ -]-([a-z-]{2,})", part))
            for part in synopsis.split(".Nm\n")[1:]})
        values = {"threads": 2, "zstd": 1, "port": 1}
        for command, options in helped.items():
            for option in set().union(*helped.values()):
                argument = ([] if option in ("json", "quiet", "in-place") else
                            [values.get(option, "x")])
                said = xbzimg(command, f"--{option}", *argument, status=2)
                self.assertEqual(f"--{option} is not for {command}" not in said,
                                 option in options, said)

    def test_completion(self):
        """Fails if bash or zsh complete a line to something else."""
        run(HERE / "test_completion", XBZIMG)
        run(HERE / "test_completion_zsh", XBZIMG)


def main():
    print(f"# XBZ_SEED={SEED}", flush=True)
    runner = tap.TAPTestRunner()
    runner.set_stream(True)
    runner.resultclass.FORMAT = "{method_name}"
    unittest.main(testRunner=runner)


if __name__ == "__main__":
    main()
