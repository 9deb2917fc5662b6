# SPDX-License-Identifier: GPL-2.0-only
"""The end-to-end cases: what is migrated how, and what must come of it.

What lives here: the table, its checks, and what single cases do to a migration. What
does not: running them, see migrate-all; a migration, see migrate.

Every case says what would have to break for it to fail.
"""

import collections
import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import time

import machine
import memory
import migration

# Guests, by name: arguments of tests/guests/build.
GUESTS = {
    # Twice the bandwidth below, so that no pass shrinks what is dirty.
    "busy": ["--footprint", "8M", "--rate", "4000"],
    # The same across the border of two blocks of memory.
    "border": ["--footprint", "8M", "--rate", "4000", "--base", "60M",
               "--fill"],
    # Deltas of many short runs over pages that are nothing like zero pages.
    "words": ["--footprint", "4M", "--rate", "3000", "--words", "64",
              "--fill"],
    # Deltas so long that a batch of a few pages is worth MSG_ZEROCOPY.
    "long": ["--footprint", "8M", "--rate", "3000", "--words", "256",
             "--fill"],
    # New pages every time, so that no delta fits, and slow enough for that.
    "noise": ["--footprint", "2M", "--rate", "300", "--words", "1024",
              "--fill"],
    # More than sockets have room for, of pages that do not shrink.
    "raw": ["--footprint", "24M", "--rate", "300", "--words", "1024", "--fill"],
    # What plain precopy copes with in a few passes.
    "calm": ["--footprint", "4M", "--rate", "500"],
}

COMMON = ["--memory", "32M", "--bandwidth", "8M", "--downtime", "200",
          "--cache", "16M", "--time-limit", "60", "--boot-timeout", "180"]

# Those that are long are run when all are wanted.
Case = collections.namedtuple("Case", "name breaks patched args checks guest long")


def case(name, breaks, *args, patched=True, checks=(), guest="busy", long=False):
    return Case(name, breaks, patched, args, checks, guest, long)


# What a case does to a migration.

# What breaks one off is a generator: it breaks it, yields the slowest answer of QMP in
# milliseconds, if somebody waits for that, or 0, and mends it when the migration has ended.

# How long a channel that stalls is left so.
STALL_SECONDS = 30
SYS_PIDFD_GETFD = 438


def cancel(_):
    yield 0


def kill(m):
    m.destination.stop()
    yield 0


def cut(m):
    """Shut down the last socket of TCP that the source has connected to the destination."""
    pidfd = os.pidfd_open(m.source.process.pid)
    sockets = [fd for fd, what in m.source.files().items() if what.startswith("socket:")]
    for fd in sorted(sockets, reverse=True):
        copy = ctypes.CDLL(None).syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
        with socket.socket(fileno=copy) as s, \
                contextlib.suppress(OSError, IndexError):       # it is another's
            if "tcp:{}:{}".format(*s.getpeername()) == m.uri:
                s.shutdown(socket.SHUT_RDWR)
                break
    else:
        raise migration.Failed(f"the source has no socket to {m.uri}")
    os.close(pidfd)
    yield 0


def stall(m):
    """The slowest answer of QMP while nothing is received for a while."""
    m.progress.say(f"nothing is received for {STALL_SECONDS} s")
    slowest, deadline = 0, time.monotonic() + STALL_SECONDS
    while time.monotonic() < deadline:
        begin = time.monotonic()
        if m.source.qmp.command("query-migrate")["status"] in migration.ENDED:
            raise migration.Failed("the migration ended though nothing is received")
        slowest = max(slowest, time.monotonic() - begin)
        time.sleep(0.1)
    return slowest * 1000


def stop(m):
    os.kill(m.destination.process.pid, signal.SIGSTOP)
    yield stall(m)


def loopback(state):
    subprocess.run(["busybox", "ip", "link", "set", "lo", state], check=True)


def drop(m):
    loopback("down")
    try:
        yield stall(m)
    finally:
        loopback("up")


# A file with memory of the guest.
UNREADABLE = "/tmp/xbz-unreadable"


def empty(m):
    """Take the content away from the file."""
    size = os.path.getsize(UNREADABLE)
    os.truncate(UNREADABLE, 0)
    # It was held up, so that this comes before it is read.
    m.source.qmp.command("migrate-set-parameters", max_bandwidth=0)
    yield 0
    os.truncate(UNREADABLE, size)


# How an attempt is broken off: (what it is called, by what, the status that it ends in).
# One that ends as cancelled is cancelled then.
BREAKS = {
    "cancel": ("cancel at WHEN: after '1500ms' or once '3passes' are over", cancel,
               "cancelled"),
    "kill": ("kill the destination", kill, "failed"),
    "cut": ("cut one of multifd's channels", cut, "failed"),
    "stop": (f"stop the destination without ending it, and cancel {STALL_SECONDS} s later",
             stop, "cancelled"),
    "drop": (f"drop all that is sent by TCP, and cancel {STALL_SECONDS} s later; wants a "
             "machine that nobody else uses", drop, "cancelled"),
    "empty": (f"take the content of {UNREADABLE} away", empty, "failed"),
}


def snapshot(m):
    """Save the guest, let it run, load it: memory has to be as it was."""
    path, qmp = m.source.path("qcow2"), m.source.qmp
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    m.line(f"drive_add 0 if=none,format=qcow2,file={path}")
    # QEMU would complain that this is not there.
    m.line("qom-set /xbzrle xbzrle-dev /nonexistent")
    qmp.command("stop")
    m.line("savevm before")
    before = memory.whole(m.source)
    qmp.command("cont")
    m.until_pass((m.source.guest_passes() or 0) + 2)
    # It goes on by itself if it runs.
    qmp.command("stop")
    m.line("loadvm before")
    if memory.whole(m.source) != before:
        raise migration.Failed("memory is not what was saved")
    qmp.command("cont")
    m.line(f"qom-set /xbzrle xbzrle-dev {m.o.xbzrle_dev}")


def settings(m):
    """Have others than QEMU was started with."""
    m.line("qom-set /xbzrle xbzrle-dev /dev/xbzrle")
    m.line("qom-set /xbzrle xbzrle-dev-queues 3")
    m.line("!qom-set /xbzrle xbzrle-dev-queues 65")


BEFORE = {"snapshot": snapshot, "settings": settings}


# Checks take the result of migrate and return what is wrong, or None.

def completed(r):
    if r["status"] != "completed":
        return f"{r['status']}: {r['error']}"
    return None


def identical(r):
    if r["memory_identical"] is not True:
        return r["error"] or "memory was not compared"
    return None


def to_stock(r):
    if r["dst"] != "stock" or not r["dst_package"]:
        return "the destination is no untouched Debian QEMU"
    return None


def through_device(r):
    if not r["device_used"]:
        return f"the device was not used: {r['src_stderr'] or 'no message'}"
    if not r["pages_delta"]:
        return "not a single delta was sent"
    return None


def device_used(r):
    return None if r["device_used"] else \
        f"the device was not used: {r['src_stderr'] or 'no message'}"


def released(r):
    if r["device_released"] is not True:
        return "QEMU still holds the device after the migration"
    return None


def without_device(r):
    if r["device_used"]:
        return "the device was used"
    return None


def real_kvm(r):
    return None if r["kvm"] else "the guest did not run under KVM"


def no_kvm(r):
    return "the guest ran under KVM" if r["kvm"] else None


def resumed(r):
    return None if r["resumed"] else "the guest did not go on"


def diverged(r):
    if r["status"] != "did-not-converge":
        return (f"plain precopy is {r['status']}: the guest is too slow for "
                f"the other cases to mean anything")
    return None


def said_once(r):
    lines = [line for line in r["src_stderr"].splitlines()
             if "/nonexistent" in line]
    if len(lines) != 1:
        return f"{len(lines)} lines about the missing device, not one"
    return None


# A newer QEMU's, of the machine type of an older one.
DEPRECATED = re.compile(r"^.*: warning: Machine type '\S+' is deprecated:.*\n?", re.M)


def silent(r):
    said = DEPRECATED.sub("", r["src_stderr"])
    if said:
        return f"the source complains: {said}"
    return None


def log_hidden(r):
    if "legacy-log: manual protection hidden" not in r["src_stderr"]:
        return "QEMU did not ask for manual protection: nothing was tested"
    return None


def broken_clean(r):
    first = r["broken_first"] or {}
    if not first.get("device_used"):
        return "the device was not used in the attempt that was broken off"
    if not first.get("device_released"):
        return "the session outlived the attempt that was broken off"
    return None


def sent_raw(r):
    return None if r["pages_raw"] else "no page was sent raw"


def rates_sound(r):
    rate = (r["xbzrle"] or {}).get("cache-miss-rate")
    if rate is None or not 0 <= rate <= 1:
        return f"the rate of misses is {rate}"
    return None


def cache_size(size):
    """A check: QEMU says that the cache has this size."""
    def check(r):
        has = (r["xbzrle"] or {}).get("cache-size")
        if has != size:
            return f"the cache has {has} bytes, not {size}"
        return None
    return check


def queues(number):
    """A check: the session has so many."""
    def check(r):
        if r["queues"] != number:
            return f"the session has {r['queues']} queues, not {number}"
        return None
    return check


def queues_of_host(r):
    return queues(min(os.cpu_count(), 8))(r)


def to_newer(r):
    if r["dst"] != "stock" or int(r["dst_version"].split(".")[0]) < 10:
        return f"the destination is {r['dst']} {r['dst_version']}"
    return None


def by_channels(r):
    if not r["multifd_bytes"]:
        return "nothing was sent by multifd's channels"
    return None


def multifd_alone_said(r):
    lines = [line for line in r["src_stderr"].splitlines()
             if "on with multifd alone" in line]
    if len(lines) != 1:
        return f"it does not say once what it does without the device: {r['src_stderr']}"
    return None


def postcopied(r):
    return None if r["postcopy"] else "it completed before postcopy began"


def refused(r):
    if "'xbzrle-dev-queues' expects 1 to 64" not in (r["error"] or ""):
        return f"65 queues are not refused: {r['error']}"
    return None


ZEROCOPY = re.compile(r"^zerocopy-log: (.*)$", re.M)
# The most that QEMU has of one ring then.
RING_ZEROCOPY = 4 << 20


def no_copies(r):
    lines = ZEROCOPY.findall(r["src_stderr"])
    if not lines:
        return "nothing was sent with MSG_ZEROCOPY"
    n = {}
    for line in lines:
        n = dict(word.split("=") for word in line.split())
        n = {name: int(value) for name, value in n.items()}
        for name in ("copied", "pieces", "elsewhere", "changed"):
            if n[name]:
                return f"{name} is not 0: {line}"
    # Of the last migration, the one that was not broken off.
    if n["unfinished"]:
        return f"it does not wait for the kernel: {lines[-1]}"
    # Small batches are copied.
    if n["bytes"] < r["bytes"] / 2:
        return f"too much was copied: {lines[-1]}"
    # Those, too, come out of a ring. What does not are headers of sections, and devices.
    if n["other"] > r["bytes"] / 10:
        return f"too much does not come out of a ring: {lines[-1]}"
    if n["bytes"] <= RING_ZEROCOPY:
        return f"no more was sent than a ring has room for: {lines[-1]}"
    return None


def copies_said(why):
    """A check: the source says once that it copies, and why, and no more."""
    def check(r):
        lines = [line for line in r["src_stderr"].splitlines()
                 if "xbzrle-dev-zerocopy" in line]
        if len(lines) != 1 or why not in lines[0]:
            return f"it does not say once, '{why}': {r['src_stderr']}"
        return None
    return check


def throttled(r):
    return None if r["throttled"] else "the guest was never throttled"


def every_hop(number):
    """A check: so many migrations led to the last one, by the device."""
    def check(r):
        if r["hops"] != [True] * number:
            return f"the device was not used and released in each: {r['hops']}"
        return None
    return check


def failed_once(why):
    """A check: one session failed, and the source says so."""
    def check(r):
        if "device-fails: here" not in r["src_stderr"]:
            return "nothing has failed, so nothing was tested"
        lines = [line for line in r["src_stderr"].splitlines()
                 if "' failed: " in line]
        if len(lines) != 1 or why not in lines[0]:
            return f"it does not say once, '{why}': {r['src_stderr']}"
        return None
    return check


def given_up(r):
    return "the session that failed is said to encode" if "x-dev-queues" in \
        (r["xbzrle"] or {}) else None


def failed_cleanly(why):
    """A check: the first attempt failed for a reason, which the source says."""
    def check(r):
        if not (r["broken_first"] or {}).get("device_released"):
            return "the session outlived the attempt that failed"
        if why not in r["src_stderr"]:
            return f"it does not say '{why}': {r['src_stderr']}"
        return None
    return check


# Whoever waits for the channel waits for half a minute. On an idle machine QEMU's
# monitor answers in less than a second; this one is emulated, and may be busy.
ANSWER_MS = 5000


def answered(r):
    first = r["broken_first"] or {}
    for name in ("answer_ms", "end_ms"):
        if (first.get(name) or ANSWER_MS) >= ANSWER_MS:
            return f"{name} of the stalled migration is {first.get(name)}"
    return None


def rate_refused(r):
    if not any("/dev/xbzrle" in text for text in r["said"].values()):
        return f"a dirty rate that cannot be measured: {r['said']}"
    return None


def queues_said(number):
    """A check: QEMU says that a session encodes, with so many queues."""
    def check(r):
        said = (r["xbzrle"] or {}).get("x-dev-queues")
        if said != number:
            return f"the session is said to have {said} queues, not {number}"
        return None
    return check


def held_for(passes):
    """A check: there were more passes than that."""
    return lambda r: None if (r["passes"] or 0) > passes else \
        f"it ended after {r['passes']} passes: too little was tested"


held = held_for(6)


def stopped_for(most):
    """A check: no more bytes were sent while the guest was stopped."""
    return lambda r: None if r["downtime_bytes"] <= most else \
        f"{r['downtime_bytes']} bytes were sent while the guest was stopped"


def difference_found(r):
    if r["memory_identical"] is not False or \
            r["memory"]["differing_bytes"] != 1:
        return f"a flipped byte was not noticed: {r['memory']}"
    return None


# Several passes over all of the guest's memory, whatever the machine's speed: the limit of
# 1 ms is worth two deltas then.
HOLD = ("--bandwidth", "16M", "--hold", "6passes", "--first-bandwidth", "1M",
        "--time-limit", "240")

QUEUES = "-global migration.xbzrle-dev-queues="
NO_COPIES = "-global migration.xbzrle-dev-zerocopy=on"

# As libvirt starts QEMU.
SANDBOX = ("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
           "resourcecontrol=deny")
FDSET = machine.FDSET


def backend(kind, more=""):
    """Arguments of a guest whose memory is of another kind."""
    return f"-object memory-backend-{kind},id=ram0,size=32M{more} -machine memory-backend=ram0"


def nodes(kind):
    """Arguments: memory of three nodes, of which the guest never looks at the second."""
    return " ".join(f"-object memory-backend-{k},id=m{i},size=32M"
                    for i, k in enumerate(("ram", kind, "ram")))


def multifd(channels, compression):
    """Arguments: deltas beside so many channels, to a QEMU that has multifd's flush."""
    return ("--mode", "xbzrle-dev", "--multifd", str(channels), "--compression",
            compression, "--destination", "@newer@")


MOVED = (completed, identical, to_stock)
BESIDE = (completed, identical, to_newer, by_channels, real_kvm)
DEVICE = MOVED + (through_device, released, rates_sound)
KVM = DEVICE + (real_kvm, silent)
HELD = KVM + (held,)
GAVE_UP = MOVED + (through_device, released, real_kvm, held, resumed, given_up)
STALLED = ("--source-args", NO_COPIES, "--bandwidth", "16M", "--first-bandwidth", "16M")
STALLED_CHECKS = MOVED + (sent_raw, released, real_kvm, broken_clean, answered)

CASES = (
    # The ground that the others stand on.
    case("plain-diverges",
         "the guest dirties memory more slowly than the link carries it",
         "--mode", "plain", "--time-limit", "12",
         patched=False, checks=(diverged, real_kvm)),
    case("qemu-xbzrle",
         "QEMU's own encoder cannot do what is asked of ours",
         "--mode", "qemu-xbzrle", patched=False,
         checks=MOVED + (real_kvm, without_device)),
    case("difference-is-found",
         "the comparison of memory lets a single byte pass",
         "--mode", "plain", "--bandwidth", "0", "--downtime", "2000",
         "--corrupt", patched=False, checks=(completed, difference_found)),

    # The device, with each kind of dirty log.
    case("manual-protect",
         "the log is not cleared before the snapshot, a dirty bit is lost, or "
         "the cache differs from the destination",
         "--mode", "xbzrle-dev", *HOLD, guest="words",
         checks=HELD + (queues_of_host,)),
    case("legacy-log",
         "bits that GET_DIRTY_LOG cleared are dropped or cleared again",
         "--mode", "xbzrle-dev", "--source-preload", "@legacy-log@",
         *HOLD, guest="words",
         checks=DEVICE + (held, real_kvm, log_hidden)),
    case("dirty-ring",
         "bits that QEMU's reaper sets do not reach the region's bitmap",
         "--mode", "xbzrle-dev", "--accel", "kvm,dirty-ring-size=4096",
         "--destination-accel", "kvm", *HOLD, guest="words", checks=HELD),
    case("tcg",
         "the session needs KVM, or QEMU's own bits are not seen",
         # So slow a guest writes now and then, and a pass without a write is the last.
         "--mode", "xbzrle-dev", "--accel", "tcg", *HOLD, "--hold", "3passes",
         "--first-bandwidth", "512K", guest="words",
         checks=DEVICE + (held_for(3), no_kvm, silent)),

    # Guests and machines.
    case("resume",
         "what arrives looks right but does not run",
         "--mode", "xbzrle-dev", "--channel", "tcp", "--resume",
         checks=KVM + (resumed,)),
    case("vga",
         "display memory, whose log has a second reader, loses pages",
         "--mode", "xbzrle-dev", "--args", "-vga std", checks=KVM),
    case("two-processors",
         "a second processor, with a dirty ring or stack of its own, confuses "
         "the session",
         "--mode", "xbzrle-dev", "--vcpus", "2", "--bandwidth", "6M",
         guest="words", checks=KVM),
    case("incompressible",
         "pages that no delta fits leave the cache wrong",
         "--mode", "xbzrle-dev", "--bandwidth", "3M",
         guest="noise", checks=MOVED + (sent_raw, released, real_kvm, silent)),
    case("tiny-cache",
         "evicting a page costs more than bytes",
         "--mode", "xbzrle-dev", "--cache", "64K",
         guest="calm", checks=MOVED + (released, real_kvm, silent)),
    case("any-cache-size",
         "a cache that is no power of two is refused, or made one",
         "--mode", "xbzrle-dev", "--cache", "10M",
         guest="calm", checks=KVM + (cache_size(10 << 20),)),
    case("no-cache",
         "a session cannot do without a cache",
         "--mode", "xbzrle-dev", "--cache", "0",
         guest="calm", checks=MOVED + (released, real_kvm, silent, cache_size(0))),
    case("predicted",
         "the guest is stopped by the number of dirty pages and not by their bytes, or "
         "before these are known",
         # All of it is dirty after each pass of two seconds, and takes 40 KB. The limit is
         # worth 60 KB, or 15 pages.
         "--mode", "xbzrle-dev", "--bandwidth", "20K", "--downtime", "3000",
         checks=KVM + (stopped_for(90000),)),
    case("many-blocks",
         "a page's block or offset is confused with another's",
         "--mode", "xbzrle-dev", "--memory", "256M",
         "--args", " ".join(
             f"-object memory-backend-ram,id=m{i},size=64M "
             f"-numa node,nodeid={i},memdev=m{i}" for i in range(4)),
         guest="border", checks=KVM),

    # Queues, and what threads do ahead of the stream. The other cases have a
    # queue for each processor.
    case("eight-queues",
         "a batch or a bit is lost when threads are paused or stopped, or a "
         "delta overtakes what it is based on",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "8",
         "--cancel-first", "1passes", "--resume", *HOLD,
         guest="words",
         checks=DEVICE + (held, queues(8), broken_clean, resumed)),
    case("postcopy",
         "what is not sent when postcopy begins is not in the bitmaps either",
         "--mode", "xbzrle-dev", "--postcopy", "2passes",
         "--source-args", QUEUES + "8",
         "--first-bandwidth", "2M", guest="words",
         checks=KVM + (queues(8), postcopied)),
    case("too-many-queues",
         "a number that cannot be is taken, or refused without saying so",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "65",
         checks=(refused,)),

    # Sending without copies.
    case("zerocopy",
         "batches are copied or sent in pieces, or a ring is written to while "
         "the kernel still sends from it",
         "--mode", "xbzrle-dev", "--channel", "tcp",
         # Its one ring is smaller than what is sent. Not held: on a slow link
         # batches are small.
         "--cancel-first", "1passes", "--source-args", QUEUES + "1 " + NO_COPIES,
         "--source-preload", "@zerocopy-log@",
         "--bandwidth", "16M", "--first-bandwidth", "16M", guest="long",
         checks=DEVICE + (real_kvm, broken_clean, no_copies)),
    case("zerocopy-unix",
         "a channel that cannot do without copies fails, nobody is told, or one "
         "queue, which has no thread, does not do what threads do",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "1 " + NO_COPIES,
         *HOLD, guest="words",
         checks=DEVICE + (real_kvm, queues(1), copies_said("not TCP"))),
    case("tls",
         "what is encrypted is not what the rings held, or nobody is told that "
         "it is copied",
         "--mode", "xbzrle-dev", "--channel", "tcp", "--tls",
         "--source-args", NO_COPIES, guest="calm",
         checks=DEVICE + (real_kvm, copies_said("TLS"))),
    case("zerocopy-no-memory",
         "a limit on locked memory fails the migration, or nobody is told",
         "--mode", "xbzrle-dev", "--channel", "tcp",
         "--source-args", NO_COPIES, "--source-preload", "@no-locked-memory@",
         guest="calm", checks=DEVICE + (copies_said("RLIMIT_MEMLOCK"),)),

    # The device is absent or not wanted.
    case("no-device",
         "a missing module fails a migration, or is passed over in silence",
         # The built-in encoder wants a power of two.
         "--mode", "xbzrle-dev", "--xbzrle-dev", "/nonexistent",
         "--cache", "10M",
         checks=MOVED + (without_device, said_once, cache_size(8 << 20))),
    case("capability-off",
         "the patch changes QEMU when nobody asked for XBZRLE",
         "--mode", "plain", "--bandwidth", "0", "--downtime", "2000",
         "--source", "@qemu@", checks=MOVED + (without_device, silent)),

    # Beside multifd. They need a patched QEMU from 10.0 on, and a stock one.
    case("multifd",
         "a whole page is lost, sent out of memory that is not its own any more, or "
         "overtaken by a delta",
         *multifd(1, "none"), "--resume", *HOLD, guest="words",
         checks=BESIDE + (through_device, released, silent, held, resumed)),
    case("multifd-zstd",
         "channels that compress are not given what was remembered, or a delta "
         "overtakes a page of another channel",
         *multifd(4, "zstd"), "--channel", "tcp", *HOLD, guest="words",
         checks=BESIDE + (through_device, released, silent, held)),
    case("multifd-many-blocks",
         "a page of a channel is written to another block",
         *multifd(2, "zlib"), "--memory", "256M",
         "--args", " ".join(
             f"-object memory-backend-ram,id=m{i},size=64M "
             f"-numa node,nodeid={i},memdev=m{i}" for i in range(4)),
         guest="border", checks=BESIDE + (through_device, released, silent)),
    case("multifd-incompressible",
         "ring space is not released in order, or all wait for each other when it is "
         "used up",
         *multifd(2, "none"), "--source-args", QUEUES + "1", "--bandwidth", "3M",
         guest="noise", checks=BESIDE + (sent_raw, released, silent)),
    case("multifd-by-property",
         "deltas beside multifd cannot be had without the capability",
         *multifd(2, "zstd"), "--by-property", guest="calm",
         checks=BESIDE + (device_used, released, silent)),
    case("multifd-cancel",
         "a channel reads a ring that is gone, or a cancelled migration leaves its "
         "packets to the next",
         *multifd(2, "zstd"), "--cancel-first", "1passes", "--bandwidth", "16M",
         guest="words", checks=BESIDE + (through_device, released, broken_clean)),
    case("multifd-channel-dies",
         "a channel that dies leaves ring space taken, a thread waiting, or the "
         "session open",
         *multifd(2, "none"), "--channel", "tcp", "--cut-first", "1passes",
         "--bandwidth", "16M",
         guest="words", checks=BESIDE + (through_device, released, broken_clean)),
    case("multifd-no-device",
         "a missing module fails multifd, or lets the built-in encoder in",
         *multifd(2, "zstd"), "--xbzrle-dev", "/nonexistent", "--bandwidth", "0",
         "--downtime", "2000",
         checks=BESIDE + (without_device, multifd_alone_said)),

    # A migration that is broken off, and the next one.
    case("cancel-then-again",
         "a cancelled session leaves something behind, or its dirty bits",
         "--mode", "xbzrle-dev", "--cancel-first", "1passes", "--resume",
         "--bandwidth", "16M", guest="words",
         checks=DEVICE + (broken_clean, resumed)),
    case("destination-dies",
         "a broken channel leaves ring space taken or the guest's log off",
         "--mode", "xbzrle-dev", "--kill-first", "1500ms",
         "--bandwidth", "16M", guest="words",
         checks=DEVICE + (broken_clean,)),

    # A receiver that does not receive, and a network that carries nothing.
    case("receiver-stops",
         "ending a session waits for what the receiver does not take",
         "--mode", "xbzrle-dev", "--channel", "tcp", "--stop-first", "700ms", *STALLED,
         guest="raw", long=True, checks=STALLED_CHECKS),
    case("network-drops",
         "ending a session waits for the kernel, which waits for the network",
         "--mode", "xbzrle-dev", "--channel", "tcp", "--drop-first", "700ms", *STALLED,
         guest="raw", long=True, checks=STALLED_CHECKS),

    # How QEMU is started.
    case("fdset",
         "a descriptor that QEMU is given serves one migration alone, or none",
         "--mode", "xbzrle-dev", "--xbzrle-dev", FDSET, "--cancel-first", "1passes",
         "--bandwidth", "16M", guest="words", long=True,
         checks=KVM + (broken_clean,)),
    case("sandbox",
         "a system call of a session is one that libvirt has the kernel refuse",
         "--mode", "xbzrle-dev", "--source-args", f"{SANDBOX} {QUEUES}4",
         *HOLD, guest="words", long=True, checks=KVM + (queues(4),)),

    # What else a migration may do.
    case("exec",
         "what goes to a file is not what a socket gets",
         "--mode", "xbzrle-dev", "--channel", "exec", "--resume", *HOLD,
         guest="words", long=True, checks=KVM + (resumed,)),
    case("fd",
         "a session writes to a file in another way than QEMU does",
         "--mode", "xbzrle-dev", "--channel", "fd", "--resume", *HOLD,
         guest="words", long=True, checks=DEVICE + (real_kvm, resumed)),
    case("snapshot",
         "a snapshot is taken by way of the device, or what is saved with the capability on "
         "cannot be loaded",
         "--mode", "xbzrle-dev", "--before", "snapshot", "--bandwidth", "16M",
         guest="words", long=True, checks=KVM),
    case("pause-before-switchover",
         "what the last pass has to send changes while it waits to be told",
         "--mode", "xbzrle-dev", "--capability", "pause-before-switchover",
         "--at", "pre-switchover", "migrate_continue pre-switchover",
         *HOLD, guest="words", long=True, checks=KVM),
    case("auto-converge",
         "the throttle's own reading of the dirty log takes bits from the session",
         "--mode", "xbzrle-dev", "--capability", "auto-converge", "--bandwidth", "16M",
         # It looks at more than a second, twice.
         "--hold", "12passes", "--first-bandwidth", "1M", "--time-limit", "240",
         guest="words", long=True, checks=KVM + (throttled,)),
    case("dirty-limit",
         "what holds a processor to a rate reads the dirty ring, and the session does not "
         "get what it took",
         "--mode", "xbzrle-dev", "--accel", "kvm,dirty-ring-size=4096",
         "--destination-accel", "kvm", "--at", "1passes", "set_vcpu_dirty_limit 4",
         *HOLD, guest="words", long=True, checks=KVM),
    case("resized",
         "a cache that changes its size in the middle forgets or mixes up pages",
         "--mode", "xbzrle-dev", "--at", "1passes", "migrate_set_parameter xbzrle-cache-size 1M",
         "--at", "2passes", "migrate_set_parameter xbzrle-cache-size 32M",
         *HOLD, guest="words", long=True, checks=KVM + (cache_size(32 << 20),)),
    case("round-trip",
         "a QEMU that has received cannot send by a session, or has bits left over",
         "--mode", "xbzrle-dev", "--destination", "@qemu@", "--hops", "3", "--resume",
         guest="calm", long=True,
         checks=(completed, identical, through_device, released, resumed, real_kvm, silent,
                 every_hop(2))),

    # Memory of other kinds, and slots that come and go.
    case("memfd",
         "shared memory is read or pinned in another way",
         "--mode", "xbzrle-dev", "--args", backend("memfd", ",share=on"),
         *HOLD, guest="words", long=True, checks=KVM),
    case("huge-pages",
         "a huge page is taken for one page, or is not read",
         "--mode", "xbzrle-dev",
         "--args", backend("memfd", ",hugetlb=on,hugetlbsize=2M"),
         *HOLD, guest="words", long=True, checks=KVM),
    case("file-backend",
         "pages of a file are not read",
         "--mode", "xbzrle-dev",
         "--source-args", backend("file", ",share=on,mem-path=/tmp/xbz-source"),
         "--destination-args", backend("file", ",share=on,mem-path=/tmp/xbz-destination"),
         *HOLD, guest="words", long=True, checks=KVM),
    case("virtio-mem",
         "memory that is not plugged is sent, or has dirty bits",
         "--mode", "xbzrle-dev", "--args",
         "-m maxmem=512M -object memory-backend-ram,id=vmem0,size=64M "
         "-device virtio-mem-pci,memdev=vmem0,block-size=2M,requested-size=0",
         *HOLD, guest="words", long=True, checks=KVM),
    case("block-comes-and-goes",
         "a block that is there for a part of a migration is mistaken for another",
         "--mode", "xbzrle-dev",
         "--at", "1passes", "object_add memory-backend-ram,id=late,size=8M,prealloc=on",
         "--at", "2passes", "object_del late",
         *HOLD, guest="words", long=True, checks=KVM),
    case("slot-moves",
         "a memory slot that the guest moves takes its dirty bits along, or leaves the log "
         "of the old one in use",
         # The address of video memory, which is the PCI device 00:02.0.
         "--mode", "xbzrle-dev", "--args", "-device VGA,addr=2",
         "--at", "1passes", "o /4 0xcf8 0x80001010",
         "--at", "1passes", "o /4 0xcfc 0xe0000000",
         "--at", "2passes", "o /4 0xcfc 0xd0000000",
         *HOLD, guest="words", long=True, checks=KVM),
    case("smm",
         "the second address space, of system management mode, confuses the slots",
         "--mode", "xbzrle-dev", "--machine", "q35", "--args", "-machine smm=on",
         *HOLD, guest="words", long=True, checks=KVM),
    *(case(f"processors-{number}",
           f"{number} processors, of which most do nothing, confuse the session",
           "--mode", "xbzrle-dev", "--vcpus", str(number), "--bandwidth", "6M",
           guest="words", long=True,
           # QEMU warns of more than the machine has.
           checks=DEVICE + (real_kvm,)) for number in (3, 4, 8)),

    # The module fails in the middle.
    case("sync-fails",
         "a sync that fails fails the migration, or what KVM has logged is lost",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "2",
         "--source-preload", "@sync-fails@", "--resume", *HOLD, guest="words",
         checks=GAVE_UP + (failed_once("dirty logs cannot be fetched"),)),
    case("log-fails",
         "a slot's log that KVM does not give fails the migration, or is lost",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "1",
         "--source-preload", "@log-fails@", "--resume", *HOLD, guest="words",
         checks=GAVE_UP + (failed_once("KVM does not give the dirty log"),)),
    case("clear-fails",
         "a log that KVM does not clear fails the migration, or the page is left out",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "2",
         "--source-preload", "@clear-fails@", "--resume", *HOLD, guest="words",
         checks=GAVE_UP + (failed_once("KVM does not clear the dirty log"),)),
    case("encode-fails",
         "batches under way are lost, doubled or come after pages that QEMU "
         "sends",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "8 " + NO_COPIES,
         "--channel", "tcp", "--source-preload", "@encode-fails@", "--resume",
         *HOLD, guest="words",
         checks=GAVE_UP + (failed_once("pages cannot be encoded"),)),
    case("fails-then-again",
         "after a session that failed the next migration does without the device",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "2",
         "--source-preload", "@sync-fails@", "--cancel-first", "3passes",
         "--bandwidth", "16M", "--first-bandwidth", "4M", "--resume", guest="words",
         checks=DEVICE + (real_kvm, broken_clean, resumed, queues_said(2),
                          failed_once("dirty logs cannot be fetched"))),
    case("unreadable",
         "guest memory that cannot be read is sent all the same, or hurts more than one "
         "migration",
         "--mode", "xbzrle-dev", "--memory", "96M", "--args",
         " ".join(f"-numa node,nodeid={i},memdev=m{i}" for i in range(3)),
         "--source-args", nodes(f"file,share=on,mem-path={UNREADABLE}"),
         "--destination-args", nodes("ram"), "--empty-first", "0ms",
         "--first-bandwidth", "64K", "--bandwidth", "16M", "--resume", guest="words",
         checks=DEVICE + (real_kvm, resumed,
                          failed_cleanly("cannot read memory of RAM block 'm1'"))),

    # What QEMU says of a session.
    case("settings",
         "settings do not change while QEMU runs, take what cannot be, or change under a "
         "migration",
         "--mode", "xbzrle-dev", "--xbzrle-dev", "/nonexistent", "--before", "settings",
         "--at", "active", "!qom-set /xbzrle xbzrle-dev-queues 2",
         "--bandwidth", "16M", guest="words", checks=KVM + (queues(3), queues_said(3))),
    case("dirty-rate",
         "a dirty rate is measured by bits that the session takes, or nobody is "
         "told who encodes, with how many queues",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "3",
         "--at", "active", "!calc_dirty_rate -b 1",
         *HOLD, guest="words", checks=HELD + (rate_refused, queues_said(3))),
    case("cpu-max",
         "there are more queues than its control group lets QEMU's threads run",
         "--mode", "xbzrle-dev", "--cpu-max", "100000 100000",
         guest="calm", checks=KVM + (queues(1),)),

    # The module fails in the middle, beside multifd.
    case("multifd-encode-fails",
         "whole pages that channels still have are lost or come after those that QEMU "
         "sends, or the built-in encoder is let in",
         *multifd(2, "none"), "--source-args", QUEUES + "4", "--channel", "tcp",
         "--source-preload", "@encode-fails@", "--resume", *HOLD, guest="words",
         checks=BESIDE + (through_device, released, held, resumed, multifd_alone_said,
                          given_up, failed_once("pages cannot be encoded"))),
)


def failures(checks, result):
    """What is wrong with a result, as texts; empty if it is as it should."""
    return [text for text in (check(result) for check in checks) if text]
