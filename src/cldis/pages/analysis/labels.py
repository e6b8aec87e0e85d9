"""What people know of the images: names of sub-folders, columns of a CSV file, known factors."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cldis.data.source import ImageSource

FILE_COLUMNS = ("file", "path", "filename", "file_name", "image")
MIN_PER_CLASS = 5  # images; rarer values count as unknown
MAX_CLASSES = 100
NUMBER_FROM = 13  # a column of numbers with fewer different values is a category
MAX_COLUMNS = 40


@dataclass(frozen=True)
class Label:
    """One thing known of the images.

    `values` is int64 [n] into `classes`, -1 where unknown, for a category; float64 [n], NaN where
    unknown, for a number.
    """

    name: str
    kind: Literal["category", "number"]
    values: NDArray[Any]
    classes: tuple[str, ...] = ()

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which images have a value, [n]."""
        return self.values >= 0 if self.kind == "category" else np.isfinite(self.values)


@dataclass
class Labels:
    """Everything known, and sentences on what could not be used."""

    columns: list[Label] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, texts: Sequence[str]) -> None:
        """Take a column of texts ("" where unknown), or say why not."""
        label, note = column(name, texts)
        if label is not None:
            self.columns.append(label)
        if note:
            self.notes.append(note)


def gather(source: ImageSource, paths: Sequence[str], table: Path | None) -> Labels:
    """All labels of a collection.

    Args:
        source: the images; known factors become labels.
        paths: of every image, below the folder.
        table: a CSV file with a header: a column of files (`FILE_COLUMNS`) and any others.

    Raises:
        ValueError: a CSV file that is not there, is not read, or fits no image.
    """
    found = Labels()
    if table is not None:
        _from_csv(table, paths, found)
    if source.factor_names:
        factors = source.factors(np.arange(len(source)))
        for k, name in enumerate(source.factor_names):
            found.add(name, [str(value) for value in factors[:, k]])
    elif not any(label.name == "folder" for label in found.columns):
        _from_folders(paths, found, quiet=table is not None)
    if not found.columns and not found.notes:
        found.notes.append(
            "There are no labels: put the images into one sub-folder per class, or give "
            "--labels FILE.csv with a column `file`."
        )
    return found


def column(name: str, texts: Sequence[str]) -> tuple[Label | None, str]:
    """A column of texts as a label, and a sentence on what was left out ("" for nothing).

    Numbers with `NUMBER_FROM` or more different values are a number, everything else a category.
    """
    filled = [text for text in texts if text]
    counts = Counter(filled)
    if not filled:
        return None, f"Column {name} is empty."
    if len(counts) < 2:
        return None, (
            f"Column {name} has one value only ({next(iter(counts))}), so there is nothing to "
            f"tell apart."
        )
    numbers = _numbers(texts)
    if numbers is not None and len(counts) >= NUMBER_FROM:
        return Label(name, "number", numbers), ""
    kept = sorted(value for value, count in counts.items() if count >= MIN_PER_CLASS)
    if numbers is not None:
        kept.sort(key=float)
    if not 2 <= len(kept) <= MAX_CLASSES:
        return None, (
            f"Column {name} has {len(counts)} different values, {len(kept)} of them on "
            f"{MIN_PER_CLASS} images or more; 2 to {MAX_CLASSES} are needed, so it is left out."
        )
    place = {value: k for k, value in enumerate(kept)}
    values = np.array([place.get(text, -1) for text in texts], np.int64)
    rare = len(counts) - len(kept)
    note = f"Values of {name} on fewer than {MIN_PER_CLASS} images count as unknown: {rare}."
    return Label(name, "category", values, tuple(kept)), note if rare else ""


def _numbers(texts: Sequence[str]) -> NDArray[np.float64] | None:
    """float64 [n] with NaN where empty or not finite; None when a text is no number."""
    try:
        found = np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return None
    found[~np.isfinite(found)] = np.nan
    return found if np.isfinite(found).any() else None


def _from_folders(paths: Sequence[str], found: Labels, quiet: bool) -> None:
    """The first folder of every path; images that lie outside any are unknown."""
    tops = [path.split("/", 1)[0] if "/" in path else "" for path in paths]
    if quiet and len(set(tops) - {""}) < 2:
        return
    if any(tops):
        found.add("folder", tops)
    elif not quiet:
        found.notes.append(
            "There are no labels: the images lie in no sub-folders. Put them into one sub-folder "
            "per class, or give --labels FILE.csv with a column `file`."
        )


def _from_csv(table: Path, paths: Sequence[str], found: Labels) -> None:
    rows, names = read_table(table)
    file_column = next((name for name in names if name.lower() in FILE_COLUMNS), None)
    if file_column is None:
        raise ValueError(
            f"--labels {table} has columns {', '.join(names)}; one of them must be named "
            f"{' or '.join(FILE_COLUMNS)}"
        )
    others = [name for name in names if name != file_column]
    if not others:
        raise ValueError(f"--labels {table} has only the column {file_column}; add label columns")
    if len(others) > MAX_COLUMNS:
        found.notes.append(
            f"{table.name} has {len(others)} columns; the first {MAX_COLUMNS} are used."
        )
    row_of, unknown, twice = _matched(rows, file_column, paths)
    if not any(row is not None for row in row_of):
        raise ValueError(
            f"no row of --labels {table} names an image: column {file_column} holds for example "
            f"{rows[0][file_column]!r}, images are called for example {paths[0]!r}; write paths "
            f"below the folder, or file names"
        )
    missing = sum(row is None for row in row_of)
    if unknown:
        shown = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        found.notes.append(
            f"Rows of {table.name} that name no image here: {len(unknown)} ({shown})."
        )
    if missing:
        found.notes.append(f"Images without a row in {table.name}: {missing} of {len(paths)}.")
    if twice:
        found.notes.append(
            f"Rows of {table.name} for an image that an earlier row named: {twice}; the first row "
            f"counts."
        )
    for name in others[:MAX_COLUMNS]:
        found.add(name, ["" if row is None else (row[name] or "").strip() for row in row_of])


def read_table(table: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Rows and column names of a CSV file (UTF-8; comma, semicolon or tab).

    Raises:
        ValueError: not there, not UTF-8, no header, no row, or a name twice.
    """
    if not table.is_file():
        raise ValueError(f"--labels {table} is no file; give a CSV file with a column `file`")
    try:
        text = table.read_text(encoding="utf-8-sig")
        first = text.split("\n", 1)[0]
        delimiter = max(",;\t", key=first.count)
        reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
        names = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = names
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"--labels {table} is no CSV file in UTF-8 ({error})") from None
    if not rows or not all(names) or len(set(names)) < len(names):
        what = "has no row" if not rows else "has columns without a name, or a name twice"
        raise ValueError(
            f"--labels {table} {what}; expected a header such as file,age,camera and rows below"
        )
    return rows, names


def _matched(
    rows: list[dict[str, str]], file_column: str, paths: Sequence[str]
) -> tuple[list[dict[str, str] | None], list[str], int]:
    """The row of every image, files that fit no image, and how many rows came second."""
    by_path = {path: k for k, path in enumerate(paths)}
    base = Counter(PurePosixPath(path).name for path in paths)
    by_name = {
        PurePosixPath(path).name: k
        for k, path in enumerate(paths)
        if base[PurePosixPath(path).name] == 1
    }
    found: list[dict[str, str] | None] = [None] * len(paths)
    unknown, twice = [], 0
    for row in rows:
        name = (row[file_column] or "").strip().replace("\\", "/").removeprefix("./")
        k = by_path.get(name, by_name.get(PurePosixPath(name).name))
        if k is None:
            unknown.append(name)
        elif found[k] is not None:
            twice += 1
        else:
            found[k] = row
    return found, unknown, twice
