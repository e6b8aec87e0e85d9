"""Atomic writes: a reader sees the old file or the whole new one, never a part."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

DEEPEST = 32  # levels of JSON; ours have six
DIGITS = 19  # of a whole number: 64 bits

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
    try:
        return Path(os.path.expanduser(path))
    except ValueError:  # no user can be called so
        return Path(path)


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


def read_json(path: str | Path, largest: int | None = None) -> Any:
    """Read a JSON file.

    Args:
        largest: bytes of the largest file to read; None for a file of our own.

    Raises:
        ValueError: the file is too large, or not JSON (see `parse_json`); the message names it.
    """
    path = Path(path)
    size = path.stat().st_size
    if largest is not None and size > largest:
        raise ValueError(
            f"{path} has {size:,} bytes, more than the {largest:,} that such a file may have; "
            f"restore it or start again"
        )
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is {error}; restore it or start again") from None


def parse_json(data: bytes | str) -> Any:
    """The value of JSON text.

    Raises:
        ValueError: not JSON, NaN or infinity (not JSON either), a whole number of more than 19
            digits, or nested deeper than `DEEPEST`; the message begins with "not valid JSON".
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = json.loads(
            text, parse_int=_integer, parse_float=_number, parse_constant=_no_constant
        )
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are two of them
        reason = str(error)
    else:
        if not _deeper(value):
            return value
        reason = f"nested deeper than {DEEPEST} levels"
    raise ValueError(f"not valid JSON ({reason})")


def _deeper(value: Any) -> bool:
    """Whether `value` has more than `DEEPEST` levels."""
    level = [value]
    for _ in range(DEEPEST):
        boxes = [item for item in level if isinstance(item, dict | list)]
        if not boxes:
            return False
        level = [
            child for box in boxes for child in (box.values() if isinstance(box, dict) else box)
        ]
    return bool(level)


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is out of range")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def sha256_of(path: Path) -> str:
    """sha256 of the content of a file (hex), read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A new hidden folder beside `path`, to be filled and put in its place within the block.

    After an error nothing is left of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{secrets.token_hex(8)}.tmp")
    made.mkdir()
    try:
        yield made
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


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
