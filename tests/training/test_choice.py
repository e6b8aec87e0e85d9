"""`cldis train FOLDER` takes the recipe that suits the photos and what is here, and says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cldis.cli import main
from cldis.data.folder import typical_side
from cldis.training.autoencoder import FILES, WEIGHTS
from cldis.training.choice import Choice, choose, enlarged, side_of, suited
from cldis.training.recipes import recipe_config
from support.autoencoders import write_tiny
from support.command import fails

TAESD = "madebyollin/taesd"


def flat(path: Path, width: int, height: int, quality: int = 75) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 120, 200)).save(path, quality=quality)


def collection(folder: Path, width: int, height: int, count: int = 3) -> Path:
    """Photos of both orientations."""
    for i in range(count):
        flat(folder / f"{i}.jpg", *((width, height) if i % 2 else (height, width)))
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLDIS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def kept(cache: Path) -> Path:
    """An autoencoder of the latents of TAESD, where a person may put it."""
    return write_tiny(cache / "autoencoders" / "taesd", levels=4)


def dry(capsys: pytest.CaptureFixture[str], data: Path | str, *more: str) -> list[str]:
    """What `cldis train --dry-run` says."""
    assert main(["train", str(data), "--out", "no such run", "--dry-run", *more]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("side", "recipe"),
    [(1, "taught64"), (64, "taught64"), (90, "taught64"), (91, "photos128"), (100, "photos128")]
    + [(181, "photos128"), (182, "photos256"), (4000, "photos256")],
)
def test_photos_are_enlarged_by_half_at_most(side: int, recipe: str) -> None:
    assert suited(side) == recipe
    assert enlarged(side, recipe_config("photos256")) == "" or side < 182


def test_the_typical_side_is_the_shorter_one(tmp_path: Path) -> None:
    folder = collection(tmp_path / "photos", 200, 120)
    assert typical_side(folder) == 120
    flat(folder / "small" / "stamp.png", 40, 30)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (folder / "notes.txt").write_text("no picture")
    assert typical_side(folder) == 120
    assert side_of("rooms") is side_of("hf:x/y") is side_of(str(tmp_path / "none")) is None
    (tmp_path / "none").mkdir()
    assert side_of(str(tmp_path / "none")) is None


def test_a_large_jpeg_is_large(tmp_path: Path) -> None:
    flat(tmp_path / "large.jpg", 4000, 3000)
    side = side_of(str(tmp_path))
    assert side is not None and side >= 1024
    assert "1,024 px or more" in choose(side, None, {"model.space": "x/y"}).words


def test_with_the_autoencoder_photos_go_into_latents(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = collection(tmp_path / "photos", 150, 100)
    said = dry(capsys, photos)
    assert said[0].startswith("recipe photos128: the photos are about 100 px on their shorter side")
    assert "--recipe NAME" in said[0] and "at 128 px" in said[1] and str(kept) in said[3]
    said = dry(capsys, photos, "--resolution", "64")
    assert said[0].startswith("recipe taught64, in pixels: 64 px were asked for")
    said = dry(capsys, photos, "--set", "model.resolution=256")
    assert said[0].startswith("recipe photos256: 256 px were asked for")
    assert "enlarged" in said[1] and "about 100 px" in said[1]
    for word in ("method=beta_vae", "model.space=pixels"):
        said = dry(capsys, photos, "--set", word)
        assert said[0].startswith("recipe taught64: pixels, as the settings ask")
    said = dry(capsys, photos, "--recipe", "cpu64")
    assert said[0].startswith("data ")  # nothing was chosen, so nothing is said
    large = collection(tmp_path / "large", 400, 300)
    assert dry(capsys, large)[0].startswith("recipe photos256:")


def test_without_it_pixels_do_and_the_line_says_what_to_get(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = collection(tmp_path / "photos", 150, 100)
    said = dry(capsys, photos)
    assert said[0].startswith("recipe taught64, in pixels: the photos are about 100 px")
    for part in (*FILES, TAESD, str(cache / "autoencoders" / "taesd"), "--recipe photos128"):
        assert part in said[0]
    assert "at 64 px" in said[1]
    small = collection(tmp_path / "small", 70, 60)
    said = dry(capsys, small)
    assert said[0].startswith("recipe taught64, in pixels: the photos are about 60 px")
    assert "taesd" not in said[0]


def test_an_autoencoder_that_a_person_names_counts(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, mine = collection(tmp_path / "photos", 150, 60), write_tiny(tmp_path / "m", levels=4)
    said = dry(capsys, photos, "--set", f"model.space={mine}")
    assert said[0].startswith("recipe photos128: the photos are about 60 px") and "named" in said[0]
    assert "enlarged" in said[1] and "4 x 16 x 16 latents of m" in "".join(said)
    fails_with = ("train", str(photos), "--out", str(tmp_path / "run"), "--set", "model.space=3")
    capsys.readouterr()
    assert "model.space" in fails(capsys, *fails_with)


def test_what_is_no_folder_of_photos_keeps_the_default(kept: Path) -> None:
    assert choose(side_of("rooms"), None, {}) == Choice("taught64")
    assert choose(side_of("rooms"), 128, {"method": "closed"}) == Choice("taught64")


def test_the_choice_is_the_recipe_of_the_run(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single photo, as small as a run can be; then without its autoencoder."""
    flat(tmp_path / "photos" / "one.png", 100, 140)
    out = tmp_path / "run"
    small = [f"model.{name}=8" for name in ("width", "embed", "encoder_width", "vae_width")]
    words = [word for setting in (*small, "training.batch=2") for word in ("--set", setting)]
    words = ["train", str(tmp_path / "photos"), "--out", str(out), "--images", "4", *words]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("recipe photos128:")
    assert '"recipe": "photos128"' in (out / "config.json").read_text()
    shutil.rmtree(kept)
    words = ["train", str(tmp_path / "photos"), "--out", str(out), "--resume", "--images", "8"]
    assert str(out / "autoencoder") in fails(capsys, *words)
    assert np.all([(out / name).is_file() for name in ("run.json", "report.html")])


@pytest.mark.parametrize(
    ("channels", "levels", "fix"),
    [
        (8, 4, ["model.latent_channels=8", "model.latent_pixels=8"]),
        (4, 3, ["model.latent_channels=4", "model.latent_pixels=4"]),
    ],
)
def test_an_autoencoder_of_other_latents_works_as_the_message_says(
    channels: int,
    levels: int,
    fix: list[str],
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_tiny(cache / "autoencoders" / "taesd", channels=channels, levels=levels)
    photos, out = collection(tmp_path / "photos", 150, 100), tmp_path / "run"
    words = fails(capsys, "train", str(photos), "--out", str(out))
    assert all(setting in words for setting in fix) and not out.exists()
    said = dry(capsys, photos, *(word for setting in fix for word in ("--set", setting)))
    side = 128 // 2 ** (levels - 1)
    assert f"{channels} x {side} x {side} latents of {TAESD}" in said[3]


def test_a_damaged_autoencoder_is_told_before_a_photo_is_decoded(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = collection(tmp_path / "photos", 150, 100), tmp_path / "run"
    tensors = load_file(kept / WEIGHTS)
    tensors.pop("encoder.layers.0.weight")
    save_file({**tensors, "more": torch.zeros(1)}, kept / WEIGHTS)
    words = fails(capsys, "train", str(photos), "--out", str(out))
    assert "1 tensors are missing, 1 too many" in words and "get it again" in words
    assert not out.exists() and list(kept.parents[1].iterdir()) == [kept.parent]
