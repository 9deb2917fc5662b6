/* SPDX-License-Identifier: GPL-2.0-only */
/* Instead of QEMU's: none of its functions is used by what is built here. */
