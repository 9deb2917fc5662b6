# SPDX-License-Identifier: GPL-2.0-only
"""One QEMU process: its start, its serial port, its files and its end.

What lives here: everything about a QEMU that does not depend on whether it
sends or receives. What does not: the migration itself, see migration.py.
"""

import contextlib
import fcntl
import functools
import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess

from qmp import QMP, QMPError

KVM_GET_API_VERSION = 0xAE00
# What a session's file is called, among a process's files and in its mappings.
SESSION = "anon_inode:[xbzrle]"
# A device that QEMU was given open, by -add-fd.
FDSET = "/dev/fdset/7"
# Self-built QEMUs come without firmware; Debian's packages have it here.
FIRMWARE = ("/usr/share/seabios", "/usr/share/qemu")
PASS_LINE = re.compile(rb"^pass (\d{8})\r?$", re.M)
STALL_LINE = re.compile(rb"^stall (\d{8})\r?$", re.M)


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
    """The Debian package that 'binary', a real path, is an unmodified file of, or None.

    The packages' own checksums decide, not a version string that a patched
    build would print as well. One of another release is in a tree, with a script
    beside it that runs it.
    """
    root = os.path.dirname(binary) + "/root"
    path = "usr/bin/" + os.path.basename(binary)
    if not os.path.isdir(root):
        root, path = "", binary[1:]
    with open(f"{root}/{path}", "rb") as f:
        line = f"{hashlib.file_digest(f, 'md5').hexdigest()}  {path}\n"
    for sums in glob.glob(f"{root}/var/lib/dpkg/info/qemu-system*.md5sums"):
        with open(sums, encoding="utf-8") as f:
            if line in f:
                return os.path.basename(sums).split(".")[0]
    return None


def _cpu_ms(path):
    """User and system time of a process or thread, from its file in /proc."""
    with open(path, encoding="utf-8", errors="replace") as f:
        # Its name is in parentheses, and may have others within.
        ticks = f.read().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) * 1000 // os.sysconf("SC_CLK_TCK")


class Machine:
    """A QEMU, from launch() to stop(), which may be called in any state."""

    def __init__(self, name, binary, tmp):
        self.name = name
        self.binary = find_binary(binary)
        self.tmp = tmp
        self.process = None
        self.qmp = None

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
            command += ["-L", folder]
        command += ["-serial", f"file:{self.path('serial')}",
                    "-qmp", f"unix:{self.path('qmp')},server=on,wait=off", *args]
        env = dict(os.environ, **({"LD_PRELOAD": preload} if preload else {}))
        with open(self.path("stderr"), "wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                start_new_session=True, env=env, pass_fds=fds)

    def connect(self, timeout):
        """Wait until the launched QEMU takes commands."""
        try:
            self.qmp = QMP.connect(self.path("qmp"), self.alive, timeout)
        except QMPError as e:
            raise MachineError(f"{self.name} QEMU did not start: {e}; "
                               f"{self.said() or 'it printed nothing'}") from None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def _written(self, suffix):
        """What is in a file of this machine, which need not be there yet."""
        with contextlib.suppress(OSError), open(self.path(suffix), "rb") as f:
            return f.read()
        return b""

    def said(self):
        """What QEMU printed on stdout and stderr, at most the last 4 KiB."""
        return self._written("stderr")[-4096:].decode(errors="replace").strip()

    def serial(self):
        """Everything that the guest wrote on its serial port."""
        return self._written("serial")

    def guest_passes(self):
        """The load generator's pass counter, or None before its first line."""
        passes = PASS_LINE.findall(self.serial())
        return int(passes[-1]) if passes else None

    def guest_stall(self, since):
        """For how many ms it stood still at most, of what it says behind that many bytes;
        None if it says nothing of that."""
        return max(map(int, STALL_LINE.findall(self.serial()[since:])), default=None)

    def processor_ms(self):
        """The processor time of the process, without its virtual processors' threads."""
        tasks = f"/proc/{self.process.pid}/task"
        guest = [_cpu_ms(f"{tasks}/{cpu['thread-id']}/stat")
                 for cpu in self.qmp.command("query-cpus-fast")]
        return _cpu_ms(f"/proc/{self.process.pid}/stat") - sum(guest)

    def has_device_property(self):
        """Whether this QEMU has the patch, asked of the running process."""
        properties = self.qmp.command("qom-list-properties",
                                      typename="migration")
        return any(p["name"] == "xbzrle-dev" for p in properties)

    def files(self):
        """{descriptor: what it is of}, seen from outside QEMU."""
        found = {}
        for path in glob.glob(f"/proc/{self.process.pid}/fd/*"):
            with contextlib.suppress(OSError):      # closed between the two calls
                found[int(os.path.basename(path))] = os.readlink(path)
        return found

    def _session_maps(self):
        """The lines of its mappings that are of a session's file."""
        with contextlib.suppress(OSError), \
                open(f"/proc/{self.process.pid}/maps", encoding="utf-8",
                     errors="replace") as maps:
            return [line for line in maps if line.rstrip("\n").endswith(" " + SESSION)]
        return []

    def holds(self, device):
        """(has the device or a session open, has a session mapped)."""
        return (not {device, SESSION}.isdisjoint(self.files().values()),
                bool(self._session_maps()))

    def rings(self):
        """How many rings it has mapped: a queue has one."""
        return sum(line.split()[1] == "r--s" for line in self._session_maps())

    def stop(self):
        """End the process and its group, whatever state they are in."""
        if self.qmp:
            self.qmp.close()
            self.qmp = None
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
