"""Codes of a collection in bounded memory, in shards that outlive an interruption."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cldis.arrays import Floats
from cldis.data.source import ImageSource
from cldis.editing.encode import rows_of, schema_of
from cldis.io import sha256_of, write_bytes, writing
from cldis.model import Model
from cldis.progress import progress_bar
from cldis.training.run_folder import RunFolder

ROWS = 1024  # images in a shard
KEY = b"cldis.codes"


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


def code_key(run: RunFolder, source: ImageSource) -> str:
    """What the codes depend on, as sha256 (hex): the weights, the images, the size of shards.

    Raises:
        ValueError: the run has no checkpoint yet.
    """
    weights = sha256_of(run.used() / "ema.safetensors")
    text = f"{weights} {source.fingerprint} {len(source)} {ROWS}"
    return hashlib.sha256(text.encode()).hexdigest()


def encode_resumable(
    model: Model, source: ImageSource, path: Path, key: str, progress: bool = True
) -> int:
    """Write `path` (Parquet, the columns of `cldis encode`), going on with what is there.

    Finished shards lie in a folder beside `path` until all are there; then they become one file.
    A file or shards of another `key` are made anew. Returns how many images were encoded now.

    Raises:
        OSError: the disk is full; what was finished is kept.
    """
    if _key_of(path) == key:
        return 0
    parts = path.with_suffix(".parts")
    for other in parts.glob("*") if parts.is_dir() else ():
        if other.name != key:
            shutil.rmtree(other, ignore_errors=True)
    folder = parts / key
    fresh = 0
    with progress_bar(len(source), "encode", "images", not progress) as bar:
        for start in range(0, len(source), ROWS):
            indices = np.arange(start, min(start + ROWS, len(source)))
            shard = folder / f"part-{start:09d}.parquet"
            if not _whole(shard, len(indices)):
                buffer = pa.BufferOutputStream()
                pq.write_table(rows_of(model, source, indices), buffer)
                write_bytes(shard, buffer.getvalue().to_pybytes())
                fresh += len(indices)
            bar.update(len(indices))
    _join(sorted(folder.glob("part-*.parquet")), path, model.units, key)
    shutil.rmtree(parts, ignore_errors=True)
    return fresh


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


def _key_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            metadata = pq.read_schema(file).metadata or {}
    except (OSError, pa.ArrowInvalid):  # missing or damaged: made anew
        return ""
    return metadata.get(KEY, b"").decode()


def _whole(shard: Path, rows: int) -> bool:
    try:
        with shard.open("rb") as file:
            return bool(pq.read_metadata(file).num_rows == rows)
    except (OSError, pa.ArrowInvalid):
        return False


def _join(shards: list[Path], path: Path, units: int, key: str) -> None:
    """One file of all shards, a shard in memory at a time; it appears whole or not at all."""
    schema = schema_of(units).with_metadata({KEY: key.encode()})
    with writing(path) as file, pq.ParquetWriter(file, schema) as writer:
        for shard in shards:
            rows = pq.read_table(pa.BufferReader(shard.read_bytes()))
            writer.write_table(rows.cast(schema))
