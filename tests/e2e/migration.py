# SPDX-License-Identifier: GPL-2.0-only
"""One live migration between two QEMUs on this machine, measured.

What lives here: the order of things, from the two starts to the comparison of
memory, and the result as a dictionary. What does not: the command line
(migrate), QEMU processes (machine.py), dumps (memory.py).

Capabilities and parameters are set on the source only, but for those of postcopy,
multifd and TLS: the destination is to be one that knows nothing of xbzrle.
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time

import machine
import memory
from machine import Machine, MachineError
from qmp import QMPError

MODES = ("plain", "qemu-xbzrle", "xbzrle-dev")
# How an attempt is broken off, and how long a channel that stalls is left so.
BREAKS = ("cancel", "kill", "cut", "stop", "drop")
STALL_SECONDS = 30
# Channels that are a file: nobody reads before all is written.
FILES = ("exec", "fd")
# sun_path holds 108 bytes; ours end in the longest suffix below.
SOCKET_PATH_MAX = 100
PAGE = 4096
ENDED = ("completed", "failed", "cancelled")
# The guest's counter, once it does what it is measured with.
WARM_PASSES = 2
POLL_SECONDS = 0.02
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
# While a migration is held, each of its passes is to take so long, and the link
# gets slower until it does, but not slower than this.
HOLD_PASS_SECONDS = 0.5
HOLD_LEAST = 64 << 10


class Failed(Exception):
    """The migration, or what it needs, failed; says why."""


def loopback(up):
    """Let the loopback interface carry packets, or drop them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sh14x", b"lo", 0)
        name, flags = struct.unpack("16sh14x", fcntl.ioctl(s, SIOCGIFFLAGS, request))
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", name, flags))


class Progress:
    """Lines on stderr: what happens and how far it is, not too often."""

    def __init__(self, name):
        self.name = name
        self.started = time.monotonic()
        self.last = 0.0

    def say(self, text):
        self.last = time.monotonic()
        print(f"[{self.name}] {self.last - self.started:5.1f} s  {text}",
              file=sys.stderr, flush=True)

    def now_and_then(self, text):
        if time.monotonic() - self.last >= 2:
            self.say(text)


def pages_sent(info):
    """Pages that have a record in the stream so far."""
    ram, cache = info.get("ram", {}), info.get("xbzrle-cache", {})
    # QEMU counts an overflow as a cache hit and again as a normal page.
    deltas = cache.get("pages", 0) - cache.get("overflow", 0)
    return ram.get("duplicate", 0) + ram.get("normal", 0) + deltas


class Hold:
    """The bandwidth at which a migration does not end.

    A guest that gets little of the processor dirties little in a short pass, less
    in the next, which is shorter for it, and then nothing: it has converged. So
    the link has to be slow as compared with the guest, not with a number.
    """

    def __init__(self, bandwidth, now):
        self.bandwidth, self.since = bandwidth, now
        self.passes = 0

    def slower(self, passes, now):
        """Told the number of the pass that is running: the bandwidth to change
        to, or None."""
        if passes == self.passes:
            return None
        took = (now - self.since) / (passes - self.passes)
        begun = self.passes > 0
        self.passes, self.since = passes, now
        if not begun or took >= HOLD_PASS_SECONDS or \
                self.bandwidth <= HOLD_LEAST:
            return None
        # The next pass has less to send by about the same factor.
        self.bandwidth = int(max(HOLD_LEAST, self.bandwidth *
                                 min(took / HOLD_PASS_SECONDS, 0.5)))
        return self.bandwidth


class Migration:
    """Runs one migration; run() returns the result, close() leaves nothing
    behind and may be called at any time."""

    def __init__(self, options):
        self.o = options
        self.progress = Progress(options.name)
        self.tmp = None
        self.machines = []
        self.source = self.destination = self.uri = None
        self.info = {}              # last answer with statistics
        self.first_pass = None      # (bytes, pages) when it was over
        self.device_open = self.device_mapped = False
        self.queues = 0
        self.slowest = 0.0          # seconds until QEMU answered
        self.result = {
            "name": options.name, "status": "failed", "mode": options.mode,
            "total_ms": None, "downtime_ms": None, "setup_ms": None,
            "bytes": None, "multifd_bytes": None, "passes": None, "pages_zero": None,
            "pages_raw": None, "pages_delta": None, "bytes_per_page": None,
            "bytes_per_dirty_page": None, "memory_identical": None,
            "memory": None, "src": None, "dst": None, "dst_package": None,
            "src_version": None, "dst_version": None,
            "kernel": os.uname().release, "accel": None, "kvm": None,
            "device_used": False, "device_released": None, "queues": None,
            "postcopy": False, "throttled": 0, "hops": [], "dirty_rate": None,
            "xbzrle": None,
            "limits": {}, "guest": {}, "broken_first": None,
            "resumed": None, "src_stderr": "", "dst_stderr": "",
            "error": None,
        }

    def run(self):
        r = self.result
        try:
            self._run()
        except (Failed, MachineError, QMPError, memory.DumpError, OSError) as e:
            if r["status"] == "completed":
                # It moved, but what was to be checked afterwards failed.
                r["memory_identical"] = None
            r["status"] = "failed"
            r["error"] = str(e)
            self.progress.say(f"failed: {e}")
        finally:
            self._fill_statistics()
            if self.source:
                r["src_stderr"] = self.source.said()
            if self.destination:
                r["dst_stderr"] = self.destination.said()
        return r

    def close(self):
        for m in self.machines:
            m.stop()
        self.machines = []
        if self.tmp:
            shutil.rmtree(self.tmp, ignore_errors=True)
            self.tmp = None

    # The steps, in order.

    def _run(self):
        o, r = self.o, self.result
        self.tmp = tempfile.mkdtemp(prefix="xbz-migrate-")
        if len(self.tmp) > SOCKET_PATH_MAX - 24:
            raise Failed(f"{self.tmp} is too long for a socket's path; set "
                         f"TMPDIR to a shorter one")
        accel = o.accel or ("kvm" if machine.kvm_usable() else "tcg")
        r["accel"] = accel
        r["limits"] = {"bandwidth": o.bandwidth, "downtime_ms": o.downtime,
                       "cache": o.cache, "time_s": o.time_limit,
                       "memory": o.memory, "vcpus": o.vcpus}
        if accel.startswith("kvm") and not machine.kvm_usable():
            raise Failed("/dev/kvm cannot be used here; give --accel tcg, or "
                         "run this under tests/vm/boot")
        self.progress.say(f"starting both QEMUs ({accel})")
        self._launch_source(accel)
        self._launch_destination(accel, 1)
        self._meet_source()
        self._meet_destination()
        self._warm_up()
        self._configure()
        if o.snapshot:
            self._snapshot()
        if o.break_first:
            self._broken_attempt()
            self.device_open = self.device_mapped = False
            self._launch_destination(accel, 2)
            self._meet_destination()
        self._migrate_and_check()
        for hop in range(1, o.hops):
            if r["status"] != "completed" or not r["memory_identical"]:
                break
            r["hops"].append(r["device_used"] and r["device_released"])
            self.source.stop()
            self.source = self.destination
            self.device_open = self.device_mapped = False
            self._launch_destination(accel, hop + 1)
            self._meet_destination()
            self._configure()
            self._migrate_and_check()

    def _migrate_and_check(self):
        o, r = self.o, self.result
        self._migrate()
        if r["status"] == "completed":
            self._settle()
            self._compare()
            if o.resume:
                self._resume()
        self._check_device()

    def _machine_args(self, accel):
        o = self.o
        image = o.image.replace(",", ",,")
        args = ["-machine", machine.common_type([o.source, o.destination], o.machine),
                "-accel", accel, "-m", f"{o.memory >> 20}M", "-smp", str(o.vcpus),
                # Read only, so that both ends may have it open at once.
                "-drive", f"if=floppy,format=raw,readonly=on,file={image}"]
        if "-vga" not in o.args:
            args += ["-vga", "none"]
        return args + o.args

    def _tls_args(self, endpoint):
        """The credentials of one end, if it is to encrypt."""
        if not self.o.tls:
            return []
        keys = os.path.join(self.tmp, "keys.psk")
        if not os.path.exists(keys):
            with open(keys, "w", encoding="ascii") as f:
                f.write(f"xbz:{secrets.token_hex(32)}\n")
        user = ",username=xbz" if endpoint == "client" else ""
        return ["-object", f"tls-creds-psk,id=tls0,endpoint={endpoint},"
                           f"dir={self.tmp}{user}"]

    def _new_machine(self, name, binary):
        m = Machine(name, binary, self.tmp)
        self.machines.append(m)
        return m

    def _launch_source(self, accel):
        o = self.o
        self.source = self._new_machine("source", o.source)
        args = self._machine_args(accel) + self._tls_args("client")
        args += o.source_args + self._device_args()
        fds = []
        if o.snapshot:
            args += ["-drive", f"if=none,format=qcow2,file={o.snapshot}"]
        if o.xbzrle_dev == machine.FDSET:
            fds.append(os.open("/dev/xbzrle", os.O_RDWR))
            args += ["-add-fd", f"fd={fds[0]},set={os.path.basename(o.xbzrle_dev)}"]
        self.source.launch(args, o.source_preload, fds)
        for fd in fds:
            os.close(fd)
        if o.cpu_max:
            self.source.limit_processors(o.cpu_max)

    def _device_args(self):
        if self.o.mode != "xbzrle-dev":
            return []
        args = ["-global", f"migration.xbzrle-dev={self.o.xbzrle_dev}"]
        if self.o.by_property:
            args += ["-global", "migration.xbzrle-dev-multifd=on"]
        return args

    def _meet_source(self):
        r = self.result
        try:
            self.source.connect(self.o.boot_timeout)
        except MachineError as e:
            if "xbzrle-dev' not found" in str(e):
                raise Failed(f"{self.source.binary} does not know "
                             f"migration.xbzrle-dev; give the patched QEMU "
                             f"(qemu/) with --source") from None
            raise
        r["src"] = self._kind(self.source)
        r["src_version"] = self._version(self.source)
        r["kvm"] = self.source.qmp.command("query-kvm")["enabled"]

    def _launch_destination(self, accel, attempt):
        o = self.o
        # A destination serves one attempt; the source outlives them.
        self.destination = self._new_machine(f"destination{attempt}",
                                             o.destination)
        path = self.destination.path("in")
        self.uri = {"unix": f"unix:{path}", "tcp": "tcp:127.0.0.1:0",
                    "exec": f"exec:cat >{path}", "fd": "fd:stream"}[o.channel]
        args = self._machine_args(o.destination_accel or accel)
        args += self._tls_args("server")
        if o.hops > 1:
            args += self._device_args()
        # It has to know of multifd before it listens.
        args += o.destination_args + ["-S", "-incoming", "defer" if o.channel in FILES or
                                      o.multifd else self.uri]
        self.destination.launch(args)

    def _meet_destination(self):
        o, r = self.o, self.result
        self.destination.connect(o.boot_timeout)
        if o.multifd:
            self._configure_multifd(self.destination)
            self.destination.qmp.command("migrate-incoming", uri=self.uri)
        if o.channel == "tcp":
            info = self.destination.qmp.command("query-migrate")
            address = info["socket-address"][0]
            self.uri = f"tcp:{address['host']}:{address['port']}"
        if o.tls:
            # From now on it takes nothing that is not encrypted.
            self.destination.qmp.command("migrate-set-parameters",
                                         tls_creds="tls0")
        r["dst"] = self._kind(self.destination)
        r["dst_version"] = self._version(self.destination)
        r["dst_package"] = machine.untouched_package(self.destination.binary)

    @staticmethod
    def _kind(m):
        return "patched" if m.has_device_property() else "stock"

    @staticmethod
    def _version(m):
        v = m.qmp.command("query-version")
        number = "{major}.{minor}.{micro}".format(**v["qemu"])
        return f"{number} {v['package']}".strip()

    def _warm_up(self):
        """Wait until the guest does what it is measured with."""
        o = self.o
        deadline = time.monotonic() + o.boot_timeout
        self.progress.say("the guest boots")
        while (passes := self.source.guest_passes() or 0) < WARM_PASSES:
            if not self.source.alive():
                raise Failed(f"source QEMU ended while the guest booted: "
                             f"{self.source.said()}")
            if time.monotonic() > deadline:
                where = self.source.qmp.human("info registers")
                raise Failed(f"the guest was not ready after "
                             f"{o.boot_timeout} s; on its serial port: "
                             f"{self.source.serial()[-200:]!r}; raise "
                             f"--boot-timeout if the machine is slow; "
                             f"registers: {where}")
            self.progress.now_and_then(f"the guest boots, pass {passes}")
            time.sleep(0.05)

    def _configure_multifd(self, m):
        o = self.o
        m.qmp.command("migrate-set-capabilities", capabilities=[
            {"capability": "multifd", "state": True}])
        m.qmp.command("migrate-set-parameters", multifd_channels=o.multifd,
                      multifd_compression=o.compression)

    def _configure(self):
        o, qmp = self.o, self.source.qmp
        capability = o.mode != "plain" and not o.by_property
        qmp.command("migrate-set-capabilities", capabilities=[
            {"capability": "events", "state": True},
            {"capability": "xbzrle", "state": capability},
            *({"capability": name, "state": True} for name in o.capability)])
        if o.multifd:
            self._configure_multifd(self.source)
        if o.postcopy:
            # The one thing that a destination has to be told.
            for m in (self.source, self.destination):
                m.qmp.command("migrate-set-capabilities", capabilities=[
                    {"capability": "postcopy-ram", "state": True}])
        parameters = {"max_bandwidth": o.bandwidth,
                      "downtime_limit": o.downtime}
        if o.mode != "plain":
            parameters["xbzrle_cache_size"] = o.cache
        if o.tls:
            parameters["tls_creds"] = "tls0"
        qmp.command("migrate-set-parameters", **parameters)

    def _line(self, line):
        """Give the source's monitor a line."""
        said = self.source.qmp.human(line)
        self.progress.say(f"{line}: {said.strip() or 'done'}")
        if said.startswith("Error"):
            raise Failed(f"{line}: {said}")

    def _until_pass(self, wanted):
        """Wait until the guest's counter is there."""
        deadline = time.monotonic() + self.o.boot_timeout
        while (self.source.guest_passes() or 0) < wanted:
            if time.monotonic() > deadline:
                raise Failed(f"the guest did not come to pass {wanted}")
            time.sleep(0.05)

    def _snapshot(self):
        """Save the guest, let it run, load it: memory has to be as it was."""
        qmp = self.source.qmp
        qmp.command("stop")
        self._line("savevm before")
        before = memory.whole(self.source)
        qmp.command("cont")
        self._until_pass((self.source.guest_passes() or 0) + 2)
        # It goes on by itself if it runs.
        qmp.command("stop")
        self._line("loadvm before")
        if memory.whole(self.source) != before:
            raise Failed("memory is not what was saved")
        qmp.command("cont")

    def _poll(self):
        """One look at the migration; returns its status."""
        qmp = self.source.qmp
        qmp.wait_event(POLL_SECONDS)
        asked = time.monotonic()
        info = qmp.command("query-migrate")
        self.slowest = max(self.slowest, time.monotonic() - asked)
        status = info.get("status", "none")
        self.result["postcopy"] |= status == "postcopy-active"
        self.result["throttled"] = max(self.result["throttled"],
                                       info.get("cpu-throttle-percentage", 0))
        ram = info.get("ram")
        if ram:
            self.info = info
            if self.first_pass is None and ram["dirty-sync-count"] > 1:
                self.first_pass = (ram["transferred"], pages_sent(info))
        if status not in ENDED and not (self.device_open and
                                        self.device_mapped):
            is_open, is_mapped = self.source.holds(self.o.xbzrle_dev)
            self.device_open |= is_open
            self.device_mapped |= is_mapped
        # Before it is active, not all of them need be mapped.
        if status == "active" and not self.queues:
            self.queues = self.source.rings()
        return status

    def _describe(self):
        ram = self.info.get("ram", {})
        mib = 1 / (1 << 20)
        return (f"pass {ram.get('dirty-sync-count', 0)}, "
                f"{ram.get('transferred', 0) * mib:.1f} MiB sent, "
                f"{ram.get('remaining', 0) * mib:.1f} MiB dirty, "
                f"guest pass {self.source.guest_passes()}")

    def _begin(self):
        self.info, self.first_pass = {}, None
        self.source.qmp.events.clear()
        if self.o.channel == "fd":
            self._give(self.source, os.O_WRONLY | os.O_CREAT)
        self.source.qmp.command("migrate", uri=self.uri)
        return time.monotonic()

    def _give(self, to, flags):
        """Give a QEMU the file of the stream."""
        fd = os.open(self.destination.path("in"), flags, 0o600)
        to.qmp.command("getfd", fd, fdname="stream")
        os.close(fd)

    def _wait_for_end(self):
        """Wait for the status in which the migration ends by itself."""
        deadline = time.monotonic() + 60
        while True:
            status = self._poll()
            if status in ENDED:
                return status
            if time.monotonic() > deadline:
                raise Failed(f"the migration was broken off, but is still "
                             f"'{status}' after 60 s")

    def _stall(self, how):
        """Let nothing be received for a while; the slowest answer of QMP in ms."""
        self.progress.say(f"{how}: nothing is received for {STALL_SECONDS} s")
        if how == "stop":
            os.kill(self.destination.process.pid, signal.SIGSTOP)
        else:
            loopback(False)
        slowest, deadline = 0, time.monotonic() + STALL_SECONDS
        while time.monotonic() < deadline:
            begin = time.monotonic()
            if self.source.qmp.command("query-migrate")["status"] in ENDED:
                raise Failed("the migration ended though nothing is received")
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.1)
        return slowest * 1000

    def _cancel(self):
        """Cancel; returns the status in which the migration ended."""
        self.slowest = 0.0
        self.source.qmp.command("migrate_cancel")
        return self._wait_for_end()

    def _broken_attempt(self):
        """Migrate, but cancel, kill the destination or cut a channel in the middle."""
        o, r = self.o, self.result
        how, moment = o.break_first
        self.progress.say("migrating, to be broken off after %d %s" % moment)
        self._limits(True)
        # A guest that is slow for a moment writes little: it could end, and be over
        # before anybody looks.
        self._pauses(how not in ("kill", "cut"))
        started = self._begin()
        while True:
            status = self._poll()
            if status in ENDED:
                raise Failed(f"the migration that was to be broken off was "
                             f"{status} before; source: {self.source.said()}")
            if self._reached(moment, started):
                break
            if time.monotonic() - started > o.time_limit:
                raise Failed(f"it did not come to {moment[0]} {moment[1]} in "
                             f"{o.time_limit} s")
            self.progress.now_and_then(self._describe())
        answer = end = None
        expected = "failed" if how in ("kill", "cut") else "cancelled"
        if how == "kill":
            self.destination.stop()
            status = self._wait_for_end()
        elif how == "cut":
            self.source.cut_channel(self.uri)
            status = self._wait_for_end()
        else:
            answer = self._stall(how) if how in ("stop", "drop") else 0
            begin = time.monotonic()
            self.source.qmp.command("migrate_cancel")
            answer = max(answer, (time.monotonic() - begin) * 1000)
            status = self._wait_for_end()
            end = (time.monotonic() - begin) * 1000
            self.progress.say(f"QMP answered in {answer:.0f} ms at most, the end took "
                              f"{end:.0f} ms")
        if status != expected:
            raise Failed(f"the migration that was to be broken off is "
                         f"{status}, not {expected}")
        ram = self.info.get("ram", {})
        r["broken_first"] = {
            "status": status,
            "bytes": ram.get("transferred"),
            "passes": ram.get("dirty-sync-count"),
            "answer_ms": answer, "end_ms": end,
            "device_used": self.device_open and self.device_mapped,
            # Of queries until it had ended: who ends it keeps others waiting.
            "slowest_answer_ms": round(self.slowest * 1000, 1),
            "device_released": self._released()}
        self.progress.say(f"{status}: {self._describe()}")
        self.destination.stop()
        if how == "drop":
            loopback(True)
        self._limits(False)
        self._pauses(False)

    def _pauses(self, yes):
        """Whether the next migration waits before its end, where it can be cancelled."""
        if "pause-before-switchover" in self.o.capability:
            return
        self.source.qmp.command("migrate-set-capabilities", capabilities=[
            {"capability": "pause-before-switchover", "state": yes}])

    def _limits(self, hold):
        """Set the limits of the migration, or such that it cannot end."""
        o = self.o
        # With a downtime limit of 0 QEMU 7.2 never looks for new dirty pages,
        # and ends after one pass.
        self.source.qmp.command(
            "migrate-set-parameters",
            downtime_limit=1 if hold else o.downtime,
            max_bandwidth=o.first_bandwidth if hold else o.bandwidth)

    def _hold_on(self, held):
        slower = held.slower(self._pass(), time.monotonic())
        if slower:
            self.source.qmp.command("migrate-set-parameters",
                                    max_bandwidth=slower)

    def _pass(self):
        return self.info.get("ram", {}).get("dirty-sync-count", 0)

    def _reached(self, moment, started):
        """Whether (n, 'ms' or 'passes') of the migration are over."""
        number, unit = moment
        if unit == "status":
            return self.info.get("status") == number
        if unit == "ms":
            return (time.monotonic() - started) * 1000 > number
        return self._pass() > number

    def _migrate(self):
        o, r = self.o, self.result
        r["guest"]["passes_before"] = self.source.guest_passes()
        self.progress.say(f"migrating, {o.bandwidth / 1e6:g} MB/s, downtime "
                          f"limit {o.downtime} ms")
        hold, postcopy, lines = o.hold, o.postcopy, list(o.at)
        if hold or postcopy:
            self._limits(True)
        started = self._begin()
        held = Hold(o.first_bandwidth, started)
        while True:
            status = self._poll()
            if status in ENDED:
                break
            while lines and self._reached(lines[0][0], started):
                self._line(lines.pop(0)[1])
            if o.dirty_rate and r["dirty_rate"] is None and \
                    status == "active":
                r["dirty_rate"] = self._dirty_rate()
            if hold:
                self._hold_on(held)
            if hold and (self._reached(hold, started) or
                         time.monotonic() - started > o.time_limit / 2):
                hold = None
                self._limits(False)
            if postcopy and self._reached(postcopy, started):
                self.progress.say(f"postcopy: {self._describe()}")
                self.source.qmp.command("migrate-start-postcopy")
                postcopy = None
            if time.monotonic() - started > o.time_limit:
                self.progress.say("time is up, cancelling")
                # It may still have completed on its own just now.
                if self._cancel() != "completed":
                    r["status"] = "did-not-converge"
                    r["error"] = f"not completed in {o.time_limit} s"
                    return self._migrated()
                status = "completed"
                break
            if not self.destination.alive():
                raise Failed(f"destination QEMU ended: "
                             f"{self.destination.said()}")
            self.progress.now_and_then(self._describe())
        if status != "completed":
            # Whoever refused first says more than "Broken pipe" does.
            time.sleep(0.2)
            raise Failed(f"the migration is {status}; source: "
                         f"{self.source.said() or 'silent'}; destination: "
                         f"{self.destination.said() or 'silent'}")
        if lines:
            raise Failed(f"it was over before {lines[0][1]}")
        r["status"] = "completed"
        self._final_numbers()
        return self._migrated()

    def _dirty_rate(self):
        """What QEMU says if it is asked for a dirty rate by bitmap."""
        try:
            self.source.qmp.command("calc-dirty-rate", calc_time=1,
                                    mode="dirty-bitmap")
        except QMPError as e:
            return str(e)
        return "measured"

    def _final_numbers(self):
        """QEMU says "completed" a moment before it knows the times."""
        deadline = time.monotonic() + 10
        while not self.info.get("total-time") and \
                time.monotonic() < deadline:
            time.sleep(0.01)
            self._poll()

    def _migrated(self):
        r = self.result
        r["guest"]["passes_after"] = self.source.guest_passes()
        r["device_used"] = self.device_open and self.device_mapped
        r["queues"] = self.queues
        self.progress.say(f"{r['status']}: {self._describe()}")

    def _settle(self):
        """Wait until the destination has taken everything in."""
        if self.o.channel in FILES:
            path = self.destination.path("in")
            if self.o.channel == "fd":
                self._give(self.destination, os.O_RDONLY)
            self.destination.qmp.command(
                "migrate-incoming",
                uri="fd:stream" if self.o.channel == "fd" else f"exec:cat {path}")
        deadline = time.monotonic() + 60
        while True:
            try:
                state = self.destination.qmp.command("query-status")["status"]
            except QMPError:
                state = "gone"
            if state == "paused":
                return
            if state != "inmigrate" or time.monotonic() > deadline:
                raise Failed(f"the source has sent everything, but the "
                             f"destination is '{state}': "
                             f"{self.destination.said() or 'it is silent'}")
            time.sleep(0.02)

    def _compare(self):
        r = self.result
        state = self.source.qmp.command("query-status")["status"]
        if state != "postmigrate":
            raise Failed(f"the source is '{state}', not stopped: its memory "
                         f"cannot be compared")
        found = memory.compare_guests(self.source, self.destination,
                                      self.progress.now_and_then,
                                      self.o.corrupt)
        r["memory"] = found
        r["memory_identical"] = found["identical"]
        if found["identical"]:
            self.progress.say(f"memory is identical "
                              f"({found['bytes'] >> 20} MiB)")
        elif "layouts" in found:
            r["error"] = f"memory is laid out differently: {found['layouts']}"
            self.progress.say(r["error"])
        else:
            r["error"] = (f"memory differs: {found['differing_bytes']} bytes "
                          f"in {found['differing_pages']} pages, the first at "
                          f"{found['first']}")
            self.progress.say(r["error"])

    def _resume(self):
        """Let the destination run: the guest's counter has to go on."""
        r = self.result
        before = self.source.guest_passes()
        self.progress.say(f"continuing on the destination, guest pass "
                          f"{before}")
        self.destination.qmp.command("cont")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.destination.alive():
            passes = self.destination.guest_passes()
            if passes is not None:
                r["guest"]["passes_resumed"] = passes
                r["resumed"] = before is not None and passes >= before
                if passes > (before or 0):
                    self.progress.say(f"the guest goes on, pass {passes}")
                    return
            time.sleep(0.05)
        r["resumed"] = False
        r["error"] = r["error"] or "the guest did not go on at the destination"

    def _released(self):
        """Whether the source has let go of the device, now or within 5 s."""
        deadline = time.monotonic() + 5
        while any(self.source.holds(self.o.xbzrle_dev)):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _check_device(self):
        o, r = self.o, self.result
        if self.device_open:
            r["device_released"] = self._released()
        if self.device_open and o.mode != "xbzrle-dev":
            raise Failed(f"the source used {o.xbzrle_dev} in mode {o.mode}; "
                         f"give an unpatched QEMU with --source, or "
                         f"--source-args '-global migration.xbzrle-dev=/none'")

    def _fill_statistics(self):
        r, info = self.result, self.info
        ram, cache = info.get("ram"), info.get("xbzrle-cache")
        r["total_ms"] = info.get("total-time")
        r["downtime_ms"] = info.get("downtime")
        r["setup_ms"] = info.get("setup-time")
        if cache:
            r["xbzrle"] = cache
        if not ram:
            return
        pages = pages_sent(info)
        r["bytes"] = ram["transferred"]
        r["multifd_bytes"] = ram["multifd-bytes"]
        r["passes"] = ram["dirty-sync-count"]
        r["pages_zero"] = ram["duplicate"]
        r["pages_raw"] = ram["normal"]
        r["pages_delta"] = pages - ram["duplicate"] - ram["normal"]
        if pages:
            r["bytes_per_page"] = round(ram["transferred"] / pages, 1)
        if self.first_pass:
            sent = pages - self.first_pass[1]
            if sent > 0:
                r["bytes_per_dirty_page"] = round(
                    (ram["transferred"] - self.first_pass[0]) / sent, 1)
