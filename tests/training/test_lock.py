"""One process writes into a run at a time; the second is told who the first is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cldis.training.lock import lock_file, run_lock
from cldis.training.run_folder import LOCK
from training.harness import environment

HOLD = """
import sys
from pathlib import Path
from cldis.training.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        with pytest.raises(ValueError) as caught, run_lock(tmp_path):
            pass
        text = str(caught.value)
        assert f"{tmp_path} is being written by `-c {tmp_path}` (process {first.pid} on " in text
        assert "since 2" in text and "\n" not in text
        first.send_signal(signal.SIGKILL)
        first.wait()
        with run_lock(tmp_path):  # a dead process stops nobody
            pass
    with run_lock(tmp_path), pytest.raises(ValueError, match=rf"\(process {os.getpid()} on "):
        with run_lock(tmp_path):
            pass
    with run_lock(tmp_path):
        pass


def test_what_is_no_lock_file_is_never_written(tmp_path: Path) -> None:
    """A run from elsewhere may bring anything under that name."""
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    kinds: dict[str, Callable[[Path], object]] = {
        "link": lambda path: path.symlink_to(mine),
        "hard": lambda path: os.link(mine, path),
        "folder": lambda path: path.mkdir(),
        "pipe": lambda path: os.mkfifo(path),
    }
    for name, make in kinds.items():
        run = tmp_path / name
        run.mkdir()
        make(run / LOCK)
        with pytest.raises(ValueError, match="remove it"), run_lock(run):
            pass
    assert mine.read_text() == "precious"


def test_a_folder_that_cannot_be_written_needs_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("cldis.training.lock.os.open", refused)
    with run_lock(tmp_path):
        assert not (tmp_path / LOCK).exists()


def test_a_damaged_lock_file_still_locks(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(b"\xff{")
    with lock_file(tmp_path / LOCK) as mine:
        assert mine
        (tmp_path / LOCK).write_bytes(b"[]")
        with pytest.raises(ValueError, match="another process"), run_lock(tmp_path):
            pass
