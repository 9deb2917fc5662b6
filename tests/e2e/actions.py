# SPDX-License-Identifier: GPL-2.0-only
"""What single cases of the table (cases.py) do to a migration (migration.py): before it
begins, or to break one off in the middle.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time

import memory
import migration

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
