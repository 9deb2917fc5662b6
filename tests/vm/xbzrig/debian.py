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

# The release after this machine's, whose backports have the newest kernels.
NEXT = "trixie"
# Debian's keys, also those of the next release.
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# root's downloads into a directory that the _apt user cannot enter would each
# bring a warning that they run unsandboxed; say at once that they may.
QUIET_APT = ["-o", "APT::Sandbox::User=root"]


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


def download(package, version, directory, log, apt=None):
    """Fetch a binary package's .deb into directory; its path."""
    try:
        progress.run(f"downloading {package} {version}",
                     ["apt-get", "-q", *QUIET_APT, "download", f"{package}={version}"],
                     log, cwd=directory, env=_environment(apt))
    except RigError as error:
        mend = (f"removing {apt.parent}" if apt else "`tests/vm/provision --update rig`")
        raise RigError(f"{error}\nrig: error: if the mirror no longer has that "
                       f"version, {mend} brings the package lists up to date") from error
    return next(directory.glob(f"{package}_*.deb"))


def unpack(deb, directory, log):
    """Unpack a .deb without installing it."""
    directory.mkdir(exist_ok=True)
    progress.run(f"unpacking {deb.name}", ["dpkg-deb", "-x", deb, directory], log)


def download_source(package, version, directory, log, suite=None):
    """Fetch a source package into directory; the path of its .dsc.

    The system's apt configuration hardly ever has deb-src on. So we have our
    own: the same mirrors and keys, other lists, and nothing of it outside the
    cache. suite names another Debian release than the machine's.
    """
    env = _environment(_source_config(suite))
    fetch = ["apt-get", "-q", "source", "--download-only", "--only-source",
             f"{package}={version}"]
    title = f"downloading the source of {package} {version}"
    try:
        progress.run(title, fetch, log, cwd=directory, env=env, quiet=True)
    except RigError:
        _update_source_lists(env, log)
        progress.run(title, fetch, log, cwd=directory, env=env)
    return next(directory.glob("*.dsc"))


def newest_source(package, suite, log):
    """The version of a source package in another Debian release; the lists
    are fetched only if there are none yet."""
    apt = _source_config(suite)
    query = ["apt-cache", "showsrc", "--only-source", package]
    shown = _output(*query, apt=apt)
    if not shown:
        _update_source_lists(_environment(apt), log)
        shown = _output(*query, apt=apt)
    versions = re.findall(r"^Version: (\S+)", shown, re.M)
    if not versions:
        raise RigError(f"the configured mirror has no source of {package} in {suite}")
    return max(versions, key=version_key)


def _update_source_lists(env, log):
    progress.run("fetching the lists of source packages",
                 ["apt-get", "-q", "update"], log, env=env)


def _entries():
    """source_entries() of this machine, which has to have some."""
    stanzas, lines = source_entries()
    if not stanzas and not lines:
        raise RigError("no Debian mirror is configured in /etc/apt/sources.list or "
                       "/etc/apt/sources.list.d; add one")
    return stanzas, lines


def release_sources(etc=pathlib.Path("/etc")):
    """(code name, {"sources" or "list": text}) of this machine's own release, as
    apt has it here, for binary packages."""
    stanzas, lines = source_entries(etc)
    codename = re.search(r"^VERSION_CODENAME=(\w+)", (etc / "os-release").read_text(), re.M)
    if not codename or not stanzas and not lines:
        raise RigError("no Debian release or no mirror of it is configured in /etc")
    files = {"sources": "\n\n".join(re.sub(r"^Types:.*", "Types: deb", stanza, flags=re.M | re.I)
                                    for stanza in stanzas),
             "list": "\n".join(re.sub(r"^deb-src", "deb", line) for line in lines)}
    return codename[1], {name: text + "\n" for name, text in files.items() if text}


def _source_config(suite):
    """An apt configuration that has the system's Debian sources as deb-src."""
    if suite:
        return _config(f"apt-{suite}", *other_suite(*_entries(), suite))
    return _config("apt", *_entries())


def _config(name, stanzas, lines, more=""):
    """The file of an apt configuration in the cache that has these sources."""
    apt = cache.root() / name
    for path in ("sources", "lists/partial"):
        (apt / path).mkdir(parents=True, exist_ok=True)
    _write(apt / "sources/debian.sources", "\n\n".join(stanzas))
    _write(apt / "sources/debian.list", "\n".join(lines))
    _write(apt / "apt.conf", f"""\
APT::Sandbox::User "root";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{apt}/sources";
Dir::State::Lists "{apt}/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
{more}""")
    return apt / "apt.conf"


def other_suite(stanzas, lines, suite):
    """Of the machine's deb-src entries those of the release itself, made into
    entries of another release; its updates and security may lie elsewhere."""
    main = re.compile(r"[a-z]+")
    others = [re.sub(r"^Suites:.*", f"Suites: {suite}", stanza, flags=re.M | re.I)
              for stanza in stanzas
              if any(main.fullmatch(name) for name in re.search(
                  r"^Suites:(.*)", stanza, re.M | re.I)[1].split())]
    entry = re.compile(r"(deb-src\s+(?:\[[^]]*\]\s+)?\S+\s+)(\S+)(\s.*)")
    matches = [entry.match(line) for line in lines]
    return others, [match[1] + suite + match[3] for match in matches
                    if match and main.fullmatch(match[2])]


def mirror(suite):
    """A line of sources.list for another suite on the mirror that has this
    machine's release."""
    stanzas, lines = _entries()
    for stanza in stanzas:
        uri = re.search(r"^URIs:\s*(\S+)", stanza, re.M | re.I)
        suites = re.search(r"^Suites:\s*(\S+)", stanza, re.M | re.I)
        if uri and suites and "-" not in suites[1] and "/" not in suites[1]:
            return f"deb [signed-by={KEYRING}] {uri[1]} {suite} main"
    for line in lines:
        entry = re.match(r"deb-src\s+(?:\[[^]]*\]\s+)?(\S+)\s+([^\s/-]+)\s", line)
        if entry:
            return f"deb [signed-by={KEYRING}] {entry[1]} {suite} main"
    raise RigError("no mirror of Debian's own release is configured in /etc/apt")


def backports(release=NEXT):
    """The file of an apt configuration that knows what is backported to a
    release, and nothing else; its lists are fetched if there are none or if they
    are a week old."""
    suite = f"{release}-backports"
    apt = _config(f"apt-{suite}", [], [mirror(suite)],
                  'Dir::State::status "/dev/null";')
    lists = list((apt.parent / "lists").glob("*_Packages*"))
    if not lists or time.time() - apt.parent.joinpath("lists").stat().st_mtime > 7 * 86400:
        progress.run(f"fetching the package list of {suite}",
                     ["apt-get", "-q", "update"], apt.parent / "log",
                     env=_environment(apt), quiet=True)
    return apt


def _write(path, text):
    path.write_text(text + "\n")


def source_entries(etc=pathlib.Path("/etc")):
    """(deb822 stanzas, one-line entries) of the machine, made into deb-src."""
    release = (etc / "os-release").read_text()
    codename = re.search(r"^VERSION_CODENAME=(\w+)", release, re.M)
    names = "|".join(["stable", "oldstable"] + ([codename[1]] if codename else []))
    # Other vendors' repositories have nothing for us, and often no sources.
    ours = re.compile(rf"\b({names})(-\S+|/\S+)?(?!\S)")
    stanzas, lines = [], []
    for path in sorted((etc / "apt/sources.list.d").glob("*.sources")):
        text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.M)
        for stanza in re.split(r"\n\s*\n", text):
            suites = re.search(r"^Suites:(.*)", stanza, re.M | re.I)
            off = re.search(r"^Enabled:\s*(no|false)\b", stanza, re.M | re.I)
            if suites and ours.match(suites[1].strip()) and not off:
                stanzas.append(re.sub(r"^Types:.*", "Types: deb-src", stanza.strip(),
                                      flags=re.M | re.I))
    listed = sorted((etc / "apt/sources.list.d").glob("*.list"))
    for path in [etc / "apt/sources.list", *listed]:
        if not path.exists():
            continue
        for line in path.read_text().splitlines():
            entry = re.match(r"deb\s+((\[[^]]*\]\s+)?\S+\s+(\S+)\s.*)", line)
            if entry and ours.match(entry[3]) and not entry[1].startswith("cdrom:"):
                lines.append("deb-src " + entry[1])
    return stanzas, lines
