/* SPDX-License-Identifier: GPL-2.0-only */
/* Instead of a file that QEMU's build makes: nothing is poisoned. */
