"""Codes of a whole collection as one Parquet file, in parts that outlive an interruption.

Several processes that a launcher started (`torchrun`) share the parts among them, each image once;
the first one waits for the others and joins. They speak through the folder of parts alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from cldis.data.source import ImageSource
from cldis.io import user_path, write_bytes, writing
from cldis.model import Model
from cldis.progress import progress_bar
from cldis.training.processes import place

ROWS = 1024  # images in a part
COLUMNS = ("z_sem_mean", "z_sem_scale", "z_disen_mean", "z_disen_scale")
KEY, SKIPPED, IMAGES = b"cldis.codes", b"cldis.skipped", b"cldis.images"
PAUSE = 0.2  # seconds between two looks for the parts of others


def code_key(model: Model, source: ImageSource) -> str:
    """What codes depend on, as sha256 (hex): the weights, the images, the size of parts."""
    digest = hashlib.sha256(f"{source.fingerprint} {len(source)} {ROWS}".encode())
    for name, weights in sorted(model.loop.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def encode_resumable(
    model: Model, source: ImageSource, path: Path, key: str, progress: bool = True
) -> int:
    """Write `path`, a row per image: `path`, `z_sem_mean`, `z_sem_scale`, `z_disen_mean`,
    `z_disen_scale`, going on with what is there.

    Codes are fixed-size lists of d floats; null where the method lacks the branch. An image that
    turned out not to be readable has no row and is listed in `source.skipped`. Finished parts lie
    in a folder beside `path` until all are there; then they become one file, which appears whole or
    not at all. A file or parts of another `key` are made anew. Of several processes only the first
    writes the file, and the others return before. Returns how many images were encoded by this one.

    Raises:
        OSError: the disk is full; what was finished is kept.
    """
    path = user_path(path)
    done = _about(path)
    if done is not None and done.get(KEY, b"").decode() == key:
        _take_skipped(source, done)
        return 0
    folder = path.with_suffix(".parts") / key
    for other in folder.parent.glob("*"):
        if other.name != key:
            shutil.rmtree(other, ignore_errors=True)
    own, processes = place()
    parts = [
        (folder / f"part-{start:09d}.parquet", np.arange(start, min(start + ROWS, len(source))))
        for start in range(0, len(source), ROWS)
    ]
    fresh = 0
    with progress_bar(len(source), "encode", "images", not progress or own > 0) as bar:
        for part, indices in parts[own::processes]:
            if not _whole(part, source, len(indices)):
                buffer = pa.BufferOutputStream()
                pq.write_table(rows_of(model, source, indices), buffer)
                write_bytes(part, buffer.getvalue().to_pybytes())
                fresh += len(indices)
            bar.update(len(indices))
        if own:
            return fresh
        for number, (part, indices) in enumerate(parts):
            if number % processes:
                while not _whole(part, source, len(indices)):
                    time.sleep(PAUSE)
                bar.update(len(indices))
    _join([part for part, _ in parts], path, model.units, key, source)
    shutil.rmtree(folder.parent, ignore_errors=True)
    return fresh


def rows_of(model: Model, source: ImageSource, indices: NDArray[np.int64]) -> pa.Table:
    """The rows of some images; those that cannot be read are named in the table's metadata."""
    codes = model.encode_source(source, indices)
    labels = [source.label(int(index)) for index in indices]
    data: dict[str, Any] = {"path": labels}
    for name, q in (("sem", codes.sem), ("disen", codes.disen)):
        mean, scale = (q.mean, q.scale) if q else (None, None)
        for part, value in (("mean", mean), ("scale", scale)):
            empty = [None] * len(indices)
            data[f"z_{name}_{part}"] = empty if value is None else list(value.numpy())
    table = pa.table(data, schema=_schema(model.units))
    here = set(labels)
    skipped = [(label, reason) for label, reason in source.skipped if label in here]
    bad = {label for label, _ in skipped}
    table = table.filter(pa.array([label not in bad for label in labels]))
    return table.replace_schema_metadata({SKIPPED: json.dumps(skipped), IMAGES: str(len(indices))})


def _schema(units: int) -> pa.Schema:
    vector = pa.list_(pa.float32(), units)
    return pa.schema([("path", pa.string()), *((name, vector) for name in COLUMNS)])


def _about(path: Path) -> dict[bytes, bytes] | None:
    """The metadata of a Parquet file that is whole; None where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            return dict(pq.read_schema(file).metadata or {})
    except (OSError, pa.ArrowInvalid):
        return None


def _whole(part: Path, source: ImageSource, images: int) -> bool:
    """Whether a part is there; what it skipped is then skipped by the source."""
    about = _about(part)
    if about is None or about.get(IMAGES) != str(images).encode():
        return False
    _take_skipped(source, about)
    return True


def _take_skipped(source: ImageSource, about: dict[bytes, bytes]) -> None:
    """Note what another process, or an earlier one, could not read."""
    skipped = [(path, reason) for path, reason in json.loads(about.get(SKIPPED, b"[]"))]
    known = set(source.skipped) if skipped else set()
    source.skipped += [entry for entry in skipped if entry not in known]


def _join(parts: list[Path], path: Path, units: int, key: str, source: ImageSource) -> None:
    """One file of all parts, a part in memory at a time; it appears whole or not at all."""
    skipped = json.dumps(source.skipped).encode("utf-8")
    schema = _schema(units).with_metadata({KEY: key.encode(), SKIPPED: skipped})
    with writing(path) as file, pq.ParquetWriter(file, schema) as writer:
        for part in parts:
            rows = pq.read_table(pa.BufferReader(part.read_bytes()))
            writer.write_table(rows.cast(schema))
