"""`cldis track` and `cldis select` end to end on tiny runs."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("cv2")

import cldis
from cldis.cli import main
from cldis.data import open_data
from cldis.navigation.directions import Directions
from cldis.navigation.store import save_directions
from cldis.tracking.maps import load_maps, save_maps
from cldis.tracking.select import select_runs
from cldis.tracking.track import STEPS, track
from support.command import refused
from support.photos import write_photos


@pytest.fixture()
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def scores_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "scores.json").read_text())
    return found


def test_track_writes_scores_and_pictures(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", str(copy), "--images", "4"]) == 0
    folder = copy / "tracking"
    found = scores_in(folder)
    assert len(found["directions"]) == 4 and found["images"] == 4
    assert found["checkpoint"] == "000000000192" and found["origin"] == "identity"
    assert found["settings"]["shifts"][4] == 0 and len(found["settings"]["shifts"]) == 9
    assert found["data"]["trained_on"] and found["active"] == 0
    (warning,) = found["warnings"]  # after 192 images x_T decides alone
    assert warning.startswith("no direction changes the pictures more than another x_T does")
    assert 0 <= found["score"] <= 1 and found["noise_floor"]["appearance"] > 0
    names = sorted(path.name for path in folder.iterdir())
    heat = [f"direction_0{k}.png" for k in range(4)]
    assert names == ["curves.png", *heat, "gallery.png", "maps.safetensors", "scores.json"]
    width, height = Image.open(folder / "gallery.png").size
    assert width > 11 * 32 and height > 4 * 32
    assert "of 4 directions active" in capsys.readouterr().out


def test_the_same_twice(run: Path, photos: Path) -> None:
    first, second = (track(run, images=3, shifts=(-1.0, 0.0, 1.0)).scores for _ in range(2))
    assert first == second
    other = track(run, images=3, shifts=(-1.0, 0.0, 1.0), seed=1).scores
    assert other["noise_floor"] != first["noise_floor"]


def test_a_vae_has_no_noise(vae_run: Path, tmp_path: Path) -> None:
    assert main(["track", str(vae_run), "--images", "3", "--out", str(tmp_path / "t")]) == 0
    assert scores_in(tmp_path / "t")["noise_floor"] == {"motion": 0.5, "appearance": 0.5}
    assert not (vae_run / "tracking").exists()


def few(folder: Path, kind: str) -> str:
    """Three small photos that give a score nothing much to hold on to."""
    for i, path in enumerate(write_photos(folder, 3, seed=5)):
        picture = Image.open(path)
        grey, colour = picture.convert("L"), Image.new("RGB", picture.size, (40 + 60 * i, 90, 20))
        {"grey": grey, "one colour each": colour}.get(kind, picture).save(path)
    return str(folder)


@pytest.mark.parametrize("kind", ["grey", "one colour each", "three photos"])
def test_poor_images_have_whole_scores(kind: str, vae_run: Path, tmp_path: Path) -> None:
    """Moved so far that the untrained decoder follows: directions are active, nothing is NaN."""
    source = open_data(few(tmp_path / "few", kind), 16)
    found = track(vae_run, source, shifts=(-2e4, -1e4, 0.0, 1e4, 2e4)).scores
    assert found["active"] and found["images"] == 3
    for row in (found, *(row for row in found["directions"] if row["active"])):
        assert all(0 <= row[name] <= 1 for name in ("score", "purity", "own"))
        assert np.isfinite(row.get("error", 0))
    alone = Directions(torch.eye(4)[:, :1], "identity")
    assert 0 <= track(vae_run, source, directions=alone).scores["score"] <= 1


def test_a_direction_cannot_be_there_twice() -> None:
    refused(lambda: Directions(torch.eye(4)[:, [0, 1, 1]], "identity"), "not orthonormal")


def test_stored_directions_are_tracked_and_keep_their_names(copy: Path) -> None:
    save_directions(copy, Directions.random(4, 2, seed=0).named(1, "smile"))
    assert main(["track", str(copy), "--images", "2"]) == 0
    found = scores_in(copy / "tracking")
    assert found["origin"] == "random" and len(found["directions"]) == 2
    assert found["directions"][1]["name"] == "smile"


def test_a_direction_is_what_the_decoder_draws(run: Path, photos: Path) -> None:
    """The frames are decodes of z + shift * unit_std * direction, all from one x_T."""
    model, source = cldis.load(run), open_data(str(photos), 16)
    given = Directions.random(4, 2, seed=3)
    seen = track(model, source, images=2, shifts=(-1.0, 0.0, 2.0), directions=given)
    from cldis.editing.photos import held_out
    from cldis.images import to_model

    z = model.encode(to_model(source.batch(held_out(source, 2)))).z[:1]
    moved = z + given.shift(model.unit_std, {1: 2.0})
    drawn = model.decode(torch.cat([z, moved]), model.random_start(1, 0).expand(2, -1, -1, -1),
                         steps=STEPS, fast=True)  # fmt: skip
    grey = ((drawn + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert np.abs(seen.samples[0, 1, 1] - grey[0]).max() <= 1
    assert np.abs(seen.samples[0, 1, 2] - grey[1]).max() <= 1


def test_other_images_are_noticed(
    copy: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(tmp_path / "other", 6, seed=1)
    arguments = ["track", str(copy), "--data", str(tmp_path / "other")]
    assert main(arguments) == 0  # of the same kind: all six, nothing to warn of
    found = scores_in(copy / "tracking")
    assert not found["data"]["trained_on"] and found["images"] == 6
    assert not any("unlike" in warning for warning in found["warnings"])
    model = cldis.load(copy)
    model.unit_mean = model.unit_mean + 4 * model.unit_std  # codes far from those of training
    monkeypatch.setattr("cldis.tracking.track.load", lambda path: model)
    assert main(arguments) == 0
    assert "unlike the training images" in scores_in(copy / "tracking")["warnings"][0]
    assert "cldis: warning: the images are unlike" in capsys.readouterr().err


def test_select_ranks_tracks_once_and_names_what_differs(
    run: Path, vae_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [shutil.copytree(path, tmp_path / path.name) for path in (run, vae_run)]
    monkeypatch.chdir(tmp_path)
    assert main(["select", *map(str, runs), "--out", "ranks.json"]) == 0
    found = json.loads((tmp_path / "ranks.json").read_text())["runs"]
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    assert {row["run"] for row in found} == set(map(str, runs))
    kept = [(path / "tracking" / "scores.json").stat().st_mtime_ns for path in runs]
    again = select_runs(runs, progress=False)
    assert again["runs"] == found
    assert [(path / "tracking" / "scores.json").stat().st_mtime_ns for path in runs] == kept


def test_select_calls_a_tie_a_tie(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scores as `track` writes them, with a run score that is put in place of the true one."""
    runs = [copy, Path(shutil.copytree(copy, tmp_path / "second"))]

    def choose(scores: tuple[float, float], error: float) -> tuple[list[bool], str]:
        for path, score in zip(runs, scores, strict=True):
            maps = load_maps(path)
            assert maps is not None
            told = {**maps.scores, "score": score, "error": error}
            save_maps(dataclasses.replace(maps, scores=told), path / "tracking")
        assert main(["select", *map(str, runs), "--out", str(tmp_path / "s.json")]) == 0
        found = json.loads((tmp_path / "s.json").read_text())["runs"]
        assert [row["score"] for row in found] == sorted(scores, reverse=True)
        return [row["tie"] for row in found], capsys.readouterr().out

    select_runs(runs, progress=False)
    ties, words = choose((0.50, 0.47), error=0.02)  # 1.96 sqrt(2) 0.02 = 0.055
    assert ties == [False, True] and f"a tie: the score cannot tell {runs[1]}" in words
    ties, words = choose((0.40, 0.47), error=0.02)
    assert ties == [False, False] and f"best: {runs[1]}" in words


def test_select_scores_again_after_new_directions_but_not_after_a_name(copy: Path) -> None:
    file = copy / "tracking" / "scores.json"
    stored = Directions.identity(4)
    save_directions(copy, stored)
    select_runs([copy], progress=False)
    before = file.stat().st_mtime_ns
    save_directions(copy, Directions(stored.matrix, stored.origin, {1: "size"}))
    select_runs([copy], progress=False)
    assert file.stat().st_mtime_ns == before
    turned = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]
    save_directions(copy, Directions(turned, stored.origin, {1: "size"}))
    select_runs([copy], progress=False)
    assert file.stat().st_mtime_ns > before
    (copy / "tracking" / "maps.safetensors").unlink()
    file.write_text("[]")  # whoever wrote that, it is no score
    assert select_runs([copy], progress=False)["runs"][0]["directions"] == 4


def test_scores_of_an_older_version_are_no_damage_and_are_made_again(
    copy: Path, tmp_path: Path
) -> None:
    select_runs([copy], progress=False)
    maps = load_maps(copy)
    assert maps is not None
    old = {name: maps.scores[name] for name in ("score", "control", "checkpoint", "origin")}
    old |= {"format": 1, "consistency": 0.5, "directions": []}
    save_maps(dataclasses.replace(maps, scores=old), copy / "tracking")
    (copy / "tracking" / "scores.json").write_text(json.dumps(old))
    assert load_maps(copy) is None
    saved = cldis.load(copy).save_pretrained(tmp_path / "saved")
    assert "label_free" not in json.loads((saved / "config.json").read_text())["scores"]
    select_runs([copy], progress=False)
    assert scores_in(copy / "tracking")["format"] == 2 and load_maps(copy) is not None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["track", "no/run"], "does not exist"),
        (["track", "RUN", "--images", "1"], "at least 2"),
        (["track", "RUN", "--data", "no/such/folder"], "no/such/folder"),
        (["track", "RUN", "--data", "EQUAL"], "all alike"),
        (["track", "RUN", "--data", "ONE"], "got 1; give at least 2"),
        (["select", "RUN", "RUN"], "twice"),
        (["select", "RUN", "no/run"], "does not exist"),
        (["select", "RUN", "--out", "table.txt"], ".json"),
    ],
)
def test_mistakes(
    arguments: list[str],
    expected: str,
    copy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    equal = tmp_path / "equal"
    equal.mkdir()
    for i in range(3):
        Image.new("RGB", (16, 16), (120, 60, 60)).save(equal / f"{i}.png")
    write_photos(tmp_path / "one", 1)
    places = {"RUN": str(copy), "EQUAL": str(equal), "ONE": str(tmp_path / "one")}
    assert main([places.get(part, part) for part in arguments]) == 2
    text = capsys.readouterr().err
    assert expected in text and "Traceback" not in text
    assert not (copy / "tracking").exists()
