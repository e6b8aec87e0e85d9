"""Operations of a training, against what the shapes of its layers make of them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from cldis.loop.phases import TrainingPhase
from cldis.methods.build import build
from cldis.training.flops import flops_per_image, mfu, training_flops
from cldis.training.recipes import recipe_config
from training.harness import config

ALONE, TAUGHT = TrainingPhase(True, False), TrainingPhase(False, True, 1.0)


def layers_flops(model: nn.Module, run: object) -> list[int]:
    """Forward operations of every linear layer and convolution that runs, for one image."""
    found: list[int] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        # A transposed convolution multiplies each of its inputs, the others make each output.
        places = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        positions = places[0, 0].numel() if places.ndim == 4 else 1
        found.append(2 * weight.numel() * positions)

    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(note)
    assert callable(run)
    run()
    return found


def test_a_vae_costs_three_forward_passes_but_for_its_first_layer() -> None:
    made = config("method=vae")
    model = build(made)
    assert model.vae is not None
    vae = model.vae
    forward = layers_flops(vae, lambda: vae.decode(vae.encode(torch.zeros(1, 3, 32, 32)).mean))
    assert len(forward) > 5
    assert flops_per_image(made, ALONE) == 3 * sum(forward) - forward[0]  # no gradient of images


def test_a_training_is_the_sum_of_its_phases() -> None:
    made = recipe_config("taught64")
    alone, taught = flops_per_image(made, ALONE), flops_per_image(made, TAUGHT)
    assert alone < 0.2 * taught  # the VAE is small beside the U-Net
    assert training_flops(made) == 128_000 * (alone + taught)
    untaught = flops_per_image(made, TrainingPhase(False, True))
    assert 0 < taught - untaught < alone / 3  # the teacher only encodes
    shorter = made.with_overrides(["training.images=128001"])  # a step is whole
    assert training_flops(shorter) == 128_000 * alone + 16 * taught


def test_counting_leaves_random_numbers_as_they_are() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    flops_per_image(config("model.units=5"), TrainingPhase(True, True, 1.0))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("gpu", "precision", "share"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 0.25),
        ("NVIDIA H100 PCIe", "bf16", 0.25 * 989 / 756),
        ("NVIDIA L40S", "bf16", 0.25 * 989 / 362),
        ("NVIDIA H100 80GB HBM3", "no", None),
        ("some other", "bf16", None),
        (None, "bf16", None),
    ],
)
def test_mfu(gpu: str | None, precision: str, share: float | None) -> None:
    found = mfu(989e12, 4.0, precision, gpu)
    assert found == share or (found is not None and math.isclose(found, share or 0))
