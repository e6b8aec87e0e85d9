"""Samplers against closed forms, and inversion as the inverse of decoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from cldis.diffusion.process import NoiseProcess
from cldis.diffusion.sampling import (
    EDITS,
    END,
    ddim,
    fast,
    invert,
    ladder,
    noised,
    predicted_noise,
)
from diffusion.analytic import (
    PREDICTIONS,
    SCHEDULES,
    gaussian_denoiser,
    noise_process,
)
from loop.small import pictures, small_loop

MEAN, VARIANCE = 0.3, 0.25
Solver = Callable[[Any, NoiseProcess, Tensor, int], Tensor]


def _normal(n: int, side: int = 16, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def _slope(solver: Solver, process: NoiseProcess, steps: int) -> tuple[float, float]:
    """Mean and scale of what a solver makes of N(0, I): its map is affine for Gaussian data."""
    predict = gaussian_denoiser(process, MEAN, VARIANCE)
    zero, one = (solver(predict, process, torch.full((1, 3, 2, 2), x), steps) for x in (0.0, 1.0))
    assert zero.std() < 1e-6 and one.std() < 1e-6
    return float(zero.mean()), float((one - zero).mean())


@pytest.mark.parametrize("solver", [ddim, fast])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_gaussian_data_comes_out_with_its_mean_and_scale(
    schedule: str, prediction: str, solver: Solver
) -> None:
    process = noise_process(prediction, schedule)
    first_order = solver is ddim
    for steps, limit in (
        (25, 0.04 if first_order else 0.008),
        (100, 0.01 if first_order else 2e-3),
    ):
        mean, scale = _slope(solver, process, steps)
        assert abs(mean - MEAN) < 0.005
        assert abs(scale - VARIANCE**0.5) < limit


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_samples_of_noise_are_distributed_like_the_data(prediction: str) -> None:
    process = noise_process(prediction)
    made = ddim(gaussian_denoiser(process, MEAN, VARIANCE), process, _normal(64), 100)
    assert float(made.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(made.std()) == pytest.approx(VARIANCE**0.5, abs=0.02)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_inverted_data_is_standard_normal(schedule: str, prediction: str) -> None:
    process = noise_process(prediction, schedule)
    x0 = MEAN + VARIANCE**0.5 * _normal(64)
    x_T = invert(gaussian_denoiser(process, MEAN, VARIANCE), process, x0, 100)
    assert float(x_T.mean()) == pytest.approx(0, abs=0.03)
    assert float(x_T.std()) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(("steps", "limit"), [(5, 0.02), (25, 1e-3), (50, 1e-4)])
def test_refinements_turn_inversion_into_the_inverse_of_ddim(
    prediction: str, steps: int, limit: float
) -> None:
    process = noise_process(prediction)
    variance = torch.logspace(-3, 0, 16).expand(3, 16, 16)  # a different rate for every column
    predict = gaussian_denoiser(process, MEAN, variance)
    x0 = MEAN + variance.sqrt() * _normal(8)
    errors = [
        float((ddim(predict, process, invert(predict, process, x0, steps, r), steps) - x0).std())
        for r in (0, 1, 2, 3)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < limit and errors[3] < 0.1 * errors[0]


def _random_network(prediction: str, conditioning: str, seed: int, x: Tensor) -> Any:
    loop = small_loop(
        f"diffusion.prediction={prediction}", f"model.conditioning={conditioning}", seed=seed
    ).eval()
    denoiser, semantic, process = loop.denoiser, loop.semantic, loop.process
    assert denoiser is not None and semantic is not None
    z = semantic(x).mean.detach()

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        said = denoiser(x_t, t, z)
        if prediction != "epsilon":
            return said
        # Where alpha is small, a network of eps that does not follow x_t has no ODE that a float
        # could run backwards (x0 = (x_t - sigma eps) / alpha). Every trained one follows it.
        alpha, sigma = process.scales(t)
        return sigma * x_t + alpha * said

    return process, predict


@pytest.mark.parametrize("prediction", PREDICTIONS)
@settings(max_examples=3, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**31), conditioning=st.sampled_from(["adagn", "cross_attention"]))
def test_invert_then_decode_returns_the_image_for_a_random_network(
    prediction: str, seed: int, conditioning: str
) -> None:
    x = pictures(1, seed=seed)
    process, predict = _random_network(prediction, conditioning, seed, x)
    with torch.no_grad():
        assert predict(x, torch.tensor([500])).std() > 0.05  # it does say something
        again = ddim(predict, process, invert(predict, process, x, 25), 25)
    assert (again - x).abs().max() < 0.03


def test_images_of_a_batch_are_inverted_independently() -> None:
    x = pictures(3)
    process, predict = _random_network("x0", "adagn", 0, x)
    with torch.no_grad():
        before = invert(predict, process, x, 5)
        after = invert(predict, process, torch.cat([x[:2], -x[2:]]), 5)
    torch.testing.assert_close(before[:2], after[:2], rtol=1e-4, atol=1e-4)
    assert (before[2] - after[2]).abs().max() > 0.1


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_network_sees_only_its_own_timesteps_and_the_asked_number(prediction: str) -> None:
    process = noise_process(prediction)
    optimal = gaussian_denoiser(process, MEAN, VARIANCE)
    seen: list[int] = []

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        assert t.dtype == torch.long and len(t) == len(x_t) and len(t.unique()) == 1
        seen.append(int(t[0]))
        return optimal(x_t, t)

    for steps in (1, 2, 7, 25, 30):
        for solver in (ddim, fast):
            seen.clear()
            solver(predict, process, _normal(2, 2), steps)
            assert len(seen) == steps
            assert seen[0] == 999 and seen == sorted(seen, reverse=True) and min(seen) >= 0
        seen.clear()
        invert(predict, process, _normal(2, 2), steps, refinements=0)
        assert len(seen) == steps and seen[-1] == 999 and seen == sorted(seen)


@given(
    trained=st.sampled_from([10, 50, 1000, 4000]),
    schedule=st.sampled_from(SCHEDULES),
    share=st.floats(0, 1),
)
def test_the_ladder_rises_from_the_end_to_the_last_timestep(
    trained: int, schedule: str, share: float
) -> None:
    process = noise_process(schedule=schedule, steps=trained)
    steps = 1 + round(share * (trained - 1))
    levels = ladder(process, steps)
    assert levels[-1] == trained - 1 and 2 <= len(levels) <= steps + 1
    assert all(low < high for low, high in zip(levels, levels[1:], strict=False))
    sigma = (1 - process.alpha_bar).sqrt()
    assert sigma[levels[0]] >= END or levels[0] == trained - 2
    assert levels[0] == 0 or sigma[levels[0] - 1] < END


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.6])
def test_noised_data_inverts_to_a_standard_normal(prediction: str, sigma: float) -> None:
    process = noise_process(prediction)
    predict = gaussian_denoiser(process, MEAN, VARIANCE)
    x = noised(process, MEAN + VARIANCE**0.5 * _normal(64), _normal(64, seed=1), sigma)
    level = (1 - process.alpha_bar[ladder(process, 100, sigma)[0]]).sqrt()
    assert float(level) == pytest.approx(sigma, rel=0.05)
    assert float(x.var()) == pytest.approx(float(VARIANCE * (1 - level**2) + level**2), rel=0.03)
    x_T = invert(predict, process, x, 100, sigma=sigma)
    assert float(x_T.mean()) == pytest.approx(0, abs=0.03)
    assert float(x_T.std()) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("solver", [ddim, fast])
@pytest.mark.parametrize("steps", [340, 600, 1000])
def test_odd_numbers_of_steps_still_start_from_pure_noise(solver: Solver, steps: int) -> None:
    mean, scale = _slope(solver, noise_process(), steps)
    assert mean == pytest.approx(MEAN, abs=0.01) and scale == pytest.approx(0.5, abs=0.01)


def test_one_step_of_ddim_is_no_longer_noise() -> None:
    process = noise_process()
    made = ddim(gaussian_denoiser(process, MEAN, 1e-4), process, _normal(4), 1)
    assert float((made - MEAN).std()) < 0.05


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_fast_and_ddim_agree_when_both_take_many_steps(prediction: str) -> None:
    process = noise_process(prediction)
    predict = gaussian_denoiser(process, MEAN, VARIANCE)
    x_T = _normal(8)
    slow = ddim(predict, process, x_T, 200)
    # ddim stops at sigma = END, where x_t is still x0 and a little noise.
    assert float((fast(predict, process, x_T, 200) - slow).std()) < 0.01
    # and the fast solver is worth its name
    near, far = (float((f(predict, process, x_T, 10) - slow).std()) for f in (fast, ddim))
    assert near < far


@pytest.mark.parametrize("solver", [ddim, invert, fast])
@pytest.mark.parametrize("steps", [0, -3, 1001, 2.5, "25", None])
def test_steps_out_of_range_are_refused(solver: Solver, steps: Any) -> None:
    process = noise_process()
    predict = gaussian_denoiser(process, MEAN, VARIANCE)
    with pytest.raises(ValueError, match=r"steps=.* must be an integer in 1\.\.1000"):
        solver(predict, process, _normal(1, 2), steps)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_noise_of_any_prediction_is_the_true_noise(prediction: str) -> None:
    process = noise_process(prediction)
    x0, noise = pictures(4), _normal(4)
    for t in (0, 10, 500, 999):
        times = torch.full((4,), t)
        x_t = process.add_noise(x0, times, noise)
        target = process.target(x0, times, noise)
        found = predicted_noise(lambda *_, said=target: said, process, x_t, t)
        torch.testing.assert_close(found, noise, atol=1e-3, rtol=1e-3)


def test_all_of_it_is_differentiable_with_respect_to_the_start() -> None:
    process = noise_process()
    x_T = _normal(1, 4).requires_grad_()
    ddim(gaussian_denoiser(process, MEAN, VARIANCE), process, x_T, 5).sum().backward()
    assert x_T.grad is not None and (x_T.grad > 0).all()


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 100])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_schedulers_of_diffusers_take_the_same_steps_to_the_bit(
    schedule: str, prediction: str, steps: int
) -> None:
    """They are handed the ladder as their own noise schedule."""
    from diffusers import DDIMInverseScheduler, DDIMScheduler

    process, x = noise_process(prediction, schedule), _normal(2)
    predict = gaussian_denoiser(process, MEAN, VARIANCE)

    def theirs(scheduler: Any, levels: list[int], places: list[int]) -> Tensor:
        scheduler.alphas_cumprod = process.alpha_bar[levels]
        scheduler.set_timesteps(len(levels))
        made = x
        for place in places:
            noise = predicted_noise(predict, process, made, levels[place])
            made = scheduler.step(noise, place, made).prev_sample
        return made

    levels = ladder(process, steps)
    down = DDIMScheduler(num_train_timesteps=len(levels), clip_sample=False)
    drawn = theirs(down, levels, list(range(len(levels) - 1, 0, -1)))
    assert torch.equal(ddim(predict, process, x, steps), drawn)
    for sigma in (END, EDITS):
        levels = ladder(process, steps, sigma)
        up = DDIMInverseScheduler(num_train_timesteps=len(levels), clip_sample=False)
        inverted = theirs(up, levels, list(range(1, len(levels))))
        assert torch.equal(invert(predict, process, x, steps, 0, sigma), inverted)
