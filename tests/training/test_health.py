"""Is the code alive, in numbers and in words."""

from __future__ import annotations

import math

import pytest
import torch

from cldis.images import to_model
from cldis.methods.build import build
from cldis.networks.space import Views
from cldis.training import health
from cldis.training.unit_stats import unit_statistics
from training.harness import TwoFactors, config

ALIVE = {"gap": 0.3, "sem_active_units": 3, "disen_active_units": 2}


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return to_model(TwoFactors().batch(torch.arange(16).numpy() * 6))


def test_no_warning_when_all_is_well() -> None:
    assert health.warnings(ALIVE, 4) == []
    assert health.warnings({}, 4) == []


@pytest.mark.parametrize("gap", [-0.02, 0.0, 0.0099])
def test_a_dead_code_is_said_in_words(gap: float) -> None:
    (words,) = health.warnings({**ALIVE, "gap": gap}, 4)
    assert words.startswith("z_sem is dead") and f"{100 * gap:.2f} %" in words
    assert "distillation.weight" in words
    assert health.warnings({**ALIVE, "gap": health.DEAD_GAP}, 4) == []


@pytest.mark.parametrize(
    ("key", "words"), [("sem_active_units", "z_sem varies"), ("disen_active_units", "z_disen")]
)
def test_collapse_is_said_in_words(key: str, words: str) -> None:
    (found,) = health.warnings({**ALIVE, key: 0}, 4)
    assert words in found and "collapsed" in found


def test_a_fresh_model_is_dead(x: torch.Tensor) -> None:
    """The denoiser's condition starts at zero: no code can matter yet."""
    torch.manual_seed(0)
    found = health.measure(build(config()).eval(), Views.pixels(x))
    assert abs(found["gap"]) < 1e-4
    assert any(words.startswith("z_sem is dead") for words in health.warnings(found, 4))
    assert len(found["sem_kl_per_unit"]) == len(found["disen_kl_per_unit"]) == 4


def test_a_denoiser_that_reads_its_code_is_alive(x: torch.Tensor) -> None:
    """By hand: the code is the mean colour, and the denoiser paints it."""
    model = build(config("model.units=8")).eval()

    class Encoder(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> health.Gaussian:
            halves = torch.nn.functional.adaptive_avg_pool2d(images, (2, 1)).flatten(1)
            mean = torch.cat([halves, halves.new_zeros(len(images), 2)], dim=1)
            return health.Gaussian(mean, torch.full_like(mean, -4.0))

    class Painter(torch.nn.Module):
        def forward(self, x_t: torch.Tensor, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
            halves = z[:, :6].view(-1, 3, 2, 1)
            return torch.nn.functional.interpolate(halves, size=x_t.shape[-2:])

    model.semantic, model.denoiser = Encoder(), Painter()  # type: ignore[assignment]
    found = health.measure(model, Views.pixels(x))
    assert found["gap"] > 0.5
    assert 0 < found["sem_active_units"] <= 6
    assert found["sem_kl_per_unit"][6:] == pytest.approx([0.5 * (math.exp(-4) + 3)] * 2, abs=1e-3)
    assert health.measure(model, Views.pixels(x)) == found


@pytest.mark.parametrize(
    ("method", "keys"),
    [
        ("vae", {"disen_active_units", "disen_kl_per_unit"}),
        (
            "diffusion",
            {"gap", "heldout_diffusion", "z_gradient", "sem_active_units", "sem_kl_per_unit"},
        ),
    ],
)
def test_methods_measure_what_they_have(x: torch.Tensor, method: str, keys: set[str]) -> None:
    model = build(config(f"method={method}")).eval()
    found = health.measure(model, Views.pixels(x[:2]))
    assert set(found) == keys
    assert all(math.isfinite(v) for v in found.values() if isinstance(v, float))


@pytest.mark.parametrize("method", ["vae", "diffusion", "closed"])
def test_statistics_of_units(method: str) -> None:
    from cldis.data.split import split

    model, source = build(config(f"method={method}")).eval(), TwoFactors()
    found = unit_statistics(model, source)
    x = to_model(source.batch(split(100)[0]))
    encode = model.semantic if model.semantic is not None else model.vae.encode  # type: ignore
    with torch.no_grad():
        mean = encode(x).mean.double()
    torch.testing.assert_close(
        torch.tensor(found["mean"]).double(), mean.mean(dim=0), atol=1e-5, rtol=1e-4
    )
    spread = mean.std(dim=0, correction=0)
    torch.testing.assert_close(torch.tensor(found["std"]).double(), spread, atol=1e-5, rtol=1e-3)
