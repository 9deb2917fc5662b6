# SPDX-License-Identifier: GPL-2.0-only
"""Packages and source packages, by the machine's own apt configuration.

Nothing here installs anything (tests/vm/provision does that) and nothing
here changes the system's configuration: downloads land in the cache.
"""

import os
import pathlib
import re
import subprocess
import time

from . import cache, progress
from .common import RigError

# The release whose backports have the newest kernels, this machine's or the next.
NEWEST = "trixie"
# Debian's keys, also those of the next release.
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

def _environment(apt):
    """For a command of apt: by the system's configuration, or a file's."""
    return dict(os.environ, APT_CONFIG=str(apt)) if apt else None


def _output(*argv, apt=None):
    """stdout of a query, empty if it fails or is not there to be asked."""
    try:
        return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False,
                              stderr=subprocess.DEVNULL, env=_environment(apt)).stdout
    except FileNotFoundError:
        return ""


def version_key(text):
    """Sorts versions of one package; good enough where no ~ is in play."""
    return [int(part) for part in re.findall(r"\d+", text)]


def newest(names):
    """Of names that have versions in them, the one with the newest."""
    return max(names, key=version_key)


def installed(pattern):
    """{package: version} of the installed packages that match a glob."""
    rows = _output("dpkg-query", "-W", "-f",
                   "${db:Status-Status} ${Package} ${Version}\n", pattern)
    return {row.split()[1]: row.split()[2]
            for row in rows.splitlines() if row.startswith("installed ")}


def source_of(package):
    """(source package, version) of an installed package, or None."""
    row = _output("dpkg-query", "-W", "-f",
                  "${db:Status-Status} ${source:Package} ${source:Version}", package)
    return tuple(row.split()[1:]) if row.startswith("installed ") else None


def available(pattern, apt=None):
    """Names of packages that apt knows and that match a regular expression."""
    names = _output("apt-cache", "pkgnames", apt=apt).split()
    return [name for name in names if re.fullmatch(pattern, name)]


def candidate(package, apt=None):
    """The version that apt would install, or None."""
    match = re.search(r"Candidate: (\S+)", _output("apt-cache", "policy", package, apt=apt))
    return match.group(1) if match and match.group(1) != "(none)" else None


def depends(package, version, pattern, apt=None):
    """Those packages that a package depends on whose names match."""
    shown = _output("apt-cache", "show", f"{package}={version}", apt=apt)
    line = re.search(r"^Depends: (.*)", shown, re.M)
    names = re.findall(r"[^,|\s(]+(?=[^,|]*)", line[1]) if line else []
    return [name for name in dict.fromkeys(names) if re.fullmatch(pattern, name)]


def unpack(package, version, work, apt=None):
    """Fetch a binary package into the directory work, and have its files below root in
    there, without installing it; what is said goes to the log there."""
    log = work / "log"
    try:
        progress.run(f"downloading {package} {version}",
                     # root's into a directory that the user _apt cannot enter would
                     # bring a warning each.
                     ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download",
                      f"{package}={version}"],
                     log, cwd=work, env=_environment(apt))
    except RigError as error:
        mend = (f"removing {apt.parent}" if apt else "`tests/vm/provision --update rig`")
        raise RigError(f"{error}\nrig: error: if the mirror no longer has that "
                       f"version, {mend} brings the package lists up to date") from error
    deb = next(work.glob(f"{package}_*.deb"))
    progress.run(f"unpacking {deb.name}", ["dpkg-deb", "-x", deb, work / "root"], log)
    deb.unlink()


def download_source(package, version, directory, log, suite=None):
    """Fetch a source package into directory.

    The system's apt configuration hardly ever has deb-src on. So we have our
    own: the same mirrors and keys, other lists, and nothing of it outside the
    cache. suite names another Debian release than the machine's.
    """
    for renew in (False, True):
        try:
            progress.run(f"downloading the source of {package} {version}",
                         ["apt-get", "-q", "source", "--download-only", "--only-source",
                          f"{package}={version}"], log, cwd=directory, quiet=not renew,
                         env=_environment(_source_config(suite, renew)))
            return
        except RigError:
            if renew:
                raise


def newest_source(package, suite, upstream=""):
    """The newest version of a source package in another Debian release, of those
    whose upstream version begins like that."""
    shown = _output("apt-cache", "showsrc", "--only-source", package,
                    apt=_source_config(suite))
    begin = re.compile(rf"(\d+:)?{re.escape(upstream)}(?!\d)" if upstream else "")
    versions = [version for version in re.findall(r"^Version: (\S+)", shown, re.M)
                if begin.match(version)]
    if not versions:
        raise RigError(f"the configured mirror has no source of {package} "
                       f"{upstream or 'at all'} in {suite}")
    return newest(versions)


def codename():
    """Of this machine's release."""
    return re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(),
                     re.M)[1]


def sources(kind="deb", release=None):
    """Lines of sources.list: what apt has here of this machine's release, as it says
    itself; other vendors' repositories have nothing for us. Or another release, on the
    mirror that has this one, whose updates and security may lie elsewhere."""
    rows = _output("apt-get", "indextargets", "--format",
                   "$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
    rows = [row.split()[1:] for row in dict.fromkeys(rows.splitlines())
            if row.startswith("Debian ")]
    if release:
        rows = [[row[0], release, "main"] for row in rows if row[1] == codename()][:1]
    if not rows:
        raise RigError("no mirror of Debian is configured in /etc/apt, or its lists are not "
                       "there: `tests/vm/provision --update rig`")
    return [f"{kind} [signed-by={KEYRING}] {' '.join(row)}" for row in rows]


def mirror(suite):
    """A line of sources.list for another suite on the mirror that has this
    machine's release."""
    return sources(release=suite)[0]


def _source_config(suite, renew=False):
    """An apt configuration that has the system's Debian sources as deb-src."""
    return _config(f"apt-{suite}" if suite else "apt", sources("deb-src", suite), renew=renew)


def other_release(suite):
    """An apt configuration that knows the packages of one suite on the mirror, and
    nothing else."""
    return _config(f"apt-binary-{suite}", [mirror(suite)], 'Dir::State::status "/dev/null";')


def _config(name, lines, more="", renew=False):
    """The file of an apt configuration in the cache that has these sources; its lists
    are fetched if there are none, or if they are a week old."""
    apt = cache.root() / name
    for path in ("sources", "lists/partial"):
        (apt / path).mkdir(parents=True, exist_ok=True)
    (apt / "sources/debian.list").write_text("\n".join(lines) + "\n")
    (apt / "apt.conf").write_text(f"""\
APT::Sandbox::User "root";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{apt}/sources";
Dir::State::Lists "{apt}/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
{more}
""")
    lists = apt / "lists"
    if renew or not any(lists.glob("*_dists_*")) or \
            time.time() - lists.stat().st_mtime > 7 * 86400:
        progress.run(f"fetching the package lists for {name}", ["apt-get", "-q", "update"],
                     apt / "log", env=_environment(apt / "apt.conf"), quiet=True)
    return apt / "apt.conf"
