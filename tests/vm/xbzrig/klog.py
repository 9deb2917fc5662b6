# SPDX-License-Identifier: GPL-2.0-only
"""What in a kernel log is a fault."""

import re

# Oopses, BUGs, WARNs, lockdep, RCU, sanitizers, hung tasks, leaks, panics. Not
# the bare word WARNING: the code that picks CPU mitigations uses it in prose.
FAULT = re.compile(
    r"\bBUG: |kernel BUG at|\bWARNING: (CPU: \d|\S+:\d+ at |possible |suspicious |inconsistent |"
    r"bad unlock|lock held|held lock|Nested lock|kernel stack )|"
    r"Oops: |Oops\b.*\[#\d+\]|\bgeneral protection fault\b|"
    r"Kernel panic|Kernel mode (fault|signal)|"
    r"\bKASAN: |\bKCSAN: |\bUBSAN: |\bKFENCE: |"
    r"INFO: (task .* blocked|rcu_\w+ (self-)?detected|trying to register|possible)|"
    r"rcu: INFO: rcu_\w+ |"
    r"\bkmemleak: \d+ new|Bad page (state|map)|refcount_t: |list_(add|del) corruption|"
    r"scheduling while atomic|sleeping function called|soft lockup|hard LOCKUP|"
    r"unregister_netdevice: waiting|ODEBUG: |"
    # A checker that has given up finds nothing more.
    r"turning off the locking correctness validator|"
    r"kmemleak: (Kernel memory leak detector disabled|Cannot allocate a kmemleak_object|"
    r"Memory pool empty)")

# Bits of /proc/sys/kernel/tainted that only a fault sets: bad page, oops, WARN,
# soft lockup. They tell of faults whose text the pattern above does not know.
TAINT_FAULT = 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14


def faults(text):
    """The lines of a kernel log that tell of a fault."""
    return [line for line in text.splitlines() if FAULT.search(line)]
