/* SPDX-License-Identifier: GPL-2.0-only */
/* Instead of what QEMU's build makes: names that a header mentions. */
#define QEnumLookup struct QEnumLookup
