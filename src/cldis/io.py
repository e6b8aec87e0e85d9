"""Atomic writes: a reader sees the old file or the whole new one, never a part."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)  # the disk, or this user's share of it, is full
NAME_START = 40  # characters of a file's name that its temporary file repeats: names are limited


@contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """A new binary file that takes the place of `path` when the block ends without an error.

    It is flushed to disk first; after an error nothing is left of it. Its mode is what the umask
    leaves of 0666, as for every other file of this user.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is kept. The error
            names `path` where the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:NAME_START]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in NO_SPACE and error.filename is None:
            error.filename = str(path)  # a write that fails does not know where it was
        raise
    sync_directory(path.parent)


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path that a person gave: `~` is a home folder, where there is one of that name."""
    return Path(os.path.expanduser(path))


@contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """A file by a name that is UTF-8, for safetensors, which takes no other."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        with path.open("rb") as file:
            yield Path(f"/dev/fd/{file.fileno()}")
    else:
        yield path


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically (temporary file, fsync, rename).

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is kept.
    """
    with writing(path) as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    r"""Write UTF-8 text atomically; lone surrogates become `\uXXXX`, which JSON reads back."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON atomically. NaN and infinity are refused (not JSON)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: the file is not JSON; the message names it.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); restore it or start again") from None


def sync_directory(path: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut; where that is possible.

    Windows and some network file systems cannot flush a folder. The file itself is whole by then.

    Raises:
        OSError: the disk is full or broken.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (*NO_SPACE, errno.EIO):
            raise
