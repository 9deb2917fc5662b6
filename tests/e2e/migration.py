# SPDX-License-Identifier: GPL-2.0-only
"""One live migration between two QEMUs on this machine, measured.

What lives here: the order of things, from the two starts to the comparison of
memory, and the result as a dictionary. What does not: the command line
(migrate), what single cases do besides (actions.py), QEMU processes (machine.py), dumps
(memory.py).

Capabilities and parameters are set on the source only, but for those of postcopy,
multifd and TLS: the destination is to be one that knows nothing of xbzrle.
"""

import contextlib
import os
import secrets
import shlex
import shutil
import sys
import tempfile
import time

import machine
import memory
from machine import Machine, MachineError
from qmp import QMPError

MODES = ("plain", "qemu-xbzrle", "xbzrle-dev")
# Channels that are a file: nobody reads before all is written.
FILES = ("exec", "fd")
ENDED = ("completed", "failed", "cancelled")
# Capabilities that a destination has to be told, before it listens.
OF_BOTH = ("multifd", "postcopy-ram")
# The guest's counter, once it does what it is measured with.
WARM_PASSES = 2
# A guest that is loaded runs so long first: KVM has no page tables for it yet.
LOADED_SECONDS = 2
POLL_SECONDS = 0.02
# While a migration is held, each of its passes is to take so long, by the speed of the
# link, but that is not slower than this.
HOLD_PASS_SECONDS = 2
HOLD_LEAST = 16 << 10
PAGE = 4096


class Failed(Exception):
    """The migration, or what it needs, failed; says why."""


class TimeIsUp(Failed):
    """It is still under way when its time limit is over."""


def wait_for(done, seconds, pause=0.05):
    """Wait until done() is true; what it is when that is so, or the time is over."""
    deadline = time.monotonic() + seconds
    while not (result := done()) and time.monotonic() < deadline:
        time.sleep(pause)
    return result


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
    each pass gets the bandwidth at which it takes its time.
    """

    def __init__(self, bandwidth):
        self.most = self.bandwidth = bandwidth
        self.passes, self.since, self.sent = 0, 0, (0, 0)

    def change(self, passes, now, left, sent):
        """Told the number of the pass that is running, the time, the pages that are left
        of it, and the pages and bytes that were sent: the bandwidth to change to, or
        None."""
        wanted = self.bandwidth
        if passes != self.passes:
            pages, size = (after - before for after, before in zip(sent, self.sent))
            self.passes, self.since, self.sent = passes, now, sent
            if passes > 1 and pages > 0:
                wanted = left * size / pages / HOLD_PASS_SECONDS
        elif now - self.since >= HOLD_PASS_SECONDS:
            # Pages take more than they did in the pass before.
            self.since, wanted = now, self.bandwidth * 2
        wanted = int(min(max(wanted, HOLD_LEAST), self.most))
        if wanted == self.bandwidth:
            return None
        self.bandwidth = wanted
        return wanted


class Migration:
    """Runs one migration; run() returns the result, close() leaves nothing
    behind and may be called at any time."""

    def __init__(self, options):
        self.o = options
        self.progress = Progress(options.name)
        self.tmp = tempfile.mkdtemp(prefix="xbz-migrate-")
        self.accel = options.accel or ("kvm" if machine.kvm_usable() else "tcg")
        self.machines = []
        self.source = self.destination = self.uri = None
        self.before = None          # (processor time, guest pass, length of serial output)
        self._forget()
        self.result = {
            "name": options.name, "mode": options.mode, "status": "failed",
            "kernel": os.uname().release,
            **dict.fromkeys((
                "error", "kvm", "src_version", "dst", "dst_package", "dst_version", "total_ms",
                "downtime_ms", "downtime_bytes", "passes", "bytes", "multifd_bytes", "pages_raw",
                "pages_delta",
                "bytes_per_dirty_page", "xbzrle", "device_released", "queues", "memory",
                "memory_identical", "cpu_ms", "work", "stall_ms", "resumed", "broken_first")),
            "device_used": False, "postcopy": False, "throttled": 0, "hops": [], "said": {},
            "passes_began": [], "forecasts": [],
            "src_stderr": "", "dst_stderr": "",
        }

    def run(self):
        r = self.result
        try:
            self._run()
        except (Failed, MachineError, QMPError, memory.DumpError, OSError) as e:
            if r["status"] == "completed":
                # It moved, but what was to be checked afterwards failed.
                r["memory_identical"] = None
            r["status"] = "did-not-converge" if isinstance(e, TimeIsUp) else "failed"
            r["error"] = str(e)
            self.progress.say(f"{r['status']}: {e}")
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
        shutil.rmtree(self.tmp, ignore_errors=True)

    def _forget(self):
        """What is known of a migration before it begins."""
        self.status, self.started = "none", time.monotonic()
        self.info = {}                  # last answer with statistics
        self.first_pass = None          # (bytes, pages) when it was over
        self.device = False, False      # whether the source had it open, and mapped

    # The steps, in order.

    def _run(self):
        o, r = self.o, self.result
        if self.accel.startswith("kvm") and not machine.kvm_usable():
            raise Failed("/dev/kvm cannot be used here; give --accel tcg, or "
                         "run this under tests/vm/boot")
        self.progress.say(f"starting both QEMUs ({self.accel})")
        self._launch_source()
        if not o.save:
            self._launch_destination()
        self._meet_source()
        if o.load:
            self._continue_loaded()
        self.progress.say("the guest boots")
        self.until_pass(WARM_PASSES)
        if o.save:
            self._save()
            return
        self._meet_destination()
        self._configure()
        if o.before:
            o.before(self)
        if o.break_first:
            self._broken_attempt(*o.break_first)
            self._launch_destination()
            self._meet_destination()
        self._migrate_and_check()
        for _ in range(1, o.hops):
            if not r["memory_identical"]:
                break
            r["hops"].append(r["device_used"] and r["device_released"])
            self.source.stop()
            self.source = self.destination
            self._launch_destination()
            self._meet_destination()
            self._configure()
            self._migrate_and_check()

    def _migrate_and_check(self):
        self._migrate()
        self._settle()
        self._compare()
        if self.o.resume:
            self._resume()
        if self.device[0]:
            self.result["device_released"] = self._released()

    def _machine_args(self, accel):
        o = self.o
        args = ["-machine", machine.common_type([o.source, o.destination], o.machine),
                "-accel", accel, "-m", f"{o.memory >> 20}M", "-smp", str(o.vcpus)]
        if o.image:
            image = o.image.replace(",", ",,")
            # Read only, so that both ends may have it open at once.
            args += ["-drive", f"if=floppy,format=raw,readonly=on,file={image}"]
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

    def _launch_source(self):
        o = self.o
        self.source = self._new_machine("source", o.source)
        args = self._machine_args(self.accel) + self._tls_args("client")
        args += o.source_args + self._device_args()
        if o.load:
            args += ["-incoming", f"exec:cat {shlex.quote(o.load)}"]
        fds = []
        if o.xbzrle_dev == machine.FDSET:
            fds.append(os.open("/dev/xbzrle", os.O_RDWR))
            args += ["-add-fd", f"fd={fds[0]},set={os.path.basename(o.xbzrle_dev)}"]
        self.source.launch(args, o.source_preload, fds)
        for fd in fds:
            os.close(fd)

    def _device_args(self):
        if self.o.mode != "xbzrle-dev":
            return []
        args = ["-global", f"migration.xbzrle-dev={self.o.xbzrle_dev}"]
        if self.o.by_property:
            args += ["-global", "migration.xbzrle-dev-multifd=on"]
        return args

    def _meet_source(self):
        self.source.connect(self.o.boot_timeout)
        self.result["src_version"] = self._version(self.source)
        self.result["kvm"] = self.source.qmp.command("query-kvm")["enabled"]

    def _launch_destination(self):
        """A destination serves one attempt; the source outlives them."""
        o = self.o
        self.destination = self._new_machine(f"destination{len(self.machines)}",
                                             o.destination)
        path = self.destination.path("in")
        self.uri = {"unix": f"unix:{path}", "tcp": "tcp:127.0.0.1:0",
                    "exec": f"exec:cat >{path}", "fd": "fd:stream"}[o.channel]
        args = self._machine_args(o.destination_accel or self.accel)
        args += self._tls_args("server")
        if o.hops > 1:
            args += self._device_args()
        # It has to know of multifd before it listens.
        args += o.destination_args + ["-S", "-incoming", "defer" if o.channel in FILES or
                                      o.multifd else self.uri]
        self.destination.launch(args)

    def _meet_destination(self):
        o, r, m = self.o, self.result, self.destination
        m.connect(o.boot_timeout)
        self._capabilities(m, {name: True for name in o.capability if name in OF_BOTH})
        if o.multifd:
            self._configure_multifd(m)
            m.qmp.command("migrate-incoming", uri=self.uri)
        if o.channel == "tcp":
            address = m.qmp.command("query-migrate")["socket-address"][0]
            self.uri = f"tcp:{address['host']}:{address['port']}"
        if o.tls:
            # From now on it takes nothing that is not encrypted.
            m.qmp.command("migrate-set-parameters", tls_creds="tls0")
        r["dst"] = "patched" if m.has_device_property() else "stock"
        r["dst_version"] = self._version(m)
        r["dst_package"] = machine.untouched_package(m.binary)

    @staticmethod
    def _version(m):
        v = m.qmp.command("query-version")
        number = "{major}.{minor}.{micro}".format(**v["qemu"])
        return f"{number} {v['package']}".strip()

    def until_pass(self, wanted):
        """Wait until the guest's counter is there."""
        def there():
            passes = self.source.guest_passes() or 0
            self.progress.now_and_then(f"the guest is in pass {passes}")
            return passes >= wanted or not self.source.alive()

        reached = wait_for(there, self.o.boot_timeout)
        if not self.source.alive():
            raise Failed(f"source QEMU ended while the guest ran: {self.source.said()}")
        if not reached:
            raise Failed(f"the guest did not come to pass {wanted} in "
                         f"{self.o.boot_timeout} s; on its serial port: "
                         f"{self.source.serial()[-200:]!r}; raise --boot-timeout if the "
                         f"machine is slow; registers: "
                         f"{self.source.qmp.human('info registers')}")

    @staticmethod
    def _capabilities(m, states):
        m.qmp.command("migrate-set-capabilities", capabilities=[
            {"capability": name, "state": state} for name, state in states.items()])

    def _save(self):
        """Save the guest to a file, as a migration that nobody receives."""
        self.progress.say(f"saving the guest to {self.o.save}")
        self.source.qmp.command("stop")
        self.source.qmp.command("migrate-set-parameters", max_bandwidth=0)
        self.uri = f"exec:cat >{shlex.quote(self.o.save)}"
        self._begin()
        self._wait_for_end()
        self.result["status"] = self.status

    def _continue_loaded(self):
        """Wait until the source is the guest that was saved, and let it run on."""
        self._until_paused(self.source, "loading the guest")
        self.source.qmp.command("cont")
        time.sleep(LOADED_SECONDS)

    def _configure_multifd(self, m):
        m.qmp.command("migrate-set-parameters", multifd_channels=self.o.multifd,
                      multifd_compression=self.o.compression)

    def _configure(self):
        o = self.o
        self._capabilities(self.source, {
            "xbzrle": o.mode != "plain" and not o.by_property,
            **{name: True for name in o.capability}})
        if o.multifd:
            self._configure_multifd(self.source)
        parameters = {"max_bandwidth": o.bandwidth,
                      "downtime_limit": o.downtime}
        if o.mode != "plain":
            parameters["xbzrle_cache_size"] = o.cache
        if o.tls:
            parameters["tls_creds"] = "tls0"
        self.source.qmp.command("migrate-set-parameters", **parameters)

    def line(self, line):
        """Give the source's monitor a line; one that begins with ! is to be refused."""
        said = self.source.qmp.human(line.removeprefix("!")).strip()
        self.progress.say(f"{line}: {said or 'done'}")
        self.result["said"][line] = said
        if said.startswith("Error") != line.startswith("!"):
            raise Failed(f"{line}: {said or 'it is not refused'}")

    def _poll(self):
        """One look at the migration; returns its status."""
        r, qmp = self.result, self.source.qmp
        time.sleep(POLL_SECONDS)
        info = qmp.command("query-migrate")
        self.status = status = info.get("status", "none")
        r["throttled"] = max(r["throttled"], info.get("cpu-throttle-percentage", 0))
        if "ram" in info:
            self.info = info
            began = r["passes_began"]
            if self._pass() > len(began):
                self._forecast()
            began += [self._now()] * (self._pass() - len(began))
            if self.first_pass is None and self._pass() > 1:
                self.first_pass = info["ram"]["transferred"], pages_sent(info)
        if status not in ENDED and not all(self.device):
            self.device = tuple(map(max, self.device, self.source.holds(self.o.xbzrle_dev)))
            r["device_used"] = all(self.device)
        # Before it is active, not all of them need be mapped.
        if status == "active" and not r["queues"]:
            r["queues"] = self.source.rings()
        return status

    def _forecast(self):
        """A pass has begun: what the session says of those to come, to programs and users."""
        text = self.info.get("xbzrle-cache", {}).get("x-dev-forecast")
        if text:
            shown = self.source.qmp.human("info migrate")
            self.result["forecasts"].append({
                "at": self._now(), "text": text, "shown": "device forecast: " in shown})

    def _pass(self):
        return self.info.get("ram", {}).get("dirty-sync-count", 0)

    def _now(self):
        return round(time.monotonic() - self.started, 2)

    def _describe(self):
        ram = self.info.get("ram", {})
        mib = 1 / (1 << 20)
        return (f"pass {self._pass()}, "
                f"{ram.get('transferred', 0) * mib:.1f} MiB sent, "
                f"{ram.get('remaining', 0) * mib:.1f} MiB dirty, "
                f"guest pass {self.source.guest_passes()}")

    def _begin(self):
        self._forget()
        self.result.update(device_used=False, device_released=None, queues=0,
                           passes_began=[], forecasts=[])
        self.before = (self.source.processor_ms(), self.source.guest_passes() or 0,
                       len(self.source.serial()))
        if self.o.channel == "fd":
            self._give(self.source, os.O_WRONLY | os.O_CREAT)
        self.source.qmp.command("migrate", uri=self.uri)
        self.started = time.monotonic()

    def _give(self, to, flags):
        """Give a QEMU the file of the stream."""
        fd = os.open(self.destination.path("in"), flags, 0o600)
        to.qmp.command("getfd", fd, fdname="stream")
        os.close(fd)

    def _goes_on(self):
        """Look at a migration under way: whether it is, after the next poll."""
        if self._poll() in ENDED:
            return False
        if time.monotonic() - self.started > self.o.time_limit:
            raise TimeIsUp(f"not completed in {self.o.time_limit} s; {self._describe()}")
        self.progress.now_and_then(self._describe())
        return True

    def _wait_for_end(self):
        """Wait for the status in which a migration that is broken off ends."""
        if not wait_for(lambda: self._poll() in ENDED, 60, 0):
            raise Failed(f"the migration was broken off, but is still '{self.status}' "
                         f"after 60 s")

    def _broken_attempt(self, action, expected, moment):
        """Migrate, but break it off in the middle, by one of actions.BREAKS."""
        self.progress.say("migrating, to be broken off after %d %s" % moment)
        self._limits(True)
        # A guest that is slow for a moment writes little: it could end, and be over
        # before anybody looks.
        self._pauses(expected == "cancelled")
        self._begin()
        while not self._reached(moment):
            if not self._goes_on():
                raise Failed(f"the migration that was to be broken off was {self.status} "
                             f"before; source: {self.source.said()}")
        with contextlib.contextmanager(action)(self) as answer:
            begin = time.monotonic()
            if expected == "cancelled":
                self.source.qmp.command("migrate_cancel")
                answer = max(answer, (time.monotonic() - begin) * 1000)
            self._wait_for_end()
            end = (time.monotonic() - begin) * 1000
            self.progress.say(f"{self.status} after {end:.0f} ms; QMP answered in "
                              f"{answer:.0f} ms at most; {self._describe()}")
            if self.status != expected:
                raise Failed(f"the migration that was to be broken off is {self.status}, "
                             f"not {expected}")
            self.result["broken_first"] = {
                "answer_ms": answer, "end_ms": end,
                "device_used": all(self.device), "device_released": self._released()}
            self.destination.stop()
        self._limits(False)
        # The guest runs on.
        self.until_pass((self.source.guest_passes() or 0) + 1)
        self._pauses(False)

    def _pauses(self, yes):
        """Whether the next migration waits before its end, where it can be cancelled."""
        if "pause-before-switchover" not in self.o.capability:
            self._capabilities(self.source, {"pause-before-switchover": yes})

    def _limits(self, hold):
        """Set the limits of the migration, or such that it cannot end."""
        o = self.o
        # With a downtime limit of 0 QEMU 7.2, without our patches, never looks for new
        # dirty pages, and ends after one pass.
        self.source.qmp.command(
            "migrate-set-parameters",
            downtime_limit=0 if hold else o.downtime,
            max_bandwidth=o.first_bandwidth if hold else o.bandwidth)

    def _reached(self, moment):
        """Whether (n, 'ms' or 'passes') of the migration are over, or its status is n."""
        number, unit = moment
        if unit == "status":
            return self.status == number
        if unit == "ms":
            return (time.monotonic() - self.started) * 1000 > number
        return self._pass() > number

    def _migrate(self):
        o = self.o
        self.progress.say(f"migrating, {o.bandwidth / 1e6:g} MB/s, downtime "
                          f"limit {o.downtime} ms")
        hold, lines = o.hold, list(o.at)
        if hold:
            self._limits(True)
        self._begin()
        held = Hold(o.first_bandwidth)
        try:
            while self._goes_on():
                while lines and self._reached(lines[0][0]):
                    self.line(lines.pop(0)[1])
                ram = self.info.get("ram", {})
                changed = hold and ram and held.change(
                    self._pass(), time.monotonic(), ram["remaining"] / PAGE,
                    (pages_sent(self.info), ram["transferred"]))
                if changed:
                    self.source.qmp.command("migrate-set-parameters", max_bandwidth=changed)
                if hold and (self._reached(hold) or
                             time.monotonic() - self.started > o.time_limit / 2):
                    hold = None
                    self._limits(False)
                if not self.destination.alive():
                    raise Failed(f"destination QEMU ended: {self.destination.said()}")
        except TimeIsUp:
            self.progress.say("time is up, cancelling")
            self.source.qmp.command("migrate_cancel")
            self._wait_for_end()
            # It may still have completed on its own just now.
            if self.status != "completed":
                raise
        finally:
            self._count()
        if self.status != "completed":
            # Whoever refused first says more than "Broken pipe" does.
            time.sleep(0.2)
            raise Failed(f"the migration is {self.status}; source: "
                         f"{self.source.said() or 'silent'}; destination: "
                         f"{self.destination.said() or 'silent'}")
        if lines:
            raise Failed(f"it was over before {lines[0][1]}")
        self.result["status"] = "completed"
        # QEMU says that a moment before it knows the times.
        wait_for(lambda: self._poll() and self.info.get("total-time"), 10, 0)
        self.progress.say(f"completed: {self._describe()}")

    def _count(self):
        """What the migration cost, and what the guest did meanwhile."""
        if not self.source.alive():
            return
        cpu, passes, said = self.before
        self.result.update(cpu_ms=self.source.processor_ms() - cpu,
                           work=(self.source.guest_passes() or 0) - passes,
                           stall_ms=self.source.guest_stall(said))

    def _settle(self):
        """Wait until the destination has taken everything in."""
        m, uri = self.destination, self.uri
        if self.o.channel in FILES:
            if self.o.channel == "fd":
                self._give(m, os.O_RDONLY)
            m.qmp.command("migrate-incoming", uri=uri.replace("cat >", "cat "))
        self._until_paused(m, "the source has sent everything")

    @staticmethod
    def _until_paused(m, when):
        """Wait until a QEMU has taken in all that it receives."""
        def state():
            try:
                said = m.qmp.command("query-status")["status"]
            except QMPError:
                said = "gone"
            return said if said != "inmigrate" else None

        found = wait_for(state, 60, POLL_SECONDS)
        if found != "paused":
            raise Failed(f"{when}, but the {m.name} is '{found or 'inmigrate'}': "
                         f"{m.said() or 'it is silent'}")

    def _compare(self):
        r = self.result
        state = self.source.qmp.command("query-status")["status"]
        if state != "postmigrate":
            raise Failed(f"the source is '{state}', not stopped: its memory "
                         f"cannot be compared")
        found = r["memory"] = memory.compare_guests(self.source, self.destination,
                                                    self.o.corrupt)
        r["memory_identical"] = not found["differing_bytes"]
        if r["memory_identical"]:
            self.progress.say(f"memory is identical ({found['bytes'] >> 20} MiB)")
            return
        r["error"] = (f"memory differs: {found['differing_bytes']} bytes in "
                      f"{found['differing_pages']} pages, the first at {found['first']}")
        self.progress.say(r["error"])

    def _resume(self):
        """Let the destination run: the guest's counter has to go on."""
        r, before = self.result, self.source.guest_passes() or 0
        self.progress.say(f"continuing on the destination, guest pass {before}")
        self.destination.qmp.command("cont")
        r["resumed"] = wait_for(
            lambda: (self.destination.guest_passes() or 0) > before, 30)
        if not r["resumed"]:
            r["error"] = r["error"] or "the guest did not go on at the destination"

    def _released(self):
        """Whether the source has let go of the device, now or within 5 s."""
        return wait_for(lambda: not any(self.source.holds(self.o.xbzrle_dev)), 5)

    def _fill_statistics(self):
        r, info = self.result, self.info
        ram = info.get("ram")
        if not ram:
            return
        pages = pages_sent(info)
        r.update(total_ms=info.get("total-time"), downtime_ms=info.get("downtime"),
                 xbzrle=info.get("xbzrle-cache"), passes=self._pass(),
                 bytes=ram["transferred"], downtime_bytes=ram["downtime-bytes"],
                 multifd_bytes=ram["multifd-bytes"],
                 postcopy=ram["postcopy-bytes"] > 0, pages_raw=ram["normal"],
                 pages_delta=pages - ram["duplicate"] - ram["normal"])
        if self.first_pass and pages > self.first_pass[1]:
            r["bytes_per_dirty_page"] = round((ram["transferred"] - self.first_pass[0]) /
                                              (pages - self.first_pass[1]), 1)
