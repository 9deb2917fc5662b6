# SPDX-License-Identifier: GPL-2.0-only
"""The end-to-end cases: what is migrated how, and what must come of it.

What lives here: the table. What does not: what is checked (checks.py), what single cases
do to a migration (actions.py), running them (migrate-all), a migration (migrate).

Every case says what would have to break for it to fail.
"""

import collections

import machine
from actions import UNREADABLE
from checks import (answered, broken_clean, by_channels, cache_size, completed, copies_said,
                    device_used, difference_found, diverged, every_hop, failed_cleanly,
                    failed_once, forecast, given_up, held, held_for, identical, log_hidden,
                    multifd_alone_said, no_copies, no_kvm, postcopied, queues, queues_of_host,
                    queues_said, rate_refused, rates_sound, real_kvm, refused, released,
                    resumed, said_once, sent_raw, silent, stopped_for, throttled,
                    through_device, to_newer, to_stock, without_device)

# Guests, by name: arguments of tests/guests/build.
GUESTS = {
    # Twice the bandwidth below, so that no pass shrinks what is dirty.
    "busy": ["--footprint", "8M", "--rate", "4000"],
    # The same across the border of two blocks of memory.
    "border": ["--footprint", "8M", "--rate", "4000", "--base", "60M",
               "--fill"],
    # Deltas of many short runs over pages that are nothing like zero pages.
    "words": ["--footprint", "4M", "--rate", "3000", "--words", "64",
              "--fill"],
    # Deltas so long that a batch of a few pages is worth MSG_ZEROCOPY.
    "long": ["--footprint", "8M", "--rate", "3000", "--words", "256",
             "--fill"],
    # New pages every time, so that no delta fits, and slow enough for that.
    "noise": ["--footprint", "2M", "--rate", "300", "--words", "1024",
              "--fill"],
    # More than sockets have room for, of pages that do not shrink.
    "raw": ["--footprint", "24M", "--rate", "300", "--words", "1024", "--fill"],
    # What plain precopy copes with in a few passes.
    "calm": ["--footprint", "4M", "--rate", "500"],
}

COMMON = ["--memory", "32M", "--bandwidth", "8M", "--downtime", "200",
          "--cache", "16M", "--time-limit", "60", "--boot-timeout", "180"]

# Those that are long are run when all are wanted.
Case = collections.namedtuple("Case", "name breaks patched args checks guest long")


def case(name, breaks, *args, patched=True, checks=(), guest="busy", long=False):
    return Case(name, breaks, patched, args, checks, guest, long)


# Several passes over all of the guest's memory, whatever the machine's speed.
HOLD = ("--bandwidth", "16M", "--hold", "6passes", "--first-bandwidth", "1M",
        "--time-limit", "240")

QUEUES = "-global migration.xbzrle-dev-queues="
NO_COPIES = "-global migration.xbzrle-dev-zerocopy=on"

# As libvirt starts QEMU.
SANDBOX = ("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
           "resourcecontrol=deny")
FDSET = machine.FDSET


def backend(kind, more=""):
    """Arguments of a guest whose memory is of another kind."""
    return f"-object memory-backend-{kind},id=ram0,size=32M{more} -machine memory-backend=ram0"


def nodes(kind):
    """Arguments: memory of three nodes, of which the guest never looks at the second."""
    return " ".join(f"-object memory-backend-{k},id=m{i},size=32M"
                    for i, k in enumerate(("ram", kind, "ram")))


def multifd(channels, compression):
    """Arguments: deltas beside so many channels, to a QEMU that has multifd's flush."""
    return ("--mode", "xbzrle-dev", "--multifd", str(channels), "--compression",
            compression, "--destination", "@newer@")


MOVED = (completed, identical, to_stock)
BESIDE = (completed, identical, to_newer, by_channels, real_kvm)
DEVICE = MOVED + (through_device, released, rates_sound)
KVM = DEVICE + (real_kvm, silent)
HELD = KVM + (held,)
GAVE_UP = MOVED + (through_device, released, real_kvm, held, resumed, given_up)
STALLED = ("--source-args", NO_COPIES, "--bandwidth", "16M", "--first-bandwidth", "16M")
STALLED_CHECKS = MOVED + (sent_raw, released, real_kvm, broken_clean, answered)

CASES = (
    # The ground that the others stand on.
    case("plain-diverges",
         "the guest dirties memory more slowly than the link carries it",
         "--mode", "plain", "--time-limit", "12",
         patched=False, checks=(diverged, real_kvm)),
    case("qemu-xbzrle",
         "QEMU's own encoder cannot do what is asked of ours",
         "--mode", "qemu-xbzrle", patched=False,
         checks=MOVED + (real_kvm, without_device)),
    case("difference-is-found",
         "the comparison of memory lets a single byte pass",
         "--mode", "plain", "--bandwidth", "0", "--downtime", "2000",
         "--corrupt", patched=False, checks=(completed, difference_found)),

    # The device, with each kind of dirty log.
    case("manual-protect",
         "the log is not cleared before the snapshot, a dirty bit is lost, or "
         "the cache differs from the destination",
         "--mode", "xbzrle-dev", *HOLD, guest="words",
         checks=HELD + (queues_of_host,)),
    case("legacy-log",
         "bits that GET_DIRTY_LOG cleared are dropped or cleared again",
         "--mode", "xbzrle-dev", "--source-preload", "@legacy-log@",
         *HOLD, guest="words",
         checks=DEVICE + (held, real_kvm, log_hidden)),
    case("dirty-ring",
         "bits that QEMU's reaper sets do not reach the region's bitmap",
         "--mode", "xbzrle-dev", "--accel", "kvm,dirty-ring-size=4096",
         "--destination-accel", "kvm", *HOLD, guest="words", checks=HELD),
    case("tcg",
         "the session needs KVM, or QEMU's own bits are not seen",
         # So slow a guest writes now and then, and a pass without a write is the last.
         "--mode", "xbzrle-dev", "--accel", "tcg", *HOLD, "--hold", "3passes",
         "--first-bandwidth", "512K", guest="words",
         checks=DEVICE + (held_for(3), no_kvm, silent)),

    # Guests and machines.
    case("resume",
         "what arrives looks right but does not run",
         "--mode", "xbzrle-dev", "--channel", "tcp", "--resume",
         checks=KVM + (resumed,)),
    case("vga",
         "display memory, whose log has a second reader, loses pages",
         "--mode", "xbzrle-dev", "--args", "-vga std", checks=KVM),
    case("two-processors",
         "a second processor, with a dirty ring or stack of its own, confuses "
         "the session",
         "--mode", "xbzrle-dev", "--vcpus", "2", "--bandwidth", "6M",
         guest="words", checks=KVM),
    case("incompressible",
         "pages that no delta fits leave the cache wrong",
         "--mode", "xbzrle-dev", "--bandwidth", "3M",
         guest="noise", checks=MOVED + (sent_raw, released, real_kvm, silent)),
    case("tiny-cache",
         "evicting a page costs more than bytes",
         "--mode", "xbzrle-dev", "--cache", "64K",
         guest="calm", checks=MOVED + (released, real_kvm, silent)),
    case("any-cache-size",
         "a cache that is no power of two is refused, or made one",
         "--mode", "xbzrle-dev", "--cache", "10M",
         guest="calm", checks=KVM + (cache_size(10 << 20),)),
    case("no-cache",
         "a session cannot do without a cache",
         "--mode", "xbzrle-dev", "--cache", "0",
         guest="calm", checks=MOVED + (released, real_kvm, silent, cache_size(0))),
    case("predicted",
         "the guest is stopped by the number of dirty pages and not by their bytes, or "
         "before these are known",
         # All of it is dirty after each pass of two seconds, and takes 40 KB. The limit is
         # worth 60 KB, or 15 pages.
         "--mode", "xbzrle-dev", "--bandwidth", "20K", "--downtime", "3000",
         checks=KVM + (stopped_for(90000),)),
    case("many-blocks",
         "a page's block or offset is confused with another's",
         "--mode", "xbzrle-dev", "--memory", "256M",
         "--args", " ".join(
             f"-object memory-backend-ram,id=m{i},size=64M "
             f"-numa node,nodeid={i},memdev=m{i}" for i in range(4)),
         guest="border", checks=KVM),

    # Queues, and what threads do ahead of the stream. The other cases have a
    # queue for each processor.
    case("eight-queues",
         "a batch or a bit is lost when threads are paused or stopped, a "
         "delta overtakes what it is based on, or nothing is forecast",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "8",
         "--cancel-first", "1passes", "--resume", *HOLD,
         guest="words",
         checks=DEVICE + (held, queues(8), broken_clean, resumed, forecast)),
    case("postcopy",
         "what is not sent when postcopy begins is not in the bitmaps either",
         "--mode", "xbzrle-dev", "--postcopy", "2passes",
         "--source-args", QUEUES + "8",
         "--first-bandwidth", "2M", guest="words",
         checks=KVM + (queues(8), postcopied)),
    case("too-many-queues",
         "a number that cannot be is taken, or refused without saying so",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "65",
         checks=(refused,)),

    # Sending without copies.
    case("zerocopy",
         "batches are copied or sent in pieces, or a ring is written to while "
         "the kernel still sends from it",
         "--mode", "xbzrle-dev", "--channel", "tcp",
         # Its one ring is smaller than what is sent. Not held: on a slow link
         # batches are small.
         "--cancel-first", "1passes", "--source-args", QUEUES + "1 " + NO_COPIES,
         "--source-preload", "@zerocopy-log@",
         "--bandwidth", "16M", "--first-bandwidth", "16M", guest="long",
         checks=DEVICE + (real_kvm, broken_clean, no_copies)),
    case("zerocopy-unix",
         "a channel that cannot do without copies fails, nobody is told, or one "
         "queue, which has no thread, does not do what threads do",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "1 " + NO_COPIES,
         *HOLD, guest="words",
         checks=DEVICE + (real_kvm, queues(1), copies_said("not TCP"))),
    case("tls",
         "what is encrypted is not what the rings held, or nobody is told that "
         "it is copied",
         "--mode", "xbzrle-dev", "--channel", "tcp", "--tls",
         "--source-args", NO_COPIES, guest="calm",
         checks=DEVICE + (real_kvm, copies_said("TLS"))),
    case("zerocopy-no-memory",
         "a limit on locked memory fails the migration, or nobody is told",
         "--mode", "xbzrle-dev", "--channel", "tcp",
         "--source-args", NO_COPIES, "--source-preload", "@no-locked-memory@",
         guest="calm", checks=DEVICE + (copies_said("RLIMIT_MEMLOCK"),)),

    # The device is absent or not wanted.
    case("no-device",
         "a missing module fails a migration, or is passed over in silence",
         # The built-in encoder wants a power of two.
         "--mode", "xbzrle-dev", "--xbzrle-dev", "/nonexistent",
         "--cache", "10M",
         checks=MOVED + (without_device, said_once, cache_size(8 << 20))),
    case("capability-off",
         "the patch changes QEMU when nobody asked for XBZRLE",
         "--mode", "plain", "--bandwidth", "0", "--downtime", "2000",
         "--source", "@qemu@", checks=MOVED + (without_device, silent)),

    # Beside multifd. They need a patched QEMU from 10.0 on, and a stock one.
    case("multifd",
         "a whole page is lost, sent out of memory that is not its own any more, or "
         "overtaken by a delta",
         *multifd(1, "none"), "--resume", *HOLD, guest="words",
         checks=BESIDE + (through_device, released, silent, held, resumed)),
    case("multifd-zstd",
         "channels that compress are not given what was remembered, or a delta "
         "overtakes a page of another channel",
         *multifd(4, "zstd"), "--channel", "tcp", *HOLD, guest="words",
         checks=BESIDE + (through_device, released, silent, held)),
    case("multifd-many-blocks",
         "a page of a channel is written to another block",
         *multifd(2, "zlib"), "--memory", "256M",
         "--args", " ".join(
             f"-object memory-backend-ram,id=m{i},size=64M "
             f"-numa node,nodeid={i},memdev=m{i}" for i in range(4)),
         guest="border", checks=BESIDE + (through_device, released, silent)),
    case("multifd-incompressible",
         "ring space is not released in order, or all wait for each other when it is "
         "used up",
         *multifd(2, "none"), "--source-args", QUEUES + "1", "--bandwidth", "3M",
         guest="noise", checks=BESIDE + (sent_raw, released, silent)),
    case("multifd-by-property",
         "deltas beside multifd cannot be had without the capability",
         *multifd(2, "zstd"), "--by-property", guest="calm",
         checks=BESIDE + (device_used, released, silent)),
    case("multifd-cancel",
         "a channel reads a ring that is gone, or a cancelled migration leaves its "
         "packets to the next",
         *multifd(2, "zstd"), "--cancel-first", "1passes", "--bandwidth", "16M",
         guest="words", checks=BESIDE + (through_device, released, broken_clean)),
    case("multifd-channel-dies",
         "a channel that dies leaves ring space taken, a thread waiting, or the "
         "session open",
         *multifd(2, "none"), "--channel", "tcp", "--cut-first", "1passes",
         "--bandwidth", "16M",
         guest="words", checks=BESIDE + (through_device, released, broken_clean)),
    case("multifd-no-device",
         "a missing module fails multifd, or lets the built-in encoder in",
         *multifd(2, "zstd"), "--xbzrle-dev", "/nonexistent", "--bandwidth", "0",
         "--downtime", "2000",
         checks=BESIDE + (without_device, multifd_alone_said)),

    # A migration that is broken off, and the next one.
    case("cancel-then-again",
         "a cancelled session leaves something behind, or its dirty bits",
         "--mode", "xbzrle-dev", "--cancel-first", "1passes", "--resume",
         "--bandwidth", "16M", guest="words",
         checks=DEVICE + (broken_clean, resumed)),
    case("destination-dies",
         "a broken channel leaves ring space taken or the guest's log off",
         "--mode", "xbzrle-dev", "--kill-first", "1500ms",
         "--bandwidth", "16M", guest="words",
         checks=DEVICE + (broken_clean,)),

    # A receiver that does not receive, and a network that carries nothing.
    case("receiver-stops",
         "ending a session waits for what the receiver does not take",
         "--mode", "xbzrle-dev", "--channel", "tcp", "--stop-first", "700ms", *STALLED,
         guest="raw", long=True, checks=STALLED_CHECKS),
    case("network-drops",
         "ending a session waits for the kernel, which waits for the network",
         "--mode", "xbzrle-dev", "--channel", "tcp", "--drop-first", "700ms", *STALLED,
         guest="raw", long=True, checks=STALLED_CHECKS),

    # How QEMU is started.
    case("fdset",
         "a descriptor that QEMU is given serves one migration alone, or none",
         "--mode", "xbzrle-dev", "--xbzrle-dev", FDSET, "--cancel-first", "1passes",
         "--bandwidth", "16M", guest="words", long=True,
         checks=KVM + (broken_clean,)),
    case("sandbox",
         "a system call of a session is one that libvirt has the kernel refuse",
         "--mode", "xbzrle-dev", "--source-args", f"{SANDBOX} {QUEUES}4",
         *HOLD, guest="words", long=True, checks=KVM + (queues(4),)),

    # What else a migration may do.
    case("exec",
         "what goes to a file is not what a socket gets",
         "--mode", "xbzrle-dev", "--channel", "exec", "--resume", *HOLD,
         guest="words", long=True, checks=KVM + (resumed,)),
    case("fd",
         "a session writes to a file in another way than QEMU does",
         "--mode", "xbzrle-dev", "--channel", "fd", "--resume", *HOLD,
         guest="words", long=True, checks=DEVICE + (real_kvm, resumed)),
    case("snapshot",
         "a snapshot is taken by way of the device, or what is saved with the capability on "
         "cannot be loaded",
         "--mode", "xbzrle-dev", "--before", "snapshot", "--bandwidth", "16M",
         guest="words", long=True, checks=KVM),
    case("pause-before-switchover",
         "what the last pass has to send changes while it waits to be told",
         "--mode", "xbzrle-dev", "--capability", "pause-before-switchover",
         "--at", "pre-switchover", "migrate_continue pre-switchover",
         *HOLD, guest="words", long=True, checks=KVM),
    case("auto-converge",
         "the throttle's own reading of the dirty log takes bits from the session",
         "--mode", "xbzrle-dev", "--capability", "auto-converge", "--bandwidth", "16M",
         # It looks at more than a second, twice.
         "--hold", "12passes", "--first-bandwidth", "1M", "--time-limit", "240",
         guest="words", long=True, checks=KVM + (throttled,)),
    case("dirty-limit",
         "what holds a processor to a rate reads the dirty ring, and the session does not "
         "get what it took",
         "--mode", "xbzrle-dev", "--accel", "kvm,dirty-ring-size=4096",
         "--destination-accel", "kvm", "--at", "1passes", "set_vcpu_dirty_limit 4",
         *HOLD, guest="words", long=True, checks=KVM),
    case("resized",
         "a cache that changes its size in the middle forgets or mixes up pages",
         "--mode", "xbzrle-dev", "--at", "1passes", "migrate_set_parameter xbzrle-cache-size 1M",
         "--at", "2passes", "migrate_set_parameter xbzrle-cache-size 32M",
         *HOLD, guest="words", long=True, checks=KVM + (cache_size(32 << 20),)),
    case("round-trip",
         "a QEMU that has received cannot send by a session, or has bits left over",
         "--mode", "xbzrle-dev", "--destination", "@qemu@", "--hops", "3", "--resume",
         guest="calm", long=True,
         checks=(completed, identical, through_device, released, resumed, real_kvm, silent,
                 every_hop(2))),

    # Memory of other kinds, and slots that come and go.
    case("memfd",
         "shared memory is read or pinned in another way",
         "--mode", "xbzrle-dev", "--args", backend("memfd", ",share=on"),
         *HOLD, guest="words", long=True, checks=KVM),
    case("huge-pages",
         "a huge page is taken for one page, or is not read",
         "--mode", "xbzrle-dev",
         "--args", backend("memfd", ",hugetlb=on,hugetlbsize=2M"),
         *HOLD, guest="words", long=True, checks=KVM),
    case("file-backend",
         "pages of a file are not read",
         "--mode", "xbzrle-dev",
         "--source-args", backend("file", ",share=on,mem-path=/tmp/xbz-source"),
         "--destination-args", backend("file", ",share=on,mem-path=/tmp/xbz-destination"),
         *HOLD, guest="words", long=True, checks=KVM),
    case("virtio-mem",
         "memory that is not plugged is sent, or has dirty bits",
         "--mode", "xbzrle-dev", "--args",
         "-m maxmem=512M -object memory-backend-ram,id=vmem0,size=64M "
         "-device virtio-mem-pci,memdev=vmem0,block-size=2M,requested-size=0",
         *HOLD, guest="words", long=True, checks=KVM),
    case("block-comes-and-goes",
         "a block that is there for a part of a migration is mistaken for another",
         "--mode", "xbzrle-dev",
         "--at", "1passes", "object_add memory-backend-ram,id=late,size=8M,prealloc=on",
         "--at", "2passes", "object_del late",
         *HOLD, guest="words", long=True, checks=KVM),
    case("slot-moves",
         "a memory slot that the guest moves takes its dirty bits along, or leaves the log "
         "of the old one in use",
         # The address of video memory, which is the PCI device 00:02.0.
         "--mode", "xbzrle-dev", "--args", "-device VGA,addr=2",
         "--at", "1passes", "o /4 0xcf8 0x80001010",
         "--at", "1passes", "o /4 0xcfc 0xe0000000",
         "--at", "2passes", "o /4 0xcfc 0xd0000000",
         *HOLD, guest="words", long=True, checks=KVM),
    case("smm",
         "the second address space, of system management mode, confuses the slots",
         "--mode", "xbzrle-dev", "--machine", "q35", "--args", "-machine smm=on",
         *HOLD, guest="words", long=True, checks=KVM),
    *(case(f"processors-{number}",
           f"{number} processors, of which most do nothing, confuse the session",
           "--mode", "xbzrle-dev", "--vcpus", str(number), "--bandwidth", "6M",
           guest="words", long=True,
           # QEMU warns of more than the machine has.
           checks=DEVICE + (real_kvm,)) for number in (3, 4, 8)),

    # The module fails in the middle.
    case("sync-fails",
         "a sync that fails fails the migration, or what KVM has logged is lost",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "2",
         "--source-preload", "@sync-fails@", "--resume", *HOLD, guest="words",
         checks=GAVE_UP + (failed_once("dirty logs cannot be fetched"),)),
    case("log-fails",
         "a slot's log that KVM does not give fails the migration, or is lost",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "1",
         "--source-preload", "@log-fails@", "--resume", *HOLD, guest="words",
         checks=GAVE_UP + (failed_once("KVM does not give the dirty log"),)),
    case("clear-fails",
         "a log that KVM does not clear fails the migration, or the page is left out",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "2",
         "--source-preload", "@clear-fails@", "--resume", *HOLD, guest="words",
         checks=GAVE_UP + (failed_once("KVM does not clear the dirty log"),)),
    case("encode-fails",
         "batches under way are lost, doubled or come after pages that QEMU "
         "sends",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "8 " + NO_COPIES,
         "--channel", "tcp", "--source-preload", "@encode-fails@", "--resume",
         *HOLD, guest="words",
         checks=GAVE_UP + (failed_once("pages cannot be encoded"),)),
    case("fails-then-again",
         "after a session that failed the next migration does without the device",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "2",
         "--source-preload", "@sync-fails@", "--cancel-first", "3passes",
         "--bandwidth", "16M", "--first-bandwidth", "4M", "--resume", guest="words",
         checks=DEVICE + (real_kvm, broken_clean, resumed, queues_said(2),
                          failed_once("dirty logs cannot be fetched"))),
    case("unreadable",
         "guest memory that cannot be read is sent all the same, or hurts more than one "
         "migration",
         "--mode", "xbzrle-dev", "--memory", "96M", "--args",
         " ".join(f"-numa node,nodeid={i},memdev=m{i}" for i in range(3)),
         "--source-args", nodes(f"file,share=on,mem-path={UNREADABLE}"),
         "--destination-args", nodes("ram"), "--empty-first", "0ms",
         "--first-bandwidth", "64K", "--bandwidth", "16M", "--resume", guest="words",
         checks=DEVICE + (real_kvm, resumed,
                          failed_cleanly("cannot read memory of RAM block 'm1'"))),

    # What QEMU says of a session.
    case("settings",
         "settings do not change while QEMU runs, take what cannot be, or change under a "
         "migration",
         "--mode", "xbzrle-dev", "--xbzrle-dev", "/nonexistent", "--before", "settings",
         "--at", "active", "!qom-set /xbzrle xbzrle-dev-queues 2",
         "--bandwidth", "16M", guest="words", checks=KVM + (queues(3), queues_said(3))),
    case("dirty-rate",
         "a dirty rate is measured by bits that the session takes, or nobody is "
         "told who encodes, with how many queues",
         "--mode", "xbzrle-dev", "--source-args", QUEUES + "3",
         "--at", "active", "!calc_dirty_rate -b 1",
         *HOLD, guest="words", checks=HELD + (rate_refused, queues_said(3))),
    case("cpu-max",
         "there are more queues than its control group lets QEMU's threads run",
         "--mode", "xbzrle-dev", "--cpu-max", "100000 100000",
         guest="calm", checks=KVM + (queues(1),)),

    # The module fails in the middle, beside multifd.
    case("multifd-encode-fails",
         "whole pages that channels still have are lost or come after those that QEMU "
         "sends, or the built-in encoder is let in",
         *multifd(2, "none"), "--source-args", QUEUES + "4", "--channel", "tcp",
         "--source-preload", "@encode-fails@", "--resume", *HOLD, guest="words",
         checks=BESIDE + (through_device, released, held, resumed, multifd_alone_said,
                          given_up, failed_once("pages cannot be encoded"))),
)
