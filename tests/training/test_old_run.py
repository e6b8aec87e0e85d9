"""A run that an earlier version trained (settings of format 1) opens, edits and goes on as it did.

`fixtures/old_run/old_run.zip` is a closed loop at 1,200 of 1,240 images, written by revision
141e52e: its VAE trained alone for 400 images, taught until 1,220 and is frozen from there. Its
weights were rounded to bfloat16 and its widest layers thinned, so that the file is small.
`expected.npz` is what that revision made of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cldis.config import Config
from cldis.config_upgrade import upgrade
from cldis.images import to_model
from cldis.io import read_json, write_json
from cldis.model import Model, load
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import Trainer

FIXTURE = Path(__file__).parents[1] / "fixtures" / "old_run"


class Squares:
    """What it was trained on: a square of five colours at twelve places."""

    name, resolution, fingerprint = "squares", 16, "squares"
    factor_names: tuple[str, ...] = ("colour", "place")
    factor_sizes: tuple[int, ...] = (5, 12)
    skipped: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return 60

    def factors(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        return np.stack([np.asarray(indices) % 5, np.asarray(indices) // 5], axis=1)

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        images = np.full((len(indices), 3, 16, 16), 40, np.uint8)
        for image, (colour, place) in zip(images, self.factors(indices), strict=True):
            top, left = 4 * (place // 4), 3 * (place % 4)
            paint = np.array([40 * colour, 255 - 40 * colour, 128])[:, None, None]
            image[:, top : top + 6, left : left + 6] = paint
        return images

    def label(self, index: int) -> str:
        return f"squares/{index}"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.unpack_archive(FIXTURE / "old_run.zip", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def expected() -> dict[str, NDArray[Any]]:
    with np.load(FIXTURE / "expected.npz", allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def near(found: torch.Tensor, wanted: NDArray[Any], part: float) -> None:
    """Equal but for the rounding of another processor, a small part of what the test is about."""
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=part)


def test_it_opens_encodes_and_edits(old: Path, expected: dict[str, NDArray[Any]]) -> None:
    assert "method" not in read_json(old / "config.json")
    model = load(old)
    assert model.config.method == "closed" and model.config.loop.vae_alone == 400
    assert model.config.distillation.end == 1220
    x = to_model(Squares().batch(np.arange(0, 60, 7)))
    codes = model.encode(x)
    assert codes.sem is not None and codes.disen is not None
    near(codes.sem.mean, expected["sem"], 1e-5)
    near(codes.disen.mean, expected["disen"], 1e-5)
    plain = model.reconstruct(x[:2], steps=4)["inverted"]
    edited = model.edit(x[:2], {0: 2.0, 3: -2.0}, steps=4, exact=True)
    assert float((edited - plain).abs().max()) > 1e-2
    near(edited, expected["edit"], 1e-4)


def test_it_goes_on_as_before(old: Path, expected: dict[str, NDArray[Any]]) -> None:
    run, source = RunFolder.open(old), Squares()
    trainer = Trainer(run, source, quiet=True)
    trainer.resume()
    assert trainer.images == 1200 and trainer.fit() is True
    codes = load(old).encode(to_model(source.batch(np.arange(0, 60, 7))))
    assert codes.sem is not None and codes.disen is not None
    # What these five steps changed is a hundred times as much.
    assert np.abs(expected["sem_after"] - expected["sem"]).min() > 1e-3
    near(codes.sem.mean, expected["sem_after"], 1e-5)
    near(codes.disen.mean, expected["disen_after"], 1e-5)
    weights = dict(sorted(trainer.raw.state_dict().items()))
    norms = torch.stack([p.double().norm() for p in weights.values()])
    near(norms, expected["weights_after"], 1e-4)
    state = trainer.feedback.state()
    near(torch.tensor([state["capacity"], state["signal"]]), expected["capacity_after"], 1e-3)


def test_going_on_brings_its_settings_up_to_date(old: Path) -> None:
    """Half written, it still opens: the settings say themselves what format they have."""
    run = RunFolder.open(old)
    write_json(old / "config.json", run.config.to_dict())  # killed before run.json
    assert RunFolder.open(old).config == run.config
    run.write_settings()
    assert read_json(old / "run.json")["format"] == 2
    assert RunFolder.open(old).config == run.config
    assert RunFolder.open(old).about == {**run.about, "format": 2}


def test_a_saved_model_of_that_version_opens(old: Path, tmp_path: Path) -> None:
    model = load(old)
    saved = model.save_pretrained(tmp_path / "saved")
    record = read_json(saved / "config.json")
    assert record["format"] == 2
    before = {**record, "format": 1, "config": read_json(old / "config.json")}
    write_json(saved / "config.json", before)
    back = Model.from_pretrained(saved)
    assert back.config == model.config
    again = read_json(back.save_pretrained(tmp_path / "again") / "config.json")
    assert (again["format"], again["config"]) == (2, record["config"])


# --- the upgrade itself


@pytest.mark.parametrize(
    ("arm", "baseline", "model", "method"),
    [
        ("closed", "none", {}, "closed"),
        ("open", "none", {"gaussian": True}, "open"),
        ("vae", "none", {}, "vae"),
        ("diffae", "none", {}, "diffusion"),
        ("diffae", "none", {"gaussian": True, "conditioning": "adagn"}, "diffusion"),
        ("diffae", "none", {"gaussian": False}, "encdiff"),
        ("diffae", "none", {"gaussian": False, "conditioning": "adagn"}, "diffae"),
        ("diffae", "encdiff", {"gaussian": False}, "encdiff"),
        ("diffae", "diffae", {"gaussian": False, "conditioning": "adagn"}, "diffae"),
        ("diffae", "disdiff", {"gaussian": False}, "disdiff"),
        ("vae", "beta_vae", {}, "beta_vae"),
        ("vae", "factor_vae", {}, "factor_vae"),
    ],
)
def test_every_old_method_has_one_name(
    arm: str, baseline: str, model: dict[str, Any], method: str
) -> None:
    stored = {"loop": {"arm": arm}, "baseline": {"method": baseline}, "model": model}
    found = Config.from_stored(stored)
    assert found.method == method
    assert found.model.gaussian == model.get("gaussian", True)
    assert found.model.conditioning == model.get("conditioning", "cross_attention")


def test_old_settings_keep_their_values_and_their_defaults() -> None:
    stored = {
        "loop": {"arm": "closed", "lead": 8},
        "distillation": {"release": 90_000},
        "baseline": {"method": "none", "weight": None},
        "training": {"seed": 3},
    }
    before = json.dumps(stored)
    found = Config.from_stored(stored)
    assert json.dumps(stored) == before
    assert (found.loop.vae_alone, found.distillation.end) == (8, 90_000)
    assert (found.training.seed, found.training.batch, found.training.images) == (3, 64, 400_000)
    weighed = {"loop": {"arm": "vae"}, "baseline": {"method": "beta_vae", "weight": 2.5}}
    assert Config.from_stored(weighed).method_weight == 2.5


def test_settings_of_today_stay_as_they_are() -> None:
    for words in ([], ["method=beta_vae", "method_weight=3"], ["method=diffae"]):
        now = Config().with_overrides(words)
        assert upgrade(now.to_dict()) == now.to_dict()
        assert Config.from_stored(now.to_dict()) == now


@pytest.mark.parametrize(
    "stored",
    [
        {"loop": {"arm": "none"}},
        {"loop": {"arm": ["closed"]}},
        {"loop": 3},
        {"baseline": "beta_vae"},
        {"baseline": {"method": {}}},
        {"baseline": {"method": "beta_vae", "weight": "much"}},
        {"model": None},
        {"model": {"gaussian": "perhaps"}, "loop": {"arm": "diffae"}},
        {"distillation": {"release": -1}},
        {"loop": {"arm": "closed", "leed": 3}},
        {"method": ["closed"]},
    ],
)
def test_damaged_old_settings_are_refused_in_one_line(stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        Config.from_stored(stored)
    assert type(caught.value) is ValueError and "\n" not in str(caught.value)
