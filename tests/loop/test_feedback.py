"""How C moves: pace, bounds, state, and the KL of the reverse process."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from cldis.config import Config, FeedbackConfig
from cldis.diffusion.process import NoiseProcess
from cldis.loop.feedback import build_feedback
from cldis.loop.feedback.base import Feedback, Linear, ReverseSample
from cldis.loop.feedback.information import Information
from cldis.loop.feedback.reverse_kl import ReverseKL
from diffusion.analytic import SCHEDULES, noise_process
from loop.small import LOOP

KINDS = ("linear", "reverse_kl", "information")


def _config(**values: Any) -> FeedbackConfig:
    return FeedbackConfig.model_validate({"warmup": 0, "bins": 3, **values})


def _feedback(kind: str, **values: Any) -> Feedback:
    return _built("open" if kind == "linear" else "closed", kind=kind, **values)


def _built(method: str, **values: Any) -> Feedback:
    feedback = _config(**values).model_dump()
    config = LOOP.to_dict() | {"method": method, "feedback": feedback}
    return build_feedback(Config.from_dict(config), noise_process())


def _sums(kind: str, numbers: list[float]) -> Tensor:
    """Sums of the right length for each kind, of any content."""
    if kind == "linear":
        return torch.zeros(1)
    values = torch.tensor(numbers)
    return torch.stack([values.sum(), torch.tensor(3.0)]) if kind == "reverse_kl" else values


signals = st.lists(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=6), min_size=1, max_size=30
)
wild = st.lists(st.floats(width=32), min_size=6, max_size=6)


@pytest.mark.parametrize("kind", KINDS)
@given(numbers=signals, rate=st.floats(1e-4, 10), batch=st.integers(1, 512))
def test_c_moves_no_faster_than_the_rate_and_stays_in_bounds(
    kind: str, numbers: list[list[float]], rate: float, batch: int
) -> None:
    feedback = _feedback(kind, rate=rate, capacity_max=5.0, memory=100)
    before = feedback.capacity
    for step, row in enumerate(numbers, 1):
        feedback.update(_sums(kind, row), step * batch, batch)
        assert abs(feedback.capacity - before) <= rate * batch / 1000 + 1e-12
        assert 0 <= feedback.capacity <= 5.0
        before = feedback.capacity


@pytest.mark.parametrize("kind", ["reverse_kl", "information"])
@given(numbers=wild)
def test_signals_that_are_not_finite_do_no_harm(kind: str, numbers: list[float]) -> None:
    feedback = _feedback(kind)
    feedback.update(_sums(kind, [3.0] * 6), 10, 10)
    good = feedback.state()
    sums = _sums(kind, numbers)
    feedback.update(sums, 20, 10)
    assert all(math.isfinite(v) for v in _flat(feedback.state()))
    if not bool(torch.isfinite(sums).all()):
        assert feedback.state() == good


def _flat(state: dict[str, Any]) -> list[float]:
    return [v for value in state.values() for v in (value if isinstance(value, list) else [value])]


@given(rate=st.floats(1e-3, 1), batch=st.integers(1, 300), warm_steps=st.integers(0, 20))
def test_linear_rises_at_the_rate_after_warm_up_and_stops(
    rate: float, batch: int, warm_steps: int
) -> None:
    warmup = warm_steps * batch
    feedback = Linear(_config(rate=rate, warmup=warmup, capacity_max=2.0))
    for step in range(1, 80):
        feedback.update(torch.zeros(1), step * batch, batch)
        expected = min(2.0, rate * max(0, step * batch - warmup) / 1000)
        assert feedback.capacity == pytest.approx(expected, rel=1e-9)
    assert feedback.signal == 2.0


@pytest.mark.parametrize("kind", KINDS)
def test_c_waits_through_the_warm_up_while_the_signal_is_already_measured(kind: str) -> None:
    feedback = _feedback(kind, warmup=100)
    for images in range(10, 110, 10):
        feedback.update(_sums(kind, [1.0] * 6), images, 10)
        assert feedback.capacity == 0
    assert feedback.signal > 0
    feedback.update(_sums(kind, [1.0] * 6), 110, 10)
    assert feedback.capacity > 0


@pytest.mark.parametrize("kind", KINDS)
@given(numbers=signals)
def test_state_survives_json_exactly(kind: str, numbers: list[list[float]]) -> None:
    first = _feedback(kind)
    for step, row in enumerate(numbers, 1):
        first.update(_sums(kind, row), step * 64, 64)
    text = json.dumps(first.state())
    second = _feedback(kind)
    second.load_state(json.loads(text))
    assert second.state() == first.state()
    for feedback in (first, second):
        feedback.update(_sums(kind, [0.1, 0.7, 5.0, 1.0, 2.0, 3.0]), 10**6, 64)
    assert second.state() == first.state()


def test_a_saved_state_does_not_move_with_its_owner() -> None:
    feedback = _feedback("information")
    saved = feedback.state()
    before = json.dumps(saved)
    feedback.update(torch.ones(6), 64, 64)
    assert json.dumps(saved) == before


def test_a_state_with_other_bins_is_refused() -> None:
    state = _feedback("information").state()
    with pytest.raises(ValueError, match=r"3 bins but feedback\.bins is 5; use feedback\.bins=3"):
        _feedback("information", bins=5).load_state(state)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_closed_loop_has_feedback(kind: str) -> None:
    for method in ("vae", "diffusion", "open"):
        assert type(_built(method, kind=kind)) is Linear
    if kind != "linear":
        wanted = {"reverse_kl": ReverseKL, "information": Information}[kind]
        assert type(_built("closed", kind=kind)) is wanted


@pytest.mark.parametrize("log_snr_max", [-20.0, 9.5, 1e6])
def test_an_snr_range_that_the_process_does_not_have_is_refused(log_snr_max: float) -> None:
    with pytest.raises(ValueError, match=r"log_snr_max .* must be above -10\.\d+ and at most 9\."):
        Information(_config(log_snr_max=log_snr_max), noise_process())


# --- the KL of the reverse process


def _posterior(process: NoiseProcess, x0: Tensor, x_t: Tensor, t: int) -> Normal:
    """q(x_{t-1} | x_t, x0) by Bayes' rule from q(x_t | x_{t-1}) and q(x_{t-1} | x0), t >= 1."""
    bar, before = (float(process.alpha_bar[i].double()) for i in (t, t - 1))
    alpha = bar / before
    # x_{t-1} ~ N(sqrt(before) x0, 1 - before) and x_t ~ N(sqrt(alpha) x_{t-1}, 1 - alpha)
    precision = 1 / (1 - before) + alpha / (1 - alpha)
    mean = before**0.5 * x0.double() / (1 - before) + alpha**0.5 * x_t.double() / (1 - alpha)
    return Normal(mean / precision, torch.full_like(mean, precision**-0.5))


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(t=st.integers(1, 999), seed=st.integers(0, 2**31))
def test_reverse_kl_is_that_of_the_ddpm_posterior(schedule: str, t: int, seed: int) -> None:
    process = noise_process(schedule=schedule)
    x0, x_t = torch.randn(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    found = ReverseKL(_config(), process).reverse_kl(x0, x_t, torch.tensor([t, t]))
    standard = Normal(torch.zeros(2, 3, 4, 4).double(), torch.ones(2, 3, 4, 4).double())
    posterior = _posterior(process, x0, x_t, t)
    expected = kl_divergence(posterior, standard).sum(dim=(1, 2, 3))
    torch.testing.assert_close(found.double(), expected, rtol=2e-3, atol=1e-3)


def test_reverse_kl_at_the_last_step_is_finite_and_highest() -> None:
    process = noise_process()
    feedback = ReverseKL(_config(), process)
    generator = torch.Generator().manual_seed(0)
    # The same image and noise at each t, so that only t differs.
    x0 = (torch.rand(1, 3, 2, 2, generator=generator) * 2 - 1).expand(1000, -1, -1, -1)
    noise = torch.randn(1, 3, 2, 2, generator=generator).expand(1000, -1, -1, -1)
    t = torch.arange(1000)
    found = feedback.reverse_kl(x0, process.add_noise(x0, t, noise), t)
    assert bool(torch.isfinite(found).all()) and (found >= 0).all()
    # t = 0 has the variance of t = 1: as DDPM clips it
    assert float(found[0] - found[1]) == pytest.approx(0, abs=2)
    assert found[2] < found[1] and found[500] > found[998]


def _seen(process: NoiseProcess, t: Tensor, quality: float, seed: int = 0) -> ReverseSample:
    g = torch.Generator().manual_seed(seed)
    n = len(t)
    x0 = (torch.rand(1, 3, 8, 8, generator=g) * 2 - 1).expand(n, -1, -1, -1)
    noise = torch.randn(1, 3, 8, 8, generator=g).expand(n, -1, -1, -1)
    x_t = process.add_noise(x0, t, noise)
    return ReverseSample(x0, torch.zeros(n, 2), x_t, t, quality * x0, noise, torch.zeros(n))


def _shares(t: Tensor, quality: float) -> list[float]:
    process = noise_process()
    feedback = ReverseKL(_config(), process)
    found = []
    for one in t:
        total, count = feedback.observe(lambda *_: None, _seen(process, one[None], quality))  # type: ignore[arg-type,return-value]
        assert float(count) == 1
        found.append(float(total))
    return found


def test_the_share_runs_from_no_to_all_information() -> None:
    shares = _shares(torch.tensor([999, 900, 600, 300, 100, 20, 2, 0]), quality=1.0)
    assert all(0 <= share <= 1 for share in shares)
    assert shares == sorted(shares)
    assert shares[0] < 0.01 and shares[-1] > 0.99


@pytest.mark.parametrize("t", [0, 1, 10, 300])
def test_the_share_falls_as_the_estimate_fades_to_grey(t: int) -> None:
    shares = [_shares(torch.tensor([t]), quality)[0] for quality in (0.0, 0.5, 1.0)]
    assert shares == sorted(shares)
    if t in (0, 1):
        assert shares[0] < shares[2]


def test_reverse_kl_averages_over_rows_and_time() -> None:
    feedback = ReverseKL(_config(memory=1000, capacity_max=8.0), noise_process())
    average = 0.0
    for share in (0.2, 0.9, 0.5):
        assert feedback.target(torch.tensor([share * 64, 64.0]), 100) == pytest.approx(
            8.0 * (math.exp(-0.1) * average + (1 - math.exp(-0.1)) * share), rel=1e-5
        )
        average = feedback.average
    for _ in range(200):
        feedback.target(torch.tensor([32.0, 64.0]), 100)
    assert feedback.signal == 0 and feedback.average == pytest.approx(0.5, abs=1e-3)
