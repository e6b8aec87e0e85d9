"""Images from a Hugging Face dataset (needs the `hub` extra)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cldis.data.cache import CachedImages, Item, NoImages, decoded_once
from cldis.data.source import check_resolution
from cldis.io import user_path

SPLIT = "train"
READ_AHEAD = 64  # rows read from the dataset at a time


class Hub(CachedImages):
    """The first image column of a dataset's training split."""

    def __init__(
        self,
        dataset: Any,
        resolution: int,
        cache_dir: Path | None = None,
        progress: bool = False,
    ) -> None:
        """
        Args:
            dataset: `NAME` or `NAME:CONFIG` on the Hub, a folder that `save_to_disk` wrote, or a
                `datasets.Dataset` or `DatasetDict` itself.
            resolution: side in pixels, a multiple of 8 in 8..1024.
            cache_dir: where decoded images are kept; default `cache.default_cache_dir()`.
            progress: show a progress bar while decoding.

        Raises:
            ValueError: `datasets` is not installed, no such dataset, configuration, split or
                image column, or no usable image.
            OSError: the cache cannot be written.
        """
        check_resolution(resolution)
        table, name = _open(dataset)
        column = _image_column(table, name)
        try:
            decoded = decoded_once(
                ["hub", name, table._fingerprint, column],
                _rows(table, column, name),
                len(table),
                resolution,
                cache_dir,
                progress,
            )
        except NoImages as error:
            first = "; ".join(f"{row}: {reason}" for row, reason in error.skipped[:3])
            raise ValueError(
                f"dataset {name} holds no usable image in column {column!r} of its {len(table)} "
                f"rows ({first}); choose another dataset"
            ) from None
        super().__init__(name, resolution, decoded, [])


def _open(dataset: Any) -> tuple[Any, str]:
    """(the training split, a name for people)."""
    name = dataset if isinstance(dataset, str) else "dataset"
    try:
        import datasets
    except ImportError:
        raise ValueError(
            f"{name!r} is no folder here, and a Hugging Face dataset needs an extra: "
            "pip install 'cldis[hub]'"
        ) from None
    if isinstance(dataset, str):
        if not dataset:
            raise ValueError("hf: names no dataset; write hf:NAME, for example hf:mnist")
        try:
            if (folder := user_path(dataset)).is_dir():
                dataset, name = datasets.load_from_disk(folder), folder.resolve().name
            else:
                path, _, config = dataset.partition(":")
                dataset = datasets.load_dataset(path, config or None)
        except Exception as error:  # network, missing name, missing configuration, broken files
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{name!r} is no folder here, and as a Hugging Face dataset it cannot be opened "
                f"({reason}); check the name, or give a folder of images"
            ) from None
    if isinstance(dataset, datasets.DatasetDict):
        if SPLIT not in dataset:
            raise ValueError(
                f"dataset {name} has no split {SPLIT!r}, only {', '.join(map(str, dataset))}; "
                "choose a dataset that has one"
            )
        dataset = dataset[SPLIT]
    return dataset, name


def _image_column(table: Any, name: str) -> str:
    import datasets

    for column, feature in table.features.items():
        if isinstance(feature, datasets.Image):
            return str(column)
    raise ValueError(
        f"dataset {name} has no image column, only {', '.join(table.column_names) or 'no column'}; "
        "choose a dataset of images"
    )


def _rows(table: Any, column: str, name: str) -> Iterator[Item]:
    """Labelled encoded images; the decoding threads do the rest."""
    import datasets

    encoded = table.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    for start in range(0, len(encoded), READ_AHEAD):
        for offset, value in enumerate(encoded[start : start + READ_AHEAD][column]):
            label = f"{name}/{start + offset:06d}"
            if value is None:
                yield label, None
            elif value["bytes"] is not None:
                yield label, value["bytes"]
            else:
                yield label, Path(value["path"]) if value["path"] else None
