# SPDX-License-Identifier: GPL-2.0-only
"""Real pages: what a guest's memory held, and what it held two seconds later.

What lives here: booting a Debian guest in the rig that runs one of guests/,
saving its memory several times, and keeping the pages that differ between two
times, as pairs of old and new page, in the cache. What does not: the rig
(tests/vm), QMP (tests/e2e), and traces of more than two times (traces.py).

They are made where they are wanted and never checked in: a guest's memory holds
parts of whatever is on the machine's disk.
"""

import dataclasses
import json
import pathlib
import tempfile
import threading
import time
import types

from qmp import QMP, QMPError
from xbzrig import cache, debian, kernels, machines
from xbzrig.common import RigError, say

HERE = pathlib.Path(__file__).resolve().parent
PAGE = 4096
MIB = 1 << 20

GUESTS = ("redis", "gcc", "python", "sqlite")
MEMORY_MIB = 768
# Of the guest's own time: it stands still while its memory is saved.
APART_SECONDS = 2
WARM_SECONDS = 300
# As much as the synthetic workloads have; more is thinned out evenly.
MAX_PAIRS = 64 * MIB // (2 * PAGE)
# What decides what the guests do, besides the kernel.
PACKAGES = ("redis-tools", "gcc", "python3", "libsqlite3-0", "qemu-system-x86")


@dataclasses.dataclass
class Plan:
    """How often a guest's memory is saved, and when."""
    memory_mib: int = MEMORY_MIB
    times: int = 2
    apart_seconds: float = APART_SECONDS
    # Whether the guest says that its load has begun; else from power-on.
    warm: bool = True


class Guest(machines.Qemu):
    """A machine of the rig's that is stopped and looked at while it runs."""

    def __init__(self, kernel, options, work, plan):
        super().__init__(kernel, options)
        self.work = work
        self.plan = plan
        self.socket = str(self.directory / "qmp")
        self.error = None
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def argv(self):
        return [*super().argv(), "-qmp", f"unix:{self.socket},server=on,wait=off"]

    def _start(self):
        super()._start()
        self.thread.start()

    def snapshot_files(self):
        return [self.work / f"memory-{number}" for number in range(self.plan.times)]

    def _watch(self):
        try:
            self._snapshots()
        except (QMPError, OSError, RigError) as error:
            self.error = error
        finally:
            # The guest ends when it sees this.
            (self.options.out / "done").touch()

    def _snapshots(self):
        qmp = QMP.connect(self.socket, lambda: self.child.poll() is None, 30)
        deadline = time.monotonic() + WARM_SECONDS
        while self.plan.warm and not (self.options.out / "warm").exists():
            if time.monotonic() > deadline or self.child.poll() is not None:
                raise RigError(f"the guest was not at work after {WARM_SECONDS} s")
            time.sleep(0.1)
        for number, path in enumerate(self.snapshot_files()):
            time.sleep(self.plan.apart_seconds)
            qmp.command("stop")
            qmp.command("pmemsave", timeout=120, val=0, size=self.plan.memory_mib * MIB,
                        filename=str(path))
            say(f"saved the guest's memory, {number + 1} of {self.plan.times}")
            qmp.command("cont")
        qmp.close()


def get(name):
    """The file of pairs of a guest, made if it is not in the cache."""
    program = HERE / "guests" / name
    kernel = kernels.get(kernels.DEFAULT)
    versions = [f"{package} {debian.installed(package).get(package)}"
                for package in PACKAGES]
    key = cache.key(program, pathlib.Path(__file__), kernel.release, *versions)
    kept = cache.obtain("bench-pages", f"{name}-{key}",
                        lambda work: _make(work, name, kernel))
    return kept / "pairs"


def describe(pairs):
    """What is known of a file of pairs."""
    return json.loads((pairs.parent / "about.json").read_text())


def run(work, name, kernel, plan, env=()):
    """Files of the guest's memory, in the order of the plan's times."""
    program = HERE / "guests" / name
    say(f"taking the memory of a guest that runs {name}")
    with tempfile.TemporaryDirectory(prefix="xbz-bench-") as out:
        # What tests/vm/boot has as options.
        options = types.SimpleNamespace(
            # The guest's own program never ends; stage2 of the rig ends it.
            command=["env", *(f"{key}={value}" for key, value in dict(env).items()), "sh", "-c",
                     '"$1" & until [ -e "$XBZ_OUT/done" ]; do sleep 0.2; done',
                     "sh", str(program)],
            mem=f"{plan.memory_mib}M", kvm=False, out=pathlib.Path(out), smp=2,
            accel="auto", modules=[], append="", dmesg=None, timeout=600)
        with Guest(kernel, options, work, plan) as guest:
            status = guest.run()
            guest.thread.join()
            files = guest.snapshot_files()
    if guest.error or status:
        raise RigError(f"no memory of {name}: {guest.error or f'status {status}'}")
    return files


def _make(work, name, kernel):
    files = run(work, name, kernel, Plan())
    about = _pairs(*files, work / "pairs")
    for path in files:
        path.unlink()
    (work / "about.json").write_text(json.dumps(
        {"guest": name, "kernel": kernel.release, "memory_mib": MEMORY_MIB,
         "seconds_apart": APART_SECONDS, **about}, indent=1) + "\n")


def _pairs(before, after, to):
    """Write pairs of old and new page; what there was and what is kept."""
    with open(before, "rb") as old, open(after, "rb") as new:
        changed = [number for number in range(MEMORY_MIB * MIB // PAGE)
                   if old.read(PAGE) != new.read(PAGE)]
        zero = bytes(PAGE)
        kept, became_zero = [], 0
        for number in changed:
            new.seek(number * PAGE)
            # QEMU sends these before it looks into its cache.
            if new.read(PAGE) == zero:
                became_zero += 1
            else:
                kept.append(number)
        count = min(len(kept), MAX_PAIRS)
        if not count:
            raise RigError("nothing changed in the guest's memory")
        with open(to, "wb") as pairs:
            for i in range(count):
                number = kept[i * len(kept) // count]
                for memory in (old, new):
                    memory.seek(number * PAGE)
                    pairs.write(memory.read(PAGE))
    return {"changed": len(changed), "became_zero": became_zero, "kept": count}
