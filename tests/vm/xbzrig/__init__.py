# SPDX-License-Identifier: GPL-2.0-only
"""The rig: kernels and QEMUs fetched or built once, and machines booted from
them.

common     where things are, and how the rig speaks and fails
cache      artifacts kept outside the checkout, keyed by what went into them
progress   long commands with a log and a sign of life
debian     packages and source packages from the machine's own apt set-up
kernels    the kernels that can be booted, by the name a user gives
tree       the next Debian's compiler and libc
compiled   User Mode Linux and kernels with checkers, compiled here
qemu       Debian's QEMU with our patches
cpio       the initramfs of one boot
kmod       a kernel's own modules, in load order
machine    one boot: QEMU or User Mode Linux, streams, status, clean end
klog       what in a kernel log is a fault
"""
