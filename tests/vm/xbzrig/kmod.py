# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's own modules: found, uncompressed, in the order to load them.

Read from the files themselves: nothing of the image package is installed, so
depmod has never run, and kmod need not be there.
"""

import lzma
import re


def canonical(name):
    """Files are named with - or _, in no order; the kernel says _."""
    return name.replace("-", "_")


def read(path):
    """The bytes of a module, uncompressed: busybox's insmod wants them so."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def files(kernel):
    """{name: path} of the modules that the kernel has as files."""
    return {canonical(path.name.split(".ko")[0]): path
            for path in kernel.modules.rglob("*.ko*")}


def depends(data):
    """Names of the modules that a module's bytes say it needs."""
    found = re.search(rb"\0depends=([^\0]*)\0", data)
    return [canonical(name) for name in found[1].decode().split(",") if name] if found else []


def load_order(kernel, names):
    """[(name, bytes)] of modules and all that they depend on, in order. What
    is no file is built in, or its lack is seen when it is used."""
    found = files(kernel) if names else {}
    order = {}

    def visit(name):
        if name in order or name not in found:
            return
        data = read(found[name])
        for dependency in depends(data):
            visit(dependency)
        order[name] = data

    for name in names:
        visit(name)
    return list(order.items())
