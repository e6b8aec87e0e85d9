"""Photos of a person, as tensors a model takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cldis.arrays import spread
from cldis.data import load_photo
from cldis.data.skipped import skipped_table
from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.images import to_model
from cldis.io import user_path, write_text
from cldis.text import cut, folded
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder

MAX_NAME = 80  # bytes; names of outputs add to it


@dataclass(frozen=True)
class Photos:
    """Images [n, 3, H, W] in [-1, 1], a unique file-safe name each, and what was left out."""

    images: Tensor
    names: list[str]
    skipped: list[tuple[str, str]]

    def list_skipped(self, out: Path) -> None:
        """Write `skipped.tsv` when anything was left out."""
        if self.skipped:
            write_text(out / "skipped.tsv", skipped_table(self.skipped))


def read_photos(paths: Sequence[str], resolution: int) -> Photos:
    """Load photo files; unreadable ones among readable ones are skipped and listed.

    Raises:
        ValueError: a path that does not exist, or no readable photo at all.
    """
    images, names, skipped = [], [], []
    for path in paths:
        file = user_path(path)
        if not file.is_file():
            what = "is a folder; give photo files" if file.is_dir() else "does not exist"
            raise ValueError(f"{path} {what}")
        try:
            images.append(load_photo(file, resolution))
            names.append(file.stem)
        except ValueError as error:
            skipped.append((path, str(error)))
    if not images:
        raise ValueError(skipped[0][1] if len(skipped) == 1 else f"no readable photo: {skipped}")
    return Photos(to_model(np.stack(images)), _unique(names), skipped)


def heldout_photos(run: RunFolder, count: int, named: str | None = None) -> Photos:
    """Held-out images of the run's own data, evenly spread over it.

    Raises:
        ValueError: the data is not there any more.
    """
    source = open_run_data(run, named)
    chosen = held_out(source, count)
    names = [Path(source.label(int(index))).stem for index in chosen]
    return Photos(to_model(source.batch(chosen)), _unique(names), [])


def held_out(source: ImageSource, count: int) -> NDArray[np.int64]:
    """`count` held-out image numbers (fewer when there are fewer), evenly spread, sorted."""
    _, numbers = split(len(source))
    return numbers[spread(len(numbers), count)]


def _unique(names: list[str]) -> list[str]:
    """File-safe names, no two of which a disk or a person takes for the same."""
    safe = [cut(re.sub(r"[^\w.-]+", "_", name), MAX_NAME) or "photo" for name in names]
    unique: dict[str, str] = {}  # folded -> name
    for name in safe:
        candidate, number = name, 2
        while folded(candidate) in unique:
            candidate, number = f"{name}_{number}", number + 1
        unique[folded(candidate)] = candidate
    return list(unique.values())
