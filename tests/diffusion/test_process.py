"""The noise process: three predictions that say the same, and agreement with diffusers."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from cldis.diffusion.process import scheduler_options
from diffusion.analytic import PREDICTIONS, SCHEDULES, noise_process


def _rows(seed: int, steps: int, n: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    x0, noise = torch.randn(2, n, 3, 4, 4, generator=g).unbind()
    return x0, torch.randint(steps, (n,), generator=g), noise


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
@given(seed=st.integers(0, 2**31), steps=st.sampled_from([10, 100, 1000]))
def test_the_exact_target_gives_x0_back(
    prediction: str, schedule: str, seed: int, steps: int
) -> None:
    process = noise_process(prediction, schedule, steps)
    x0, t, noise = _rows(seed, steps)
    x_t = process.add_noise(x0, t, noise)
    found = process.to_x0(process.target(x0, t, noise), x_t, t)
    # Rounding of x_t is divided by alpha for eps-prediction, and by nothing for the others.
    alpha, _ = process.scales(t)
    limit = 2e-5 / (alpha if prediction == "epsilon" else torch.ones_like(alpha))
    assert ((found - x0).abs() <= limit).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_noise_grows_with_t(schedule: str, steps: int) -> None:
    process = noise_process(schedule=schedule, steps=steps)
    t = torch.arange(steps)
    assert (process.alpha_bar > 0).all() and (process.alpha_bar < 1).all()
    assert (process.log_snr(t).diff() < 0).all()
    alpha, sigma = process.scales(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(alpha))
    torch.testing.assert_close(
        process.log_snr(t).exp(), (alpha / sigma).flatten() ** 2, rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_the_ends_are_clean_and_pure_noise_for_any_number_of_steps(steps: int) -> None:
    process = noise_process(steps=steps)
    assert process.alpha_bar[-1] < 1e-3
    assert process.alpha_bar[0] > 0.98


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [10, 100, 777, 1000])
def test_diffusers_adds_the_same_noise_and_has_the_same_velocity(schedule: str, steps: int) -> None:
    process = noise_process("v", schedule, steps)
    theirs = DDPMScheduler(**scheduler_options(process.config))
    assert torch.equal(process.alpha_bar, theirs.alphas_cumprod)
    x0, t, noise = _rows(3, steps, n=40)
    torch.testing.assert_close(process.add_noise(x0, t, noise), theirs.add_noise(x0, noise, t))
    torch.testing.assert_close(process.target(x0, t, noise), theirs.get_velocity(x0, noise, t))


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(t=st.integers(0, 999))
def test_nearest_t_undoes_log_snr(schedule: str, t: int) -> None:
    process = noise_process(schedule=schedule)
    assert process.nearest_t(process.log_snr(torch.tensor([t]))).tolist() == [t]


@given(log_snr=st.floats(-30, 30))
def test_nearest_t_is_nearest(log_snr: float) -> None:
    process = noise_process()
    t = process.nearest_t(torch.tensor([log_snr]))
    distances = (process.log_snr(torch.arange(1000)) - log_snr).abs()
    assert distances[t] == distances.min()


def test_the_table_is_not_part_of_a_checkpoint() -> None:
    assert noise_process().state_dict() == {}
