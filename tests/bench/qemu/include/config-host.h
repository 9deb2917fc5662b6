/* SPDX-License-Identifier: GPL-2.0-only */
/* Instead of what QEMU's configure writes: a Linux host. */
#define CONFIG_LINUX 1
#define CONFIG_POSIX 1
#define CONFIG_ATOMIC64 1
#define CONFIG_IOVEC 1
#define CONFIG_MADVISE 1
#define CONFIG_AVX512BW_OPT 1
#define CONFIG_PREFIX "/usr"
#define CONFIG_BINDIR "/usr/bin"
#define HOST_X86_64 1
