"""Where the images of a run are looked for, and what a run from elsewhere must not make us read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cldis.data import open_data
from cldis.training import run_data
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder
from support.photos import write_photos
from training.harness import config


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run on work/photos, made from inside work."""
    write_photos(tmp_path / "work" / "photos", 4)
    (tmp_path / "work" / "photos" / "broken.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path / "work")
    source = open_data("photos", 32)
    made = RunFolder.create(Path("runs/one"), config(), source, "photos")
    monkeypatch.chdir(tmp_path)
    return RunFolder.open(tmp_path / "work" / made.path)


def test_found_when_others_are_where_they_were(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "work").rename(tmp_path / "moved")
    moved = RunFolder.open(tmp_path / "moved" / "runs" / "one")
    write_photos(tmp_path / "work" / "photos", 4, seed=1)
    assert open_run_data(moved).fingerprint == run.about["data"]["fingerprint"]


def test_a_strangers_run_reads_nothing(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder is decoded that cannot be the run's, and nothing is downloaded."""
    write_photos(tmp_path / "private", 9)
    opened: list[str] = []

    def watched(name: str, *rest: object, **more: object) -> object:
        opened.append(name)
        raise AssertionError(name)

    monkeypatch.setattr(run_data, "open_data", watched)
    (tmp_path / "a" / "b").mkdir(parents=True)
    for source, words in {
        str(tmp_path / "private"): "does not hold the images",
        str(tmp_path): "does not hold the images",
        "hf:someone/pictures": "which is not downloaded unasked",
        "someone/pictures": "which is not downloaded unasked",
        str(tmp_path / "a"): "does not hold the images",
        "kuka": "kuka does not hold the images",
    }.items():
        about = json.loads((run.path / "run.json").read_text())
        about["data"] = {**about["data"], "source": source, "relative": "../../nothing"}
        strange = RunFolder(run.path, run.config, about)
        with pytest.raises(ValueError, match=words):
            open_run_data(strange)
    assert opened == []


@pytest.mark.parametrize(
    ("name", "images", "resolution", "opened"),
    [
        ("kuka", 172_800, 32, True),
        ("rooms", 172_800, 32, False),
        ("kuka", 172_799, 32, False),
        ("kuka", 172_800, 64, False),
    ],
)
def test_a_named_set_is_made_only_when_it_may_be_the_runs(
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    images: int,
    resolution: int,
    opened: bool,
) -> None:
    asked: list[str] = []

    def watched(name: str, *rest: object, **more: object) -> object:
        asked.append(name)
        raise ValueError("needs PyBullet")

    monkeypatch.setattr(run_data, "open_data", watched)
    told = {"source": "kuka", "name": name, "images": images, "resolution": resolution}
    about = {**run.about, "data": {**run.about["data"], **told, "relative": "../../nothing"}}
    with pytest.raises(ValueError, match="needs PyBullet" if opened else "does not hold the"):
        open_run_data(RunFolder(run.path, run.config, about))
    assert asked == ["kuka"] * opened


def test_what_cannot_be_used_names_no_file_of_the_folder(run: RunFolder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    for number in range(4):
        (secret / f"diary{number}.png").write_bytes(b"no picture")
    about = {**run.about, "data": {**run.about["data"], "source": str(secret), "relative": "none"}}
    with pytest.raises(ValueError, match="secret holds no usable image; name the images") as caught:
        open_run_data(RunFolder(run.path, run.config, about))
    assert "diary" not in str(caught.value)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "a" * 5000, "~a\0b/c", "~\ud800"])
def test_a_name_that_cannot_be_a_path_is_no_place(run: RunFolder, name: str) -> None:
    place = name if name[0] == "~" else f"/{name}"
    about = json.loads((run.path / "run.json").read_text())
    about["data"] |= {"source": place, "relative": name}
    (run.path / "run.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="are not there any more; name the images with --data"):
        open_run_data(RunFolder.open(run.path))
