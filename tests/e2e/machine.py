# SPDX-License-Identifier: GPL-2.0-only
"""One QEMU process: its start, its serial port, its files and its end.

What lives here: everything about a QEMU that does not depend on whether it
sends or receives. What does not: the migration itself, see migration.py.
"""

import ctypes
import fcntl
import functools
import glob
import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess

from qmp import QMP, QMPError

KVM_GET_API_VERSION = 0xAE00
SYS_PIDFD_GETFD = 438
# What a session's file is called, among a process's files and in its mappings.
SESSION = "anon_inode:[xbzrle]"
# A device that QEMU was given open, by -add-fd.
FDSET = "/dev/fdset/7"
# Self-built QEMUs come without firmware; Debian's packages have it here.
FIRMWARE = ("/usr/share/seabios", "/usr/share/qemu")
CGROUP = "/sys/fs/cgroup"
PASS_LINE = re.compile(rb"^pass (\d{8})\r?$", re.M)


class MachineError(Exception):
    """QEMU could not be started or ended early; says why and the mend."""


def kvm_usable():
    """Whether this process may create KVM guests here."""
    try:
        with open("/dev/kvm", "rb+", buffering=0) as kvm:
            return fcntl.ioctl(kvm, KVM_GET_API_VERSION) == 12
    except OSError:
        return False


def find_binary(name):
    path = shutil.which(name)
    if not path:
        raise MachineError(f"no QEMU at '{name}'; install the package "
                           f"qemu-system-x86 or give the path of one")
    return os.path.realpath(path)


@functools.lru_cache
def version(binary):
    """(major, minor) of a QEMU."""
    said = subprocess.run([find_binary(binary), "--version"], check=False,
                          stdout=subprocess.PIPE, text=True).stdout
    match = re.search(r"version (\d+)\.(\d+)", said)
    if not match:
        raise MachineError(f"{binary} --version says no version")
    return int(match[1]), int(match[2])


def common_type(binaries, kind="pc"):
    """The PC, or q35, that all of these QEMUs have: that of the oldest."""
    versions = [version(binary) for binary in binaries]
    if len(set(versions)) == 1:
        return kind
    chipset = "i440fx" if kind == "pc" else kind
    return "pc-{}-{}.{}".format(chipset, *min(versions))


def untouched_package(binary):
    """The Debian package that 'binary' is an unmodified file of, or None.

    The packages' own checksums decide, not a version string that a patched
    build would print as well.
    """
    for sums in glob.glob("/var/lib/dpkg/info/qemu-system*.md5sums"):
        with open(sums, encoding="utf-8") as f:
            for line in f:
                md5, _, path = line.rstrip("\n").partition("  ")
                if not path.endswith("/" + os.path.basename(binary)) or \
                        os.path.realpath("/" + path) != binary:
                    continue
                with open(binary, "rb") as b:
                    if hashlib.md5(b.read()).hexdigest() == md5:
                        return os.path.basename(sums).split(".")[0]
    return None


def _peer_is(fd, kind, address):
    """Whether a descriptor is a socket that is connected to that address."""
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return False
    s = socket.socket(fileno=fd)
    try:
        peer = s.getpeername()
    except OSError:
        return False
    finally:
        s.detach()
    return peer == address if kind == "unix" else \
        isinstance(peer, tuple) and f"{peer[0]}:{peer[1]}" == address


class Machine:
    """A QEMU, from launch() to stop(), which may be called in any state."""

    def __init__(self, name, binary, tmp):
        self.name = name
        self.binary = find_binary(binary)
        self.tmp = tmp
        self.process = None
        self.qmp = None
        self.group = None

    def path(self, suffix):
        return os.path.join(self.tmp, f"{self.name}.{suffix}")

    def launch(self, args, preload=None, fds=()):
        """Start QEMU with 'args' behind what every machine here gets, and open
        files; two machines may start at once before connect() waits for each."""
        # A killed test must not leave a QEMU behind.
        command = ["setpriv", "--pdeathsig", "KILL",
                   self.binary, "-nodefaults", "-no-user-config",
                   "-name", "xbz-" + self.name, "-display", "none"]
        for folder in FIRMWARE:
            if os.path.isdir(folder):
                command += ["-L", folder]
        command += [
            "-chardev", f"file,id=serial0,path={self.path('serial')}",
            "-serial", "chardev:serial0",
            "-chardev", f"socket,id=qmp0,path={self.path('qmp')},"
                        f"server=on,wait=off",
            "-mon", "chardev=qmp0,mode=control"]
        command += args
        env = dict(os.environ)
        if preload:
            env["LD_PRELOAD"] = preload
        with open(self.path("stderr"), "wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                start_new_session=True, env=env, pass_fds=fds)

    def limit_processors(self, bandwidth):
        """Give QEMU a control group of its own, with this in its cpu.max."""
        with open(CGROUP + "/cgroup.subtree_control", "w", encoding="ascii") as f:
            f.write("+cpu")
        self.group = f"{CGROUP}/xbz-{self.name}-{self.process.pid}"
        os.mkdir(self.group)
        for name, text in (("cpu.max", bandwidth),
                           ("cgroup.procs", str(self.process.pid))):
            with open(f"{self.group}/{name}", "w", encoding="ascii") as f:
                f.write(text)

    def connect(self, timeout):
        """Wait until the launched QEMU takes commands."""
        try:
            self.qmp = QMP.connect(self.path("qmp"), self.alive, timeout)
        except QMPError as e:
            raise MachineError(f"{self.name} QEMU did not start: {e}; "
                               f"{self.said() or 'it printed nothing'}") \
                from None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def said(self):
        """What QEMU printed on stdout and stderr, at most the last 4 KiB."""
        try:
            with open(self.path("stderr"), "rb") as f:
                return f.read()[-4096:].decode(errors="replace").strip()
        except OSError:
            return ""

    def serial(self):
        """Everything that the guest wrote on its serial port."""
        try:
            with open(self.path("serial"), "rb") as f:
                return f.read()
        except OSError:
            return b""

    def guest_passes(self):
        """The load generator's pass counter, or None before its first line."""
        passes = PASS_LINE.findall(self.serial())
        return int(passes[-1]) if passes else None

    def has_device_property(self):
        """Whether this QEMU has the patch, asked of the running process."""
        properties = self.qmp.command("qom-list-properties",
                                      typename="migration")
        return any(p["name"] == "xbzrle-dev" for p in properties)

    def _session_maps(self):
        """The lines of its mappings that are of a session's file."""
        try:
            with open(f"/proc/{self.process.pid}/maps", encoding="utf-8",
                      errors="replace") as maps:
                return [line for line in maps if line.rstrip("\n").endswith(" " + SESSION)]
        except OSError:
            return []

    def holds(self, device):
        """(has the device or a session open, has a session mapped), from outside QEMU."""
        fds = f"/proc/{self.process.pid}/fd"
        is_open = False
        try:
            number = os.stat(device).st_rdev
        except OSError:
            number = 0      # nobody holds a device that is not there
        try:
            for fd in os.listdir(fds):
                try:
                    is_open |= bool(number) and os.stat(f"{fds}/{fd}").st_rdev == number
                    is_open |= os.readlink(f"{fds}/{fd}") == SESSION
                except OSError:
                    pass        # closed between the two calls
        except OSError:
            pass
        return is_open, bool(self._session_maps())

    def rings(self):
        """How many rings it has mapped: a queue has one."""
        return sum(line.split()[1] == "r--s" for line in self._session_maps())

    def cut_channel(self, uri):
        """Shut down the last socket that it has connected to that URI."""
        kind, _, address = uri.partition(":")
        pidfd = os.pidfd_open(self.process.pid)
        try:
            for fd in sorted(map(int, os.listdir(f"/proc/{self.process.pid}/fd")),
                             reverse=True):
                copy = ctypes.CDLL(None).syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
                if copy < 0:
                    continue
                if _peer_is(copy, kind, address):
                    with socket.socket(fileno=copy) as s:
                        s.shutdown(socket.SHUT_RDWR)
                    return
                os.close(copy)
        finally:
            os.close(pidfd)
        raise MachineError(f"{self.name} has no socket to {uri}")

    def stop(self):
        """End the process and its group, whatever state they are in."""
        if self.qmp:
            self.qmp.close()
            self.qmp = None
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.process = None
        if self.group:
            os.rmdir(self.group)
            self.group = None
