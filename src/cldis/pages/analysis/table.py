"""A table of labels as spreadsheets and programs write it, and which image each row means."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

EXCEL = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # Excel saves "Unicode text" so
PANDAS_INDEX = ("", "Unnamed: 0")
# How sure a row is of an image: its path below the folder, the only path that ends so, or a longer
# path that ends in the path of the image.
WHOLE, ENDING, LONGER = 3, 2, 1


def read_table(table: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Rows and column names of a CSV file, texts stripped and composed (NFC).

    UTF-8, or UTF-16 with a byte order mark; comma, semicolon or tab, or what a first line `sep=`
    says. An unnamed first column (the index of pandas) and unnamed empty columns are left out.

    Raises:
        ValueError: not there, not readable, no header, no row, a row that is longer than the
            header, or a name twice.
    """
    if not table.is_file():
        raise ValueError(f"--labels {table} is no file; give a CSV file with a column `file`")
    text = _decoded(table)
    said = EXCEL.match(text)
    text = text[said.end() :] if said else text
    first = re.sub(r'"[^"]*"', "", text.split("\n", 1)[0])
    delimiter = said[1] if said else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = [(reader.line_num, [composed(cell) for cell in line]) for line in reader if line]
    except csv.Error as error:
        raise ValueError(f"--labels {table} is no CSV file ({error}); save it again") from None
    names = lines[0][1] if lines else []
    for number, line in lines[1:]:
        if any(line[len(names) :]):
            raise ValueError(
                f"--labels {table} line {number + bool(said)} has {len(line)} values, the header "
                f"has {len(names)} names; is there a comma in a number or a name? Put quotes "
                f"around it, or save with semicolons between the columns"
            )
    rows = [[*line, *[""] * len(names)][: len(names)] for _, line in lines[1:]]
    unnamed = {k for k, name in enumerate(names) if not name and not any(row[k] for row in rows)}
    if names and names[0] in PANDAS_INDEX:
        unnamed.add(0)
    kept = [k for k in range(len(names)) if k not in unnamed]
    names = [names[k] for k in kept]
    if not rows or not all(names) or len(set(names)) < len(names):
        what = "has no row" if not rows else "has columns without a name, or a name twice"
        raise ValueError(
            f"--labels {table} {what}; expected a header such as file,age,camera and rows below"
        )
    return [dict(zip(names, (row[k] for k in kept), strict=True)) for row in rows], names


def matched(
    files: Sequence[str], paths: Sequence[str], folder: str, what: str
) -> tuple[list[int | None], list[str], int]:
    """The row of every image, files that fit no image, and how many rows came second.

    The longest ending that a path of the table and a path of an image share decides. Where rows
    name images below the folder, a row that only ends in the path of an image means another folder.

    Args:
        files: the path or name in each row.
        paths: of the images, below the folder.
        folder: its name, which rows may begin with.
        what: the table, for errors.

    Raises:
        ValueError: a row that may mean several images, or an image that several rows may mean.
    """
    whole, endings = defaultdict(list), defaultdict(list)
    for k, path in enumerate(map(composed, paths)):
        whole[path].append(k)
        for ending in _endings(path)[1:]:
            endings[ending].append(k)
    matches: dict[int, list[tuple[int, int]]] = defaultdict(list)  # image -> (how sure, row)
    unknown = []
    for row, text in enumerate(files):
        sure, images = _images(text, whole, endings, composed(folder))
        if len(images) > 1:
            examples = ", ".join(repr(paths[k]) for k in images[:2])
            raise ValueError(
                f"{what} names {text!r}, which may be any of {len(images)} images ({examples}); "
                f"write paths below the folder"
            )
        if images:
            matches[images[0]].append((sure, row))
        else:
            unknown.append(text)
    surest = max((sure for rows in matches.values() for sure, _ in rows), default=0)
    least = min(surest, ENDING)
    row_of: list[int | None] = [None] * len(paths)
    twice = 0
    for image, rows in matches.items():
        good = [row for sure, row in rows if sure >= least]
        unknown += [files[row] for sure, row in rows if sure < least]
        different = sorted({files[row] for row in good})
        if least == LONGER and len(different) > 1:
            raise ValueError(
                f"{what} has several rows that may mean {paths[image]!r} ({different[0]!r}, "
                f"{different[1]!r}); keep the rows of this folder, with paths below it"
            )
        if good:
            row_of[image] = good[0]
            twice += len(good) - 1
    return row_of, unknown, twice


def composed(text: str) -> str:
    """Without spaces around it, and with accents as one character each (NFC)."""
    return unicodedata.normalize("NFC", text.strip())


def _images(
    text: str, whole: Mapping[str, list[int]], endings: Mapping[str, list[int]], folder: str
) -> tuple[int, list[int]]:
    """How sure a row is, and of which images."""
    file = text.replace("\\", "/").removeprefix("./")
    if file in whole:
        return WHOLE, whole[file]
    if file in endings:
        return ENDING, endings[file]
    for ending in _endings(file)[1:]:
        if ending in whole:
            above = file.removesuffix(f"/{ending}").rsplit("/", 1)[-1]
            return (WHOLE if above == folder else LONGER), whole[ending]
    return 0, []


def _endings(path: str) -> list[str]:
    """`a/b/c` -> `a/b/c`, `b/c`, `c`."""
    parts = path.split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]


def _decoded(table: Path) -> str:
    data = table.read_bytes()
    encoding = "utf-16" if data.startswith(BYTE_ORDER_MARKS) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"--labels {table} is no CSV file in UTF-8 ({error.reason} at byte {error.start}); "
            f"save it as `CSV UTF-8`"
        ) from None
