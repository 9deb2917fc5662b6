# SPDX-License-Identifier: GPL-2.0-only
"""A small client of QEMU's machine protocol (QMP) over a UNIX socket.

What lives here: connecting, commands, events, errors. What does not: anything
that knows what a migration is, see migration.py.
"""

import collections
import json
import socket
import time


class QMPError(Exception):
    """QEMU refused a command; str() is QEMU's own description."""

    def __init__(self, command, error):
        super().__init__(f"{command}: {error.get('desc', 'unknown error')}")
        self.kind = error.get("class", "")


class QMPClosed(Exception):
    """QEMU went away, or what it sent is not QMP."""


class QMPTimeout(Exception):
    """No answer in time."""


class QMP:
    """One connection. Not thread safe; one command is under way at a time,
    except between start() and finish()."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.lines = collections.deque()
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
        while not self.lines:
            left = deadline - time.monotonic()
            if left <= 0:
                raise QMPTimeout("QEMU did not answer in time")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(65536)
            except socket.timeout:
                continue
            except OSError as e:
                raise QMPClosed(f"QMP connection broke: {e}") from None
            if not data:
                raise QMPClosed("QEMU closed its QMP connection")
            *complete, self.buffer = (self.buffer + data).split(b"\n")
            self.lines.extend(line for line in complete if line.strip())
        try:
            message = json.loads(self.lines.popleft())
        except ValueError as e:
            raise QMPClosed(f"not JSON from QMP: {e}") from None
        if not isinstance(message, dict):
            raise QMPClosed(f"not a QMP message: {message}")
        return message

    def start(self, name, **arguments):
        """Send a command without waiting; finish() takes the token."""
        self.next_id += 1
        request = {"execute": name, "id": self.next_id}
        if arguments:
            # Python has no '-' in keywords, QMP has no '_' in arguments.
            request["arguments"] = {k.replace("_", "-"): v
                                    for k, v in arguments.items()}
        try:
            self.sock.settimeout(10)
            self.sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError as e:
            raise QMPClosed(f"QMP connection broke: {e}") from None
        return self.next_id, name

    def finish(self, token, timeout=60):
        """The return value of a started command."""
        ident, name = token
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = self.receive(deadline)
            except QMPTimeout:
                raise QMPTimeout(f"no answer to {name} in {timeout} s") \
                    from None
            if "event" in message:
                self.events.append(message)
            elif message.get("id") == ident:
                if "error" in message:
                    raise QMPError(name, message["error"])
                return message.get("return")

    def command(self, name, timeout=60, **arguments):
        """Run one command; returns its value or raises QMPError."""
        return self.finish(self.start(name, **arguments), timeout)

    def human(self, line, timeout=60):
        """Run a line of the human monitor, for what QMP cannot tell."""
        return self.command("human-monitor-command", timeout=timeout,
                            command_line=line)

    def wait_event(self, timeout):
        """The next event, or None after 'timeout' seconds."""
        if self.events:
            return self.events.popleft()
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = self.receive(deadline)
            except QMPTimeout:
                return None
            if "event" in message:
                return message
