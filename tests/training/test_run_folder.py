"""A run folder describes itself, and says what is wrong with it in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cldis.model import load
from cldis.training.run_folder import FORMAT, RunFolder
from cldis.training.starter import FOLDER
from training.harness import TwoFactors, config


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    source = TwoFactors()
    source.skipped = [("a/b.jpg", "cut off"), ("c.txt", "not an image")]
    return RunFolder.create(tmp_path / "deep" / "run", config("training.seed=7"), source, "./data")


def test_it_describes_itself(run: RunFolder) -> None:
    again = RunFolder.open(str(run.path))
    assert again == run
    assert again.config == config("training.seed=7")
    about = json.loads((run.path / "run.json").read_text())
    assert about["format"] == FORMAT
    assert about["seed"] == 7
    assert about["data"] == {
        "source": str(Path("data").resolve()),
        "relative": os.path.relpath("data", run.path),
        "name": "two-factors",
        "images": 100,
        "resolution": 32,
        "fingerprint": "two-factors",
        "skipped": 2,
        "factors": {"floor_hue": 10, "wall_hue": 10},
    }
    assert {"created", "command", "versions", "git", "machine"} <= set(about)
    assert about["versions"]["torch"]
    lines = (run.path / "skipped.tsv").read_text().splitlines()
    assert lines == ["path\treason", "a/b.jpg\tcut off", "c.txt\tnot an image"]


def test_a_new_run_has_no_checkpoint(run: RunFolder) -> None:
    assert run.latest() is None
    assert run.checkpoints.parent == run.samples.parent == run.metrics.parent == run.path


@pytest.mark.parametrize("thing", ["run", "file in it", "hidden file in it", "file of that name"])
def test_nothing_is_overwritten(tmp_path: Path, thing: str) -> None:
    out, source = tmp_path / "out", TwoFactors()
    if thing == "run":
        RunFolder.create(out, config(), source, "data")
    elif thing == "file of that name":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / (".mine" if thing.startswith("hidden") else "mine")).write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="is not empty; choose another --out, or --resume"):
        RunFolder.create(out, config("training.seed=1"), source, "data")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, config(), TwoFactors(), "data").path == tmp_path


DAMAGE = {
    "run.json is cut off": ("run.json", '{"format": 1, "da', "run.json is not valid JSON"),
    "run.json is empty": ("run.json", "", "run.json is not valid JSON"),
    "run.json is a list": ("run.json", "[]", "run.json is damaged: format is None"),
    "newer": ("run.json", '{"format": 3}', "has run format 3, this version reads up to 2; upgrade"),
    "format is text": ("run.json", '{"format": "x"}', "run.json is damaged: format is 'x'"),
    "format is a truth": ("run.json", '{"format": true}', "format is True, not 1 to 2"),
    "format is negative": ("run.json", '{"format": -5}', "format is -5, not 1 to 2"),
    "format is zero": ("run.json", '{"format": 0}', "format is 0, not 1 to 2"),
    "config.json is cut off": ("config.json", '{"model": {', "config.json is not valid JSON"),
    "config.json is a list": ("config.json", "[1]", "config.json holds no settings"),
    "config.json is null": ("config.json", "null", "config.json holds no settings"),
    "unknown setting": ("config.json", '{"training": {"imges": 3}}', "training.images"),
}


@pytest.mark.parametrize(("file", "text", "words"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage(run: RunFolder, file: str, text: str, words: str) -> None:
    (run.path / file).write_text(text)
    with pytest.raises(ValueError) as caught:
        RunFolder.open(run.path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["everything", "run.json", "config.json"])
def test_no_run_there(run: RunFolder, missing: str) -> None:
    path = run.path / "nothing" if missing == "everything" else run.path
    if missing != "everything":
        (run.path / missing).unlink()
    with pytest.raises(ValueError, match="give the folder that `cldis train --out` wrote"):
        RunFolder.open(path)


def test_a_folder_left_by_a_kill_before_run_json_can_be_used_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_text("{}")
    (out / "skipped.tsv").write_text("path\treason\n")
    RunFolder.create(out, config(), TwoFactors(), "./data")
    assert RunFolder.open(out).config == config()


def test_weights_alone_are_no_run_and_the_run_of_a_checkpoint_is_named(run: RunFolder) -> None:
    with pytest.raises(ValueError, match="training.start_from=starter:rooms64 if it came with"):
        load(FOLDER / "rooms64")
    checkpoint = run.checkpoints / "000000000032"
    checkpoint.mkdir(parents=True)
    with pytest.raises(ValueError, match="is a checkpoint of a run; give the run, .*run$"):
        RunFolder.open(checkpoint)
