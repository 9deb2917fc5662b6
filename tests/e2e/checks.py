# SPDX-License-Identifier: GPL-2.0-only
"""What must come of a migration: checks for the table (cases.py). They take the result of
migrate and return what is wrong, or None.
"""

import os
import re

def completed(r):
    if r["status"] != "completed":
        return f"{r['status']}: {r['error']}"
    return None


def identical(r):
    if r["memory_identical"] is not True:
        return r["error"] or "memory was not compared"
    return None


def to_stock(r):
    if r["dst"] != "stock" or not r["dst_package"]:
        return "the destination is no untouched Debian QEMU"
    return None


def through_device(r):
    if not r["device_used"]:
        return f"the device was not used: {r['src_stderr'] or 'no message'}"
    if not r["pages_delta"]:
        return "not a single delta was sent"
    return None


def device_used(r):
    return None if r["device_used"] else \
        f"the device was not used: {r['src_stderr'] or 'no message'}"


def released(r):
    if r["device_released"] is not True:
        return "QEMU still holds the device after the migration"
    return None


def without_device(r):
    if r["device_used"]:
        return "the device was used"
    return None


def real_kvm(r):
    return None if r["kvm"] else "the guest did not run under KVM"


def no_kvm(r):
    return "the guest ran under KVM" if r["kvm"] else None


def resumed(r):
    return None if r["resumed"] else "the guest did not go on"


def diverged(r):
    if r["status"] != "did-not-converge":
        return (f"plain precopy is {r['status']}: the guest is too slow for "
                f"the other cases to mean anything")
    return None


def said_once(r):
    lines = [line for line in r["src_stderr"].splitlines()
             if "/nonexistent" in line]
    if len(lines) != 1:
        return f"{len(lines)} lines about the missing device, not one"
    return None


# A newer QEMU's, of the machine type of an older one.
DEPRECATED = re.compile(r"^.*: warning: Machine type '\S+' is deprecated:.*\n?", re.M)


def silent(r):
    said = DEPRECATED.sub("", r["src_stderr"])
    if said:
        return f"the source complains: {said}"
    return None


def log_hidden(r):
    if "legacy-log: manual protection hidden" not in r["src_stderr"]:
        return "QEMU did not ask for manual protection: nothing was tested"
    return None


def broken_clean(r):
    first = r["broken_first"] or {}
    if not first.get("device_used"):
        return "the device was not used in the attempt that was broken off"
    if not first.get("device_released"):
        return "the session outlived the attempt that was broken off"
    return None


def sent_raw(r):
    return None if r["pages_raw"] else "no page was sent raw"


def rates_sound(r):
    rate = (r["xbzrle"] or {}).get("cache-miss-rate")
    if rate is None or not 0 <= rate <= 1:
        return f"the rate of misses is {rate}"
    return None


def cache_size(size):
    """A check: QEMU says that the cache has this size."""
    def check(r):
        has = (r["xbzrle"] or {}).get("cache-size")
        if has != size:
            return f"the cache has {has} bytes, not {size}"
        return None
    return check


def queues(number):
    """A check: the session has so many."""
    def check(r):
        if r["queues"] != number:
            return f"the session has {r['queues']} queues, not {number}"
        return None
    return check


def queues_of_host(r):
    return queues(min(os.cpu_count(), 8))(r)


def to_newer(r):
    if r["dst"] != "stock" or int(r["dst_version"].split(".")[0]) < 10:
        return f"the destination is {r['dst']} {r['dst_version']}"
    return None


def by_channels(r):
    if not r["multifd_bytes"]:
        return "nothing was sent by multifd's channels"
    return None


def multifd_alone_said(r):
    lines = [line for line in r["src_stderr"].splitlines()
             if "on with multifd alone" in line]
    if len(lines) != 1:
        return f"it does not say once what it does without the device: {r['src_stderr']}"
    return None


def postcopied(r):
    return None if r["postcopy"] else "it completed before postcopy began"


def refused(r):
    if "'xbzrle-dev-queues' expects 1 to 64" not in (r["error"] or ""):
        return f"65 queues are not refused: {r['error']}"
    return None


ZEROCOPY = re.compile(r"^zerocopy-log: (.*)$", re.M)
# The most that QEMU has of one ring then.
RING_ZEROCOPY = 4 << 20


def no_copies(r):
    lines = ZEROCOPY.findall(r["src_stderr"])
    if not lines:
        return "nothing was sent with MSG_ZEROCOPY"
    n = {}
    for line in lines:
        n = dict(word.split("=") for word in line.split())
        n = {name: int(value) for name, value in n.items()}
        for name in ("copied", "pieces", "elsewhere", "changed"):
            if n[name]:
                return f"{name} is not 0: {line}"
    # Of the last migration, the one that was not broken off.
    if n["unfinished"]:
        return f"it does not wait for the kernel: {lines[-1]}"
    # Small batches are copied.
    if n["bytes"] < r["bytes"] / 2:
        return f"too much was copied: {lines[-1]}"
    # Those, too, come out of a ring. What does not are headers of sections, and devices.
    if n["other"] > r["bytes"] / 10:
        return f"too much does not come out of a ring: {lines[-1]}"
    if n["bytes"] <= RING_ZEROCOPY:
        return f"no more was sent than a ring has room for: {lines[-1]}"
    return None


def copies_said(why):
    """A check: the source says once that it copies, and why, and no more."""
    def check(r):
        lines = [line for line in r["src_stderr"].splitlines()
                 if "xbzrle-dev-zerocopy" in line]
        if len(lines) != 1 or why not in lines[0]:
            return f"it does not say once, '{why}': {r['src_stderr']}"
        return None
    return check


def throttled(r):
    return None if r["throttled"] else "the guest was never throttled"


def every_hop(number):
    """A check: so many migrations led to the last one, by the device."""
    def check(r):
        if r["hops"] != [True] * number:
            return f"the device was not used and released in each: {r['hops']}"
        return None
    return check


def failed_once(why):
    """A check: one session failed, and the source says so."""
    def check(r):
        if "device-fails: here" not in r["src_stderr"]:
            return "nothing has failed, so nothing was tested"
        lines = [line for line in r["src_stderr"].splitlines()
                 if "' failed: " in line]
        if len(lines) != 1 or why not in lines[0]:
            return f"it does not say once, '{why}': {r['src_stderr']}"
        return None
    return check


def given_up(r):
    return "the session that failed is said to encode" if "x-dev-queues" in \
        (r["xbzrle"] or {}) else None


def failed_cleanly(why):
    """A check: the first attempt failed for a reason, which the source says."""
    def check(r):
        if not (r["broken_first"] or {}).get("device_released"):
            return "the session outlived the attempt that failed"
        if why not in r["src_stderr"]:
            return f"it does not say '{why}': {r['src_stderr']}"
        return None
    return check


# Whoever waits for the channel waits for half a minute. On an idle machine QEMU's
# monitor answers in less than a second; this one is emulated, and may be busy.
ANSWER_MS = 5000


def answered(r):
    first = r["broken_first"] or {}
    for name in ("answer_ms", "end_ms"):
        if (first.get(name) or ANSWER_MS) >= ANSWER_MS:
            return f"{name} of the stalled migration is {first.get(name)}"
    return None


def rate_refused(r):
    if not any("/dev/xbzrle" in text for text in r["said"].values()):
        return f"a dirty rate that cannot be measured: {r['said']}"
    return None


def queues_said(number):
    """A check: QEMU says that a session encodes, with so many queues."""
    def check(r):
        said = (r["xbzrle"] or {}).get("x-dev-queues")
        if said != number:
            return f"the session is said to have {said} queues, not {number}"
        return None
    return check


def held_for(passes):
    """A check: there were more passes than that."""
    return lambda r: None if (r["passes"] or 0) > passes else \
        f"it ended after {r['passes']} passes, which began at {r['passes_began']} s: too " \
        f"little was tested"


held = held_for(6)

FORECAST = re.compile(r"converges in \d+\.\d s|(never, [a-z ]+|not within \d+ s)(; .*)?")


def forecast(r):
    """QEMU says what to expect, and shows it to the user."""
    said = r["forecasts"]
    wrong = [one for one in said if not FORECAST.fullmatch(one["text"])]
    if not said or wrong:
        return f"what to expect is not said, or with other words: {wrong}"
    # From 10.2 on, info migrate alone shows less.
    if not any(one["shown"] for one in said) and not r["src_version"].startswith("10.2"):
        return "info migrate does not show what to expect"
    return None


def stopped_for(most):
    """A check: no more bytes were sent while the guest was stopped."""
    return lambda r: None if r["downtime_bytes"] <= most else \
        f"{r['downtime_bytes']} bytes were sent while the guest was stopped"


def difference_found(r):
    if r["memory_identical"] is not False or \
            r["memory"]["differing_bytes"] != 1:
        return f"a flipped byte was not noticed: {r['memory']}"
    return None


def failures(checks, result):
    """What is wrong with a result, as texts; empty if it is as it should."""
    return [text for text in (check(result) for check in checks) if text]
