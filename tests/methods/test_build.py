"""The methods behind one interface: what they are made of, what they own, what is refused."""

from __future__ import annotations

import itertools
import typing

import pytest
import torch

from cldis.config import BASELINES, BaselineConfig, Config
from cldis.loop.closed_loop import ClosedLoop, Draws
from cldis.loop.feedback import Linear, build_feedback
from cldis.methods import METHODS, build
from loop.small import both, perturbed, pictures, small_config

NAMES = [name for name in METHODS if name != "none"]
VAES = ["beta_vae", "anneal_vae", "factor_vae", "beta_tcvae", "dip_vae"]
WEIGHTED = [*VAES, "disdiff"]


def small(method: str, *overrides: str) -> ClosedLoop:
    torch.manual_seed(0)
    made = build(small_config(f"baseline.method={method}", *overrides))
    perturbed(made, 0)
    return made


def draws(made: ClosedLoop, n: int) -> Draws:
    return Draws.draw(made.config, n, torch.Generator().manual_seed(0))


def test_every_method_has_a_name_a_class_and_its_settings() -> None:
    named = typing.get_args(BaselineConfig.model_fields["method"].annotation)
    assert set(named) == set(METHODS) == set(BASELINES)


def test_a_run_from_before_there_were_baselines_is_the_closed_loop() -> None:
    values = small_config().to_dict()
    del values["baseline"]
    assert type(build(Config.from_dict(values))) is ClosedLoop


@pytest.mark.parametrize("method", NAMES)
def test_a_method_brings_its_settings_along(method: str) -> None:
    config = small_config(f"baseline.method={method}")
    assert config.loop.arm == ("vae" if method in VAES else "diffae")
    if method not in VAES:
        assert config.model.gaussian is False
        assert config.model.conditioning == ("adagn" if method == "diffae" else "cross_attention")
    assert Config.from_dict(config.to_dict()) == config
    feedback = build_feedback(config.feedback, config.loop.arm, build(config).process)
    assert type(feedback) is Linear


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        ("beta_vae", "loop.arm=closed"),
        ("factor_vae", "loop.arm=diffae"),
        ("encdiff", "loop.arm=open"),
        ("encdiff", "model.gaussian=true"),
        ("diffae", "model.conditioning=cross_attention"),
        ("disdiff", "model.conditioning=adagn"),
    ],
)
def test_a_setting_that_makes_it_another_method_is_refused(method: str, setting: str) -> None:
    key = setting.split("=")[0]
    for words in itertools.permutations([f"baseline.method={method}", setting]):
        with pytest.raises(ValueError, match=rf"'{method}' is defined with {key}=") as caught:
            small_config(*words)
        # What it proposes works.
        fix = str(caught.value).split("set ")[1].split(", or")[0]
        small_config(*words, fix)
        small_config(*words, "baseline.method=none", "distillation.kind=mse")


@pytest.mark.parametrize("method", ["none", "diffae", "encdiff"])
def test_a_weight_of_nothing_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match=rf"weight 2 weighs nothing: .*'{method}'"):
        small_config(f"baseline.method={method}", "baseline.weight=2")


@pytest.mark.parametrize("method", WEIGHTED)
def test_the_weight_is_the_usual_one_or_the_chosen_one(method: str) -> None:
    assert float(small(method).weight) > 0  # type: ignore[arg-type]
    assert small(method, "baseline.weight=0.5").weight == 0.5
    assert small(method, "baseline.weight=null").weight == small(method).weight


@pytest.mark.parametrize("method", NAMES)
def test_branches_own_every_parameter_once(method: str) -> None:
    made = small(method)
    owned = [p for parameters in made.branches().values() for p in parameters]
    assert {id(p) for p in owned} == {id(p) for p in made.parameters()}
    assert len(owned) == len({id(p) for p in owned})
    assert (made.vae is None) == (method not in VAES)
    assert (made.semantic is None) == (made.denoiser is None) == (method in VAES)


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("method", NAMES)
def test_every_parameter_learns(method: str, precision: str) -> None:
    made = small(method, "diffusion.condition_dropout=0.5")
    feedback = build_feedback(made.config.feedback, made.config.loop.arm, made.process)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        out = made(pictures(6), draws(made, 6), both(made, 0.3), feedback)
    assert out.loss.shape == () and out.loss.dtype == torch.float32
    assert bool(torch.isfinite(out.loss))
    for name, value in out.terms.items():
        assert value.shape == () and not value.requires_grad, name
    out.loss.backward()
    assert [name for name, p in made.named_parameters() if p.grad is None] == []
    assert all(bool(torch.isfinite(p.grad).all()) for p in made.parameters() if p.grad is not None)


@pytest.mark.parametrize("method", NAMES)
def test_one_image_is_a_batch(method: str) -> None:
    made = small(method)
    feedback = build_feedback(made.config.feedback, made.config.loop.arm, made.process)
    assert bool(torch.isfinite(made(pictures(1), draws(made, 1), both(made), feedback).loss))


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("method", ["diffae", "encdiff", "disdiff"])
def test_diffusion_baselines_predict_what_the_settings_say(method: str, prediction: str) -> None:
    """At the highest noise an x0 from a predicted noise may be huge: the loss stays finite."""
    made = small(method, f"diffusion.prediction={prediction}")
    feedback = build_feedback(made.config.feedback, made.config.loop.arm, made.process)
    drawn = draws(made, 6)
    drawn.t.fill_(999)
    drawn.drop.fill_(False)
    out = made(pictures(6), drawn, both(made), feedback)
    assert 0 < float(out.loss.detach()) < 100
