# SPDX-License-Identifier: GPL-2.0-only
"""One boot: a machine in QEMU or User Mode Linux that runs one command.

The machine has three streams to us: the command's stdout and stderr, kept
apart, and control, on which guest/stage2 reports. They are files, whose directory
the machine mounts. The kernel log goes to a file of its own. guest/init says what
happens inside.
"""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import compiled, emulator, klog, kmod
from .common import (CHECKOUT, EXIT_KLOG, EXIT_RIG, EXIT_TIMEOUT, RIG, RigError, say)

# guest/stage2 gives a sign of life every five seconds from the command's begin to its
# end. Emulation on a machine that is busy with other things is slow, not that slow.
SILENT_SECONDS = 180
BUSYBOX = "/bin/busybox"
STREAMS = ("stdout", "stderr", "control")
# The name of a module that the kernel has built in is no error.
TRANSPORT_MODULES = ("virtio_pci", "9p", "9pnet_virtio")
# What becomes an empty tmpfs inside; guest/init has the same list.
EMPTIED = ("/tmp", "/var/tmp", "/run")


def kvm_usable():
    """Whether /dev/kvm is there, is ours, and can be nested once more."""
    nested = pathlib.Path("/sys/module").glob("kvm_*/parameters/nested")
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and \
        any(path.read_text().strip() in ("1", "Y") for path in nested)


class Machine:
    """What QEMU and UML machines have in common; use as a context manager,
    which is what cleans up, also when we are interrupted."""

    transport = ""
    # How it is told to end.
    end = "poweroff -f"
    emulated = ""
    klog_name = "kernel.log"

    def __init__(self, kernel, options):
        self.kernel = kernel
        self.options = options
        self.child = None
        self.watcher = None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="xbz-rig-"))
        # What the machine's own process prints.
        self.log = self.directory / "machine.log"
        self.klog = self.directory / self.klog_name
        self.streams = self.directory / "streams"
        self.streams.mkdir()
        # At the same path inside.
        self.out = options.out or self.directory / "out"
        self.out.mkdir(parents=True, exist_ok=True)
        self.files = []
        for stream in STREAMS:
            (self.streams / stream).touch()
            self.files.append(open(self.streams / stream, "rb"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._kill()
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.watcher:
            self.watcher.kill()
            self.watcher.communicate()

    # What the two kinds define.

    def argv(self):
        raise NotImplementedError

    def own_modules(self):
        """Names of the kernel's modules that this boot needs."""
        return ()

    # The common part.

    def run(self):
        """Boot, run the command, pass its output on; the status for our exit."""
        self._initramfs()
        self._start()
        begin = heard = time.monotonic()
        control = b""
        why = None
        while not why:
            now = time.monotonic()
            ended = self.child.poll() is not None
            stdout, stderr, told = (file.read(1 << 20) for file in self.files)
            for stream, data in ((sys.stdout, stdout), (sys.stderr, stderr)):
                stream.buffer.write(data)
                stream.flush()
            if told:
                control += told
                heard = now
            if not (stdout or stderr or told):
                if ended:
                    break
                time.sleep(0.02)
            if now - begin > self.options.timeout:
                why = (f"timeout: the machine ran for {self.options.timeout:g} s and was "
                       "killed; --timeout sets the limit.")
            elif now - heard > SILENT_SECONDS:
                why = (f"the machine gave no sign of life for {SILENT_SECONDS} s and was "
                       "killed.")
        self._kill()
        return self._verdict(control.decode(errors="replace"), why)

    def _verdict(self, control, why):
        """Say what went wrong, if something did, and choose the exit status;
        why is what we killed the machine for."""
        log = self.klog.read_text(errors="replace") if self.klog.exists() else ""
        if self.options.dmesg:
            self.options.dmesg.write_text(log)
        reports = dict(line.partition(" ")[::2] for line in control.splitlines())
        faults = klog.faults(log)
        taint = int(reports.get("taint") or 0) & klog.TAINT_FAULT
        if faults or taint:
            say("the kernel log has faults:" if faults else
                f"the kernel is tainted by a fault ({taint:#x}) of a kind that the "
                "rig does not find in its log:")
            self._show_log(log, faults)
            return EXIT_KLOG
        if why:
            say(f"{why} Its kernel's last words:")
            self._show_log(log)
            return EXIT_TIMEOUT
        # guest/init has no control stream yet; it tells the kernel log.
        told = re.search(r"xbz-rig: fail: (.*)", log)
        problem = reports.get("fail") or (told and told[1].rstrip())
        if not problem and "exit" not in reports:
            when = "after" if "ready" in reports else "before"
            problem = (f"the machine ended, with status {self.child.returncode}, {when} "
                       "the command began, and did not say why")
        if problem:
            self._show_log(log)
            raise RigError(problem)
        return int(reports["exit"])

    def _show_log(self, log, faults=()):
        """The log from the first fault on, or its end; and what QEMU said."""
        lines = log.splitlines()
        if self.log != self.klog:
            print(self.log.read_text(errors="replace"), end="", file=sys.stderr)
        first = max(0, lines.index(faults[0]) - 2) if faults else max(0, len(lines) - 15)
        for line in lines[first:first + 60]:
            print(f"    {line.rstrip()}", file=sys.stderr)
        if self.options.dmesg:
            say(f"the whole kernel log is in {self.options.dmesg}")

    def _initramfs(self):
        """It is put together anew for every boot: uncompressed, a few megabytes, done
        in milliseconds. So the command to run and the modules to load travel in it as
        files, and nothing has to be quoted for a kernel command line."""
        root = self.directory / "root"
        for name in ("proc", "sys", "dev", "tmp", "bin", "xbz"):
            (root / name).mkdir(parents=True)
        if not os.path.exists(BUSYBOX):
            raise RigError("busybox-static is not installed; "
                           "`tests/vm/provision rig` installs it")
        shutil.copy(BUSYBOX, root / "bin")
        shutil.copy(RIG / "guest/init", root)
        for name in ("stage2", "hold-vm"):
            shutil.copy(RIG / "guest" / name, root / "xbz")
        config = {
            "TRANSPORT": self.transport,
            "END": self.end,
            "EMULATED": self.emulated,
            "XBZ_OUT": str(self.out),
            "STREAMS": str(self.streams)}
        tested = [(pathlib.Path(path).name, kmod.read(pathlib.Path(path)), parameters)
                  for path, _, parameters in
                  (text.partition(" ") for text in self.options.modules)]
        needed = [name for _, data, _ in tested for name in kmod.depends(data)]
        own = [(f"{name}.ko", data, "") for name, data in
               kmod.load_order(self.kernel, [*self.own_modules(), *needed])]
        for name, text in (
                ("run", self._command()),
                ("keep", "".join(f"{path}\n" for path in self._kept())),
                ("config", "".join(f"{name}={shlex.quote(value)}\n"
                                   for name, value in config.items())),
                ("modules", self._module_list(root / "xbz/own", own)),
                ("under-test", self._module_list(root / "xbz/tested", tested))):
            (root / "xbz" / name).write_bytes(os.fsencode(text))
        names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
        with open(self.directory / "initramfs", "wb") as file:
            subprocess.run([BUSYBOX, "cpio", "-o", "-H", "newc"], cwd=root, check=True,
                           input=names, text=True, stdout=file, stderr=subprocess.DEVNULL)

    @staticmethod
    def _module_list(directory, modules):
        """Lines "file parameters", in load order, of [(name, bytes, parameters)], which
        are copied to directory."""
        directory.mkdir(parents=True)
        for name, data, _ in modules:
            (directory / name).write_bytes(data)
        return "".join(f"{name} {parameters}\n" for name, _, parameters in modules)

    def _command(self):
        """The script that runs the command where and as we were called."""
        env = {name: value for name, value in os.environ.items()
               if name in ("PATH", "HOME", "LANG", "TERM") or name.startswith("XBZ_")}
        env |= {"TMPDIR": "/tmp", "XBZ_OUT": str(self.out),
                "XBZ_KERNEL": self.kernel.release}
        assignments = " ".join(shlex.quote(f"{name}={value}") for name, value in env.items())
        return (f"cd {shlex.quote(os.getcwd())} || exit {EXIT_RIG}\n"
                f"exec /usr/bin/env -i {assignments} {shlex.join(self.options.command)}\n")

    def _kept(self):
        """Directories that the command needs from under the emptied ones."""
        below = {path for path in (pathlib.Path.cwd(), CHECKOUT) for top in EMPTIED
                 if path.is_relative_to(top) and str(path) != top}
        return [path for path in below if below.isdisjoint(path.parents)]

    def _start(self):
        argv = [str(arg) for arg in self.argv()]
        with open(self.log, "wb") as log:
            try:
                self.child = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True)
                self.watcher = _watch(self.child.pid, self.directory)
            except FileNotFoundError as error:
                raise RigError(f"{argv[0]} is not installed; "
                               "`tests/vm/provision rig` installs it") from error

    def _kill(self):
        if self.child and self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()


def _watch(group, directory):
    """A process that cleans up after us if we are killed outright: it waits
    for the end of a pipe that we hold. UML's helpers survive UML, so the whole
    process group has to go."""
    return subprocess.Popen(
        ["sh", "-c", 'read -r _; kill -s KILL -- "-$1"; rm -rf "$2"', "xbz-rig-watch",
         str(group), str(directory)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True)


class Qemu(Machine):
    """A machine emulated by QEMU, or by KVM where the host's can be nested."""

    transport = "9p"
    # With -no-reboot QEMU ends. Power-off would take ACPI, which not all have.
    end = "reboot -f"

    def __init__(self, kernel, options):
        super().__init__(kernel, options)
        accel = options.accel
        intel = "vmx" in pathlib.Path("/proc/cpuinfo").read_text()
        if accel == "auto":
            # A kernel with AMD's KVM alone has it on TCG's processor everywhere.
            self.hardware = kvm_usable() and not (
                intel and options.kvm and "kvm_intel" not in kmod.files(kernel))
        else:
            self.hardware = accel == "kvm"
        self.emulated = "" if self.hardware else "yes"
        self.kvm = "kvm_intel" if self.hardware and intel else "kvm_amd"

    def own_modules(self):
        return (*TRANSPORT_MODULES, *([self.kvm] if self.options.kvm else ()))

    def _emulated(self):
        """What a kernel is told of an emulated processor."""
        mhz = re.search(r"^cpu MHz\s*: (\d+)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
        words = ["maxcpus=1"]
        if mhz:
            # For the second processor it would be measured, against a clock that
            # emulation disturbs: up to three seconds. Delays are counted in cycles
            # of the TSC, so a jiffy has so many: 250 of them are a second.
            words.append(f"lpj={int(mhz[1]) * 4000}")
        # Without ACPI the PIT is all that there is to measure the TSC by, which fails
        # when the emulation is disturbed; KVM then tries to enter a guest for ever.
        if mhz and self.kernel.name in compiled.RECIPES:
            words.append(f"tsc_early_khz={mhz[1]}000")
        return " ".join(words)

    def argv(self):
        accel = (["-accel", "kvm", "-cpu", "host"] if self.hardware else
                 ["-accel", "tcg,thread=multi", "-cpu", "max"])
        qemu = [emulator.BINARY] if self.hardware else emulator.command()
        argv = [*qemu, "-name", "xbz-rig", "-no-user-config", "-nodefaults",
                "-machine", "pc", *accel,
                # Of each socket SeaBIOS's table for kernels without ACPI has one.
                "-smp", f"{self.options.smp},sockets={self.options.smp}", "-m", self.options.mem,
                "-display", "none", "-no-reboot",
                "-kernel", self.kernel.image, "-initrd", self.directory / "initramfs",
                # An oops ends the machine at once, with its report in the log.
                "-append", "console=ttyS0 oops=panic panic=-1 mitigations=off no_timer_check "
                           f"{'' if self.hardware else self._emulated()} "
                           f"{self.options.append}",
                "-serial", f"file:{self.klog}"]
        for tag, path in (("root", "/"), ("streams", self.streams), ("out", self.out)):
            path = str(path).replace(",", ",,")
            argv += ["-fsdev", f"local,id={tag},path={path},security_model=none,"
                               f"readonly={'on' if tag == 'root' else 'off'},multidevs=remap",
                     "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        return argv


class Uml(Machine):
    """A machine that is a process: User Mode Linux."""

    transport = "hostfs"
    # What it prints itself is the kernel log.
    klog_name = "machine.log"

    def argv(self):
        return [self.kernel.image, f"mem={self.options.mem}",
                f"initrd={self.directory / 'initramfs'}", f"uml_dir={self.directory}/",
                "con0=null,fd:1", "con=null", "ssl=null", "console=tty0", "oops=panic",
                "panic=-1", "kunit.enable=1",
                *self.options.append.split()]
