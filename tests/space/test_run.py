"""A run that diffuses latents: images in, images out, and its autoencoder named and found again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import cldis
from cldis.cli import main
from cldis.data import open_data
from cldis.data.source import ImageSource
from cldis.explorer.studio import Studio
from cldis.hub.pipeline import CLDisPipeline
from cldis.images import to_model
from cldis.navigation.decoder import few_step_decoder
from cldis.navigation.navigate import scene_of
from cldis.navigation.train import NavigationConfig, Navigator
from cldis.networks.space import SPREAD, at_side
from cldis.training.autoencoder import FILES, hash_of
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import Trainer
from support.autoencoders import LATENTS, write_tiny
from support.command import fails, refused
from support.small import RUN, TRAIN
from training.harness import assert_same

SIDE = 16


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("private_place") / "tiny")


@pytest.fixture(scope="module")
def run(photos: Path, autoencoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "latents"
    settings = [*LATENTS, f"model.space={autoencoder}", "model.thumbnail=8"]
    words = [word for setting in settings for word in ("--set", setting)]
    assert main(["train", str(photos), "--out", str(out), *TRAIN, *words]) == 0
    return out


@pytest.fixture(scope="module")
def source(photos: Path) -> ImageSource:
    return open_data(str(photos), SIDE)


def fresh(out: Path, autoencoder: Path, source: ImageSource, photos: Path, *more: str) -> RunFolder:
    settings = [*RUN, *LATENTS, f"model.space={autoencoder}", *more]
    config = cldis.config.Config().with_overrides(settings)
    return RunFolder.create(out, config, source, str(photos))


def edit_record(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    about = json.loads((run / "run.json").read_text())
    change(about)
    (run / "run.json").write_text(json.dumps(about))


def test_the_run_says_which_autoencoder(
    run: Path, autoencoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = json.loads((run / "run.json").read_text())
    record = about["autoencoder"]
    assert record["name"] == "tiny" and record["sha256"] == hash_of(autoencoder)
    assert len(record["mean"]) == len(record["std"]) == 4
    assert main(["info", str(run)]) == 0
    assert (
        f"autoencoder tiny, revision none, sha256 {record['sha256'][:12]}"
        in capsys.readouterr().out
    )
    assert list((run / "samples").glob("*.png")) and (run / "report.html").is_file()
    # What is diffused has one scale over the collection, as far as half floats and bf16 hold.
    model, images = (
        cldis.load(run),
        to_model(open_data(about["data"]["source"], SIDE).batch(np.arange(80))),
    )
    x0 = model.space.to_space(images)
    assert x0.shape == (80, 4, 8, 8)
    torch.testing.assert_close(x0.mean(dim=(0, 2, 3)), torch.zeros(4), atol=0.05, rtol=0)
    deviation = x0.std(dim=(0, 2, 3))
    torch.testing.assert_close(deviation, torch.full((4,), SPREAD), atol=0.05, rtol=0)


def test_images_in_and_images_out(run: Path, source: ImageSource) -> None:
    model, images = cldis.load(run), to_model(source.batch(np.arange(3)))
    codes = model.encode(images)
    assert codes.z.shape == (3, 4)
    assert model.loop.semantic is not None and model.loop.vae is not None
    assert torch.equal(codes.z, model.loop.semantic(at_side(images, 8)).mean)
    x_T = model.invert(images)
    assert x_T.shape == (3, 4, 8, 8) == (3, *model.start_shape)
    whole = (3, 3, SIDE, SIDE)
    through = model.space.to_images(model.space.to_space(images))
    assert (model.decode(codes.z, x_T) - through).abs().mean() < 0.02
    assert torch.equal(model.edit(images, {}), images)
    assert torch.equal(model.edit(images, {}, exact=True), model.decode(codes.z, x_T))
    for made in (*model.reconstruct(images).values(), model.decode(codes.z, fast=True, steps=5)):
        assert made.shape == whole and made.abs().max() <= 1
    assert model.traverse(images, 1, [-1.0, 2.0], steps=3).shape == (3, 2, 3, SIDE, SIDE)
    with pytest.raises(ValueError, match=r"\(n, \*\(4, 8, 8\)\)"):
        model.decode(codes.z, images)
    refused(lambda: cldis.Model(model.loop, model.unit_mean, model.unit_std), "give space=")
    for n in (0, 1):
        assert model.invert(images[:n]).shape == (n, 4, 8, 8)
        assert model.edit(images[:n], {0: 1.0}, 2).shape == (n, 3, SIDE, SIDE)


def test_commands_give_whole_pictures(run: Path, photos: Path, tmp_path: Path) -> None:
    photo = str(photos / "discs" / "photo_000.png")
    assert main(["edit", str(run), photo, "--shift", "1=2", "--out", str(tmp_path / "e")]) == 0
    assert Image.open(tmp_path / "e" / "photo_000_edited.png").size == (SIDE, SIDE)
    assert main(["traverse", str(run), "--out", str(tmp_path / "t")]) == 0
    assert main(["reconstruct", str(run), photo, "--out", str(tmp_path / "r")]) == 0
    scores = json.loads((tmp_path / "r" / "reconstructions.json").read_text())
    assert set(scores) >= {"inverted", "random", "vae"}
    assert main(["encode", str(run), str(photos), "--out", str(tmp_path / "codes.parquet")]) == 0
    assert main(["track", str(run), "--images", "2", "--out", str(tmp_path / "tracked")]) == 0
    assert 0 <= json.loads((tmp_path / "tracked" / "scores.json").read_text())["score"] <= 1


def test_the_explorer_draws_it(run: Path) -> None:
    studio = Studio.open(run)
    begin = studio.sample(0)
    assert begin.start.noise is not None and begin.start.noise.shape == (1, 4, 8, 8)
    amounts = [0.0] * len(studio.rows)
    assert torch.equal(studio.edited(begin, amounts), begin.image)
    amounts[0] = 2.0
    assert studio.preview(begin, amounts).shape == (3, SIDE, SIDE)


def test_navigation_goes_through_the_autoencoder(
    run: Path, source: ImageSource, tmp_path: Path
) -> None:
    model = cldis.load(run)
    z = model.random_codes(3).requires_grad_()
    x_T = model.random_start(3)
    drawn = few_step_decoder(model, 2)(z, x_T)
    torch.testing.assert_close(drawn.detach(), model.decode(z.detach(), x_T, 2))
    drawn.square().sum().backward()
    assert z.grad is not None and bool(torch.isfinite(z.grad).all())
    scene = scene_of(RunFolder.open(run), model, source, 2)
    navigator = Navigator(scene, NavigationConfig(2, images=8, batch=4), tmp_path, progress=False)
    assert all(np.isfinite(navigator.learn()))


def test_a_saved_model_is_whole_by_itself(run: Path, source: ImageSource, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    model, out = cldis.load(copy), tmp_path / "shared"
    assert main(["export", str(copy), "--out", str(out)]) == 0
    shutil.rmtree(copy)
    back, images = cldis.load(out), to_model(source.batch(np.arange(2)))
    assert torch.equal(back.edit(images, {1: 1.0}, 3), model.edit(images, {1: 1.0}, 3))
    assert sorted(p.name for p in (out / "autoencoder").iterdir()) == sorted(FILES)
    record = json.loads((out / "config.json").read_text())
    assert record["config"]["model"]["space"] == record["autoencoder"]["name"] == "tiny"
    for path in out.rglob("*.*"):
        assert b"private_place" not in path.read_bytes(), path
    card = (out / "README.md").read_text()
    assert record["autoencoder"]["sha256"] in card and "## Autoencoder" in card
    pipeline = CLDisPipeline.of(back)
    pipeline.save_pretrained(tmp_path / "pipeline")
    pipeline = CLDisPipeline.from_pretrained(tmp_path / "pipeline")
    picture = Image.fromarray(source.batch(np.arange(1))[0].transpose(1, 2, 0))
    drawn = pipeline(picture, shifts={1: 1.0}, num_inference_steps=3, output_type="pt").images
    torch.testing.assert_close(drawn * 2 - 1, back.edit(images[:1], {1: 1.0}, 3))
    again = back.save_pretrained(tmp_path / "again")
    assert (again / "config.json").read_bytes() == (out / "config.json").read_bytes()
    assert cldis.load(back.save_pretrained(again)).start_shape == (4, 8, 8)  # replaces its own


def test_an_autoencoder_that_is_gone_or_another_is_told(
    run: Path, autoencoder: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = Path(shutil.copytree(run, tmp_path / "run"))
    place = tmp_path / "elsewhere"
    edit_record(moved, lambda about: about["autoencoder"].update(source=str(place)))
    config = json.loads((moved / "config.json").read_text())
    config["model"]["space"] = str(place)
    (moved / "config.json").write_text(json.dumps(config))
    words = fails(capsys, "traverse", str(moved), "--out", str(tmp_path / "t"))
    assert all(name in words for name in FILES) and str(moved / "autoencoder") in words
    assert "not on this machine;" in words
    write_tiny(place, seed=1)
    words = fails(capsys, "traverse", str(moved), "--out", str(tmp_path / "t"))
    assert f"{place} holds another one ({hash_of(place)[:12]})" in words
    words = fails(capsys, "train", str(photos), "--out", str(moved), "--resume", "--images", "256")
    assert "holds another one" in words
    shutil.copytree(autoencoder, moved / "autoencoder")
    assert cldis.load(moved).start_shape == (4, 8, 8)


RECORDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "has no entry": lambda about: about.pop("autoencoder"),
    "scales 3 and 4 channels": lambda about: about["autoencoder"]["mean"].pop(),
    "autoencoder.std.0": lambda about: about["autoencoder"]["std"].__setitem__(0, 0.0),
    "autoencoder.mean.0": lambda about: about["autoencoder"]["mean"].__setitem__(0, 1e300),
    "autoencoder.sha256": lambda about: about["autoencoder"].update(sha256="../../x"),
    "autoencoder.name": lambda about: about["autoencoder"].update(name=""),
    "autoencoder": lambda about: about.update(autoencoder=None),
    "not on this machine": lambda about: about["autoencoder"].update(
        sha256="0" * 64, name="..", revision="\x1b[31m", source="\0"
    ),
}


@pytest.mark.parametrize("words", RECORDS)
def test_a_damaged_record_is_told(words: str, run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    edit_record(copy, RECORDS[words])
    assert refused(lambda: cldis.load(copy), words, str(copy)).isprintable()


def test_training_never_runs_the_encoder(
    autoencoder: Path, source: ImageSource, photos: Path, tmp_path: Path
) -> None:
    run = fresh(tmp_path / "run", autoencoder, source, photos)
    trainer = Trainer(run, source, quiet=True)
    calls = {"encoder": 0, "decoder": 0}
    for name in calls:
        part = getattr(trainer.space.autoencoder, name)
        part.register_forward_hook(lambda *_, name=name: calls.__setitem__(name, calls[name] + 1))
    assert trainer.fit()
    assert calls["encoder"] == 0 < calls["decoder"] <= 2  # a sample grid each


def test_mirrored_images_have_the_latents_of_mirrored_images(
    autoencoder: Path, source: ImageSource, photos: Path, tmp_path: Path
) -> None:
    run = fresh(tmp_path / "run", autoencoder, source, photos, "training.flip=true")
    load, space = (made := Trainer(run, source, quiet=True)).load, made.space
    rows, flips = np.array([3, 5, 3]), np.array([True, False, False])
    found, images = load(rows, flips), to_model(source.batch(rows))
    assert torch.equal(found.images[0], images[0].flip(-1))
    assert torch.equal(found.images[1:], images[1:])
    expected = space.to_space(found.images)
    torch.testing.assert_close(found.x0, expected, atol=0.05, rtol=0)  # bf16, half floats
    assert (found.x0[0].flip(-1) - found.x0[2]).abs().max() > 0.2  # mirrored latents are others
    assert torch.equal(load(rows).images, images)
    assert torch.equal(load(rows).x0[1:], found.x0[1:])


@pytest.mark.parametrize("flip", ["false", "true"])
def test_a_stopped_run_ends_in_the_same_weights(
    flip: str, autoencoder: Path, source: ImageSource, photos: Path, tmp_path: Path
) -> None:
    more = ("training.checkpoint_every=32", "training.sample_every=1000000")
    more += (f"training.flip={flip}",)
    whole = Trainer(fresh(tmp_path / "a", autoencoder, source, photos, *more), source, quiet=True)
    assert whole.fit()
    run = fresh(tmp_path / "b", autoencoder, source, photos, *more)
    first = Trainer(run, source, quiet=True)
    save, done = first.save, []

    def save_and_stop() -> None:
        save()
        done.append(first.images)
        first.ask_to_stop()

    first.save = save_and_stop  # type: ignore[method-assign]
    assert not first.fit() and done[0] == 32
    second = Trainer(RunFolder.open(run.path), source, quiet=True)
    second.resume()
    assert second.fit()
    assert_same(tmp_path / "a", tmp_path / "b")


def test_the_recipe_without_its_autoencoder(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("CLDIS_CACHE", str(cache))
    out = tmp_path / "run"
    words = fails(capsys, "train", str(photos), "--out", str(out), "--recipe", "photos128")
    assert all(name in words for name in (*FILES, str(cache / "autoencoders" / "taesd")))
    assert not out.exists()


@pytest.mark.parametrize("method", ["beta_vae", "disdiff"])
def test_methods_that_need_pixels_take_them(method: str) -> None:
    from cldis.training.recipes import recipe_config

    recipe = recipe_config("photos128")
    assert recipe.with_overrides([f"method={method}"]).model.space == "pixels"
    with pytest.raises(ValueError, match="is defined with model.space=pixels"):
        recipe.with_overrides([f"method={method}", "model.space=somebody/tiny"])
