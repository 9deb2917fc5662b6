# SPDX-License-Identifier: GPL-2.0-only
"""Where things are, and how the rig speaks and fails."""

import os
import pathlib
import sys

RIG = pathlib.Path(__file__).resolve().parent.parent
CHECKOUT = RIG.parent.parent

# Statuses that are the rig's own. Everything below 123 and above 127 is the
# command's; 126 and 127 mean what they mean in a shell.
EXIT_KLOG = 123
EXIT_TIMEOUT = 124
EXIT_RIG = 125


class RigError(Exception):
    """Something about the rig, not about what runs in it, went wrong. The
    text is shown to the user as it is: it has to name the mend."""


def say(text):
    """One line for the person who waits, on stderr: stdout belongs to results."""
    print(f"rig: {text}", file=sys.stderr, flush=True)


def main(function):
    """Run a command's main function; rig errors become one line and 125."""
    try:
        status = function()
    except RigError as error:
        say(f"error: {error}")
        status = EXIT_RIG
    except KeyboardInterrupt:
        say("interrupted")
        status = 130
    except BrokenPipeError:
        # Whoever read our output has gone; nobody is left to complain to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status)
