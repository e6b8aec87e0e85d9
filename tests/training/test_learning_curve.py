"""When more training no longer helps: told from numbers, and said once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cldis.config import Config
from cldis.pages.report.results import Report
from cldis.training.learning_curve import KEY, Sign, sign
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import Trainer
from training.harness import TwoFactors, config

SEEN = np.arange(1, 13) * 8000
FALLING = (SEEN / 8000.0) ** -0.1
FLAT = 0.1 + 0.9 * np.exp(-SEEN / 4000.0)
RISING = 1 - 0.5 * np.sin(np.pi * SEEN / 110_000)  # falls until 55,000, then rises


def log(heldout: Any, training: Any = FALLING, **more: Any) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for i, images in enumerate(SEEN[: len(heldout)].tolist()):
        told = {name: values[i] for name, values in more.items()}
        lines.append({"kind": "train", "images": images, "diffusion": training[i], **told})
        lines.append({"kind": "health", "images": images, "heldout_diffusion": heldout[i]})
    return lines


def kind(lines: list[dict[str, Any]], *settings: str) -> str | None:
    found = sign(lines, Config().with_overrides(settings))
    return found.kind if found else None


def test_a_falling_loss_is_no_sign() -> None:
    assert [kind(log(FALLING[:n])) for n in range(13)] == [None] * 13


def test_a_flat_loss_is_told_when_it_is_flat_and_not_before() -> None:
    found = sign(log(FLAT), Config())
    assert found is not None and found.kind == "flat" and found.over == 32_000
    assert -0.01 < found.change <= 0
    assert kind(log(FLAT[:4])) is None  # it falls by a third there
    words = found.words(500)
    assert "no longer helps" in words and "32,000 images" in words and "\n" not in words
    assert "has not fallen" in Sign("flat", 8, 0.002, 8).words(500)
    assert "fallen by only 0.4 %" in Sign("flat", 8, -0.004, 8).words(500)


def test_overfitting_is_told_with_the_place_of_the_lowest_loss() -> None:
    found = sign(log(RISING), Config())
    assert found is not None and found.kind == "overfit" and found.best == 56_000
    words = found.words(500)
    assert "The collection is small" in words and "500 photos" in words and "56,000" in words
    assert "training.flip" in words and "\n" not in words
    assert kind(log(RISING, training=RISING)) is None  # both rise: that is another trouble


@pytest.mark.parametrize("seed", range(8))
def test_noise_does_not_hide_a_fall_or_make_a_rise(seed: int) -> None:
    noise = 1 + 0.005 * np.random.default_rng(seed).standard_normal(len(SEEN))
    assert kind(log(FALLING * noise)) is None
    assert kind(log(FLAT * noise)) in ("flat", None)
    assert kind(log(RISING * noise)) == "overfit"


def test_one_look_without_a_lowest_says_nothing() -> None:
    flat = np.full(12, 0.3)
    assert [kind(log(flat[:n])) for n in range(5)] == [None] * 5
    assert kind(log(flat[:5])) == "flat"  # two looks in each stretch
    assert kind([]) is None and kind(log(np.zeros(12))) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_what_is_no_number_is_left_out(bad: float | None) -> None:
    heldout: list[Any] = [*FLAT]
    heldout[4] = heldout[11] = bad
    assert kind(log(heldout)) == "flat"
    assert kind(log([bad] * 12)) is None
    assert kind(log(RISING, training=[bad] * 12)) is None


def test_information_that_still_rises_is_waited_for() -> None:
    settings = ("method=closed", "model.gaussian=true")
    rising, settled = SEEN / 8000.0, np.full(12, 3.0)
    assert kind(log(FLAT, feedback=rising), *settings) is None
    assert kind(log(FLAT, feedback=settled), *settings) == "flat"
    assert kind(log(FLAT), *settings) is None  # not measured yet
    assert kind(log(FLAT, feedback=rising)) == "flat"  # this method measures none


def test_what_was_before_a_phase_does_not_count() -> None:
    """The denoiser does not learn while the VAE is alone: that its loss is flat means nothing."""
    settings = ("method=open", "model.gaussian=true", "training.images=200000")
    idle = np.concatenate([np.full(6, 1.0), FALLING[:6]])
    assert kind(log(idle[:6]), *settings) == "flat"
    assert kind(log(idle[:6]), *settings, "loop.vae_alone=48000") is None
    assert kind(log(idle), *settings, "loop.vae_alone=48000") is None


def test_it_is_said_once_in_training_and_again_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights that hardly move: held-out loss is flat."""
    source = TwoFactors()
    still = config(
        "method=encdiff",
        "training.sample_every=8",
        "training.learning_rate=1e-12",
        "training.checkpoint_every=48",
    )
    run = RunFolder.create(tmp_path / "run", still, source, "two-factors")
    first = Trainer(run, source)
    save = first.save

    def save_and_stop() -> None:
        save()
        first.ask_to_stop()

    first.save = save_and_stop  # type: ignore[method-assign]
    assert not first.fit() and first.images == 56
    second = Trainer(RunFolder.open(run.path), source)
    second.resume()
    assert second.fit()
    words = capsys.readouterr().err
    assert words.count("More training no longer helps") == 1
    lines = read_metrics(run.metrics)
    told = [line["images"] for line in lines if line.get(KEY) == "flat"]
    assert told == list(range(40, 97, 8))  # from the fifth look on
    numbers = Report(run, lines, 4, "", False, lines[-1]).numbers()
    assert "over the last 32 images" in numbers["learning"]
    assert Report(run, [], 4, "", False, None).numbers()["learning"] == ""
