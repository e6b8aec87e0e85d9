"""Hugging Face datasets, built on this machine: nothing here needs a network."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cldis.data import load_photo, open_data
from cldis.data.hub import Hub
from support.command import refused, without

SIDE = 16


def encoded(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels_of(content: bytes, folder: Path) -> np.ndarray:
    (folder / "one.png").write_bytes(content)
    return load_photo(folder / "one.png", SIDE)


def make(rows: list[bytes | None]):  # type: ignore[no-untyped-def]
    datasets = pytest.importorskip("datasets", reason="the hub extra is not installed")
    features = datasets.Features({"text": datasets.Value("string"), "photo": datasets.Image()})
    photos = [None if row is None else {"bytes": row, "path": None} for row in rows]
    columns = {"text": [str(index) for index in range(len(rows))], "photo": photos}
    return datasets.Dataset.from_dict(columns, features=features)


def test_in_memory(tmp_path: Path) -> None:
    rows = [encoded(0), None, encoded(1), b"no image", encoded(2)]
    source = Hub(make(rows), SIDE, tmp_path / "cache")
    assert len(source) == 3 and source.factor_names == ()
    assert [source.label(index) for index in range(3)] == [
        f"dataset/{row:06d}" for row in (0, 2, 4)
    ]
    expected = [pixels_of(encoded(seed), tmp_path) for seed in range(3)]
    assert np.array_equal(source.batch(np.arange(3)), np.stack(expected))
    assert [path for path, _ in source.skipped] == ["dataset/000001", "dataset/000003"]


def test_saved_to_disk(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the hub extra is not installed")
    table = make([encoded(seed) for seed in range(150)])
    parts = datasets.DatasetDict({"test": make([encoded(0)]), "train": table})
    parts.save_to_disk(str(tmp_path / "faces"))
    for _ in range(2):
        source = open_data(f"hf:{tmp_path / 'faces'}", SIDE, tmp_path / "cache")
        assert len(source) == 150 and source.name == "faces"
        assert source.label(149) == "faces/000149"
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_images_that_are_files(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the hub extra is not installed")
    (tmp_path / "a.png").write_bytes(encoded(0))
    paths = [str(tmp_path / "a.png"), str(tmp_path / "missing.png")]
    table = datasets.Dataset.from_dict({"photo": paths}).cast_column("photo", datasets.Image())
    source = Hub(table, SIDE, tmp_path / "cache")
    assert np.array_equal(source.batch(np.arange(1))[0], pixels_of(encoded(0), tmp_path))
    assert source.skipped == [("dataset/000001", "no such file")]


def test_same_pixels_same_fingerprint_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for seed in range(3):
        (tmp_path / "photos" / f"{seed}.png").write_bytes(encoded(seed))
    folder = open_data(str(tmp_path / "photos"), SIDE, tmp_path / "cache")
    hub = Hub(make([encoded(seed) for seed in range(3)]), SIDE, tmp_path / "cache")
    assert hub.fingerprint == folder.fingerprint


def test_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the hub extra is not installed")
    monkeypatch.chdir(tmp_path)
    text = datasets.Dataset.from_dict({"text": ["a"]})
    wrong = {
        "no image column, only text": text,
        "no split 'train', only test": datasets.DatasetDict({"test": make([encoded(0)])}),
        "no usable image in column 'photo' of its 2 rows": make([None, b"x"]),
        "names no dataset": "",
        "no folder here": "nobody/nothing-of-this-name",
    }
    for words, dataset in wrong.items():
        refused(lambda dataset=dataset: Hub(dataset, SIDE, tmp_path / "cache"), words)
    name = "nobody/nothing-of-this-name"
    refused(lambda: open_data(name, SIDE, tmp_path / "cache"), "no folder here")


@pytest.mark.parametrize("name", ["hf:mnist", "owner/name"])
def test_without_the_extra(tmp_path: Path, name: str) -> None:
    text = without("datasets", f"open_data({name!r}, 16)", tmp_path)
    assert "pip install 'cldis[hub]'" in text
    assert text.count("\n") == 1 and name.removeprefix("hf:") in text
