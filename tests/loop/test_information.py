"""The `information` feedback where the truth is known: Gaussians and finite sets of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from cldis.config import FeedbackConfig
from cldis.data.rendered.rooms import Rooms
from cldis.diffusion.information import InformationMeter
from cldis.diffusion.process import NoiseProcess
from cldis.images import to_model
from cldis.loop.feedback.base import ReverseSample
from cldis.loop.feedback.information import Information
from diffusion.analytic import (
    PREDICTIONS,
    SCHEDULES,
    as_prediction,
    gaussian_mean,
    noise_process,
)

Denoise = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


Estimate = Callable[[NoiseProcess, Denoise, Tensor, Tensor, float], float]


def _feedback(process: NoiseProcess, log_snr_max: float = 1.0, bins: int = 16) -> Information:
    return Information(FeedbackConfig(log_snr_max=log_snr_max, bins=bins), process)


def _batches(x0: Tensor, rows: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows, their noise and their noise levels, which are spread evenly over all of x0."""
    g = torch.Generator().manual_seed(0)
    uniform = (torch.randperm(len(x0), generator=g) + torch.rand(len(x0), generator=g)) / len(x0)
    for start in range(0, len(x0), rows):
        part = slice(start, start + rows)
        yield part, torch.randn(x0[part].shape, generator=g), uniform[part]


def difference(
    process: NoiseProcess, denoise: Denoise, x0: Tensor, z: Tensor, log_snr_max: float = 1.0
) -> float:
    """The estimate of the feedback `information` after all of x0."""
    feedback = _feedback(process, log_snr_max)
    for part, noise, uniform in _batches(x0, 64):
        sums = feedback.differences(denoise, x0[part], z[part], noise, uniform)
        feedback.target(sums, 0)  # an average without forgetting
    return feedback.estimate()


def orthogonal(
    process: NoiseProcess, denoise: Denoise, x0: Tensor, z: Tensor, log_snr_max: float = 1.0
) -> float:
    """The same by the meter of the second form, over the whole range: nothing can be read."""
    meter = InformationMeter(process, 1, 16)
    meter.high = log_snr_max
    for part, noise, uniform in _batches(x0, 64):
        blind = lambda x: x.new_zeros(len(x), 1)  # noqa: E731
        meter.add(meter.listen(denoise, blind, x0[part], z[part], noise, uniform))
    return meter.nats()


FORMS = pytest.mark.parametrize("estimate", [difference, orthogonal])


# --- Gaussian: z ~ N(0, tau^2), x0 | z ~ N(z, s^2), in each of D dimensions

SIDE = 8
DIMENSIONS = 3 * SIDE**2


def _gaussian_case(process: NoiseProcess, tau: float, s: float) -> Denoise:
    def denoise(x_t: Tensor, t: Tensor, z: Tensor, drop: Tensor) -> Tensor:
        with_z = gaussian_mean(process, x_t, t, z.view_as(x_t), s**2)
        without = gaussian_mean(process, x_t, t, 0.0, s**2 + tau**2)
        x0_hat = torch.where(drop.view(-1, 1, 1, 1), without, with_z)
        return as_prediction(process, x0_hat, x_t, t)

    return denoise


def _inside(feedback: Information, tau: float, s: float) -> float:
    """1/2 D integral of (mmse - mmse given z) dSNR over the range of SNR that is looked at."""
    snr = np.exp(np.linspace(feedback.low, feedback.high, 20_001))
    v = s**2 + tau**2
    gap = v / (1 + v * snr) - s**2 / (1 + s**2 * snr)
    return float(0.5 * DIMENSIONS * np.trapezoid(gap, snr))


@FORMS
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("tau", "s"), [(0.3, 1.0), (1.0, 1.0), (0.5, 0.2)])
def test_gaussian_information_matches_its_closed_form(
    schedule: str, prediction: str, tau: float, s: float, estimate: Estimate
) -> None:
    process = noise_process(prediction, schedule)
    feedback = _feedback(process, 4.0)
    g = torch.Generator().manual_seed(1)
    z = tau * torch.randn(2048, 3, SIDE, SIDE, generator=g)
    x0 = z + s * torch.randn(z.shape, generator=g)
    found = estimate(process, _gaussian_case(process, tau, s), x0, z.flatten(1), 4.0)
    inside = _inside(feedback, tau, s)
    assert found == pytest.approx(inside, rel=0.03)
    # What the integral lacks to 1/2 D ln(1 + tau^2 / s^2) lies above the range, as documented.
    total = 0.5 * DIMENSIONS * math.log(1 + tau**2 / s**2)
    v, top = s**2 + tau**2, math.exp(feedback.high)
    tail = total - 0.5 * DIMENSIONS * math.log((1 + v * top) / (1 + s**2 * top))
    assert inside + tail == pytest.approx(total, rel=1e-3)
    assert found + tail == pytest.approx(total, rel=0.03)


@FORMS
def test_a_code_that_says_nothing_carries_no_information(estimate: Estimate) -> None:
    process = noise_process()
    x0 = torch.randn(256, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))

    def denoise(x_t: Tensor, t: Tensor, z: Tensor, drop: Tensor) -> Tensor:
        return gaussian_mean(process, x_t, t, 0.0, 1.0)

    assert estimate(process, denoise, x0, torch.zeros(256, 2), 1.0) == 0


# --- Discrete: one of N pictures, known from z: I(x; z) = ln N


def _picture_case(process: NoiseProcess, pictures: Tensor) -> Denoise:
    """z [n, 1] is the number of the picture; without it, the posterior mean over all."""
    flat = pictures.flatten(1)
    energy = flat.pow(2).sum(dim=1)

    def denoise(x_t: Tensor, t: Tensor, z: Tensor, drop: Tensor) -> Tensor:
        if not bool(drop.any()):
            return pictures[z[:, 0].long()]
        alpha, sigma = (scale.view(-1, 1) for scale in process.scales(t))
        inner = alpha * (x_t.flatten(1) @ flat.T) - 0.5 * alpha**2 * energy
        return ((inner / sigma**2).softmax(dim=1) @ flat).view_as(x_t)

    return denoise


@pytest.fixture(scope="module")
def rooms() -> Rooms:
    return Rooms(32)


def _entropy(pictures: Tensor, draws: int, estimate: Estimate) -> float:
    process = noise_process("x0")
    chosen = torch.arange(draws) % len(pictures)
    denoise = _picture_case(process, pictures)
    return estimate(process, denoise, pictures[chosen], chosen[:, None].float(), 1.0)


@FORMS
@pytest.mark.parametrize(("n", "draws"), [(30, 8000), (480, 4000)])
def test_the_information_in_the_number_of_a_picture_is_ln_n(
    rooms: Rooms, n: int, draws: int, estimate: Estimate
) -> None:
    # one geometry; floor, wall and object in different hues
    factors = np.stack(np.unravel_index(np.arange(n), (10, 10, 5)), axis=1)
    whole = np.concatenate([factors, np.full((n, 3), 2)], axis=1)
    pictures = to_model(rooms.batch(rooms.index(whole)))
    assert _entropy(pictures, draws, estimate) == pytest.approx(math.log(n), rel=0.05)


@FORMS
def test_the_information_in_any_room_is_ln_n(rooms: Rooms, estimate: Estimate) -> None:
    """4,096 of the 480,000 rooms: the same pictures, at an entropy that an exact posterior can do.

    With all of them it would be ln 480,000 = 13.1 nats; every factor of the grid is in here.
    """
    chosen = np.random.default_rng(0).choice(len(rooms), 4096, replace=False)
    pictures = to_model(rooms.batch(np.sort(chosen)))
    assert _entropy(pictures, 1024, estimate) == pytest.approx(math.log(4096), rel=0.05)


# --- the bookkeeping of the estimate


def test_few_rows_are_looked_at_and_all_are_counted_once() -> None:
    process = noise_process()
    feedback = _feedback(process, bins=5)
    seen: list[tuple[int, bool]] = []

    def denoise(x_t: Tensor, t: Tensor, z: Tensor, drop: Tensor) -> Tensor:
        assert len(x_t) == len(t) == len(z) == len(drop)
        seen.append((len(x_t), bool(drop.all())))
        return torch.zeros_like(x_t)

    x0 = torch.randn(10, 3, 4, 4)
    uniform = torch.rand(10)
    sums = feedback.observe(
        denoise,
        ReverseSample(x0, torch.randn(10, 2), x0, torch.zeros(10).long(), x0, x0, uniform),
    )
    assert seen == [(4, True), (4, False)]
    counts = sums.view(2, 5)[1]
    assert counts.tolist() == [float(((uniform[:4] * 5).long() == i).sum()) for i in range(5)]


def test_the_noise_levels_lie_in_the_range() -> None:
    process = noise_process()
    feedback = _feedback(process)
    levels: list[Tensor] = []

    def denoise(x_t: Tensor, t: Tensor, z: Tensor, drop: Tensor) -> Tensor:
        levels.append(process.log_snr(t))
        return torch.zeros_like(x_t)

    x0 = torch.zeros(101, 3, 2, 2)
    feedback.differences(denoise, x0, torch.zeros(101, 1), x0, torch.linspace(0, 0.9999, 101))
    assert levels[0].min() == pytest.approx(feedback.low, abs=0.02)
    assert levels[0].max() == pytest.approx(1.0, abs=0.02)
    assert levels[0].diff().max() < 0.2  # evenly


def test_old_signals_fade_and_bins_without_any_count_as_zero() -> None:
    feedback = Information(FeedbackConfig(memory=100, bins=2), noise_process())
    width = (feedback.high - feedback.low) / 2
    assert feedback.estimate() == 0
    feedback.target(torch.tensor([6.0, 0.0, 2.0, 0.0]), 10)
    assert feedback.estimate() == pytest.approx(0.5 * width * 3)
    feedback.target(torch.tensor([10.0, 8.0, 2.0, 1.0]), 100)
    keep = math.exp(-1)
    expected = 0.5 * width * ((6 * keep + 10) / (2 * keep + 2) + 8)
    assert feedback.estimate() == pytest.approx(expected)


def test_the_orthogonal_form_is_never_negative() -> None:
    """Also where the estimates are poor and the difference of their errors is negative."""
    process = noise_process()
    x0 = torch.randn(64, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))

    def misled(x_t: Tensor, t: Tensor, z: Tensor, drop: Tensor) -> Tensor:
        x0_hat = torch.where(drop.view(-1, 1, 1, 1), torch.zeros_like(x_t), -x_t)
        return as_prediction(process, x0_hat, x_t, t)

    z = torch.zeros(64, 2)
    assert difference(process, misled, x0, z) < 0 < orthogonal(process, misled, x0, z)


def test_the_integral_ends_where_the_code_can_be_read(rooms: Rooms) -> None:
    """The picture without the code is ever blurry, as a network's is: over the whole range that
    would count as information. Once 80 % of the code can be read there is at most a fourth left."""
    process = noise_process("x0")
    factors = np.concatenate([np.arange(10)[:, None], np.full((10, 5), 2)], axis=1)
    pictures = to_model(rooms.batch(rooms.index(factors)))
    exact = _picture_case(process, pictures)
    number = torch.arange(4000) % 10
    blur = 0.02 * torch.randn(pictures[0].shape, generator=torch.Generator().manual_seed(1))

    def denoise(x_t: Tensor, t: Tensor, z: Tensor, drop: Tensor) -> Tensor:
        return exact(x_t, t, z, drop) + (blur if bool(drop.any()) else 0)

    def read(x: Tensor) -> Tensor:
        return torch.cdist(x.flatten(1), pictures.flatten(1)).argmin(dim=1)[:, None].float()

    def measured(read: Callable[[Tensor], Tensor]) -> float:
        meter = InformationMeter(process, 1, 32)
        for part, noise, uniform in _batches(pictures[number], 64):
            z = number[part][:, None].float()
            meter.add(meter.listen(denoise, read, pictures[number[part]], z, noise, uniform))
        return meter.nats()

    assert 0.7 * math.log(10) < measured(read) < 1.05 * math.log(10)
    assert measured(lambda x: x.new_zeros(len(x), 1)) > 1.5 * math.log(10)


def test_the_meter_goes_on_from_its_state() -> None:
    meter, again = (InformationMeter(noise_process(), 2, 4) for _ in range(2))
    meter.add(torch.arange(16.0) + 1)
    meter.add(torch.arange(16.0) + 1, keep=0.5)
    assert meter.totals == [1.5, 3.0, 4.5, 6.0] and meter.moments == [19.5, 21.0, 22.5, 24.0]
    again.load_state(meter.state())
    assert again.state() == meter.state() and again.nats() == meter.nats()
    with pytest.raises(ValueError, match="has 4 totals but these settings need 5"):
        InformationMeter(noise_process(), 2, 5).load_state(meter.state())
