# SPDX-License-Identifier: GPL-2.0-only
"""A small client of QEMU's machine protocol (QMP) over a UNIX socket.

What lives here: connecting, commands, events, errors. What does not: anything
that knows what a migration is, see migration.py. QEMU's own client, qemu.qmp, is
in no package of Debian 12.
"""

import collections
import json
import socket
import time


class QMPError(Exception):
    """QEMU refused a command; str() is QEMU's own description."""


class QMPClosed(QMPError):
    """QEMU went away, or what it sent is not QMP."""


class QMPTimeout(QMPError):
    """No answer in time."""


class QMP:
    """One connection. Not thread safe; one command is under way at a time."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.events = collections.deque()
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
                raise QMPClosed("QEMU ended before it opened its QMP socket")
            if time.monotonic() > deadline:
                raise QMPTimeout(f"no QMP socket after {timeout} s")
            time.sleep(0.01)
        qmp = cls(sock)
        greeting = qmp.receive(deadline)
        if "QMP" not in greeting:
            raise QMPClosed(f"not a QMP greeting: {greeting}")
        qmp.command("qmp_capabilities", timeout=timeout)
        return qmp

    def close(self):
        self.sock.close()

    def receive(self, deadline):
        """The next message, an object. Raises QMPTimeout, QMPClosed."""
        while b"\n" not in self.buffer:
            self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                raise QMPTimeout("QEMU did not answer in time") from None
            except OSError as e:
                raise QMPClosed(f"QMP connection broke: {e}") from None
            if not data:
                raise QMPClosed("QEMU closed its QMP connection")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError as e:
            raise QMPClosed(f"not JSON from QMP: {e}") from None
        if not isinstance(message, dict):
            raise QMPClosed(f"not a QMP message: {message}")
        return message

    def command(self, name, *fds, timeout=60, **arguments):
        """Run one command, with open files; returns its value or raises QMPError."""
        deadline = time.monotonic() + timeout
        self.next_id += 1
        # Python has no '-' in keywords, QMP has no '_' in arguments.
        request = {"execute": name, "id": self.next_id,
                   "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        try:
            self.sock.settimeout(10)
            line = json.dumps(request).encode() + b"\n"
            # Empty ancillary data is none.
            sent = socket.send_fds(self.sock, [line], fds) if fds else 0
            self.sock.sendall(line[sent:])
        except OSError as e:
            raise QMPClosed(f"QMP connection broke: {e}") from None
        while True:
            try:
                message = self.receive(deadline)
            except QMPTimeout:
                raise QMPTimeout(f"no answer to {name} in {timeout} s") from None
            if "event" in message:
                self.events.append(message)
            elif message.get("id") == self.next_id:
                if "error" in message:
                    raise QMPError(f"{name}: {message['error'].get('desc')}")
                return message.get("return")

    def human(self, line, timeout=60):
        """Run a line of the human monitor, for what QMP cannot tell."""
        return self.command("human-monitor-command", timeout=timeout,
                            command_line=line)

    def wait_event(self, timeout):
        """The next event, or None after 'timeout' seconds."""
        deadline = time.monotonic() + timeout
        try:
            while not self.events:
                message = self.receive(deadline)
                if "event" in message:
                    return message
        except QMPTimeout:
            return None
        return self.events.popleft()
