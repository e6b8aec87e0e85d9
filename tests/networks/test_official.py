"""Our networks compute what the official Diff-AE code computes, from its own state dict.

The fixture holds outputs of the official code; its weights are made again from names and shapes by
the script that recorded it, `benchmarks/record_diffae_fixture.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cldis.networks.official import (
    PUBLISHED,
    OfficialDiffAE,
    convert_official,
    official_shapes,
)
from support.scripts import ROOT, load_script

FIXTURES = ROOT / "tests" / "fixtures"
State = dict[str, Tensor]


recorder = load_script("record_diffae_fixture")
SHAPES: dict[str, list[int]] = json.loads((FIXTURES / "diffae_celeba64.json").read_text())[
    "parameters"
]


@pytest.fixture(scope="module")
def model() -> OfficialDiffAE:
    name, weights = convert_official(recorder.official_state(SHAPES))
    assert name == "celeba64"
    with torch.device("meta"):
        model = OfficialDiffAE(PUBLISHED[name])
    model.to_empty(device="cpu")
    model.load_state_dict(weights, strict=True)
    return model.eval()


@pytest.fixture(scope="module")
def recorded() -> State:
    return load_file(FIXTURES / "diffae_celeba64.safetensors")


@pytest.fixture
def hollow() -> State:
    """Official names and shapes in one shared zero: cheap, for tests of the renaming alone."""
    return {name: torch.zeros(()).expand(shape) for name, shape in SHAPES.items()}


@torch.no_grad()
def test_encoder_gives_the_recorded_code(model: OfficialDiffAE, recorded: State) -> None:
    z_sem = model.encoder(recorder.inputs()["x0"]).mean
    assert (z_sem - recorded["z_sem"]).abs().max() < 1e-5
    assert recorded["z_sem"].std() > 0.1


@torch.no_grad()
def test_denoiser_gives_the_recorded_prediction(model: OfficialDiffAE, recorded: State) -> None:
    given = recorder.inputs()
    pred = model.denoiser(given["x_t"], given["t"], recorded["z_sem"])
    assert (pred - recorded["pred"]).abs().max() < 1e-5
    # The comparison means something only where every input matters.
    for changed in (
        model.denoiser(given["x_t"].flip(0), given["t"], recorded["z_sem"]),
        model.denoiser(given["x_t"], given["t"].flip(0), recorded["z_sem"]),
        model.denoiser(given["x_t"], given["t"], recorded["z_sem"].flip(0)),
    ):
        assert (changed - recorded["pred"]).square().mean().sqrt() > 0.03


def test_training_module_gives_its_averaged_weights(hollow: State) -> None:
    averaged = {f"ema_model.{name}": torch.ones(()).expand(v.shape) for name, v in hollow.items()}
    lightning = {f"model.{name}": value for name, value in hollow.items()} | averaged
    lightning |= {"x_T": torch.zeros(8, 3, 64, 64), "conds_mean": torch.zeros(1, 512)}
    _, converted = convert_official(lightning)
    assert all(value.all() for name, value in converted.items() if name != "denoiser.null")
    raw_only = {name: value for name, value in lightning.items() if name not in averaged}
    assert not any(value.any() for value in convert_official(raw_only)[1].values())


def test_every_tensor_of_ours_is_filled(hollow: State) -> None:
    with torch.device("meta"):
        ours = OfficialDiffAE(PUBLISHED["celeba64"]).state_dict()
    _, converted = convert_official(hollow)
    assert {n: v.shape for n, v in converted.items()} == {n: v.shape for n, v in ours.items()}
    assert len(converted) == len(hollow) + 1  # and the null condition


@pytest.mark.parametrize("prefix", ["", "ema_model."])
def test_the_prior_of_one_that_can_sample_is_left_out(hollow: State, prefix: str) -> None:
    state = {**hollow, "latent_net.layers.0.linear.weight": torch.zeros(1)}
    _, converted = convert_official({f"{prefix}{name}": value for name, value in state.items()})
    assert len(converted) == len(hollow) + 1


def test_the_published_models_have_the_recorded_names_and_shapes() -> None:
    recorded = json.loads((FIXTURES / "diffae_names.json").read_text())["names_and_shapes"]
    with torch.device("meta"):
        models = {name: OfficialDiffAE(config) for name, config in PUBLISHED.items()}
    ours = {name: recorder.names_hash(official_shapes(model)) for name, model in models.items()}
    assert ours.pop("celeba64") == recorder.names_hash(SHAPES)
    assert sorted(recorded) == sorted(recorder.OTHERS)
    for template, found in recorded.items():
        named = template.split("_")[0]
        assert [name for name, own in ours.items() if own == found and named in name], template


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_tell_the_model(name: str) -> None:
    with torch.device("meta"):
        shapes = official_shapes(OfficialDiffAE(PUBLISHED[name]))
    state = {key: torch.zeros((), device="meta").expand(shape) for key, shape in shapes.items()}
    assert convert_official(state)[0] == name


def _without_out(state: State) -> None:
    del state["out.2.bias"]


def _with_classes(state: State) -> None:
    state["label_emb.weight"] = torch.zeros(1)


def _with_linear_head(state: State) -> None:
    state["encoder.out.3.weight"] = torch.zeros(512, 512)


def _of_another_template(state: State) -> None:
    for name in [name for name in state if name.startswith("encoder.")]:
        del state[name]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_out, r"1 missing \(out\.2\.bias\)"),
        (_with_classes, r"1 unexpected \(label_emb\.weight\)"),
        (_with_linear_head, r"encoder\.out\.3\.weight \[512, 512\] instead of \[512, 512, 1, 1\]"),
        (_of_another_template, r"missing \(encoder\.input_blocks.*, \.\.\.\)"),
        (dict.clear, "506 missing"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "ema_model.", "model."])
def test_wrong_state_dict_is_refused(
    hollow: State, damage: Callable[[State], None], message: str, prefix: str
) -> None:
    damage(hollow)
    state = {f"{prefix}{name}": value for name, value in hollow.items()}
    with pytest.raises(ValueError, match=message) as error:
        convert_official(state)
    assert "\n" not in str(error.value)


def test_foreign_tensor_beside_the_networks_is_refused(hollow: State) -> None:
    lightning = {f"ema_model.{name}": value for name, value in hollow.items()}
    with pytest.raises(ValueError, match=r"1 unexpected \(stranger\)"):
        convert_official(lightning | {"stranger": torch.zeros(1)})
