# SPDX-License-Identifier: GPL-2.0-only
"""How a program of this folder runs itself inside tests/vm/boot."""

import os
import sys

import machine

HERE = os.path.dirname(os.path.realpath(__file__))
RIG = os.path.normpath(os.path.join(HERE, "..", "vm", "boot"))
sys.path.insert(0, os.path.dirname(RIG))

from xbzrig import common, emulator                         # noqa: E402

MEANING = {
    common.EXIT_KLOG: "the kernel's log has an oops, a BUG or a WARNING",
    common.EXIT_TIMEOUT: "it took longer than the time limit, or gave no sign of life",
    common.EXIT_RIG: "the machine did not boot, or the module could not be loaded",
}


def add_options(parser):
    """The options of a program that boots the rig."""
    g = parser.add_argument_group("the machine that it runs in")
    g.add_argument("--kernel", metavar="NAME",
                   help="kernel to boot (tests/vm/boot's default)")
    g.add_argument("--module", metavar="PATH.ko",
                   help="module to load (tests/vm/boot's default)")


def command(options, out, timeout, argv, more=()):
    """The command that runs 'argv' in the rig, with 'out' writable and more options of
    tests/vm/boot, and ends with us, whatever ends us."""
    given = [f"--{name}={getattr(options, name)}" for name in ("kernel", "module")
             if getattr(options, name)]
    return ["setpriv", "--pdeathsig", "TERM", RIG, "--out", out,
            "--timeout", str(timeout), *given, *more, "--", *argv]


def newer_qemu(qemu):
    """The QEMU that emulates machines, which is 10.0 or newer, if 'qemu' has deltas
    beside multifd; else None."""
    return str(emulator.command()[0]) if machine.version(qemu) >= (10, 0) else None
