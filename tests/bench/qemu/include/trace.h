/* SPDX-License-Identifier: GPL-2.0-only */
/* Instead of what QEMU's build makes: no tracing. */
#define trace_migration_pagecache_init(...) do { } while (0)
#define trace_migration_pagecache_insert(...) do { } while (0)
#define trace_qemu_file_fclose(...) do { } while (0)
