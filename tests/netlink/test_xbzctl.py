#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The netlink family, the module's parameters and xbzctl, in a kernel that has
xbzrle.ko loaded: the family by the kernel's own client for such specs, xbzctl by
its output.

  tests/netlink/test_xbzctl.py YNL

YNL is the folder that has the kernel's client, see generate. Every test begins
with no session, and says what would have to break for it to fail.
"""

import errno
import json
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
YNL = pathlib.Path(sys.argv.pop(1))
sys.path[:0] = [str(HERE), str(YNL / "tools/net/ynl")]

# pylint: disable=wrong-import-position,import-error
import session                                   # noqa: E402
from session import Session                      # noqa: E402
from lib import NlError, YnlFamily               # noqa: E402
import jsonschema                                # noqa: E402
import tap                                       # noqa: E402
from prometheus_client.openmetrics import parser as openmetrics     # noqa: E402

XBZCTL = ROOT / "build/xbzctl"
SCHEMA = json.loads((ROOT / "Documentation/xbzctl.schema.json").read_text(encoding="utf-8"))
SEED = int(os.environ.get("XBZ_SEED", random.randrange(1 << 32)))
FUZZ = ROOT / "build/netlink/fuzz"
FUZZ_MESSAGES = int(os.environ.get("XBZ_FUZZ_MESSAGES") or
                    1_000_000 * int(os.environ.get("XBZ_TEST_SCALE", 1)))
COMMANDS = 5
SESSION_GET = 1
CHANGES = (2, 3)        # session-set, flush
PARAMETERS = pathlib.Path("/sys/module/xbzrle/parameters")
DEFAULTS = {"default_cache_bytes": 64 << 20, "default_queues": 1, "memory_limit_mib": 0,
            "share_percent": 75}
READERS = 200
NOBODY = 65534
# Counters that may decrease.
GAUGES = ("cache-pages", "cache-zero", "cache-limit", "cache-packed", "packed-pages")
RAW_BYTES = 8 + 4096    # of a page that is sent whole


def family():
    """The kernel's client, on a socket of its own."""
    return YnlFamily(str(ROOT / "Documentation/netlink/specs/xbzrle.yaml"),
                     schema=str(YNL / "Documentation/netlink/genetlink-legacy.yaml"))


def parameter(name, value=None):
    """A parameter of the module, after it is set if there is a value."""
    if value is not None:
        (PARAMETERS / name).write_text(f"{value}\n", encoding="ascii")
    return int((PARAMETERS / name).read_text(encoding="ascii"))


def set_parameters(values):
    for name, value in values.items():
        parameter(name, value)


def xbzctl(*arguments, status=0, before=(), **options):
    """stdout of xbzctl; stderr if it is to fail. `before` is a command that runs it."""
    done = subprocess.run([*before, XBZCTL, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=60, **options)
    if done.returncode != status:
        raise AssertionError(f"xbzctl {arguments}: {done.returncode}, not {status}:\n"
                             f"{done.stdout}{done.stderr}")
    return done.stderr if status else done.stdout


def as_json(kind, *arguments, **options):
    """What xbzctl --json says, which the schema's definition has to allow."""
    value = json.loads(xbzctl("--json", *arguments, **options))
    jsonschema.validate(value, {**SCHEMA, "$ref": f"#/definitions/{kind}"})
    return value


def masked(text):
    """Numbers and sizes, which differ from run to run, made the same."""
    text = re.sub(r"\b(avx512|avx2|portable)\b", "CODEC", text)
    text = re.sub(r" *\b[0-9]+(\.[0-9]+)*[BkMGT]?\b%?", " N", text)
    # Columns are as wide as their numbers.
    return re.sub(" +", " ", text)


class Family(unittest.TestCase):
    """The operations, without xbzctl."""

    def setUp(self):
        self.nl = NL

    def refused(self, text, attribute, operation, values, dump=False):
        """A request fails with a message, and names the attribute."""
        with self.assertRaises(NlError) as caught:
            (self.nl.dump if dump else self.nl.do)(operation, values)
        extack = caught.exception.nl_msg.extack
        self.assertIn(text, extack["msg"])
        if attribute:
            self.assertIn(attribute, (extack.get("bad-attr", ""),
                                      f".{extack.get('miss-type')}"))

    def test_refusals_name_the_attribute(self):
        """Fails if a refusal says nothing, or of something else."""
        with Session() as s:
            for values in (
                    ("number is missing", ".id", "session-get", {}),
                    ("number is missing", ".id", "session-set", {"cache-bytes": 1}),
                    ("cache-bytes is missing", ".cache-bytes", "session-set", {"id": s.id}),
                    ("no session", ".id", "session-get", {"id": s.id + 1}),
                    ("no session", ".id", "session-set", {"id": s.id + 1, "cache-bytes": 1}),
                    ("no session", ".id", "flush", {"id": s.id + 1}),
                    ("out of range", ".id", "session-get", {"id": 0}),
                    ("session's number is missing", ".session", "queue-get", {"id": 0}),
                    ("no session", ".session", "queue-get", {"session": s.id + 1, "id": 0}),
                    ("no queue", ".id", "queue-get", {"session": s.id, "id": 1}),
                    ("queue's number is missing", ".id", "queue-get", {"session": s.id}),
                    ("Unknown attribute", ".started", "stats-get", {"started": 1}),
                    ("Unknown attribute", ".cache-bytes", "flush", {"cache-bytes": 1})):
                with self.subTest(values[2:]):
                    self.refused(*values)
            # The end of a dump has a text, but names no attribute.
            self.refused("leave id out", None, "session-get", {"id": s.id}, dump=True)
            self.refused("number is missing", None, "queue-get", {}, dump=True)
            self.refused("no session", None, "queue-get", {"session": s.id + 1}, dump=True)
            self.refused("leave id out", None, "queue-get", {"session": s.id, "id": 0},
                         dump=True)

    def test_session(self):
        """Fails if a session is reported other than it is."""
        with Session("one", 2, 1 << 20, regions=(("ram", 1024), ("rom", 16))) as s:
            s.run(100, byte=1)
            s.dirty(100, byte=2)
            s.dirty(5, byte=3, first=512)   # a chunk of the second queue
            s.sync()
            s.encode(0)
            got = self.nl.do("session-get", {"id": s.id})
            for name, value in (("name", "one"), ("pid", os.getpid()), ("uid", 0), ("vm", 0),
                                ("queues", 2), ("regions", 2), ("pages", 1040), ("broken", 0),
                                ("max-delta", 0),
                                ("cache-bytes", 1 << 20)):
                self.assertEqual(got[name], value, name)
            self.assertEqual(got["stats"]["cache-pages"], 100)
            # Root has no share; there is no other session, so all memory is this one's.
            totals = self.nl.do("stats-get", {})
            self.assertEqual([got[name] for name in ("memory-used", "user-used")],
                             [totals["memory-used"]] * 2)
            self.assertEqual({got["memory-max"], got["user-max"]}, {totals["memory-max"]})
            self.assertGreater(got["memory-used"], 100 * 4096)
            self.assertEqual((got["pass"]["number"], got["last-pass"]["number"]), (2, 1))
            self.assertEqual((got["pass"]["pages"], got["last-pass"]["pages"]), (100, 100))
            # Those of the first pass were set after its SYNC.
            self.assertEqual((got["pass"]["remaining"], got["last-pass"]["remaining"]), (105, 0))
            self.assertEqual(got["pass"]["bytes"] + got["last-pass"]["bytes"],
                             got["stats"]["bytes"])
            parts = [self.nl.do("queue-get", {"session": s.id, "id": number})
                     for number in range(2)]
            self.assertEqual([(one["session"], one["id"]) for one in parts],
                             [(s.id, 0), (s.id, 1)])
            self.assertEqual(sum(one["stats"]["pages-raw"] for one in parts),
                             got["stats"]["pages-raw"])
            # The session's own counters are in each.
            self.assertEqual([one["stats"]["syncs"] for one in parts], [2, 2])
            queues = self.nl.dump("queue-get", {"session": s.id})
            self.assertEqual([q["id"] for q in queues], [0, 1])
            self.assertEqual(sum(q["stats"]["bytes"] for q in queues), got["stats"]["bytes"])

    def cached(self, session):
        """Cached pages of a session."""
        return self.nl.do("session-get", {"id": session.id})["stats"]["cache-pages"]

    def test_resize_and_flush(self):
        """Fails if a dropped page is still used, or one that fits is dropped."""
        with Session(cache=1 << 20) as s:
            s.run(200, byte=1)
            self.nl.do("session-set", {"id": s.id, "cache-bytes": 50 * 4096})
            eventually(lambda: self.cached(s) <= 50)
            self.assertEqual(self.cached(s), 50)
            self.assertEqual(self.nl.do("session-get", {"id": s.id})["cache-bytes"], 50 * 4096)
            s.run(200, byte=2)
            stats = self.nl.do("session-get", {"id": s.id})["stats"]
            self.assertEqual(stats["cache-pages"], 50)
            self.assertEqual(self.nl.do("flush", {"id": s.id})["flushed"], 50 * 4096)
            eventually(lambda: not self.cached(s))
            before = stats["cache-hits"]
            s.run(200, byte=3)
            stats = self.nl.do("session-get", {"id": s.id})["stats"]
            self.assertEqual(stats["cache-hits"], before)
            self.nl.do("session-set", {"id": s.id, "cache-bytes": 1 << 20})
            s.run(200, byte=4)
            stats = self.nl.do("session-get", {"id": s.id})["stats"]
            self.assertEqual(stats["cache-pages"], 200)

    def test_totals_never_go_back(self):
        """Fails if a session that ends takes its counters along, or is counted twice."""
        before = self.nl.do("stats-get", {})
        with Session() as s:
            s.run(10, byte=1)
            during = self.nl.do("stats-get", {})
        after = self.nl.do("stats-get", {})
        self.assertEqual(during["started"], before["started"] + 1)
        self.assertEqual(after["ended"], before["ended"] + 1)
        for name, value in during["stats"].items():
            if name not in GAUGES:
                self.assertEqual(after["stats"][name], value, name)
        self.assertEqual(during["stats"]["syncs"], before["stats"]["syncs"] + 1)
        self.assertEqual(after["stats"]["cache-pages"], 0)

    def test_totals_while_sessions_end(self):
        """Fails if a total decreases while sessions end under the reader, or if one of them
        is counted twice or, in the end, not at all."""
        sessions = [Session(cache=0) for _ in range(60)]
        for s in sessions:
            s.run(1, byte=1)
        told = [self.nl.do("stats-get", {})]

        def end():
            for s in sessions:
                s.close()

        thread = threading.Thread(target=end)
        thread.start()
        while thread.is_alive():
            told.append(self.nl.do("stats-get", {}))
        thread.join()
        told.append(self.nl.do("stats-get", {}))
        for before, after in zip(told, told[1:]):
            for name, value in before["stats"].items():
                if name not in GAUGES:
                    self.assertEqual(after["stats"][name], value, name)
        self.assertEqual(told[-1]["ended"], told[0]["ended"] + len(sessions))

    def test_others_see_numbers_alone(self):
        """Fails if another user sees a name, or may change a session."""
        with Session("secret") as s:
            child = os.fork()
            if not child:
                os._exit(self.as_nobody(s.id))
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def as_nobody(self, number):
        """In a child: the number of errors."""
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        self.nl.sock = family_socket()
        seen = [self.nl.do("session-get", {"id": number}), *self.nl.dump("session-get", {}),
                *self.nl.dump("queue-get", {"session": number})]
        wrong = [one for one in seen
                 if {"name", "pid", "uid", "user-used", "user-max"} & set(one)]
        wrong += [one for one in seen[:1] if "stats" not in one]
        for operation, values in (("session-set", {"id": number, "cache-bytes": 0}),
                                  ("flush", {})):
            try:
                wrong.append((operation, self.nl.do(operation, values)))
            except NlError as error:
                if error.nl_msg.error != -1:
                    wrong.append(error)
        print(*wrong, sep="\n", end="", flush=True)
        return len(wrong)

    def test_readers_while_sessions_come_and_go(self):
        """Fails if one of many dumps that are under way gets an error, misses a session
        that stays, or shows one twice."""
        stay = [Session(cache=0, regions=()) for _ in range(40)]
        readers = [Reader() for _ in range(READERS)]
        comes = []
        for number in range(4):
            for reader in readers:
                reader.ask()
            left = list(readers)
            while left:
                # Some come, some go, all while dumps are between two of their parts.
                comes += [Session(cache=0, regions=()) for _ in range(3)]
                while len(comes) > 20:
                    comes.pop(number % 20).close()
                left = [reader for reader in left if not reader.read()]
            for reader in readers:
                self.assertEqual(len(reader.seen), len(set(reader.seen)))
                self.assertLessEqual({s.id for s in stay}, set(reader.seen))
        for s in stay + comes:
            s.close()

    def test_resize_while_it_encodes(self):
        """Fails if a resize or a flush beside an ENCODE leaves too many cached pages."""
        with Session(cache=8 << 20, regions=(("ram", 2048),)) as s:
            stop = threading.Event()

            def change():
                nl = family()   # its own socket
                while not stop.is_set():
                    for operation, values in (
                            ("session-set", {"id": s.id, "cache-bytes": 40 * 4096}),
                            ("flush", {"id": s.id}),
                            ("session-set", {"id": s.id, "cache-bytes": 8 << 20})):
                        nl.do(operation, values)

            thread = threading.Thread(target=change)
            thread.start()
            for number in range(8):
                s.run(1500, byte=number)
            stop.set()
            thread.join()
            self.nl.do("session-set", {"id": s.id, "cache-bytes": 40 * 4096})
            s.run(1, byte=99)
            eventually(lambda: self.cached(s) <= 40)

    def test_fuzz(self):
        """Fails if a message that is nearly right gets the kernel to complain, is not
        answered once, or past what its sender may do; or if too few are right."""
        print(f"XBZ_SEED={SEED}", flush=True)
        # Nobody may not read the checkout.
        shutil.copy(FUZZ, "/tmp/fuzz")
        with Session(queues=2, regions=(("ram", 512), ("rom", 16))) as s:
            for number, user in enumerate((0, NOBODY)):
                begin = time.monotonic()
                done = subprocess.run(
                    ["/tmp/fuzz", str(FUZZ_MESSAGES // 2), str(SEED + number), str(s.id)],
                    text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    user=user, group=user, extra_groups=[])
                self.assertEqual(done.returncode, 0, done.stdout)
                print(f"     {FUZZ_MESSAGES // 2} messages of user {user} in "
                      f"{time.monotonic() - begin:.0f} s", flush=True)
                fate = {command: values for command, *values in
                        (map(int, line.split()) for line in done.stdout.splitlines())}
                for command, (tried, well, denied) in fate.items():
                    with self.subTest(user=user, command=command):
                        changes = command in CHANGES
                        if not 1 <= command <= COMMANDS:
                            self.assertEqual(well, 0)
                        elif changes and user:
                            self.assertEqual(well, 0)
                            self.assertGreater(denied, tried // 2)
                        else:
                            self.assertGreater(well, tried // 25)
                            self.assertEqual(denied, 0)
                self.assertEqual(self.nl.do("session-get", {"id": s.id})["id"], s.id)
            s.run(10, byte=1)


class Parameters(unittest.TestCase):
    """The host's settings in sysfs."""

    def setUp(self):
        self.nl = NL
        self.addCleanup(set_parameters, DEFAULTS)

    def test_refusals(self):
        """Fails if a parameter takes a value that is out of its range, or changes by
        one that it refuses."""
        set_parameters({"default_cache_bytes": 1 << 20, "default_queues": 64,
                        "memory_limit_mib": 1 << 20, "share_percent": 100})
        for name, values in (("default_queues", (0, 65, -1, 1 << 32, "x")),
                             ("default_cache_bytes", (-1, 1 << 64, "x")),
                             ("memory_limit_mib", (-1, 1 << 32, "x")),
                             ("share_percent", (0, 101, -1, 1 << 32, "x"))):
            before = parameter(name)
            for value in values:
                with self.subTest(name=name, value=value):
                    with self.assertRaises(OSError) as caught:
                        parameter(name, value)
                    self.assertIn(caught.exception.errno, (errno.EINVAL, errno.ERANGE))
                    self.assertEqual(parameter(name), before)

    def test_others_may_not_write(self):
        """Fails if another user may change a parameter, or may not read it; or if root
        may change the codec."""
        child = os.fork()
        if not child:
            os._exit(self.as_nobody())
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        with self.assertRaises(OSError):
            (PARAMETERS / "codec").write_text("portable\n", encoding="ascii")

    @staticmethod
    def as_nobody():
        """In a child: the number of errors."""
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        wrong = []
        for name, value in DEFAULTS.items():
            if parameter(name) != value:
                wrong.append(name)
            try:
                parameter(name, value)
            except PermissionError:
                continue
            wrong.append(f"{name} is written")
        print(*wrong, sep="\n", end="", flush=True)
        return len(wrong)

    def test_defaults(self):
        """Fails if SETUP does not take the host's defaults, or takes a number, too."""
        set_parameters({"default_cache_bytes": 12 << 20, "default_queues": 3})
        with Session(queues=0, cache=0,
                     flags=session.DEFAULT_CACHE | session.DEFAULT_QUEUES) as s:
            self.assertEqual((s.queues, s.cache), (3, 12 << 20))
        for queues, cache in ((1, 0), (0, 1)):
            with self.assertRaises(OSError):
                Session(queues=queues, cache=cache,
                        flags=session.DEFAULT_CACHE | session.DEFAULT_QUEUES)

    def test_a_smaller_limit(self):
        """Fails if sessions keep cached pages above the limit that could be dropped."""
        with Session(cache=8 << 20, regions=(("ram", 1024),)) as a, \
                Session(cache=8 << 20, regions=(("ram", 512),)) as b:
            a.run(900, byte=1)
            b.run(450, byte=1)
            parameter("memory_limit_mib", 3)
            self.assertEqual(self.nl.do("stats-get", {})["memory-max"], 3 << 20)
            # The reaper drops them.
            eventually(lambda: self.nl.do("stats-get", {})["memory-used"] <= 3 << 20)
            used = [self.nl.do("session-get", {"id": s.id})["stats"]["cache-pages"]
                    for s in (a, b)]
            self.assertAlmostEqual(used[0] / used[1], 2, delta=0.1)
            a.run(1000, byte=2)
            totals = self.nl.do("stats-get", {})
            self.assertLessEqual(totals["memory-used"], 3 << 20)
            self.assertGreater(totals["refused"], 0)


def eventually(condition):
    """Wait for the reaper."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def family_socket():
    """A plain netlink socket."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    sock.bind((0, 0))
    sock.settimeout(30)
    for option in (10, 11):     # NETLINK_CAP_ACK, NETLINK_EXT_ACK
        sock.setsockopt(270, option, 1)
    return sock


class Reader:
    """A dump of all sessions that is taken part by part."""

    def __init__(self):
        self.sock = family_socket()
        self.seen = []

    def ask(self):
        """Its first part is made now."""
        self.seen = []
        self.sock.send(struct.pack("=IHHIIBBH", 20, NL.nlproto.family_id, 0x301, 1, 0,
                                   SESSION_GET, 1, 0))

    def read(self):
        """Take a part: whether it is the last one. An OSError if it failed."""
        answer = self.sock.recv(32768)
        while answer:
            length, kind = struct.unpack_from("=IH", answer)
            if kind in (2, 3):
                error = struct.unpack_from("=i", answer, 16)[0]
                if error:
                    raise OSError(-error, "dump")
                return True
            self.seen.append(struct.unpack_from("=I", answer, 24)[0])
            answer = answer[length + 3 & ~3:]
        return False


class Terminal:
    """tmux, with a shell in it."""

    def __init__(self, width, height):
        self.size = width, height
        # Nobody's own settings.
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height),
                  "env PS1= sh")
        self.tmux("set", "status", "off")
        self.resize(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")

    @staticmethod
    def tmux(*arguments):
        return subprocess.run(["tmux", "-S", "/tmp/tmux", *arguments], check=True, text=True,
                              stdout=subprocess.PIPE, timeout=60).stdout

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def interrupt(self):
        self.tmux("send-keys", "C-c")

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def until(self, condition):
        """The screen's lines when they are so; a failure after a time that is long."""
        end = time.monotonic() + 60
        while True:
            lines = self.tmux("capture-pane", "-p").rstrip("\n").split("\n")
            if condition(lines):
                return lines
            if time.monotonic() > end:
                raise AssertionError("the screen is\n" + "\n".join(lines))
            time.sleep(0.1)

    def shows(self, rows, left_out):
        """The screen once it is a whole table of so many rows."""
        more = [f"and {left_out} more"] if left_out else []

        def whole(lines):
            return (lines[0].startswith("   ID NAME") and len(lines) == 1 + rows + len(more) and
                    lines[1 + rows:] == more and all(line.strip() for line in lines))
        return self.until(whole)


class Xbzctl(unittest.TestCase):
    """The commands that a person types."""

    def setUp(self):
        self.addCleanup(set_parameters, DEFAULTS)

    def test_every_subcommand(self):
        """Fails if a subcommand fails, or says other things than it did."""
        golden = (HERE / "golden.txt").read_text(encoding="utf-8")
        said = []
        with Session("one", 2, 1 << 20, regions=(("ram", 1024), ("rom", 16))) as s:
            s.run(100, byte=1)
            s.run(100, byte=2)
            for arguments in (["status"], ["list"], ["show", s.id], ["stats"], ["stats", s.id],
                              ["--openmetrics", "stats"], ["cache", "size", "512k", s.id],
                              ["cache", "size", "32m"], ["cache", "limit", "10%"],
                              ["cache", "limit", "0"], ["apply", "config/xbzrle.conf"],
                              ["flush", s.id], ["flush"],
                              ["top", "-n", 2, "-d", 0.1]):
                said.append(f"$ xbzctl {' '.join(map(str, arguments))}\n"
                            f"{xbzctl(*arguments)}")
        text = masked("\n".join(said))
        if os.environ.get("XBZ_GOLDEN"):
            print(f"golden:\n{text}golden.", flush=True)
        self.assertEqual(text.splitlines(), golden.splitlines())

    def test_json(self):
        """Fails if JSON is none, or not as the schema says."""
        with Session('odd "name"\\\x1b[31m', 2) as s:
            s.run(50, byte=1)
            s.run(50, byte=2)
            status = as_json("status", "status")
            self.assertEqual((status["abi"], status["sessions"]), (1, 1))
            listed = as_json("list", "list")["sessions"]
            self.assertEqual([(one["id"], one["name"]) for one in listed],
                             [(s.id, 'odd "name"\\\x1b[31m')])
            shown = as_json("show", "show", s.id)
            self.assertEqual([one["id"] for one in shown["queues"]], [0, 1])
            self.assertEqual((shown["session"]["regions"], shown["session"]["cache_used"]),
                             (1, 50 * 4096))
            stats = as_json("stats", "stats", s.id)
            self.assertEqual(stats["qemu"]["xbzrle"], stats["stats"]["pages_delta"])
            self.assertEqual(stats["qemu"]["cache_lookup"], 100)
            as_json("stats", "stats")
            change = as_json("change", "cache", "size", "256k", s.id)
            self.assertEqual((change["old"], change["new"]), (1 << 20, 256 << 10))
            self.assertEqual(as_json("list", "list")["sessions"][0]["cache_bytes"], 256 << 10)
            as_json("flush", "flush")
            as_json("top", "top", "-n", 1)
            as_json("doctor", "doctor")
            self.assertNotIn("\x1b", xbzctl("list"))

    def test_status(self):
        """Fails if status reports other values than sysfs, the family and the device; or
        if a user that cannot open the device sees less than he may."""
        set_parameters({"default_cache_bytes": 12 << 20, "default_queues": 3,
                        "memory_limit_mib": 100, "share_percent": 60})
        texts = {name: (PARAMETERS / name).read_text(encoding="ascii").strip()
                 for name in ("codec", "../version")}
        with Session(), Session():
            status = as_json("status", "status")
            totals = NL.do("stats-get", {})
        for name, value in (("default_cache", 12 << 20), ("default_queues", 3),
                            ("memory_limit", 100 << 20), ("memory_max", 100 << 20),
                            ("share_percent", 60),
                            ("memory_used", totals["memory-used"]), ("sessions", 2),
                            ("page_size", 4096),
                            ("memory_host", os.sysconf("SC_PHYS_PAGES") * 4096),
                            ("codec", texts["codec"]), ("version", texts["../version"])):
            self.assertEqual(status[name], value, name)
        device = as_json("status", "--device", "/dev/xbzrle", "status")
        self.assertEqual({name: status[name] for name in device},
                         {**device, "memory_used": status["memory_used"]})
        # Nobody cannot read the checkout.
        shutil.copy(XBZCTL, "/tmp/xbzctl")
        self.addCleanup(os.chmod, "/dev/xbzrle", os.stat("/dev/xbzrle").st_mode & 0o777)
        os.chmod("/dev/xbzrle", 0o600)
        said = subprocess.run(["/tmp/xbzctl", "--json", "status"], text=True, check=True,
                              stdout=subprocess.PIPE, user=NOBODY, group=NOBODY,
                              extra_groups=[]).stdout
        said = json.loads(said)
        jsonschema.validate(said, {**SCHEMA, "$ref": "#/definitions/status"})
        self.assertEqual(set(status) - set(said), {"abi", "page_size"})

    def test_estimate(self):
        """Fails if a dirty page is not in the estimate, or one that was encoded is, or if
        it takes other bytes than the pages of this pass and the last one did."""
        def shown():
            return as_json("show", "show", s.id)["session"]

        with Session(queues=2, regions=(("ram", 1024),)) as s:
            self.assertEqual(shown()["estimate"], {"dirty": 0, "bytes": 0})
            s.dirty(3, byte=1)
            s.sync()
            self.assertEqual(shown()["estimate"], {"dirty": 3, "bytes": 3 * 4104})
            s.encode(0)
            self.assertEqual(shown()["estimate"]["dirty"], 0)
            s.dirty(100, byte=2)
            s.dirty(5, byte=3, first=512)   # a chunk of the second queue
            s.sync()
            s.encode(0)
            got = shown()
            self.assertEqual((got["pass"]["remaining"], got["pass"]["pages"]), (105, 100))
            self.assertEqual(got["estimate"],
                             {"dirty": 5, "bytes": 5 * got["stats"]["bytes"] // 103})
            # More are encoded than were dirty when the pass began.
            s.run(200, byte=4)
            self.assertEqual(shown()["estimate"]["dirty"], 0)

    def test_bench(self):
        """Fails if bench times nothing, leaves pages out, or sends other than it says."""
        done = as_json("bench", "bench", "-m", "4m", "-q", 2, "-t", 0)
        self.assertEqual((done["memory"], done["queues"]), (4 << 20, 2))
        sent = {one["workload"]: one["bytes_per_page"] for one in done["workloads"]}
        self.assertEqual(list(sent), ["memcpy", "first", "unchanged", "bytes", "words", "all",
                                      "zero"])
        self.assertEqual(sent["unchanged"], 0)
        # Eight bytes of header, and of one or two blocks in a batch their name.
        for name, low, high in (("first", 4104, 4106), ("all", 4104, 4106), ("zero", 9, 11),
                                ("bytes", 24, 28), ("words", 550, 700)):
            self.assertTrue(low <= sent[name] <= high, f"{name}: {sent[name]}")
        for one in done["workloads"]:
            self.assertTrue(0 < one["gbps_low"] <= one["gbps"] <= one["gbps_high"], one)
            self.assertGreaterEqual(one["rounds"], 5)
        lines = xbzctl("bench", "-m", "2m", "-t", 0).splitlines()
        self.assertEqual([line.split()[0] for line in lines], list(sent))
        self.assertEqual(as_json("list", "list")["sessions"], [])

    def test_sizes(self):
        """Fails if a size is taken for another, or nonsense for one."""
        host = as_json("status", "status")["memory_host"]
        for text, value in (("0", 0), ("4096", 4096), ("1k", 1024), ("1K", 1024), ("256m", 256 << 20),
                            ("1.5g", 3 << 29), ("2GiB", 2 << 30), ("1mb", 1 << 20), ("1t", 1 << 40),
                            ("50%", host // 2), ("12.5%", host // 8), ("7%", host * 7 // 100)):
            self.assertEqual(as_json("change", "cache", "size", text)["new"], value, text)
        # Whole MiB, and no limit is made "a quarter of the host's memory".
        for text, value in (("50%", host // 2 >> 20), ("1k", 1), ("4095k", 3), ("0", 0)):
            self.assertEqual(as_json("change", "cache", "limit", text)["new"], value << 20, text)
        for text in ("", "-1", "x", "1x", "0x10", "1kk", "101%", "nan", "1e9", "1 k", ".5g"):
            self.assertIn("is not a size", xbzctl("cache", "size", text, status=2))

    def test_doctor_says_whose_limit_is_reached(self):
        """Fails if doctor does not say that a user has used its share up, and how to mend it;
        if show has another share; or if cache share sets none."""
        set_parameters({"memory_limit_mib": 8})
        change = as_json("change", "cache", "share", "50%")
        self.assertEqual((change["old"], change["new"]), (75, 50))
        os.chmod("/dev/xbzrle", 0o666)
        self.addCleanup(os.chmod, "/dev/xbzrle", 0o660)
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            sessions = [Session(cache=8 << 20, regions=(("ram", 1024),)) for _ in range(2)]
        finally:
            os.setresuid(0, 0, 0)
        checks = {one["check"]: one for one in as_json("doctor", "doctor")["checks"]}
        self.assertEqual(checks["memory"]["verdict"], "ok")
        for s in sessions:
            s.run(1024, byte=1)
        shown = as_json("show", "show", sessions[0].id)["session"]
        self.assertEqual((shown["memory_max"], shown["user_max"]), (2 << 20, 4 << 20))
        self.assertLessEqual(shown["memory_used"], 2 << 20)
        self.assertLessEqual(shown["user_used"], 4 << 20)
        memory = {one["check"]: one for one in as_json("doctor", "doctor")["checks"]}["memory"]
        self.assertEqual(memory["verdict"], "warning")
        self.assertRegex(memory["text"], f"^user {NOBODY} has .* of a share of 4.0M$")
        self.assertIn("xbzctl cache share", memory["mend"])
        # Nobody may not read the checkout.
        shutil.copy(XBZCTL, "/tmp/xbzctl")
        done = subprocess.run(["/tmp/xbzctl", "bench", "-m", "4m", "-q", "2", "-t", "0"],
                              text=True, check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, user=NOBODY, group=NOBODY,
                              extra_groups=[])
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, "quota exceeded\n +raise the share")
        for s in sessions:
            s.close()

    def test_apply(self):
        """Fails if the module does not have a file's settings afterwards, if one of them is
        set though another is invalid, or if its line is not named."""
        host = as_json("status", "status")["memory_host"]
        conf = pathlib.Path("/tmp/xbzrle.conf")

        def settings():
            status = as_json("status", "status")
            return [status[name] for name in ("default_cache", "default_queues", "memory_limit",
                                              "share_percent")]

        conf.write_text("# all of them\n\n default-cache=96m # as much\n"
                        "memory-limit =\t50%\nshare=80%\ndefault-queues = 2", encoding="utf-8")
        limit = host // 2 >> 20 << 20
        self.assertEqual(xbzctl("apply", conf).splitlines()[1], "default queues: 2, was 1")
        self.assertEqual(settings(), [96 << 20, 2, limit, 80])
        changes = as_json("apply", "apply", conf)["changes"]
        self.assertEqual([(one["old"], one["new"]) for one in changes],
                         [(96 << 20, 96 << 20), (2, 2), (limit, limit), (80, 80)])
        conf.write_text("# nothing\n", encoding="utf-8")
        self.assertEqual(as_json("apply", "apply", conf), {"changes": []})
        # What is commented out in the example is right, too.
        lines = (ROOT / "config/xbzrle.conf").read_text(encoding="utf-8").splitlines()
        conf.write_text("\n".join(line.removeprefix("#") for line in lines
                                  if re.match("#[a-z-]+ =", line)), encoding="utf-8")
        self.assertEqual(len(as_json("apply", "apply", conf)["changes"]), 4)

        for line, said in (("nonsense", "'nonsense' is not SETTING = VALUE"),
                           ("cache = 1m", "there is no setting 'cache', but default-cache, "),
                           ("default-queues = 2", "default-queues was set in line 2 already"),
                           ("default-cache = 1x", "default-cache takes a number of bytes, "),
                           ("default-cache =", "default-cache takes a number of bytes, "),
                           ("memory-limit = 101%", "memory-limit takes a number of bytes, "),
                           ("memory-limit = 4096t", "memory-limit takes less than 4096t"),
                           ("share = 0", "share takes a whole number from 1% to 100%"),
                           ("share = 101%", "share takes a whole number from 1% to 100%"),
                           ("\0", "this is not text")):
            conf.write_text(f"#\ndefault-queues = 7\n{line}\n", encoding="utf-8")
            before = settings()
            self.assertIn(f"{conf}:3: {said}", xbzctl("apply", conf, status=1))
            self.assertEqual(settings(), before, line)
        for number in ("0", "65", "-1", "1.5", "x", "18446744073709551617"):
            conf.write_text(f"default-queues = {number}", encoding="utf-8")
            self.assertIn(f"{conf}:1: default-queues takes a whole number from 1 to 64, not "
                          f"'{number}'", xbzctl("apply", conf, status=1))
        conf.write_text("a\nb\n", encoding="utf-8")
        self.assertEqual(len(xbzctl("apply", conf, status=1).splitlines()), 2)
        self.assertIn("/etc/xbzrle.conf: No such file", xbzctl("apply", status=1))
        self.assertIn("/tmp: Is a directory", xbzctl("apply", "/tmp", status=1))

    def test_errors(self):
        """Fails if an error is not printed, or has another exit status."""
        for arguments in ([], ["nonsense"], ["list", "x"], ["status", "x"], ["show"], ["show", "x"],
                          ["show", "0"], ["show", "1", "2"], ["cache"], ["cache", "size"],
                          ["cache", "limit", "1g", "1"], ["cache", "grow", "1g"], ["flush", "x"],
                          ["apply", "x", "y"], ["stats", "-1"], ["monitor", "-n", "0"], ["monitor", "x"],
                          ["top", "-d", "0"], ["top", "x"], ["forecast"], ["forecast", "x"],
                          ["forecast", "-l", "0", "1"], ["doctor", "x"], ["--nonsense"],
                          ["bench", "x"], ["bench", "-m", "1m"], ["bench", "-m", "30%"],
                          ["bench", "-q", "65"], ["bench", "-t", "-1"],
                          ["--openmetrics", "list"]):
            self.assertTrue(xbzctl(*arguments, status=2), arguments)
        for arguments in (["show", "99999"], ["flush", "99999"], ["stats", "99999"],
                          ["forecast", "99999"],
                          ["cache", "size", "1m", "99999"]):
            self.assertIn("no session has this number", xbzctl(*arguments, status=1))
        # Nobody cannot read the checkout.
        shutil.copy(XBZCTL, "/tmp/xbzctl")
        for arguments, said in ((["cache", "limit", "1g"], "Permission denied\n  run as root"),
                                (["cache", "size", "1g"], "Permission denied\n  run as root"),
                                (["flush"], "CAP_NET_ADMIN")):
            done = subprocess.run(["/tmp/xbzctl", *arguments], text=True, check=False,
                                  stderr=subprocess.PIPE, user=NOBODY, group=NOBODY,
                                  extra_groups=[])
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)
        for name in ("status", "bench"):
            self.assertIn("not the device", xbzctl("--device", "/dev/null", name, status=1))
        self.assertRegex(xbzctl("--version"), r"^xbzctl \d")
        for name in ("status", "list", "show", "cache", "apply", "flush", "stats", "monitor",
                     "forecast", "top", "bench", "doctor"):
            self.assertIn(f"  {name} ", xbzctl("--help"))

    def test_errors_of_sysfs(self):
        """Fails if an error of a file in sysfs does not name the mend, or is none."""
        def with_mount(mount, *arguments, status=1):
            script = f'mount {mount} && exec "$0" "$@" >&2'
            return xbzctl(*arguments, status=status, before=["unshare", "-m", "sh", "-c", script])

        cache, queues = PARAMETERS / "default_cache_bytes", PARAMETERS / "default_queues"
        for mount, said in (
                ("-o remount,bind,ro /sys", "Read-only file system\n  run it on the host"),
                (f"--bind {queues} {cache}",
                 "Invalid argument\n  the module does not accept this value")):
            self.assertIn(said, with_mount(mount, "cache", "size", "1m"))
        self.assertEqual({name: parameter(name) for name in DEFAULTS}, DEFAULTS)

        unloaded = "-t tmpfs none /sys/module"
        for arguments in (["status"], ["cache", "size", "1m"], ["cache", "limit", "1g"]):
            self.assertIn("load the module: modprobe xbzrle", with_mount(unloaded, *arguments))
        self.assertRegex(with_mount(unloaded, "doctor"),
                         "bad +module +not loaded\n +to mend it: modprobe xbzrle")
        # The example sets nothing.
        with_mount(unloaded, "apply", ROOT / "config/xbzrle.conf", status=0)

    def test_openmetrics(self):
        """Fails if Prometheus' own parser takes it for no OpenMetrics, or if a metric is
        missing, new, of another kind or of another value than the JSON has."""
        with Session() as s:
            s.run(100, byte=1)
            s.run(100, byte=2)
            found = {one.name: one for one in openmetrics.text_string_to_metric_families(
                xbzctl("--openmetrics", "stats"))}
            values = as_json("stats", "stats")
        gauges = {"xbzrle_cache_pages", "xbzrle_cache_zero", "xbzrle_cache_limit",
                  "xbzrle_cache_packed", "xbzrle_packed_pages"}
        wanted = {f"xbzrle_{name}": value for name, value in values["stats"].items()}
        wanted |= {"xbzrle_sessions_started": values["started"],
                   "xbzrle_sessions_ended": values["ended"],
                   "xbzrle_allocations_refused": values["refused"]}
        self.assertEqual(sorted(found), sorted(wanted))
        self.assertGreater(wanted["xbzrle_pages_delta"], 0)
        for name, metric in found.items():
            kind = "gauge" if name in gauges else "counter"
            self.assertEqual(metric.type, kind, name)
            self.assertTrue(metric.documentation, name)
            self.assertEqual([(one.name, one.labels, one.value) for one in metric.samples],
                             [(name + "_total" * (kind == "counter"), {}, wanted[name])])
        # It is a parser that refuses.
        for nonsense in ("# EOF", "a 1\n", "# TYPE a counter\na 1\n# EOF\n", "a x\n# EOF\n"):
            with self.assertRaises(ValueError):
                list(openmetrics.text_string_to_metric_families(nonsense + "a"))

    def test_monitor(self):
        """Fails if an event does not come, comes twice, or is no JSON."""
        monitor = subprocess.Popen([XBZCTL, "--json", "monitor", "-n", "6"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn("listening", monitor.stderr.readline())
        with Session() as s:
            s.sync()
            s.run(3, byte=1)
            s.sync()
            s.break_queue()
        said, _ = monitor.communicate(timeout=30)
        events = [json.loads(line) for line in said.splitlines()]
        for event in events:
            jsonschema.validate(event, {**SCHEMA, "$ref": "#/definitions/event"})
        self.assertEqual([(event["event"], event["session"]) for event in events],
                         [(kind, s.id) for kind in
                          ("start", "pass", "pass", "pass", "warning", "end")])
        self.assertEqual([(event["pass"], event["last_pages"], event["cache_used"])
                          for event in events[1:4]], [(1, 0, 0), (2, 0, 0), (3, 3, 3 * 4096)])
        self.assertEqual(events[5]["stats"]["syncs"], 3)

    def test_top_in_a_terminal(self):
        """Fails if a screen has other text than golden_top.txt, is wider or higher than its
        terminal, does not follow it when it is resized, or if TERM=dumb gets escapes; or if
        a reason is cut off at 80 columns."""
        many = [Session(f"session-{number:02}", regions=(("ram", 8),)) for number in range(29)]
        for s in many:
            s.run(2, byte=1)
            s.run(2, byte=2)
        many[0].break_queue()
        many[1].dirty(4, byte=3)
        many[1].sync()
        said = []
        with Terminal(80, 24) as screen:
            screen.type(f"{XBZCTL} top -d 0.5")
            # What has no room for the reason in its line has a line more.
            for width, height, rows, left_out in ((80, 24, 21, 9), (200, 60, 29, 0),
                                                  (40, 10, 6, 26), (80, 24, 21, 9)):
                screen.resize(width, height)
                lines = screen.shows(rows, left_out)
                self.assertLessEqual(max(map(len, lines)), width)
                said.append(f"$ xbzctl top, {width}x{height}\n" + "\n".join(lines))
            for s in many[3:]:
                s.close()
            said.append("$ xbzctl top, 3 sessions\n" + "\n".join(screen.shows(4, 0)))
            screen.interrupt()
            screen.type(f"clear; TERM=dumb {XBZCTL} top -d 0.1 -n 2 | cat -v; echo 'the en'd")
            said.append("$ TERM=dumb xbzctl top -n 2\n" +
                        "\n".join(screen.until(lambda lines: lines[-1:] == ["the end"])))
            screen.type(f"clear; TERM=dumb {XBZCTL} top -d 0.1 -n 2; echo 'the en'd")
            said.append("$ TERM=dumb xbzctl top -n 2, on the terminal\n" +
                        "\n".join(screen.until(lambda lines: lines[-1:] == ["the end"])))
        for s in many[:3]:
            s.close()
        text = masked("\n\n".join(said)) + "\n"
        if os.environ.get("XBZ_GOLDEN"):
            print(f"golden_top:\n{text}golden_top.", flush=True)
        golden = (HERE / "golden_top.txt").read_text(encoding="utf-8")
        self.assertEqual(text.splitlines(), golden.splitlines())

    def while_passes(self, s, *arguments):
        """What xbzctl --json says in a line each, while 300 pages are dirty in each pass."""
        said = subprocess.Popen([XBZCTL, "--json", *map(str, arguments)], text=True,
                                stdout=subprocess.PIPE)
        while said.poll() is None:
            s.encode()
            s.dirty(300)
            s.sync()
            time.sleep(0.2)
        self.assertEqual(said.returncode, 0)
        return [json.loads(line) for line in said.stdout]

    def test_forecast(self):
        """Fails if a session whose dirty pages fit the downtime is not said to converge, or
        one that dirties all that it sends is; or if top and forecast do not see passes."""
        schema = {**SCHEMA, "$ref": "#/definitions/forecast"}
        with Session(regions=(("ram", 1024),)) as s:
            fits, = self.while_passes(s, "forecast", "-l", 60000, s.id)
            never, = self.while_passes(s, "forecast", "-l", 1, s.id)
            for one in fits, never:
                jsonschema.validate(one, schema)
                # And of the block's name, once a batch.
                self.assertIn(one["bytes_per_page"] - RAW_BYTES, (0, 1))
                self.assertGreaterEqual(one["set_pages"], 300)
            self.assertEqual((fits["verdict"], fits["passes"], fits["least_cache"]),
                             ("converges", 0, 0))
            self.assertNotEqual(never["verdict"], "converges")
            self.assertGreater(never["least_downtime_ms"], 1)
            looks = self.while_passes(s, "top", "-d", "0.1", "-l", 1, "-n", 30)
            self.assertNotIn("forecast", looks[0]["sessions"][0])
            last = looks[-1]["sessions"][0]
            jsonschema.validate(last["forecast"], schema)
            self.assertNotEqual(last["forecast"]["verdict"], "converges")
            self.assertRegex(last["converges"], "^(will not converge: |not within 60 s$)")
            ends = subprocess.Popen([XBZCTL, "forecast", str(s.id)], text=True,
                                    stderr=subprocess.PIPE)
        self.assertIn("no session has this number", ends.communicate(timeout=60)[1])
        self.assertEqual(ends.returncode, 1)

    def test_top_says_why(self):
        """Fails if a session that cannot converge is said to."""
        with Session() as s:
            s.run(10, byte=1)
            s.dirty(4, byte=2)
            s.sync()
            self.assertEqual(as_json("top", "top", "-n", 1)["sessions"][0]["converges"],
                             "nothing is sent")
            s.break_queue()
            self.assertEqual(as_json("top", "top", "-n", 1)["sessions"][0]["converges"],
                             "will not converge: queue broken")


def main():
    runner = tap.TAPTestRunner()
    runner.set_stream(True)
    runner.resultclass.FORMAT = "{method_name}"
    unittest.main(testRunner=runner)


if __name__ == "__main__":
    NL = family()
    main()
