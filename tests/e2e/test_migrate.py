#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of what the end-to-end tests stand on.

What lives here: the comparison of memory, the parsers, the QMP client, the
guests' parameters, the judging of results; no QEMU is started. What does not:
migrations, see cases.py.
"""

import contextlib
import ctypes
import importlib.machinery
import importlib.util
import io
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest
from unittest import mock

import tap

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "guests")]
sys.dont_write_bytecode = True

import cases                                                # noqa: E402
import checks                                               # noqa: E402
import machine                                              # noqa: E402
import memory                                               # noqa: E402
import migration                                            # noqa: E402
import params                                               # noqa: E402
from qmp import QMP, QMPError                               # noqa: E402


def load(name, folder=HERE):
    """A program without .py as a module."""
    loader = importlib.machinery.SourceFileLoader(
        name, os.path.join(folder, name))
    spec = importlib.util.spec_from_loader(name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


BUILD = os.path.join(HERE, "..", "guests", "build")
migrate = load("migrate")
demo = load("demo")


class Comparison(unittest.TestCase):
    """Fails if a difference hides from compare(), or memory from layout()."""

    def test_equal(self):
        a = os.urandom(16 * 4096)
        self.assertEqual(memory.compare(a, bytes(a)), (None, 0, 0))

    def test_any_single_byte(self):
        a = bytearray(os.urandom(3 * 4096))
        for at in (0, 1, 4095, 4096, 8191, 8192, 3 * 4096 - 1):
            b = bytearray(a)
            b[at] ^= 0x80
            self.assertEqual(memory.compare(a, b, 0x100000),
                             (0x100000 + at, 1, 1), at)

    def test_counts_bytes_and_pages(self):
        a, b = bytearray(8 * 4096), bytearray(8 * 4096)
        for at in (5, 6, 4096 * 3, 4096 * 7 + 4095):
            b[at] = 1
        self.assertEqual(memory.compare(a, b), (5, 4, 3))

    def test_last_page_is_short(self):
        a, b = bytearray(4096 + 100), bytearray(4096 + 100)
        b[-1] = 1
        self.assertEqual(memory.compare(a, b), (4195, 1, 1))

    def test_lengths_differ(self):
        with self.assertRaises(memory.DumpError):
            memory.compare(b"12", b"1")

    def test_layout(self):
        text = "\n".join((
            'FlatView #0',
            ' AS "I/O", root: io',
            '  0000000000000000-0000000000000007 (prio 0, ram): not-ours',
            '',
            'FlatView #1',
            ' AS "memory", root: system',
            ' AS "cpu-memory-0", root: system',
            ' Root memory region: system',
            '  0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM',
            '  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem',
            '  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom',
            '  0000000000100000-0000000007ffffff (prio -1, ram): pc.ram @'
            '0000000000100000',
            '', 'FlatView #2', ' AS "cpu-smm-0", root: memory',
            '  0000000000000000-000000000009ffff (prio 0, ram): pc.ram'))
        self.assertEqual(memory.layout(text), [
            (0, 0xa0000, "pc.ram"), (0xc0000, 0xe0000, "pc.rom"),
            (0x100000, 0x8000000, "pc.ram")])
        with self.assertRaises(memory.DumpError):
            memory.layout("nothing of the kind")

    def test_reads_a_process(self):
        secret = ctypes.create_string_buffer(os.urandom(10000), 10000)
        begin = ctypes.addressof(secret)

        class Self:
            name = "self"
            process = types.SimpleNamespace(pid=os.getpid())
            hosts = {0: begin, 9999: begin + 9999, 20000: 0, 20009: 9}

            class qmp:
                @staticmethod
                def human(line):
                    return f"Host virtual address is {Self.hosts[int(line.split()[1], 16)]:#x}"
        self.assertEqual(memory.read(Self, 0, 10000), secret.raw)
        with self.assertRaisesRegex(memory.DumpError, "cannot read its memory"):
            memory.read(Self, 20000, 20010)
        Self.hosts[9999] = begin + 10000
        with self.assertRaisesRegex(memory.DumpError, "not contiguous"):
            memory.read(Self, 0, 10000)


class Protocol(unittest.TestCase):
    """Fails if an answer is lost, mixed up or waited for in vain."""

    def talk(self, *replies):
        """A client whose peer sends these bytes, one piece at a time."""
        ours, theirs = socket.socketpair()

        def peer():
            with theirs:
                for piece in replies:
                    theirs.sendall(piece)
                    time.sleep(0.01)
                while theirs.recv(1 << 16):
                    pass
        thread = threading.Thread(target=peer)
        thread.start()
        self.addCleanup(thread.join)
        q = QMP(ours)
        self.addCleanup(q.close)
        return q

    def test_events_between(self):
        q = self.talk(b'{"event": "STOP"}\n{"return": 1, "id": 1}\n')
        self.assertEqual(q.command("a"), 1)

    def test_split_and_joined_lines(self):
        q = self.talk(b'{"retu', b'rn": {"x": 2}, "id": 1}\r\n{"return"',
                      b': 3, "id": 2}\n')
        self.assertEqual(q.command("a"), {"x": 2})
        self.assertEqual(q.command("b"), 3)

    def test_error(self):
        q = self.talk(b'{"error": {"class": "GenericError", "desc": "no"}, '
                      b'"id": 1}\n')
        with self.assertRaisesRegex(QMPError, "^a: no$"):
            q.command("a")

    def test_closed(self):
        q = self.talk()
        q.sock.shutdown(socket.SHUT_WR)
        with self.assertRaisesRegex(QMPError, "closed"):
            q.receive()

    def test_garbage(self):
        for garbage in (b"hello\n", b"1\n", b"\xff\n"):
            with self.assertRaisesRegex(QMPError, "a: not "):
                self.talk(garbage).command("a")

    def test_timeout(self):
        q = self.talk(b'{"event": "STOP"}\n')
        with self.assertRaisesRegex(QMPError, "a: no answer in time"):
            q.command("a", timeout=0.1)

    def test_nobody_listens(self):
        with self.assertRaisesRegex(QMPError, "ended before"):
            QMP.connect("/nonexistent", lambda: False, 5)


class Guests(unittest.TestCase):
    """Fails if an image has other parameters than were asked for."""

    def built(self, *args):
        """(status, image) of the build with these arguments."""
        with tempfile.NamedTemporaryFile() as f:
            done = subprocess.run([BUILD, "-o", f.name, *args], check=False,
                                  stderr=subprocess.DEVNULL)
            with open(f.name, "rb") as made:
                return done.returncode, made.read()

    def test_round_trip(self):
        status, image = self.built(
            "--footprint", "28K", "--base", "2M", "--stride", "8K", "--rate", "99",
            "--words", "3", "--fill")
        self.assertEqual((status, len(image), image[4:8]), (0, 512, b"XBZD"))
        self.assertEqual(struct.unpack_from("<8I", image, 8),
                         (7 << 12, 2 << 20, 8192, 99, 2, 1, 3, 1))
        self.assertEqual(struct.unpack_from("<8I", self.built()[1], 8),
                         (16 << 20, 1 << 20, 1024, 0, 2, 0, 64, 0))

    def test_other_images(self):
        for path in ("/dev/null", "/etc/passwd"):
            with self.assertRaises(params.BadParameter):
                params.end(path)

    def test_limits(self):
        good = {"footprint": 4096, "base": 1 << 20, "stride": 1024, "rate": 0, "words": 64}
        params.check(good)
        for bad in ({"footprint": 0}, {"footprint": 4097}, {"base": 4096},
                    {"base": (1 << 20) + 1}, {"footprint": 3 << 30},
                    {"stride": 0}, {"stride": 3}, {"stride": 6144},
                    {"rate": 1}, {"rate": 1 << 32}, {"words": 0}, {"words": 1 << 17}):
            with self.assertRaises(params.BadParameter, msg=bad):
                params.check({**good, **bad})
        self.assertEqual(self.built("--footprint", "5000"), (2, b""))

    def test_sizes(self):
        self.assertEqual(params.parse_size("16M"), 16 << 20)
        self.assertEqual(params.parse_size("3k"), 3072)
        self.assertEqual(params.parse_size("7"), 7)
        for bad in ("", "M", "x", "-1", "0.3", "1.5K", "1T"):
            with self.assertRaises(params.BadParameter, msg=bad):
                params.parse_size(bad)

    def test_pass_lines(self):
        class Said(machine.Machine):
            def __init__(self, text):
                self.text = text

            def serial(self):
                return self.text
        self.assertIsNone(Said(b"SeaBIOS\npass 0000").guest_passes())
        self.assertEqual(Said(b"pass 00000001\npass 00000123\npass 000")
                         .guest_passes(), 123)
        stalls = Said(b"stall 00000400\npass 00000001\nstall 00000012\nstall 00000007\n")
        self.assertEqual(stalls.guest_stall(0), 400)
        self.assertEqual(stalls.guest_stall(20), 12)
        self.assertIsNone(stalls.guest_stall(66))

    def test_processor_time(self):
        """Without threads that are processors of the guest."""
        burnt, stopped = threading.Event(), threading.Event()

        def burn():
            while time.thread_time() < 0.3:
                pass
            burnt.set()
            stopped.wait()

        class Self(machine.Machine):
            def __init__(self):
                self.process = mock.Mock(pid=os.getpid())
                self.qmp = mock.Mock()
        thread = threading.Thread(target=burn)
        thread.start()
        burnt.wait()
        me = Self()
        me.qmp.command.return_value = []
        whole = me.processor_ms()
        me.qmp.command.return_value = [{"thread-id": thread.native_id}]
        without = me.processor_ms()
        stopped.set()
        thread.join()
        self.assertGreaterEqual(whole - without, 100)


class Options(unittest.TestCase):
    """Fails if migrate takes what it cannot do, or misreads what it can."""

    def refused(self, *argv):
        with self.assertRaises(SystemExit) as caught, \
                contextlib.redirect_stderr(io.StringIO()) as said:
            migrate.options(list(argv))
        self.assertEqual(caught.exception.code, 2)
        return said.getvalue()

    def setUp(self):
        self.image = tempfile.NamedTemporaryFile()
        self.addCleanup(self.image.close)
        subprocess.run([BUILD, "-o", self.image.name], check=True)

    def test_good(self):
        o = migrate.options(["--image", self.image.name, "--memory",
                             "64M", "--args=-vga std", "--cancel-first",
                             "2passes", "--at", "1500ms", "x 1", "--at", "setup", "y"])
        self.assertEqual(o.at, [((1500, "ms"), "x 1"), (("setup", "status"), "y")])
        self.assertEqual(o.break_first[1:], ("cancelled", (2, "passes")))
        self.assertEqual(o.memory, 64 << 20)
        self.assertEqual(o.args, ["-vga", "std"])
        self.assertEqual(o.name, "plain")

    def test_bad(self):
        guest = ["--image", self.image.name]
        self.assertIn("--image", self.refused())
        self.assertIn("was not made by", self.refused("--image", "/etc/passwd"))
        self.assertIn("no file", self.refused("--image", "/nonexistent"))
        self.assertIn("no size", self.refused(*guest, "--memory", "x"))
        self.assertIn("power of two", self.refused(*guest, "--cache", "3M"))
        self.assertIn("MiB", self.refused(*guest, "--memory", "5000K"))
        self.assertIn("1500ms", self.refused(*guest, "--kill-first", "9"))
        self.assertIn("above 0", self.refused(*guest, "--time-limit", "0"))

    def test_footprint_beyond_memory(self):
        guest = ["--image", self.image.name]
        self.assertIn("does not reach", self.refused(*guest, "--memory", "16M"))
        self.assertEqual(migrate.options([*guest, "--memory", "17M"]).memory, 17 << 20)


class Types(unittest.TestCase):
    """Fails if two QEMUs of different versions get a machine that one has not."""

    def test_common(self):
        versions = {"old": (7, 2), "new": (10, 0), "newer": (10, 2)}
        with mock.patch.object(machine, "version", versions.get):
            self.assertEqual(machine.common_type(["new", "new"]), "pc")
            self.assertEqual(machine.common_type(["new", "old"]),
                             "pc-i440fx-7.2")
            self.assertEqual(machine.common_type(["new", "newer"]),
                             "pc-i440fx-10.0")
            self.assertEqual(machine.common_type(["new", "old"], "q35"), "pc-q35-7.2")


class Holding(unittest.TestCase):
    """Fails if a migration that is held converges with a slow guest, or is slowed
    down for nothing."""

    @staticmethod
    def passes(rate, number):
        """Seconds of each pass over 1000 pages of 640 bytes in the stream, of
        which the guest dirties 'rate' pages a second."""
        held = migration.Hold(2 << 20)
        sent, dirty, found = 0, 1000, []
        for n in range(number):
            held.change(n + 1, sum(found), dirty, (sent, sent * 640))
            found.append(dirty * 640 / held.bandwidth)
            sent += dirty
            dirty = min(1000, rate * found[-1])
        return held, found

    def test_slow_guest(self):
        for rate in (50, 200, 500, 1000, 3000):
            held, found = self.passes(rate, 50)
            self.assertGreaterEqual(held.bandwidth, migration.HOLD_LEAST)
            self.assertGreater(found[-1], 0.9 * min(1, rate * 640 / held.bandwidth), rate)
            self.assertGreater(min(found), 0.25, rate)

    def test_recovers(self):
        least = migration.HOLD_LEAST
        held = migration.Hold(4 * least)
        self.assertIsNone(held.change(1, 0, 500, (0, 0)))
        self.assertEqual(held.change(2, 9, 1, (500, 50000)), least)
        self.assertIsNone(held.change(2, 10, 1, (700, 52000)))
        for expected in (2 * least, 4 * least, None):
            self.assertEqual(held.change(2, 9 + held.since, 1, (700, 52000)), expected)
        self.assertIsNone(held.change(3, 90, least, (1500, 252000)))


class Judgement(unittest.TestCase):
    """Fails if a bad migration can pass for a good one."""

    good = {"name": "xbzrle-dev", "status": "completed", "error": None,
            "memory_identical": True, "dst": "stock", "bytes": 10,
            "dst_package": "qemu-system-x86", "device_used": True,
            "device_released": True, "pages_delta": 1, "kvm": True,
            "src_stderr": "", "total_ms": 1, "passes": 2, "downtime_ms": 3,
            "bytes_per_dirty_page": 4.5,
            "xbzrle": {"cache-miss-rate": 0.5, "cache-size": 4096}}

    def test_pages_sent(self):
        self.assertEqual(migration.pages_sent({
            "ram": {"duplicate": 5, "normal": 7},
            "xbzrle-cache": {"pages": 11, "overflow": 2}}), 21)
        self.assertEqual(migration.pages_sent({}), 0)

    def test_each_check(self):
        self.assertEqual(checks.failures(cases.KVM, self.good), [])
        for field, value in (("status", "did-not-converge"),
                             ("memory_identical", False),
                             ("memory_identical", None),
                             ("dst", "patched"), ("dst_package", None),
                             ("device_used", False), ("kvm", False),
                             ("device_released", None), ("pages_delta", 0),
                             ("src_stderr", "warning: something")):
            self.assertEqual(len(checks.failures(
                cases.KVM, {**self.good, field: value})), 1, field)

    def test_said_once(self):
        line = "cannot open /nonexistent"
        self.assertIsNone(checks.said_once({"src_stderr": f"x\n{line}\n"}))
        for text in ("", f"{line}\n{line}"):
            self.assertTrue(checks.said_once({"src_stderr": text}))

    def test_silent(self):
        old = "q: warning: Machine type 'pc-i440fx-7.2' is deprecated: old"
        for text, wrong in (("", False), (old, False), (f"{old}\n", False),
                            (f"{old}\nx", True), ("x", True)):
            self.assertEqual(bool(checks.silent({"src_stderr": text})), wrong, text)

    def test_statistics(self):
        for rate in (1.0012, -0.1, float("nan")):
            self.assertTrue(checks.rates_sound(
                {"xbzrle": {"cache-miss-rate": rate}}), rate)
        self.assertTrue(checks.rates_sound({"xbzrle": None}))
        self.assertTrue(checks.cache_size(0)({"xbzrle": None}))
        self.assertIsNone(checks.cache_size(4096)(self.good))
        self.assertTrue(checks.cache_size(0)(self.good))

    def test_queues(self):
        self.assertIsNone(checks.queues(8)({"queues": 8}))
        self.assertTrue(checks.queues(8)({"queues": 1}))
        self.assertTrue(checks.refused({"error": None}))

    def test_hops(self):
        check = checks.every_hop(2)
        self.assertIsNone(check({"hops": [True, True]}))
        for hops in ([], [True], [True, False], [True, None]):
            self.assertTrue(check({"hops": hops}), hops)

    def test_answers(self):
        for answer, end, wrong in ((1, 2, False), (None, 2, True), (1, None, True),
                                   (5000, 2, True), (1, 30000, True)):
            found = {"broken_first": {"answer_ms": answer, "end_ms": end}}
            self.assertEqual(bool(checks.answered(found)), wrong, found)
        self.assertTrue(checks.answered({"broken_first": None}))

    def test_failures_are_said(self):
        line = "q: warning: XBZRLE by '/dev/xbzrle' failed: why\n"
        for said, wrong in (("device-fails: here\n" + line, False), (line, True),
                            ("device-fails: here\n", True),
                            ("device-fails: here\n" + line + line, True)):
            self.assertEqual(bool(checks.failed_once("why")({"src_stderr": said})), wrong, said)
        self.assertIsNone(checks.given_up({"xbzrle": {}}))
        self.assertTrue(checks.given_up({"xbzrle": {"x-dev-queues": 1}}))
        for released, said, wrong in ((True, "why", False), (False, "why", True),
                                      (True, "", True)):
            self.assertEqual(bool(checks.failed_cleanly("why")(
                {"broken_first": {"device_released": released}, "src_stderr": said})), wrong)

    def test_copies(self):
        line = ("zerocopy-log: sends=9 bytes={} small={} other={} copied={}"
                " pieces={} elsewhere={} changed={} unfinished={}\n")
        most = 10 << 20
        for numbers, wrong in (((most, 9, 1, 0, 0, 0, 0, 0), False),
                               ((most, most // 2, 1, 0, 0, 0, 0, 0), False),
                               ((most, 2 * most, 1, 0, 0, 0, 0, 0), True),
                               ((most, 9, most // 3, 0, 0, 0, 0, 0), True),
                               ((4 << 20, 9, 1, 0, 0, 0, 0, 0), True),
                               ((most, 9, 1, 1, 0, 0, 0, 0), True),
                               ((most, 9, 1, 0, 1, 0, 0, 0), True),
                               ((most, 9, 1, 0, 0, 1, 0, 0), True),
                               ((most, 9, 1, 0, 0, 0, 1, 0), True),
                               ((most, 9, 1, 0, 0, 0, 0, 1), True)):
            said = {"bytes": sum(numbers[:3]), "src_stderr": line.format(*numbers)}
            self.assertEqual(bool(checks.no_copies(said)), wrong, numbers)
        self.assertTrue(checks.no_copies({"bytes": 1, "src_stderr": "x"}))
        both = (line.format(9, 0, 0, 0, 0, 0, 0, 5) +
                line.format(most, 9, 1, 0, 0, 0, 0, 0))
        said = {"bytes": most, "src_stderr": both}
        self.assertIsNone(checks.no_copies(said))
        line = "warning: xbzrle-dev-zerocopy cannot be had: not TCP\n"
        check = checks.copies_said("not TCP")
        self.assertIsNone(check({"src_stderr": line}))
        for text in ("", line + line, line.replace("TCP", "UNIX")):
            self.assertTrue(check({"src_stderr": text}), text)

    def test_demo(self):
        runs = [{**self.good, "name": name} for name, _ in demo.RUNS]
        self.assertIsNone(demo.verdict(runs))
        for field, value in (("status", "did-not-converge"), ("dst", None),
                             ("memory_identical", None), ("status", "failed"),
                             ("device_used", False), ("dst_package", None)):
            runs[-1] = {**self.good, field: value}
            self.assertTrue(demo.verdict(runs), field)
        runs[0] = {"name": "plain", "status": "failed", "error": "x"}
        self.assertIn("failed", demo.table(runs))
        json.dumps(runs)

    def test_cases(self):
        names = [c.name for c in cases.CASES]
        self.assertEqual(len(names), len(set(names)))
        for c in cases.CASES:
            self.assertIn(c.guest, cases.GUESTS)
            self.assertTrue(c.breaks and c.checks)


def main():
    runner = tap.TAPTestRunner()
    runner.set_stream(True)
    runner.resultclass.FORMAT = "{method_name}"
    unittest.main(testRunner=runner)


if __name__ == "__main__":
    main()
