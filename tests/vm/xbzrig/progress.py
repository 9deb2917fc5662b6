# SPDX-License-Identifier: GPL-2.0-only
"""Long commands: the output goes to a log, a sign of life to stderr every ten
seconds. If the command fails, the end of its log is shown.
"""

import os
import re
import subprocess
import sys
import time

from .common import RigError, say

TAIL = 25
SIGN_SECONDS = 10
ERROR = re.compile(r"\b(error|undefined reference)\b.*|\*\*\* .*(No rule|Error)|^FAILED:|^E: ")


def run(title, argv, log, cwd=None, env=None, quiet=False):
    """Run argv, appending its output to the file log; RigError if it fails, and
    the end of the log on stderr unless the caller has another way (quiet)."""
    begin = time.monotonic()
    with open(log, "ab", buffering=0) as file:
        file.write(f"$ {' '.join(map(str, argv))}\n".encode())
        # A group of its own, so that an interrupt ends compilers, too; but not a
        # session, which the scheduler would take for one more user's.
        try:
            child = subprocess.Popen([str(arg) for arg in argv], cwd=cwd, env=env,
                                     stdin=subprocess.DEVNULL, stdout=file,
                                     stderr=subprocess.STDOUT, process_group=0)
        except FileNotFoundError as error:
            raise RigError(f"{error.filename} is not there; "
                           "tests/vm/provision installs what the rig needs") from error
        try:
            while True:
                try:
                    status = child.wait(SIGN_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    say(f"{title}: {time.monotonic() - begin:.0f} s: {_lines(log)[-1][:100]}")
        except BaseException:
            os.killpg(child.pid, 15)
            child.wait()
            raise
    if status:
        if quiet:
            raise RigError(title)
        _show_failure(log)
        raise RigError(f"{title}: status {status}; the whole log is {log}")


def _lines(log):
    with open(log, "rb") as file:
        return file.read().decode(errors="replace").splitlines()


def _show_failure(log):
    """The end of a log, and before it the first error, if that is further up:
    a parallel make goes on for a while after the line that matters."""
    lines = _lines(log)
    begin = max(0, len(lines) - TAIL)
    first = next((number for number, line in enumerate(lines) if ERROR.search(line)), begin)
    shown = lines[first:first + 10] + ["..."] if first < begin else []
    for line in shown + lines[begin:]:
        print(f"    {line[:300]}", file=sys.stderr)
