"""Codes of a whole collection as one Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cldis.data.source import ImageSource
from cldis.io import user_path, writing
from cldis.model import Model
from cldis.progress import progress_bar

ROWS = 1024
COLUMNS = ("z_sem_mean", "z_sem_scale", "z_disen_mean", "z_disen_scale")


def encode_collection(model: Model, source: ImageSource, path: Path, progress: bool = True) -> int:
    """One row per image: `path`, `z_sem_mean`, `z_sem_scale`, `z_disen_mean`, `z_disen_scale`.

    Codes are fixed-size lists of d floats; null where the method lacks the branch. Streams in
    bounded memory and appears whole or not at all. Returns the number of rows.
    """
    schema, path = schema_of(model.units), user_path(path)
    with (
        writing(path) as file,
        pq.ParquetWriter(file, schema) as writer,
        progress_bar(len(source), "encode", "images", not progress) as bar,
    ):
        for start in range(0, len(source), ROWS):
            indices = np.arange(start, min(start + ROWS, len(source)))
            writer.write_table(rows_of(model, source, indices))
            bar.update(len(indices))
    return len(source)


def schema_of(units: int) -> pa.Schema:
    """The columns of the file, for codes of so many units."""
    vector = pa.list_(pa.float32(), units)
    return pa.schema([("path", pa.string()), *((name, vector) for name in COLUMNS)])


def rows_of(model: Model, source: ImageSource, indices: NDArray[np.int64]) -> pa.Table:
    """The rows of some images."""
    codes = model.encode_source(source, indices)
    data: dict[str, Any] = {"path": [source.label(int(index)) for index in indices]}
    for name, q in (("sem", codes.sem), ("disen", codes.disen)):
        mean, scale = (q.mean, q.scale) if q else (None, None)
        for part, value in (("mean", mean), ("scale", scale)):
            empty = [None] * len(indices)
            data[f"z_{name}_{part}"] = empty if value is None else list(value.numpy())
    return pa.table(data, schema=schema_of(model.units))
