"""Every method is trained a little by the common engine, and learns; what was trained opens."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cldis.commands.train_run import dry_run
from cldis.images import to_model
from cldis.io import read_json
from cldis.methods import METHODS
from cldis.model import load
from cldis.networks.space import Views
from cldis.pages.report import write_report
from cldis.training import health
from cldis.training.checkpoint import checkpoints, load_tensors
from cldis.training.info import info_text, run_info
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import Trainer
from training.harness import TwoFactors, assert_same, config, resumed, trainer

ONE_BRANCH = [name for name, method in METHODS.items() if len(method.branches) == 1]
VAES = [name for name in ONE_BRANCH if METHODS[name].branches == ("vae",)]
LEARN = [
    "model.dropout=0",
    "feedback.warmup=0",
    "feedback.rate=2.0",
    "training.images=1200",
    "training.learning_rate_warmup=0",
    "training.ema=200",
    "training.log_every=400",
    "training.checkpoint_every=1200",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trainer]:
    """150 steps of every method on 100 images, made when first asked for."""

    class Runs(dict[str, Trainer]):
        def __missing__(self, method: str) -> Trainer:
            out = tmp_path_factory.mktemp(method) / "run"
            made = trainer(out, *LEARN, f"method={method}", source=TwoFactors())
            assert made.fit() is True
            self[method] = made
            return made

    return Runs()


def explained(codes: np.ndarray, hues: np.ndarray) -> float:
    """R^2 of a linear map from codes [n, d] to the place of hues [n] (0..9) on the circle."""
    angles = 2 * np.pi * hues / 10
    target = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    given = np.concatenate([codes, np.ones((len(codes), 1))], axis=1)
    left = target - given @ np.linalg.lstsq(given, target, rcond=None)[0]
    return float(1 - (left**2).sum() / ((target - target.mean(axis=0)) ** 2).sum())


@pytest.mark.parametrize("method", ONE_BRANCH)
def test_every_method_of_one_branch_learns(trained: dict[str, Trainer], method: str) -> None:
    made = trained[method]
    lines = [line for line in read_metrics(made.run.metrics) if line["kind"] == "train"]
    key, share = ("vae_nll", 0.95) if method in VAES else ("diffusion", 0.75)
    assert lines[-1][key] < share * lines[0][key]
    assert ("capacity" in lines[-1]) == METHODS[method].capacity
    assert "lambda_dt" not in lines[-1] and "distillation" not in lines[-1]

    source, model = TwoFactors(), load(made.run.path)
    x = to_model(source.batch(np.arange(100)))
    found = health.measure(model.loop, Views.pixels(x))
    # So early AnnealVAE holds the KL at C by narrow posteriors; the means differ, but by little.
    assert health.warnings(found, 4) == [] or method == "anneal_vae"
    codes = model.encode(x)
    code = codes.disen if method in VAES else codes.sem
    assert code is not None
    for k in range(2):  # 4 units of noise would explain .04
        assert explained(code.mean.numpy(), source.grid[:, k]) > 0.3


@pytest.mark.parametrize("method", ["anneal_vae"])
def test_the_capacity_of_anneal_rises_and_the_kl_follows(
    trained: dict[str, Trainer], method: str
) -> None:
    lines = read_metrics(trained[method].run.metrics)
    first, *_, last = [line for line in lines if line["kind"] == "train"]
    assert last["capacity"] - first["capacity"] == pytest.approx(1.6, abs=1e-6)
    assert abs(last["vae_kl"] - last["capacity"]) < 0.5 < last["vae_kl"] - first["vae_kl"]


@pytest.mark.parametrize("method", ["encdiff", "disdiff"])
def test_a_trained_diffusion_model_edits(trained: dict[str, Trainer], method: str) -> None:
    model = load(trained[method].run.path)
    x = to_model(TwoFactors().batch(np.array([0, 55])))
    unit = int(model.unit_std.argmax())
    moved = model.traverse(x, unit, (-3.0, 0.0, 3.0), steps=6)
    assert moved.shape == (2, 3, 3, 32, 32) and bool(torch.isfinite(moved).all())
    assert float((moved[:, 0] - moved[:, 2]).abs().mean()) > 0.01
    back = model.reconstruct(x, steps=6)["inverted"]
    assert float((back - x).abs().mean()) < 0.1


def test_a_trained_vae_edits_with_its_own_picture(trained: dict[str, Trainer]) -> None:
    model = load(trained["factor_vae"].run.path)
    photo = to_model(TwoFactors().batch(np.array([0])))
    changed = model.decode_vae(model.encode(photo).z + model.shift({0: 1.0}))
    assert torch.equal(model.edit(photo, {0: 1.0}, exact=True), changed)
    with pytest.raises(ValueError, match="no diffusion decoder"):
        model.invert(photo)


@pytest.mark.parametrize(("method", "words"), [("factor_vae", "FactorVAE"), ("encdiff", "EncDiff")])
def test_the_report_and_the_summary_name_the_method(
    trained: dict[str, Trainer], method: str, words: str
) -> None:
    run = trained[method].run
    page = write_report(run, TwoFactors(), probe_images=60).read_text("utf-8")
    assert words in page and f"<dt>method</dt><dd>{method}" in page
    for absent in ("Capacity", "capacity C", "growing with C", "Distance of the two codes"):
        assert absent not in page.split('"capacity_max"')[0], absent
    assert read_json(run.path / "report.json")["method"] == method
    assert f"method {method}, " in info_text(run_info(RunFolder.open(run.path)))


def test_a_dry_run_names_the_method_and_its_parts() -> None:
    found = dry_run("rooms", config("method=factor_vae"))
    assert "method   factor_vae" in found and "discriminator" in found
    assert "feedback" not in found


def test_factor_vae_resumes_exactly_with_its_discriminator(tmp_path: Path) -> None:
    settings = ["method=factor_vae", "training.accumulate=2"]
    whole, halves = trainer(tmp_path / "whole", *settings), trainer(tmp_path / "halves", *settings)
    assert whole.fit() is True

    step = halves.step

    def stopping(number: int) -> dict[str, float]:
        if number == 5:
            halves.ask_to_stop()
        return step(number)

    halves.step = stopping  # type: ignore[method-assign]
    assert halves.fit() is False and halves.images == 48
    again = resumed(tmp_path / "halves", *settings)
    assert again.images == 48 and again.fit() is True
    assert_same(tmp_path / "whole", tmp_path / "halves")
    names = load_tensors(checkpoints(again.run.checkpoints)[-1] / "optimizer.safetensors").keys()
    assert any(name.startswith("discriminator.") for name in names)


def test_a_run_goes_on_only_as_the_method_that_it_is(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", "method=factor_vae", "training.images=8")
    assert made.fit() is True
    other = dataclasses.replace(made.run, config=config("method=beta_vae"))
    with pytest.raises(ValueError, match=r"does not fit this model.* discriminator\."):
        Trainer(other, made.source, quiet=True).resume()
