"""What people know of the images: names of sub-folders, columns of a CSV file, known factors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cldis.data.source import ImageSource
from cldis.io import user_path
from cldis.pages.analysis.table import matched, read_table

# What programs write where there is no value, in lower case.
EMPTY = {"", "na", "n/a", "nan", "-nan", "null", "<na>", "#na", "#n/a", "#n/a n/a", "#null!"}
FILE_COLUMNS = ("file", "path", "filename", "file_name", "image")
MIN_PER_CLASS = 5  # images; rarer values count as unknown
MAX_CLASSES = 100
NUMBER_FROM = 13  # a column of numbers with fewer different values is a category
MAX_COLUMNS = 40
NUMBER = r"[+-]?[\d.,]*\d[\d.,]*"  # with marks of whatever kind


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
    labels = Labels()
    if table is not None:
        _from_csv(user_path(table), paths, source.name, labels)
    if source.factor_names:
        factors = source.factors(np.arange(len(source)))
        for k, name in enumerate(source.factor_names):
            labels.add(name, [str(value) for value in factors[:, k]])
    elif not any(label.name == "folder" for label in labels.columns):
        _from_folders(paths, labels, only_if_several=table is not None)
    if not labels.columns and not labels.notes:
        labels.notes.append(
            "There are no labels: put the images into one sub-folder per class, or give "
            "--labels FILE.csv with a column `file`."
        )
    return labels


def column(name: str, texts: Sequence[str]) -> tuple[Label | None, str]:
    """A column of texts as a label, and a sentence on what was left out ("" for nothing).

    Numbers with `NUMBER_FROM` or more different values are a number, everything else a category.
    """
    texts, unclear = _without_commas(name, texts)
    if unclear:
        return None, unclear
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
        values = np.array([_number(text) if text else np.nan for text in texts])
    except ValueError:
        return None
    values[~np.isfinite(values)] = np.nan
    return values if np.isfinite(values).any() else None


def _number(text: str) -> float:
    if "_" in text:
        raise ValueError(f"{text} is a name, which Python would read as a number")
    return float(text)


def _without_commas(name: str, texts: Sequence[str]) -> tuple[Sequence[str], str]:
    """Numbers with a decimal comma, now with a point; a sentence where that is not clear, or ""."""
    filled = [text for text in texts if text]
    commas = [text for text in filled if "," in text]
    if not commas or not all(re.fullmatch(NUMBER, text) for text in filled):
        return texts, ""
    mixed = any("." in text or text.count(",") > 1 for text in filled)
    if mixed or all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text) for text in commas):
        return texts, (
            f"Column {name} is left out: it is not clear whether the comma in {commas[0]} marks "
            f"decimals or thousands; write numbers like 1234.5."
        )
    return [text.replace(",", ".") for text in texts], ""


def _from_folders(paths: Sequence[str], labels: Labels, only_if_several: bool) -> None:
    """The first folder of every path; images that lie outside any are unknown."""
    tops = [path.split("/", 1)[0] if "/" in path else "" for path in paths]
    if only_if_several and len(set(tops) - {""}) < 2:
        return
    if any(tops):
        labels.add("folder", tops)
    elif not only_if_several:
        labels.notes.append(
            "There are no labels: the images lie in no sub-folders. Put them into one sub-folder "
            "per class, or give --labels FILE.csv with a column `file`."
        )


def _from_csv(table: Path, paths: Sequence[str], folder: str, labels: Labels) -> None:
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
        labels.notes.append(
            f"{table.name} has {len(others)} columns; the first {MAX_COLUMNS} are used."
        )
    files = [row[file_column] for row in rows]
    row_of, unknown, twice = matched(files, paths, folder, f"--labels {table}")
    if not any(row is not None for row in row_of):
        raise ValueError(
            f"no row of --labels {table} names an image: column {file_column} holds for example "
            f"{rows[0][file_column]!r}, images are called for example {paths[0]!r}; write paths "
            f"below the folder, or file names"
        )
    missing = sum(row is None for row in row_of)
    if unknown:
        shown = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        labels.notes.append(
            f"Rows of {table.name} that name no image here: {len(unknown)} ({shown})."
        )
    if missing:
        labels.notes.append(f"Images without a row in {table.name}: {missing} of {len(paths)}.")
    if twice:
        labels.notes.append(
            f"Rows of {table.name} for an image that an earlier row named: {twice}; the first row "
            f"counts."
        )
    for name in others[:MAX_COLUMNS]:
        labels.add(name, ["" if row is None else _value(rows[row][name]) for row in row_of])


def _value(text: str) -> str:
    return "" if text.casefold() in EMPTY or text == "None" else text
