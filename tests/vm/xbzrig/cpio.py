# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs of one boot, written as a newc cpio archive.

It is put together anew for every boot: uncompressed, a few megabytes, done
in milliseconds. So the command to run and the modules to load travel in it
as files, and nothing has to be quoted for a kernel command line.
"""

import stat


class Archive:
    """A newc archive in memory."""

    def __init__(self):
        self.parts = []
        self.inode = 0
        self.directories = set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        encoded = name.encode(errors="surrogateescape") + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0,
                  rdev[0], rdev[1], len(encoded), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]

    def directory(self, name):
        if name and name not in self.directories:
            self.directory(name.rpartition("/")[0])
            self.directories.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        self.directory(name.rpartition("/")[0])
        if isinstance(data, str):
            data = data.encode(errors="surrogateescape")
        self._entry(name, stat.S_IFREG | mode, data)

    def device(self, name, major, minor):
        self.directory(name.rpartition("/")[0])
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def write(self, path):
        self._entry("TRAILER!!!", 0)
        with open(path, "wb") as file:
            file.writelines(self.parts)
