"""`cldis navigate`, `cldis name` and `cldis edit --direction`, end to end on a tiny run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import cldis
from cldis.cli import main
from cldis.data import open_data
from cldis.editing.edits import parse_directions
from cldis.navigation import navigate
from cldis.navigation.directions import Directions
from cldis.navigation.navigate import scene_of
from cldis.navigation.store import load_directions, read_about, save_directions
from cldis.navigation.train import NavigationConfig, Navigator
from cldis.training.recipes import recipe_config
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import train
from support.command import fails
from support.photos import write_photos

# A VAE whose code says much, soon: a weak KL and large steps.
READABLE = ("method=vae", "vae.beta=0.1", "training.learning_rate=0.002")


def trained(folder: Path, photos: Path, *settings: str, images: int = 96) -> Path:
    """A run as `cldis train` leaves it, without its report."""
    sizes = (f"training.images={images}", "model.resolution=16", "model.units=4")
    config = recipe_config("tiny").with_overrides([*sizes, *settings])
    source = open_data(photos, 16)
    run = RunFolder.create(folder, config, source, str(photos))
    assert train(run, source, resume=False, quiet=True)
    return folder


@pytest.fixture(scope="module")
def closed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "closed", photos)


@pytest.fixture(scope="module")
def vae(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "vae", photos, *READABLE, images=3200)


@pytest.fixture
def run(closed: Path, tmp_path: Path) -> Path:
    """A run of one's own, with three stored directions."""
    mine = tmp_path / "run"
    shutil.copytree(closed, mine)
    save_directions(mine, Directions.random(4, 3, 0), {"from": "test"})
    return mine


def test_navigate_a_vae_run(vae: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(vae, run)
    command = ["navigate", str(run), "--directions", "2", "--init", "pca", "--images", "1600"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "directions recognised on held-out images (chance 0.50)" in text
    stored, about = load_directions(run), read_about(run)
    assert stored.origin == "navigated" and stored.units == 4
    assert len(stored.recognised) == stored.count == len(about["kept"])
    assert stored.count + len(about["dropped"]) == 2 and about["init"] == "pca"
    assert all(value > 0.5 for value in stored.recognised)
    assert json.loads((run / "navigation" / "directions.json").read_text())["about"] == about
    assert not (run / "navigation" / "state.safetensors").exists()


def test_an_undertrained_run_is_told_and_keeps_what_it_had(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "navigation" / "directions.safetensors").read_bytes()
    text = fails(capsys, "navigate", str(run), "--images", "32", code=1)
    assert "nothing recognises any of 4 directions" in text and "chance 0.25" in text
    assert (run / "navigation" / "directions.safetensors").read_bytes() == before
    # Trying again with more is not refused: nothing unfinished is left.
    assert "no unfinished" in fails(capsys, "navigate", str(run), "--resume")
    again = ["navigate", str(run), "--images", "64", "--directions", "3"]
    assert "any of 3 directions" in fails(capsys, *again, code=1)


def test_interrupted_and_resumed(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Navigator.learn

    def interrupted(self: Navigator) -> tuple[float, float]:
        self.ask_to_stop()
        return learn(self)

    with monkeypatch.context() as patch:
        patch.setattr(Navigator, "learn", interrupted)
        assert main(["navigate", str(run), "--images", "64", "--directions", "3"]) == 130
    assert f"cldis navigate {run} --resume" in capsys.readouterr().err
    assert "unfinished" in fails(capsys, "navigate", str(run))
    assert "leave out" in fails(capsys, "navigate", str(run), "--resume", "--images", "9")
    steps: list[int] = []

    def counted(self: Navigator) -> tuple[float, float]:
        steps.append(self.step)
        return learn(self)

    monkeypatch.setattr(Navigator, "learn", counted)
    assert "of 3 directions" in fails(capsys, "navigate", str(run), "--resume", code=1)
    assert steps == [1]


def test_default_is_a_direction_per_unit(closed: Path) -> None:
    model = cldis.load(closed)
    config = navigate.config_for(model, None, "identity", None)
    assert config.directions == 4 and config.images == NavigationConfig(4).images
    run = RunFolder.open(closed)
    scene = scene_of(run, model, open_run_data(run), 2)
    assert scene.codes.shape == (76, 4) and scene.held_out.shape == (4, 4)


def test_name_and_edit_by_name(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["name", str(run), "2", "smile"]) == 0
    assert "direction 2 is now 'smile'" in capsys.readouterr().out
    assert read_about(run) == {"from": "test"}
    photo, out = str(photos / "discs" / "photo_000.png"), tmp_path / "out"
    moves = ["--direction", "Smile=+2.0", "--direction", "0=-1", "--shift", "1=0.5"]
    assert main(["edit", str(run), photo, *moves, "--out", str(out)]) == 0
    edits = json.loads((out / "edits.json").read_text())
    assert edits["shifts"] == {"1": 0.5} and edits["directions"] == {"2": 2.0, "0": -1.0}
    assert edits["direction_names"] == {"2": "smile"} and edits["photos"] == ["photo_000"]
    assert (out / "photo_000_edited.png").is_file()
    assert main(["name", str(run), "smile", "grin"]) == 0
    assert load_directions(run).names == {2: "grin"}
    text = fails(capsys, "navigate", str(run))
    assert "2 'grin'" in text and load_directions(run).names == {2: "grin"}


def test_units_as_directions_edit_as_units_do(run: Path, photos: Path, tmp_path: Path) -> None:
    save_directions(run, Directions.identity(4))
    photo = str(photos / "discs" / "photo_001.png")
    for out, option in (("unit", "--shift"), ("direction", "--direction")):
        assert main(["edit", str(run), photo, option, "1=3", "--out", str(tmp_path / out)]) == 0
    name = "photo_001_edited.png"
    assert (tmp_path / "unit" / name).read_bytes() == (tmp_path / "direction" / name).read_bytes()


def test_mistakes(
    run: Path, closed: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = str(photos / "discs" / "photo_000.png"), str(tmp_path / "out")

    def edit(which: Path, *moves: str) -> str:
        return fails(capsys, "edit", str(which), photo, *moves, "--out", out)

    assert "nothing to edit" in edit(run)
    assert "cldis navigate" in edit(closed, "--direction", "0=1")
    assert "0..2" in edit(run, "--direction", "3=1")
    assert "cldis name" in edit(run, "--direction", "smile=1")
    assert "twice" in edit(run, "--direction", "1=1", "--direction", "+1=2")
    assert "finite" in edit(run, "--direction", "1=inf")
    for wrong in ("1", "1=", "=1", "smile=far"):
        assert "NUMBER_OR_NAME=AMOUNT" in edit(run, "--direction", wrong)
    assert not Path(out).exists()
    assert "cldis navigate" in fails(capsys, "name", str(closed), "0", "smile")
    assert "0..2" in fails(capsys, "name", str(run), "3", "smile")
    assert "is a number" in fails(capsys, "name", str(run), "1", "2")
    assert "cannot be" in fails(capsys, "name", str(run), "1", " ")
    assert "1..4" in fails(capsys, "navigate", str(closed), "--directions", "5")
    assert "1..4" in fails(capsys, "navigate", str(closed), "--directions", "0")
    assert "at least 1" in fails(capsys, "navigate", str(closed), "--images", "0")
    assert "does not exist" in fails(capsys, "navigate", str(tmp_path / "none"))
    assert "no unfinished" in fails(capsys, "navigate", str(closed), "--resume")
    assert not (closed / "navigation").exists()


def test_one_image_and_constant_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_photos(tmp_path / "one", 1, side=24)
    run = trained(tmp_path / "run", tmp_path / "one")
    assert "no unit of the code varies" in fails(capsys, "navigate", str(run))
    assert "cldis navigate" in fails(capsys, "name", str(run), "0", "x")


def test_parse_directions() -> None:
    assert parse_directions(["3=+2.0", "a=b=-1"]) == [("3", 2.0), ("a=b", -1.0)]


def test_moves_add_up(run: Path) -> None:
    from cldis.editing.edits import Moves

    model = cldis.load(run)
    moves = Moves.of(model, run, {0: 1.0}, [("1", 2.0)])
    expected = model.shift({0: 1.0}) + load_directions(run).shift(model.unit_std, {1: 2.0})
    torch.testing.assert_close(moves.change, expected)
    assert moves.words() == "0=+1, d1=+2"
