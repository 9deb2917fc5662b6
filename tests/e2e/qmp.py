# SPDX-License-Identifier: GPL-2.0-only
"""A small client of QEMU's machine protocol (QMP) over a UNIX socket.

What lives here: connecting, commands, errors; events are passed over. What does not:
anything that knows what a migration is, see migration.py. QEMU's own client, qemu.qmp,
is in no package of Debian 12.
"""

import json
import socket
import time


class QMPError(Exception):
    """QEMU refused a command, and str() is its own description; or it does not answer."""


class QMP:
    """One connection. Not thread safe; one command is under way at a time."""

    def __init__(self, sock):
        self.sock = sock
        self.lines = sock.makefile("rb")
        self.next_id = 0

    @classmethod
    def connect(cls, path, alive, timeout):
        """Connect to QEMU's socket at 'path', which may not be there yet.

        'alive' is called while waiting; it returns False once there is no
        QEMU left that could listen.
        """
        deadline = time.monotonic() + timeout
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(path)
                break
            except OSError:
                sock.close()
            if not alive():
                raise QMPError("QEMU ended before it opened its QMP socket")
            if time.monotonic() > deadline:
                raise QMPError(f"no QMP socket after {timeout} s")
            time.sleep(0.01)
        qmp = cls(sock)
        sock.settimeout(timeout)
        greeting = qmp.receive()
        if "QMP" not in greeting:
            raise QMPError(f"not a QMP greeting: {greeting}")
        qmp.command("qmp_capabilities", timeout=timeout)
        return qmp

    def close(self):
        self.lines.close()
        self.sock.close()

    def receive(self):
        """The next message, an object."""
        try:
            line = self.lines.readline()
            message = json.loads(line) if line else None
        except TimeoutError:
            raise QMPError("no answer in time") from None
        except OSError as e:
            raise QMPError(f"the connection broke: {e}") from None
        except ValueError as e:
            raise QMPError(f"not JSON: {e}") from None
        if not isinstance(message, dict):
            raise QMPError(f"not a QMP message: {message}" if line else "QEMU has closed it")
        return message

    def command(self, name, *fds, timeout=60, **arguments):
        """Run one command, with open files; returns its value or raises QMPError."""
        self.next_id += 1
        # Python has no '-' in keywords, QMP has no '_' in arguments.
        request = {"execute": name, "id": self.next_id,
                   "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        line = json.dumps(request).encode() + b"\n"
        self.sock.settimeout(timeout)
        try:
            # Empty ancillary data is none.
            sent = socket.send_fds(self.sock, [line], fds) if fds else 0
            self.sock.sendall(line[sent:])
            message = self.receive()
            while message.get("id") != self.next_id:
                message = self.receive()
        except (QMPError, OSError) as e:
            raise QMPError(f"QMP, {name}: {e}") from None
        if "error" in message:
            raise QMPError(f"{name}: {message['error'].get('desc')}")
        return message.get("return")

    def human(self, line):
        """Run a line of the human monitor, for what QMP cannot tell."""
        return self.command("human-monitor-command", command_line=line)
