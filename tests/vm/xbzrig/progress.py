# SPDX-License-Identifier: GPL-2.0-only
"""Long commands: the output goes to a log, a sign of life to stderr.

On a terminal one line is overwritten; elsewhere (CI) a line comes every ten
seconds. If the command fails, the end of its log is shown.
"""

import os
import re
import selectors
import shutil
import subprocess
import sys
import time

from .common import RigError, say

TAIL = 25
ERROR = re.compile(r"\b(error|undefined reference)\b.*|\*\*\* .*(No rule|Error)|^FAILED:|^E: ")


class Meter:
    """Says how far a command is, from the lines that it prints.

    measure(line, state) returns the text to show, or None for a line that
    says nothing about progress; state is a dict of its own.
    """

    def __init__(self, title, measure):
        self.title = title
        self.measure = measure
        self.state = {}
        self.text = ""
        self.begin = time.monotonic()
        self.tty = sys.stderr.isatty()
        self.interval = 0.2 if self.tty else 10
        self.next = self.begin + self.interval

    def line(self, line):
        self.text = self.measure(line, self.state) or self.text

    def tick(self):
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + self.interval
        text = f"{self.title} {self.text} ({now - self.begin:.0f} s)"
        if self.tty:
            width = shutil.get_terminal_size().columns - 6
            print(f"\rrig: {text[:width]}\033[K", end="", file=sys.stderr, flush=True)
        else:
            say(text)

    def done(self):
        if self.tty:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        return time.monotonic() - self.begin


def last_line(line, _state):
    """For commands whose own lines say enough."""
    return line.strip()[:100]


def ninja(line, _state):
    """[12/345] and what it is about."""
    return line.strip()[:100] if line.startswith("[") else None


def kbuild(line, state):
    """kbuild does not know how much there is; the count of steps moves, though."""
    word = line.split(None, 1)
    if len(word) == 2 and line.startswith("  "):
        state["steps"] = state.get("steps", 0) + 1
        return f"[{state['steps']}] {word[0]} {word[1].strip()[:80]}"
    return None


def run(title, argv, log, measure=last_line, cwd=None, env=None, quiet=False):
    """Run argv, appending its output to the file log; RigError if it fails, and
    the end of the log on stderr unless the caller has another way (quiet)."""
    meter = Meter(title, measure)
    with open(log, "ab", buffering=0) as file:
        file.write(f"$ {' '.join(map(str, argv))}\n".encode())
        # A group of its own, so that an interrupt ends compilers, too; but not a
        # session, which the scheduler would take for one more user's.
        try:
            child = subprocess.Popen(
                [str(arg) for arg in argv], cwd=cwd, env=env,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, process_group=0)
        except FileNotFoundError as error:
            raise RigError(f"{error.filename} is not there; "
                           "tests/vm/provision installs what the rig needs") from error
        try:
            status = _pump(child, file, meter)
        except BaseException:
            os.killpg(child.pid, 15)
            child.wait()
            raise
        finally:
            seconds = meter.done()
    if status:
        if quiet:
            raise RigError(title)
        _show_failure(log)
        raise RigError(f"{title}: status {status}; the whole log is {log}")
    if seconds > 2:
        say(f"{title}: done in {seconds:.0f} s")


def _show_failure(log):
    """The end of a log, and before it the first error, if that is further up:
    a parallel make goes on for a while after the line that matters."""
    with open(log, "rb") as file:
        lines = file.read().decode(errors="replace").splitlines()
    begin = max(0, len(lines) - TAIL)
    first = next((number for number, line in enumerate(lines)
                  if ERROR.search(line)), begin)
    shown = lines[begin:]
    if first < begin:
        shown = lines[first:first + 10] + ["..."] + shown
    for line in shown:
        print(f"    {line[:300]}", file=sys.stderr)


def _pump(child, file, meter):
    """Move output to the log and the meter until the command ends."""
    selector = selectors.DefaultSelector()
    selector.register(child.stdout, selectors.EVENT_READ)
    rest = b""
    while True:
        meter.tick()
        if not selector.select(0.2):
            continue
        data = os.read(child.stdout.fileno(), 65536)
        if not data:
            return child.wait()
        file.write(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            meter.line(line.decode(errors="replace"))
