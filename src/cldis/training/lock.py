"""One writer per run: a lock that ends with its process, and says who holds it."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cldis.training.run_folder import LOCK


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Hold the run folder, which is made where it is missing, while something is written into it.

    The operating system keeps the lock for as long as the process lives. On a file system without
    locks nobody is stopped.

    Raises:
        ValueError: another process holds it; the message names that one.
        OSError: the folder cannot be written.
    """
    run.mkdir(parents=True, exist_ok=True)
    with open(run / LOCK, "a+", encoding="utf-8", errors="replace") as file:
        if not _locked(file):
            raise ValueError(
                f"{run} is being written by {_holder(file)}; wait until it ends, or stop it"
            )
        holder = {
            "process": os.getpid(),
            "machine": socket.gethostname(),
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "since": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        file.truncate(0)
        file.write(json.dumps(holder))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)  # the file stays: a new one could be locked beside this one


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


def _holder(file: IO[str]) -> str:
    """Who holds the lock, in words."""
    file.seek(0)
    try:
        held = json.loads(file.read(4096))
        return (
            f"`{held['command']}` (process {held['process']} on {held['machine']}, since "
            f"{held['since']})"
        )
    except (ValueError, KeyError, TypeError, OSError):  # just taken, or not written by us
        return "another process"
