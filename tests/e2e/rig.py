# SPDX-License-Identifier: GPL-2.0
"""Running a program of this folder inside tests/rig/vm.

What lives here: starting the rig, ending it with us, the options that are
handed on to it. What does not: the rig, see tests/rig.
"""

import ctypes
import os
import signal
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))
RIG = os.path.normpath(os.path.join(HERE, "..", "rig", "vm"))
PR_SET_PDEATHSIG = 1

# The rig's own exit statuses, see tests/rig/vm --help.
MEANING = {
    123: "the kernel's log has an oops, a BUG or a WARNING",
    124: "it took longer than the time limit",
    125: "the machine did not boot, or the module could not be loaded",
}

_libc = ctypes.CDLL(None, use_errno=True)


def add_options(parser):
    """The options of a program that boots the rig."""
    g = parser.add_argument_group("the machine that it runs in")
    g.add_argument("--kernel", metavar="NAME",
                   help="kernel to boot (tests/rig/vm's default)")
    g.add_argument("--module", metavar="PATH.ko",
                   help="module to load (tests/rig/vm's default)")
    g.add_argument("--no-module", action="store_true",
                   help="load no module")


def run(options, out, timeout, command):
    """Run 'command' in the rig with 'out' writable; returns its status.

    Its output goes where ours goes. Ends with us, whatever ends us.
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
    status = child.wait()
    if received:
        raise SystemExit(128 + received[0])
    return status
