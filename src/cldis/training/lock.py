"""One writer per run: a lock that ends with its process, and says who holds it."""

from __future__ import annotations

import datetime
import errno
import json
import os
import shlex
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cldis.training.run_folder import LOCK

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Hold the run folder, which is made where it is missing, while something is written into it.

    The operating system keeps the lock for as long as the process lives. On a file system without
    locks, and in a folder that cannot be written, nobody is stopped.

    Raises:
        ValueError: another process holds it; the message names that one.
        OSError: the folder cannot be made.
    """
    run.mkdir(parents=True, exist_ok=True)
    with lock_file(run / LOCK) as held:
        if not held:
            raise ValueError(
                f"{run} is being written by {_holder(run / LOCK)}; wait until it ends, or stop it"
            )
        yield


@contextmanager
def lock_file(path: Path, tries: int = 1) -> Iterator[bool]:
    """Hold the lock that a file stands for; False when another process does.

    A look at a lock holds it for an instant, so whoever wants to work tries again.

    Raises:
        ValueError: there is something else of that name.
    """
    try:
        file = _opened(path)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        yield True
        return
    with file:
        held = _locked(file)
        while not held and (tries := tries - 1) > 0:
            time.sleep(0.02)
            held = _locked(file)
        if not held:
            yield False
            return
        _sign(file)
        try:
            yield True
        finally:
            _empty(file)  # the file stays: a new one could be locked beside this one


def _opened(path: Path) -> IO[str]:
    """The file, which a run from elsewhere may have brought: no other file is written for it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # not on Windows
    if path.is_symlink() or path.is_dir():
        raise _no_lock(path)
    handle = os.open(path, flags, 0o666)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(handle)
        raise _no_lock(path)
    return os.fdopen(handle, "a+", encoding="utf-8", errors="replace")


def _no_lock(path: Path) -> ValueError:
    return ValueError(f"{path} is a link or no file, where a lock should be; remove it")


def _sign(file: IO[str]) -> None:
    """Write who holds the lock, for the one who comes second."""
    holder = {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "since": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    _empty(file)
    try:
        os.write(file.fileno(), json.dumps(holder).encode())
    except OSError:  # a full disk: the lock holds all the same
        pass


def _empty(file: IO[str]) -> None:
    try:
        file.truncate(0)
    except OSError:
        pass


def _locked(file: IO[str]) -> bool:
    """Whether the lock is ours now; True also where the file system has no locks."""
    try:
        import fcntl
    except ImportError:
        return _locked_on_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _locked_on_windows(file: IO[str]) -> bool:
    import msvcrt

    file.seek(2**30)  # beyond the text, which others want to read
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    file.seek(0)
    return True


def _holder(path: Path) -> str:
    """Who holds the lock, in words."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            held = json.loads(file.read(4096))
        return (
            f"`{held['command']}` (process {held['process']} on {held['machine']}, since "
            f"{held['since']})"
        )
    except (ValueError, KeyError, TypeError, OSError):  # just taken, or not written by us
        return "another process"
