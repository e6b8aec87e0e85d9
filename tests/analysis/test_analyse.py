"""`cldis analyse` end to end on tiny runs: pages, numbers, going on, and mistakes of a person."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from browsers import assert_readable
from cldis.cli import main
from cldis.data import open_data
from cldis.editing import encode
from cldis.model import Model, load
from cldis.pages.analysis.encode import read_codes
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import train
from loop.small import LOOP
from support.html_page import check_page
from support.photos import write_photos
from support.small import RUN


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for k, name in enumerate(("dark", "light", "mixed")):
        write_photos(folder / name, 24, seed=k)
    shutil.copy(folder / "dark" / "photo_003.png", folder / "light" / "copy.png")
    (folder / "dark" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def runs(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    source = open_data(photos, 16)
    made = {}
    for name, more in {
        "closed": [],
        "vae": ["method=beta_vae"],
        "points": ["method=diffae", "model.units=40"],
    }.items():
        config = LOOP.with_overrides([*RUN, *more])
        made[name] = folder / name
        run = RunFolder.create(made[name], config, source, str(photos))
        assert train(run, source, resume=False, quiet=True)
    return made


@pytest.fixture(scope="module")
def whole(
    photos: Path, runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """Everything at once: labels, a second collection, other runs."""
    out = tmp_path_factory.mktemp("whole")
    rows = [f"{k}/photo_{i:03d}.png,{i * 1.5},{'ab'[i % 2]}" for k in ("dark", "light", "mixed")
            for i in range(24)]  # fmt: skip
    table = out / "labels.csv"
    table.write_text("\n".join(["file,size,<b>site</b>", *rows]))
    write_photos(out / "new & <other>", 30, seed=9)
    arguments = ["analyse", str(runs["closed"]), str(photos), "--out", str(out / "found")]
    arguments += ["--labels", str(table), "--compare", str(out / "new & <other>")]
    arguments += ["--against", str(runs["vae"]), "--against", str(runs["points"])]
    assert main(arguments) == 0
    return out / "found", json.loads((out / "found" / "analysis.json").read_text())


def test_the_page_stands_alone(whole: tuple[Path, dict[str, Any]]) -> None:
    page = check_page(whole[0] / "index.html")
    for name in "varies labels carries outliers duplicates shift all about terms".split():
        assert name in page.ids
    assert {f"unit-{k}" for k in range(4)} <= set(page.ids)
    text = (whole[0] / "index.html").read_text("utf-8")
    assert "<b>site</b>" not in text and "&lt;b&gt;site" in text and "<other>" not in text
    assert not re.search(r"https?://", text) and "nan" not in page.words.lower().split()
    assert "broken.jpg" in page.words and "no row in" not in page.words
    assert "Images without a row in labels.csv: 1 of 73" in page.words


def test_the_page_is_readable_by_all_and_printed_whole(
    whole: tuple[Path, dict[str, Any]], browser: Any
) -> None:
    assert_readable(browser, whole[0] / "index.html")


def test_the_numbers(whole: tuple[Path, dict[str, Any]], photos: Path) -> None:
    out, numbers = whole
    assert numbers["data"]["images"] == 73 and numbers["data"]["skipped"] == 1
    assert [column["name"] for column in numbers["labels"]["columns"]] == [
        "size", "<b>site</b>", "folder",
    ]  # fmt: skip
    names = [code["name"] for code in numbers["probes"]["codes"]]
    assert names == [
        "this run, z_sem", "this run, z_disen", "vae", "points", "PCA", "untrained encoder",
        "raw pixels",
    ]  # fmt: skip
    sizes = [code["dimensions"] for code in numbers["probes"]["codes"]]
    assert sizes == [4, 4, 4, 40, 4, 4, 768]
    for column in numbers["probes"]["columns"].values():
        assert len(column["curves"]) == 7
    assert numbers["probes"]["train"] + numbers["probes"]["test"] == 73
    pair = numbers["duplicates"]["closest"][0]
    assert (pair["first"], pair["second"]) == ("dark/photo_003.png", "light/copy.png")
    assert pair["pixels"] == 0
    assert len(numbers["units"]) == 4 and all(unit["change"] >= 0 for unit in numbers["units"])
    assert len(numbers["compare"]["units"]) == 4
    assert numbers["compare"]["told_apart"]["score"] > 0
    assert str(photos.parent) not in (out / "analysis.json").read_text()
    assert (out / "skipped.tsv").read_text().count("\n") == 2


def test_codes_are_those_of_the_model(
    whole: tuple[Path, dict[str, Any]], photos: Path, runs: dict[str, Path]
) -> None:
    table = pq.read_table(whole[0] / "codes.parquet")
    assert table.num_rows == 73 and not list(whole[0].glob("*.parts"))
    model, source = load(runs["closed"]), open_data(photos, 16)
    codes = read_codes(whole[0] / "codes.parquet")
    from cldis.images import to_model

    expected = model.encode(to_model(source.batch(np.arange(73))))
    np.testing.assert_allclose(codes.sem, expected.z.numpy(), atol=1e-5)
    np.testing.assert_allclose(codes.disen, expected.disen.mean.numpy(), atol=1e-5)  # type: ignore[union-attr]
    assert codes.paths[0] == "dark/photo_000.png" and codes.name == "z_sem"


class Cut:
    """A model that is interrupted after so many calls, and counts images."""

    def __init__(self, model: Model, calls: int) -> None:
        self.model, self.calls, self.images = model, calls, 0
        self.units = model.units

    def encode_source(self, source: Any, indices: Any) -> Any:
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        self.images += len(indices)
        return self.model.encode_source(source, indices)


def test_going_on_gives_the_same_codes(
    photos: Path, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "ROWS", 10)
    model, source = load(runs["closed"]), open_data(photos, 16)
    key = encode.code_key(model, source)
    assert encode.encode_resumable(model, source, tmp_path / "a.parquet", key, progress=False) == 73

    path = tmp_path / "b.parquet"
    with pytest.raises(KeyboardInterrupt):
        encode.encode_resumable(Cut(model, 3), source, path, key, progress=False)  # type: ignore[arg-type]
    assert not path.exists()
    shards = sorted(tmp_path.glob("b.parts/*/*"))
    assert len(shards) == 3
    shards[1].write_bytes(shards[1].read_bytes()[:50])  # cut off by a full disk: made again
    rest = Cut(model, 99)
    assert encode.encode_resumable(rest, source, path, key, progress=False) == 53  # type: ignore[arg-type]
    assert rest.images == 53
    assert pq.read_table(path).equals(pq.read_table(tmp_path / "a.parquet"))

    done = Cut(model, 0)
    assert encode.encode_resumable(done, source, path, key, progress=False) == 0  # type: ignore[arg-type]
    assert encode.encode_resumable(model, source, path, "other", progress=False) == 73


def test_the_same_again_gives_the_same_page(
    photos: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    """The VAE alone: no z_sem, no diffusion decoder; sub-folders as classes."""
    command = ["analyse", str(runs["vae"]), str(photos), "--out", str(tmp_path)]
    assert main(command) == 0
    first = (tmp_path / "index.html").read_text("utf-8")
    written = (tmp_path / "codes.parquet").stat().st_mtime_ns
    assert main(command) == 0
    assert (tmp_path / "index.html").read_text("utf-8") == first
    assert (tmp_path / "codes.parquet").stat().st_mtime_ns == written
    page, numbers = (
        check_page(tmp_path / "index.html"),
        json.loads((tmp_path / "analysis.json").read_text()),
    )
    assert numbers["code"] == "z_disen" and "this run, z_disen" in page.words
    assert numbers["probes"]["columns"]["folder"]["chance"] == pytest.approx(1 / 3)


def test_a_small_collection_without_labels(runs: dict[str, Path], tmp_path: Path) -> None:
    write_photos(tmp_path / "few", 12)
    command = ["analyse", str(runs["points"]), str(tmp_path / "few"), "--out", str(tmp_path / "o")]
    assert main(command) == 0
    page = check_page(tmp_path / "o" / "index.html")
    assert "There are no labels" in page.words
    assert "look at the 32 units that vary most" in page.words
    numbers = json.loads((tmp_path / "o" / "analysis.json").read_text())
    assert numbers["units"][0]["nats"] is None  # a code of points


def test_a_code_that_is_dead(runs: dict[str, Path], tmp_path: Path) -> None:
    """All images are alike, so no unit varies; the page says so."""
    (first,) = write_photos(tmp_path / "x", 1)
    for k in range(12):
        shutil.copy(first, tmp_path / "x" / f"{k}.png")
    assert (
        main(["analyse", str(runs["vae"]), str(tmp_path / "x"), "--out", str(tmp_path / "o")]) == 0
    )
    assert "the code is dead" in check_page(tmp_path / "o" / "index.html").words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": "gone"}, "does not exist"),
        ({"data": "few"}, "3 usable images"),
        ({"data": "nowhere"}, "neither a folder nor"),
        ({"--labels": "gone.csv"}, "is no file"),
        ({"--compare": "few"}, "3 usable images"),
        ({"--against": "gone"}, "does not exist"),
        ({"--out": "file"}, "is a file"),
    ],
)
def test_mistakes(
    change: dict[str, str],
    message: str,
    photos: Path,
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "few", 3)
    (tmp_path / "file").write_text("")
    given = {"run": str(runs["vae"]), "data": str(photos), "--out": "out", **change}
    arguments = ["analyse", given.pop("run"), given.pop("data")]
    assert main([*arguments, *(part for pair in given.items() for part in pair)]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error.splitlines()[-1]) and not Path("out/index.html").exists()
