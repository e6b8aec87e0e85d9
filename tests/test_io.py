"""Writing files where a file system is full, strange, or not this one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cldis.io import sync_directory, write_bytes, write_text, writing


@pytest.mark.parametrize("call", ["open", "fsync"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP])
def test_a_folder_that_cannot_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """Windows refuses to open one, some network file systems to flush it: the file is written."""
    real = getattr(os, call)

    def refused(what: object, *rest: object, **more: object) -> object:
        if os.path.isdir(what if call == "open" else f"/proc/self/fd/{what}"):  # type: ignore[arg-type]
            raise OSError(number, os.strerror(number))
        return real(what, *rest, **more)

    monkeypatch.setattr(f"cldis.io.os.{call}", refused)
    write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_folder_that_was_not_flushed_for_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def broken(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("cldis.io.os.fsync", broken)
    with pytest.raises(OSError) as caught:
        sync_directory(tmp_path)
    assert caught.value.errno == number


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_file(tmp_path: Path, number: int) -> None:
    path = tmp_path / "codes.bin"
    path.write_bytes(b"old")
    with pytest.raises(OSError) as caught, writing(path) as file:
        file.write(b"half")
        raise OSError(number, os.strerror(number))
    assert str(path) in str(caught.value) and caught.value.errno == number
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("umask", [0o077, 0o002, 0o027])
def test_modes_follow_the_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "old").touch(0o600)
    old = os.umask(umask)
    try:
        for name in ("new", "old"):
            write_bytes(tmp_path / name, b"x")
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~umask}


def test_the_longest_name(tmp_path: Path) -> None:
    name = "\u00e9" * 127 + "x"  # 255 bytes
    write_text(tmp_path / name, "whole")
    assert (tmp_path / name).read_text() == "whole"
