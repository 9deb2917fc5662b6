// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM's file and calls of its ioctls: the only way to KVM that is used, so
 * that no symbol of KVM's is. What the calls are for is not known here.
 */
#include "vm.h"

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <linux/security.h>
#include <linux/string.h>

/* The name that KVM gives to a VM's file; only kernel code can name one so. */
#define XBZ_VM_FILE_NAME "kvm-vm"

static bool xbz_file_is_vm(const struct file *file)
{
	return file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       !strcmp(file->f_path.dentry->d_name.name, XBZ_VM_FILE_NAME) &&
	       file->f_op->unlocked_ioctl;
}

/**
 * xbz_vm_get() - take a VM's file
 * @fd: a file descriptor of the caller's
 *
 * Context: may sleep.
 * Return: the file, to be put with fput(); -EBADF if there is none, -EBADFD if
 * it is no VM, -EXDEV if the VM is of another process, or what a security
 * module says.
 */
struct file *xbz_vm_get(int fd)
{
	struct file *file = fget(fd);
	long ret;

	if (!file)
		return ERR_PTR(-EBADF);
	if (!xbz_file_is_vm(file)) {
		ret = -EBADFD;
		goto err_fput;
	}
	/* KVM answers every call from another address space with -EIO. */
	ret = xbz_vm_ioctl(file, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY);
	if (ret < 0) {
		ret = ret == -EIO ? -EXDEV : ret;
		goto err_fput;
	}
	return file;

err_fput:
	fput(file);
	return ERR_PTR(ret);
}

/**
 * xbz_vm_ioctl() - call an ioctl of the VM
 * @vm: from xbz_vm_get()
 * @cmd: the ioctl
 * @arg: its argument, a user address for most
 *
 * Context: may sleep; in a thread of the process that owns the VM; the mmap
 * lock is not held.
 * Return: what the ioctl returns.
 */
long xbz_vm_ioctl(struct file *vm, unsigned int cmd, u64 arg)
{
	long ret = security_file_ioctl(vm, cmd, arg);

	return ret ?: vm->f_op->unlocked_ioctl(vm, cmd, arg);
}
