"""Uploads that wait to be read: of whom they are, how much they may take, and their removal.

A path is only ever taken from this list. What a client sends is looked up in it, not opened.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cldis.explorer.sessions import visitor_of
from cldis.explorer.uploads import MAX_BYTES, shown_name

# What may wait at a time, of one visitor and of all together: bytes and files.
EACH = (256 * 2**20, 96)
ALL = (1024 * 2**20, 1024)
AGE = 300.0  # seconds until an upload that no page asked for is removed
UNKNOWN = "This is not a file that you have just sent. Send it again."


@dataclass
class Waiting:
    """A file of one visitor, of `size` bytes so far."""

    visitor: str
    born: float
    size: int = 0


class Received:
    """The uploads of all visitors. Methods may be called from several threads."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """`folder`: made when it is needed; nothing outside it is written, read or removed."""
        self.folder, self.clock = folder.resolve(), clock
        self._lock = threading.Lock()
        self._waiting: dict[str, Waiting] = {}

    def begin(self, visitor: str, name: str) -> Path:
        """Where a new file of a visitor is to be written; its name is one that can be shown.

        Raises:
            ValueError: too many files wait.
        """
        self._expire()
        path = self.folder / visitor / secrets.token_hex(16) / f"{shown_name(name)}.upload"
        with self._lock:
            self._waiting[str(path)] = Waiting(visitor, self.clock())
        try:
            self.grow(path, 0)
            path.parent.mkdir(parents=True)
        except BaseException:
            self.drop(path)
            raise
        return path

    def grow(self, path: Path, count: int) -> None:
        """Before `count` more bytes of a file are written.

        Raises:
            ValueError: the file, or what waits altogether, becomes too large.
        """
        with self._lock:
            mine = self._waiting.get(str(path))
            if mine is None:
                raise ValueError("The upload took too long. Send it again.")
            mine.size, mine.born = mine.size + count, self.clock()
            everybody = list(self._waiting.values())
        if mine.size > MAX_BYTES:
            raise ValueError(f"A file may have at most {MAX_BYTES // 2**20} MB.")
        own = [file for file in everybody if file.visitor == mine.visitor]
        for files, (size, number), who in ((own, EACH, "of yours"), (everybody, ALL, "in all")):
            if sum(file.size for file in files) > size or len(files) > number:
                raise ValueError(
                    f"At most {number} files of together {size // 2**20} MB {who} may wait to be "
                    f"read. Send fewer at a time."
                )

    def find(self, key: str, path: object) -> Path:
        """The file that the session of `key` names by `path`.

        Raises:
            ValueError: no upload of its visitor, whatever it is.
        """
        found = self._waiting.get(path) if isinstance(path, str) else None
        if found is None or found.visitor != visitor_of(key):
            raise ValueError(UNKNOWN)
        real = Path(str(path)).resolve()
        if str(real) != path or not real.is_relative_to(self.folder / found.visitor):
            raise ValueError(UNKNOWN)
        return real

    @contextmanager
    def taken(self, key: str, path: object) -> Iterator[Path]:
        """The file, to be read within; removed after. Raises ValueError as `find` does."""
        found = self.find(key, path)
        try:
            yield found
        finally:
            self.drop(found)

    def drop(self, path: Path) -> None:
        """Remove a file of this list, and the folder that was made for it."""
        with self._lock:
            known = self._waiting.pop(str(path), None)
        if known is not None:
            with suppress(OSError):  # gone already
                path.unlink(missing_ok=True)
                path.parent.rmdir()
                path.parent.parent.rmdir()  # as long as nothing else of this visitor is in it

    def _expire(self) -> None:
        with self._lock:
            old = [p for p, f in self._waiting.items() if self.clock() - f.born > AGE]
        for path in old:
            self.drop(Path(path))


async def receive_files(received: Received, visitor: str, request: Any) -> list[str]:
    """Write the files of a multipart request down as they come in; returns their paths.

    Raises:
        ValueError: too large, too many, broken off, or no such request. None of its files is kept.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header
    from starlette.requests import ClientDisconnect

    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise ValueError("Send files as a form.")
    form = _Form(received, visitor)
    try:
        parser = MultipartParser(options[b"boundary"], form.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except BaseException as error:
        form.close()
        for path in form.paths:
            received.drop(path)
        if isinstance(error, (FormParserError, ClientDisconnect)):
            raise ValueError("The form is broken.") from None
        raise
    form.close()
    return [str(path) for path in form.paths]


class _Form:
    """The parts of a form, written down where they are files and passed over where not."""

    def __init__(self, received: Received, visitor: str) -> None:
        self.received, self.visitor = received, visitor
        self.paths: list[Path] = []
        self.file: Any = None
        self.key, self.value, self.name = b"", b"", ""

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self.begin,
            "on_header_field": self.header_key,
            "on_header_value": self.header_value,
            "on_header_end": self.header,
            "on_headers_finished": self.start,
            "on_part_data": self.data,
            "on_part_end": self.close,
        }

    def begin(self) -> None:
        self.key, self.value, self.name = b"", b"", ""

    def header_key(self, data: bytes, start: int, end: int) -> None:
        self.key += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def header(self) -> None:
        from python_multipart.multipart import parse_options_header

        if self.key.lower() == b"content-disposition":
            found = parse_options_header(self.value)[1].get(b"filename", b"")
            self.name = found.decode("utf-8", "replace")
        self.key, self.value = b"", b""

    def start(self) -> None:
        path = self.received.begin(self.visitor, self.name)
        self.paths.append(path)
        self.file = path.open("xb")

    def data(self, data: bytes, start: int, end: int) -> None:
        self.received.grow(self.paths[-1], end - start)
        self.file.write(data[start:end])

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None
