# SPDX-License-Identifier: GPL-2.0-only
"""Running a program of this folder inside tests/vm/boot.

What lives here: starting the rig, ending it with us, the options that are
handed on to it. What does not: the rig, see tests/vm.
"""

import ctypes
import os
import signal
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
RIG = os.path.normpath(os.path.join(HERE, "..", "vm", "boot"))
PR_SET_PDEATHSIG = 1

# A program inside that is to be watched gives a sign of life so often, and is
# given up after so long: emulation on a busy machine is slow, not that slow.
BEAT_SECONDS = 5
SILENT_SECONDS = 180

# The rig's own exit statuses, see tests/vm/boot --help.
HUNG = -1
MEANING = {
    HUNG: f"the machine gave no sign of life for {SILENT_SECONDS} s",
    123: "the kernel's log has an oops, a BUG or a WARNING",
    124: "it took longer than the time limit",
    125: "the machine did not boot, or the module could not be loaded",
}

_libc = ctypes.CDLL(None, use_errno=True)


def add_options(parser):
    """The options of a program that boots the rig."""
    g = parser.add_argument_group("the machine that it runs in")
    g.add_argument("--kernel", metavar="NAME",
                   help="kernel to boot (tests/vm/boot's default)")
    g.add_argument("--module", metavar="PATH.ko",
                   help="module to load (tests/vm/boot's default)")
    g.add_argument("--no-module", action="store_true",
                   help="load no module")


def beat(path):
    """Inside: keep giving signs of life in the file 'path'."""
    def forever():
        while True:
            with open(path, "w", encoding="ascii") as f:
                f.write(f"{time.monotonic()}\n")
            time.sleep(BEAT_SECONDS)
    threading.Thread(target=forever, daemon=True).start()


def _wait(child, beats):
    """The child's status, or HUNG once the file 'beats' is not written to."""
    if not beats:
        return child.wait()
    if os.path.exists(beats):
        os.unlink(beats)
    last, since = None, time.monotonic()
    while True:
        try:
            return child.wait(BEAT_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        now = os.stat(beats).st_mtime if os.path.exists(beats) else None
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > SILENT_SECONDS:
            child.terminate()
            child.wait()
            return HUNG


def run(options, out, timeout, command, beats=None):
    """Run 'command' in the rig with 'out' writable; returns its status.

    Its output goes where ours goes. Ends with us, whatever ends us. With
    'beats' the command calls beat() with that file, and is ended if it stops.
    """
    argv = [RIG, "--out", out, "--timeout", str(timeout)]
    if options.kernel:
        argv += ["--kernel", options.kernel]
    if options.module:
        argv += ["--module", options.module]
    if options.no_module:
        argv += ["--no-module"]
    argv += ["--", *command]

    # In a session of its own, so that a Ctrl-C arrives there once, from us.
    child = subprocess.Popen(
        argv, start_new_session=True, stdin=subprocess.DEVNULL,
        preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM))
    received = []

    def hand_on(number, _frame):
        received.append(number)
        child.send_signal(signal.SIGTERM)

    # The rig has to clean up before we may go: hand the signal on and wait.
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, hand_on)
    status = _wait(child, beats)
    if received:
        raise SystemExit(128 + received[0])
    return status
