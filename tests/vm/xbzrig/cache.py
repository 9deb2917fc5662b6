# SPDX-License-Identifier: GPL-2.0-only
"""Artifacts kept outside the checkout, keyed by what went into them.

    CACHE/<kind>/<label>-<hash>/     a finished artifact, never changed again
    CACHE/work/<kind>/               the one being made
    CACHE/lock/<kind>                held while one is being made

An artifact is made in work/ and renamed into place as the last step, so that
what has a final name is whole, whatever was killed and when.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil

from .common import RigError, say


def root():
    """The cache directory; made on first use."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(os.environ.get("XBZ_CACHE") or f"{base}/xbzrle").absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RigError(f"cannot make the cache directory {path}: {error.strerror}; "
                       "set XBZ_CACHE to a directory that can be written") from error
    return path


def key(*parts):
    """Hash of strings, bytes and files' contents; the length of each part
    goes in too, so that moving bytes from one part to the next shows."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, pathlib.Path):
            part = part.read_bytes()
        elif isinstance(part, str):
            part = part.encode()
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def lock(kind):
    """Hold the lock of one kind of artifact; the kernel drops it with us."""
    path = root() / "lock" / kind
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that makes a {kind}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ccache_environment():
    """Of builds whose compiler is ccache: its directory is here."""
    return dict(os.environ, CCACHE_DIR=str(root() / "ccache"), CCACHE_MAXSIZE="1G",
                # A sixth less work where nothing is found: what is looked up are the
                # headers that the compiler names, not preprocessed text.
                CCACHE_DEPEND="1",
                # Each build unpacks its sources anew: times say nothing about contents.
                CCACHE_SLOPPINESS="include_file_ctime,include_file_mtime,time_macros")


def obtain(kind, name, make):
    """The artifact of that name; make(directory) fills it if there is none.

    make() gets an empty directory whose path is the same for every artifact
    of the kind: compiler caches hit only if paths do not change.
    """
    path = root() / kind / name
    if path.is_dir():
        return path
    with lock(kind):
        if path.is_dir():
            return path
        work = root() / "work" / kind
        if work.exists():
            shutil.rmtree(work)
        work.mkdir(parents=True)
        make(work)
        path.parent.mkdir(exist_ok=True)
        # So that a power cut, too, leaves either nothing or all of it.
        os.sync()
        work.rename(path)
        return path
