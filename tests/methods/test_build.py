"""The methods behind one interface: what they are made of, what they own, what is refused."""

from __future__ import annotations

import itertools

import pytest
import torch

from cldis.config import Config
from cldis.loop.closed_loop import ClosedLoop
from cldis.loop.feedback import build_feedback
from cldis.loop.feedback.base import Linear
from cldis.loop.rate_loop import RateLoop
from cldis.loop.step import StepNoise
from cldis.loop.two_branch import TwoBranch
from cldis.methods import METHODS
from cldis.methods.build import build
from cldis.networks.space import Views
from loop.small import both, perturbed, pictures, small_config

WEIGHTED = [name for name, method in METHODS.items() if method.weight is not None]
DIFFUSIONS = [name for name, method in METHODS.items() if method.branches == ("diffusion",)]


def small(method: str, *overrides: str) -> TwoBranch:
    torch.manual_seed(0)
    made = build(small_config(f"method={method}", *overrides))
    perturbed(made, 0)
    return made


def draws(made: TwoBranch, n: int) -> StepNoise:
    return StepNoise.draw(made.config, n, torch.Generator().manual_seed(0))


def test_the_table_names_nothing_twice() -> None:
    for values in ([m.label for m in METHODS.values()], [m.summary for m in METHODS.values()]):
        assert len(set(values)) == len(METHODS) and all(values)


@pytest.mark.parametrize("name", ["none", "", "betavae", "Closed"])
def test_an_unknown_method_is_refused_with_the_nearest(name: str) -> None:
    for words in (
        lambda: small_config(f"method={name}"),
        lambda: Config.from_dict({"method": name}),
        lambda: Config.from_stored({"baseline": {"method": name}, "loop": {"arm": name}}),
    ):
        with pytest.raises(ValueError, match=rf"unknown method '{name}'; .*methods: closed, open"):
            words()
    if name == "betavae":
        with pytest.raises(ValueError, match="did you mean beta_vae"):
            small_config(f"method={name}")


@pytest.mark.parametrize("method", METHODS)
def test_a_method_brings_its_settings_along(method: str) -> None:
    config, known = small_config(f"method={method}"), METHODS[method]
    flat = config.flat()
    assert {key: flat[key] for key in known.settings} == dict(known.settings)
    assert config.branches == known.branches and config.distils == (len(known.branches) == 2)
    assert Config.from_dict(config.to_dict()) == config
    made = build(config)
    assert isinstance(made, ClosedLoop | RateLoop) == config.distils
    assert (type(build_feedback(config, made.process)) is Linear) == (not known.feedback)


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        ("beta_vae", "loop.vae_alone=8"),
        ("vae", "loop.vae_alone=8"),
        ("encdiff", "model.gaussian=true"),
        ("diffae", "model.conditioning=cross_attention"),
        ("disdiff", "model.conditioning=adagn"),
    ],
)
def test_a_setting_that_makes_it_another_method_is_refused(method: str, setting: str) -> None:
    key = setting.split("=")[0]
    for words in itertools.permutations([f"method={method}", setting]):
        with pytest.raises(ValueError, match=rf"'{method}' is defined with {key}=") as caught:
            small_config(*words)
        # What it proposes works.
        fix = str(caught.value).split("set ")[1].split(", or")[0]
        small_config(*words, fix)
        small_config(*words, "method=open", "distillation.kind=mse")


@pytest.mark.parametrize("method", sorted(set(METHODS) - set(WEIGHTED)))
def test_a_weight_of_nothing_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match=rf"weight 2 weighs nothing: .*'{method}'"):
        small_config(f"method={method}", "method_weight=2")


@pytest.mark.parametrize("method", WEIGHTED)
def test_the_weight_is_the_usual_one_or_the_chosen_one(method: str) -> None:
    assert small_config(f"method={method}").penalty_weight == METHODS[method].weight
    assert small_config(f"method={method}", "method_weight=0.5").penalty_weight == 0.5
    usual = small_config(f"method={method}", "method_weight=null").penalty_weight
    assert usual == METHODS[method].weight


@pytest.mark.parametrize("method", METHODS)
def test_branches_own_every_parameter_once(method: str) -> None:
    made = small(method)
    owned = [p for parameters in made.branches().values() for p in parameters]
    assert {id(p) for p in owned} == {id(p) for p in made.parameters()}
    assert len(owned) == len({id(p) for p in owned})
    assert (made.vae is not None) == ("vae" in METHODS[method].branches)
    drawn_by_diffusion = "diffusion" in METHODS[method].branches
    assert (made.semantic is not None) == (made.denoiser is not None) == drawn_by_diffusion


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_learns(method: str, precision: str) -> None:
    made = small(method, "diffusion.condition_dropout=0.5")
    feedback = build_feedback(made.config, made.process)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        out = made(Views.pixels(pictures(6)), draws(made, 6), both(made, 0.3), feedback)
    assert out.loss.shape == () and out.loss.dtype == torch.float32
    assert bool(torch.isfinite(out.loss))
    for name, value in out.terms.items():
        assert value.shape == () and not value.requires_grad, name
    out.loss.backward()
    assert [name for name, p in made.named_parameters() if p.grad is None] == []
    assert all(bool(torch.isfinite(p.grad).all()) for p in made.parameters() if p.grad is not None)


@pytest.mark.parametrize("method", METHODS)
def test_one_image_is_a_batch(method: str) -> None:
    made = small(method)
    feedback = build_feedback(made.config, made.process)
    assert bool(
        torch.isfinite(made(Views.pixels(pictures(1)), draws(made, 1), both(made), feedback).loss)
    )


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("method", DIFFUSIONS)
def test_diffusion_baselines_predict_what_the_settings_say(method: str, prediction: str) -> None:
    """At the highest noise an x0 from a predicted noise may be huge: the loss stays finite."""
    made = small(method, f"diffusion.prediction={prediction}")
    feedback = build_feedback(made.config, made.process)
    drawn = draws(made, 6)
    drawn.t.fill_(999)
    drawn.drop.fill_(False)
    out = made(Views.pixels(pictures(6)), drawn, both(made), feedback)
    assert 0 < float(out.loss.detach()) < 100
