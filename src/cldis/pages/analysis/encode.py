"""The codes of a collection, as `cldis.editing.encode` wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from cldis.arrays import Floats


@dataclass(frozen=True)
class CollectionCodes:
    """Both codes of every image; None where the method lacks the branch."""

    paths: list[str]
    sem: Floats | None  # [n, d], means
    disen: Floats | None
    scale: Floats | None  # [n, d], standard deviations of `main`; None for a code of points

    @property
    def main(self) -> Floats:
        """z_sem, or z_disen where there is no z_sem."""
        code = self.sem if self.sem is not None else self.disen
        assert code is not None
        return code

    @property
    def name(self) -> str:
        return "z_sem" if self.sem is not None else "z_disen"

    def __len__(self) -> int:
        return len(self.paths)


def read_codes(path: Path, gaussian: bool = True) -> CollectionCodes:
    """The codes of a file that `encode_resumable` wrote.

    Args:
        gaussian: whether scales mean anything; False leaves them out.

    Raises:
        ValueError: codes that are not finite.
    """
    with path.open("rb") as stream:  # pyarrow itself takes no path that is not UTF-8
        file = pq.ParquetFile(stream)
        n = file.metadata.num_rows
        paths = file.read(columns=["path"])["path"].to_pylist()
        sem, disen = _column(file, "z_sem_mean", n), _column(file, "z_disen_mean", n)
        name = "z_disen_scale" if sem is None else "z_sem_scale"
        codes = CollectionCodes(paths, sem, disen, _column(file, name, n) if gaussian else None)
    for means in (codes.sem, codes.disen):
        if means is not None and not np.isfinite(means).all():
            raise ValueError(
                f"{path.name} holds codes that are NaN or infinite; the encoder has diverged: "
                f"train again with a lower training.learning_rate"
            )
    return codes


def batches(count: int, size: int = 256) -> Iterator[slice]:
    """0..count-1 in pieces of at most `size`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _column(file: pq.ParquetFile, name: str, n: int) -> Floats | None:
    """One column of vectors as [n, d], read piece by piece; None where it holds nothing."""
    width = file.schema_arrow.field(name).type.list_size
    table = np.empty((n, width), np.float32)
    at = 0
    for batch in file.iter_batches(batch_size=4096, columns=[name]):
        values = batch.column(0)
        if values.null_count:
            return None
        table[at : at + len(values)] = values.flatten().to_numpy().reshape(-1, width)
        at += len(values)
    return table
