/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _XBZ_VM_H
#define _XBZ_VM_H

#include <linux/types.h>

struct file;

struct file *xbz_vm_get(int fd);
long xbz_vm_ioctl(struct file *vm, unsigned int cmd, u64 arg);

#endif /* _XBZ_VM_H */
