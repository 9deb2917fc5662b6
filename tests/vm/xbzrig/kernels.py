# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that can be booted, by the name a user gives.

"6.1", "6.12": Debian's kernel of that series, apt's newest, or else that of another suite
on the mirror. Image and headers go into the cache. Neither is ever installed from here:
headers of newer series depend on the image, which would want an initramfs made, and so
on. On a Debian that is older than a kernel, modules are made with the newer Debian's
compiler and libc, see trees.

"own": the series whose headers are installed by linux-headers-amd64, the release's.

"arm64": another architecture's, of this release, to build for; it is not booted. See
trees.

"uml", "debug", "kcsan", "kcov": see compiled.

A path: the kernel that is installed in a Debian tree, the newest if there are
several. Modules for it are built in there.
"""

import dataclasses
import pathlib
import re
import shutil

from . import bzimage, cache, debian, trees
from .common import RigError

DEFAULT = "own"
# In the version of what was backported to the newest release.
BACKPORT = "~bpo13"
# Where series are that the machine's own suites have not got.
ELSEWHERE = (f"{debian.NEWEST}-backports", "bookworm")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """What it takes to boot a kernel and to build modules for it."""
    name: str
    release: str
    image: pathlib.Path
    modules: pathlib.Path | None    # lib/modules/RELEASE, None if all is built in
    kdir: pathlib.Path              # what a module's make -C takes
    make: str = "make"              # the command that takes it, with arguments
    uml: bool = False


def get(name):
    """The kernel of that name, fetched or built if it is not in the cache."""
    from . import compiled
    if name == DEFAULT:
        name = _own()
    if "/" in name:
        return _in_tree(pathlib.Path(name).resolve())
    if name == trees.FOREIGN:
        kdir = next(trees.foreign().glob(f"usr/src/linux-headers-*-{name}"))
        return Kernel(name=name, release=kdir.name.removeprefix("linux-headers-"), image=None,
                      modules=None, kdir=kdir, make=f"make ARCH={name} CROSS_COMPILE={trees.CROSS}")
    if name in compiled.RECIPES:
        return compiled.get(name)
    if re.fullmatch(r"\d+\.\d+", name):
        return _debian(name)
    raise RigError(f"no kernel is called {name!r}; there are series of Debian's "
                   f"kernels, like 6.1 or 6.12, and {', '.join(compiled.RECIPES)}, "
                   "and paths of trees that have one")


def series():
    """All of Debian's that modules can be built for, the oldest first."""
    found = {re.search(r"\d+\.\d+", headers)[0]
             for _, packages in _packages("headers", r"\d+\.\d+") for headers in packages}
    return sorted(found, key=debian.version_key)


def _own():
    version = debian.installed("linux-headers-amd64").get("linux-headers-amd64")
    if not version:
        raise RigError("linux-headers-amd64 is not installed, which says what kernel this "
                       "release has; `tests/vm/provision rig` installs it")
    return re.match(r"\d+\.\d+", version)[0]


def _in_tree(root):
    releases = [path.name.removeprefix("vmlinuz-") for path in root.glob("boot/vmlinuz-*")]
    if not releases:
        raise RigError(f"{root} has no boot/vmlinuz-*")
    release = debian.newest(releases)
    return Kernel(name=str(root), release=release, image=root / f"boot/vmlinuz-{release}",
                  modules=root / "lib/modules" / release,
                  kdir=root / f"usr/src/linux-headers-{release}")


def _debian(series):
    release, version, apt = _release(series)
    tree = cache.obtain("kernel", f"{release}_{version}",
                        lambda work: _unpack(work, release, version, apt))
    newer = BACKPORT in version and debian.codename() != debian.NEWEST
    return dataclasses.replace(_in_tree(tree / "root"), name=series, image=tree / "image",
                               make=trees.newest_make() if newer else "make")


def _release(name):
    """(release, package version, the apt configuration of another suite that has it or
    None for this machine's)."""
    for apt, images in _packages("image", re.escape(name)):
        image = debian.newest(images)
        return image.removeprefix("linux-image-"), debian.candidate(image, apt), apt
    raise RigError(f"no Debian kernel {name}.x: apt knows no linux-image-{name}.*-amd64; "
                   "`apt-get update` may help, or one more apt source (security, backports)")


def _packages(kind, name):
    """(apt configuration, packages) of each suite that has such of a series."""
    for suite in (None, *ELSEWHERE):
        try:
            apt = debian.other_release(suite) if suite else None
        except RigError:
            continue
        packages = debian.available(rf"linux-{kind}-{name}\.\d+([-+]\w+)?-amd64", apt)
        if packages:
            yield apt, packages


def _unpack(work, release, version, apt):
    """Unpack image and headers, each with those of its dependencies that it does not work
    without, and make them work where they are."""
    for package, depends in (
            (f"linux-image-{release}", rf"linux-(base|binary|modules)-{re.escape(release)}"),
            (f"linux-headers-{release}", r"linux-headers-\S+-common|linux-kbuild-\S+")):
        for name in [package, *debian.depends(package, version, depends, apt)]:
            # A signed image comes later than what its source has besides.
            debian.unpack(name, debian.candidate(name, apt), work, apt)
    root = work / "root"
    shutil.rmtree(root / "usr/share", ignore_errors=True)
    # As it is once it is installed, where / and /usr are one and /boot has the kernel.
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    image = root / f"boot/vmlinuz-{release}"
    if not image.exists():
        image.parent.mkdir(exist_ok=True)
        shutil.copy(root / f"usr/lib/modules/{release}/vmlinuz", image)
    (work / "image").write_bytes(bzimage.quick(image))
    trees.relocate(root / f"usr/src/linux-headers-{release}")
