# SPDX-License-Identifier: GPL-2.0-only
"""The guide's chapter about backups: what its commands have to say and do."""

import os
import pathlib
import signal
import subprocess

EMULATOR = "/usr/bin/qemu-system-x86_64"
DISK = "/var/lib/libvirt/images/guest.qcow2"
SIZE = 32 << 20
DOMAIN = f"""<domain type='qemu'><name>guest</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><emulator>{EMULATOR}</emulator>
<controller type='usb' model='none'/><memballoon model='none'/>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='{DISK}'/><target dev='vda' bus='virtio'/></disk></devices></domain>
"""
URI = "'nbd+unix:///vda?socket=/var/lib/libvirt/qemu/guest.backup'"
BEGIN = "# virsh backup-begin guest /etc/guest-backup/{}.xml /etc/guest-backup/{}.xml"
BACKUPS = "/var/backups"


class Backup:
    """The guest, what it should have on its disk, and who serves a backup of it."""

    def __init__(self):
        self.disk = bytearray(SIZE)
        self.nights = {}
        self.server = None

    def write(self, shell, at, byte, length):
        """The guest changes so many bytes, by its own device: what a backup stands before."""
        said = shell("virsh qemu-monitor-command guest --hmp 'qemu-io -d "
                     "/machine/peripheral/virtio-disk0/virtio-backend "
                     f"\"write -P {byte} {at} {length}\"'")
        if "Error" in said or "rror:" in said:
            raise OSError(said)
        self.disk[at:at + length] = bytes([byte]) * length

    def start(self, shell):
        pathlib.Path("/tmp/backup.xml").write_text(DOMAIN, encoding="utf-8")
        # What is below it is Debian's: the patched one of the tests has no disks.
        shell(f"umount {EMULATOR}; mkdir -p /var/lib/libvirt/images; "
              f"qemu-img create -f qcow2 {DISK} {SIZE}; "
              "chown -R libvirt-qemu /var/lib/libvirt/images; virsh create /tmp/backup.xml")
        self.write(shell, 0, 17, 4 << 20)

    def check(self, want, path, night):
        want(pathlib.Path(path).read_bytes() == self.nights[night],
             f"{path} is not the disk of {night}")


def register(step, shell, says, want, until):
    """The steps, by the functions that all of them have."""
    backup = Backup()

    @step(BEGIN.format("all", "sunday"))
    def sunday(command):
        backup.start(shell)
        says(command, "^Backup started")
        backup.nights["sunday"] = bytes(backup.disk)
        # From here on it is another disk.
        backup.write(shell, 8192, 99, 512)

    @step(f"# nbdcopy {URI} {BACKUPS}/sunday.raw")
    def copy(command):
        shell(command)
        backup.check(want, f"{BACKUPS}/sunday.raw", "sunday")

    @step("# virsh domjobabort guest")
    def abort(command):
        shell(command)

    def night(since, name, byte):
        @step(BEGIN.format(f"since-{since}", name))
        def begin(command):
            for at in (4096, 1 << 20, 30 << 20):
                backup.write(shell, at + 512 * (byte % 7), byte, 512)
            says(command, "^Backup started")
            backup.nights[name] = bytes(backup.disk)
            backup.write(shell, 5 << 20, byte + 1, 1024)

    night("sunday", "monday", 33)
    night("monday", "tuesday", 44)

    @step(f"# xbzimg create --bitmap backup-vda {BACKUPS}/sunday.raw {URI} {BACKUPS}/monday.xbz")
    def monday(command):
        says(command, r"monday\.xbz: .* for [1-9]\d? pages: [1-9]\d? deltas")
        shell(f"xbzimg apply {BACKUPS}/sunday.raw {BACKUPS}/monday.xbz /tmp/monday.raw")
        backup.check(want, "/tmp/monday.raw", "monday")

    @step(f"# xbzimg create --bitmap backup-vda {BACKUPS}/sunday.raw {BACKUPS}/monday.xbz {URI} "
          f"{BACKUPS}/tuesday.xbz")
    def tuesday(command):
        says(command, r"tuesday\.xbz: .* for [1-9]\d? pages: [1-9]\d? deltas")

    @step(f"# xbzimg verify --base {BACKUPS}/sunday.raw {BACKUPS}/monday.xbz "
          f"{BACKUPS}/tuesday.xbz")
    def verify(command):
        says(command, "^sound, and the base is the right one$")

    @step(f"# xbzimg merge {BACKUPS}/monday.xbz {BACKUPS}/tuesday.xbz {BACKUPS}/week.xbz")
    def merge(command):
        says(command, r"week\.xbz: ")

    @step(f"# xbzimg apply {BACKUPS}/sunday.raw {BACKUPS}/week.xbz {BACKUPS}/restored.raw")
    def apply(command):
        says(command, r"restored\.raw: 32.0M")
        backup.check(want, f"{BACKUPS}/restored.raw", "tuesday")

    @step(f"# xbzimg serve --unix /run/monday {BACKUPS}/sunday.raw {BACKUPS}/monday.xbz")
    def serve(command):
        backup.server = subprocess.Popen(["bash", "-c", f"exec {command.removeprefix('# ')}"],
                                         stdin=subprocess.DEVNULL)
        until(lambda: os.path.exists("/run/monday"), "a socket")

    @step("# qemu-img create -f qcow2 -F raw -b 'nbd+unix:///?socket=/run/monday' "
          f"{BACKUPS}/trial.qcow2")
    def trial(command):
        shell(command)
        shell(f"qemu-img convert -O raw {BACKUPS}/trial.qcow2 /tmp/trial.raw")
        backup.check(want, "/tmp/trial.raw", "monday")
        backup.server.send_signal(signal.SIGINT)
        want(backup.server.wait(60) == 0, "nbdkit ended badly")
        shell("virsh destroy guest")
