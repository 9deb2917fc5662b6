# SPDX-License-Identifier: GPL-2.0
"""The kernels that can be booted, by the name a user gives.

"6.1", "6.12": Debian's image package of that series, unpacked into the cache
and never installed. The release is that of the installed headers, because
that is what modules are built against; without headers, apt's newest.

"uml": User Mode Linux, compiled by umlkernel.
"""

import dataclasses
import pathlib
import re
import shutil

from . import cache, debian
from .common import RigError

DEFAULT = "6.1"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """What it takes to boot a kernel and to build modules for it."""
    name: str
    release: str
    image: pathlib.Path
    modules: pathlib.Path | None    # lib/modules/RELEASE, None if all is built in
    kdir: pathlib.Path              # what a module's make -C takes
    uml: bool = False

    def module_default(self, checkout):
        """Where the project's Makefile puts xbzrle.ko for this kernel."""
        return checkout / "build" / ("uml" if self.uml else self.release) / "xbzrle.ko"


def get(name):
    """The kernel of that name, fetched or built if it is not in the cache."""
    if name == "uml":
        from . import umlkernel
        return umlkernel.get()
    if re.fullmatch(r"\d+\.\d+", name):
        return _debian_image(name)
    raise RigError(f"no kernel is called {name!r}; there are series of Debian's "
                   "kernels, like 6.1 or 6.12, and uml")


def _release(series):
    """(release, package version) of a series: installed headers come first."""
    release = re.escape(series) + r"\.\d+([-+]\w+)?-amd64"
    headers = [(package.removeprefix("linux-headers-"), version) for package, version
               in debian.installed(f"linux-headers-{series}.*").items()
               if re.fullmatch(f"linux-headers-{release}", package)]
    if headers:
        return max(headers, key=lambda pair: debian.version_key(pair[0]))
    images = [package.removeprefix("linux-image-") for package
              in debian.available(f"linux-image-{release}")]
    if not images:
        raise RigError(
            f"no Debian kernel {series}.x: neither linux-headers-{series}.* is "
            f"installed nor does apt know linux-image-{series}.*-amd64; "
            f"`tests/rig/provision kernel-{series}` installs the headers, if one of "
            "the machine's apt sources has them")
    newest = max(images, key=debian.version_key)
    return newest, debian.candidate(f"linux-image-{newest}")


def _debian_image(series):
    release, version = _release(series)

    def make(work):
        log = work / "log"
        deb = debian.download(f"linux-image-{release}", version, work, log)
        debian.unpack(deb, work / "root", log)
        deb.unlink()
        shutil.rmtree(work / "root/usr/share", ignore_errors=True)

    root = cache.obtain("image", f"{release}_{version}", make) / "root"
    modules = [path for path in (root / "lib/modules" / release,
                                 root / "usr/lib/modules" / release) if path.is_dir()]
    return Kernel(name=series, release=release, image=root / f"boot/vmlinuz-{release}",
                  modules=modules[0] if modules else None,
                  kdir=pathlib.Path("/usr/src") / f"linux-headers-{release}")
