/* SPDX-License-Identifier: GPL-2.0-only */
/* Instead of QEMU's: the one type of it that is used. */
#define ram_addr_t uintptr_t
