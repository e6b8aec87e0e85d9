"""The starter that `make demo` goes on from fits its recipe and knows its data."""

from __future__ import annotations

import math

import numpy as np
import torch

from cldis.data.rendered.rooms import Rooms
from cldis.images import to_model
from cldis.io import read_json
from cldis.loop.feedback import build_feedback
from cldis.loop.feedback.information import Information
from cldis.loop.two_branch import TwoBranch
from cldis.methods.build import build
from cldis.metrics.probe import factor_probe
from cldis.networks.space import Views
from cldis.training.health import measure, warnings
from cldis.training.recipes import recipe_config
from cldis.training.starter import FOLDER, load_starter, starters


def started() -> TwoBranch:
    config = recipe_config("demo")
    model, averaged = build(config), build(config)
    feedback = build_feedback(config, model.process)
    load_starter(config.training.start_from, model, averaged, feedback)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, averaged.state_dict()[name])
    return averaged.eval()


@torch.no_grad()
def test_it_fits_the_demo_and_tells_the_hues_apart() -> None:
    model = started()
    source = Rooms(model.config.model.resolution)
    indices = np.random.default_rng(11).choice(len(source), 1200, replace=False)
    x = to_model(source.batch(indices))
    assert warnings(measure(model, Views.pixels(x[:128])), model.config.model.units) == []
    assert model.semantic is not None
    scores = factor_probe(
        model.semantic(x).mean.numpy(), source.factors(indices), source.factor_names
    )
    for hue in ("floor_hue", "wall_hue", "object_hue"):
        assert scores["accuracy"][hue] > 0.7 > scores["chance"][hue] + 0.5, scores["accuracy"]


@torch.no_grad()
def test_its_information_estimate_is_near_the_entropy_of_the_factors() -> None:
    """A code that holds all factors of rooms holds ln 480,000 = 13.1 nats."""
    model = started()
    source = Rooms(model.config.model.resolution)
    assert model.semantic is not None and model.denoiser is not None
    estimator = Information(model.config.feedback, model.process)
    generator = torch.Generator().manual_seed(0)
    x = to_model(source.batch(np.random.default_rng(12).choice(len(source), 512, replace=False)))
    z = model.semantic(x).mean
    noise = torch.randn(x.shape, generator=generator)
    uniform = torch.rand(len(x), generator=generator)
    estimate = estimator.target(
        estimator.differences(model.denoiser, x, z, noise, uniform), batch=1
    )
    assert 0.75 * math.log(len(source)) < estimate < 1.3 * math.log(len(source))


def test_it_says_where_it_comes_from() -> None:
    for name in starters():
        origin = read_json(FOLDER / name / "state.json")["origin"]
        assert origin["command"].startswith("cldis train ") and origin["images"] > 0
        assert origin["data"]["fingerprint"] == Rooms(origin["data"]["resolution"]).fingerprint
        assert (FOLDER / name / "ema.safetensors").stat().st_size < 8_000_000
