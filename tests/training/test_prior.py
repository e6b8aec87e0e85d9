"""The prior over codes: what it draws, how that is measured, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file
from torch import Tensor

from cldis.training import prior as priors
from cldis.training.prior import (
    FOLDER,
    TENSORS,
    Prior,
    distances,
    energy_distance,
    fit_prior,
    load_prior,
    save_prior,
    weights_hash,
)
from loop.small import small_loop
from support.command import refused

UNITS = 4


def clusters(n: int, seed: int) -> Tensor:
    """Codes [n, 4] that no Gaussian has: two units are -1 or 1 together, one is free, one rests."""
    generator = torch.Generator().manual_seed(seed)
    sign = torch.randint(2, (n, 1), generator=generator) * 2.0 - 1
    noise = torch.randn(n, 3, generator=generator)
    return torch.cat([sign + 0.1 * noise[:, :2], 5 + noise[:, 2:], torch.full((n, 1), 3.0)], dim=1)


def fit(codes: Tensor, steps: int, seed: int = 0) -> Prior:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(priors, "STEPS", steps)
        return fit_prior(codes, seed, progress=False)


def stored(folder: Path, model: torch.nn.Module) -> tuple[Prior, Path]:
    prior = fit(clusters(50, 0), 20)
    distance = {"joint": 0.0, "marginal": 0.0}
    record = {"weights": weights_hash(model), "codes": 50, "heldout": 5, "seed": 0}
    far = dict.fromkeys(("prior", "gaussian", "training"), distance)
    save_prior(folder, prior, {**record, "distances": far})
    return prior, folder / FOLDER / TENSORS


def test_it_learns_what_a_gaussian_cannot() -> None:
    codes, heldout = clusters(2000, 0), clusters(500, 1)
    prior = fit(codes, 400)
    far = distances(prior, codes, heldout)
    for kind in ("joint", "marginal"):
        assert far["prior"][kind] < 0.3 * far["gaussian"][kind]
        assert abs(far["training"][kind]) < 0.02
    drawn = prior.sample(500, 3)
    torch.testing.assert_close(drawn[:, 3], torch.full((500,), 3.0))  # a unit that rests
    assert abs(float(drawn[:, 2].mean()) - 5) < 0.3
    assert float((drawn[:, 0].sign() == drawn[:, 1].sign()).float().mean()) > 0.95


def test_all_is_decided_by_the_seed() -> None:
    codes = clusters(60, 0)
    one, again, other = fit(codes, 20), fit(codes, 20), fit(codes, 20, seed=1)
    assert torch.equal(one.sample(5), again.sample(5))
    assert not torch.equal(one.sample(5), other.sample(5))
    assert not torch.equal(one.sample(5), one.sample(5, seed=1))


@pytest.mark.parametrize("n", [1, 3, 11])
def test_few_codes_are_enough_to_fit(n: int) -> None:
    assert fit(clusters(n, 0), 20).sample(2).isfinite().all()


def test_the_energy_distance_is_that_of_two_points_and_nothing_between_equals() -> None:
    zeros, threes = torch.zeros(5, 2), torch.full((7, 2), 3.0)
    assert energy_distance(zeros, threes) == pytest.approx(2 * 18**0.5)
    assert energy_distance(torch.zeros(5), torch.ones(3)) == pytest.approx(2.0)
    rows = torch.randn(800, 3, generator=torch.Generator().manual_seed(0))
    assert abs(energy_distance(rows[:400], rows[400:])) < 0.02
    assert energy_distance(rows[:400], rows[400:] + 1) > 0.5


def test_it_comes_back_whole(tmp_path: Path) -> None:
    model = small_loop()
    prior, _ = stored(tmp_path, model)
    opened, record = load_prior(tmp_path, model, UNITS)
    assert torch.equal(opened.sample(4), prior.sample(4)) and record["codes"] == 50


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    model = small_loop()
    refused(lambda: load_prior(tmp_path, model, UNITS), "has no prior", "cldis sample")
    _, path = stored(tmp_path, model)
    whole, tensors = path.read_bytes(), load(path.read_bytes())
    other = small_loop(scale=0.5)
    refused(lambda: load_prior(tmp_path, other, UNITS), "other weights", "remove it")
    refused(lambda: load_prior(tmp_path, model, UNITS + 1), "no prior of 5 units", "remove it")
    path.write_bytes(whole[: len(whole) // 2])
    refused(lambda: load_prior(tmp_path, model, UNITS), "cannot be read", "remove it")
    save_file(tensors, path)
    refused(lambda: load_prior(tmp_path, model, UNITS), "not valid JSON", "remove it")
    save_file(tensors, path, metadata={"prior": '{"weights": "x"}'})
    refused(lambda: load_prior(tmp_path, model, UNITS), "is damaged", "remove it")
    path.write_bytes(whole.replace(b'\\"codes\\": 50', b'\\"codes\\": -9'))
    refused(lambda: load_prior(tmp_path, model, UNITS), "codes", "remove it")


def test_codes_that_are_none_or_not_finite_are_refused() -> None:
    for codes in (torch.zeros(0, 3), torch.full((4, 3), torch.nan)):
        refused(lambda codes=codes: fit_prior(codes, progress=False), "finite")
