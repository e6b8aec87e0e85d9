"""The loop's second form: what each phase trains, and what the hand-overs keep."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch

from cldis.loop.feedback import build_feedback
from cldis.loop.feedback.rate import RateFeedback
from cldis.loop.phases import TrainingPhase, phase_at
from cldis.loop.rate_loop import NOISE, RateLoop
from cldis.loop.step import StepNoise
from cldis.methods.build import build
from cldis.networks.gaussian import kl_to_standard
from cldis.networks.space import Views
from loop.small import RATE_LOOP, SMALL, perturbed, pictures

PHASES = (
    "loop.margin=0.1",
    "loop.vae_alone=64",
    "loop.rate_from=128",
    "distillation.warmup=0",
    "distillation.end=96",
    "distillation.rest=0.25",
    "distillation.weight=0.01",
)
RATE = RATE_LOOP.with_overrides([*SMALL, *PHASES])


def made(scale: float = 0.05) -> RateLoop:
    torch.manual_seed(0)
    return cast(RateLoop, perturbed(build(RATE), 0, scale))


def feedback_of(loop: RateLoop) -> RateFeedback:
    return cast(RateFeedback, build_feedback(loop.config, loop.process))


@pytest.mark.parametrize(
    ("images", "learning", "weight"),
    [
        (0, {"vae"}, 0.0),
        (63, {"vae"}, 0.0),
        (64, {"diffusion"}, 0.01),
        (80, {"diffusion"}, 0.005),
        (96, {"diffusion"}, 0.0025),
        (127, {"diffusion"}, 0.0025),
        (128, {"vae", "diffusion"}, 0.0),
    ],
)
def test_who_learns_in_which_phase(images: int, learning: set[str], weight: float) -> None:
    loop = made()
    phase = phase_at(RATE, images)
    assert phase.lambda_dt == pytest.approx(weight)
    noise = StepNoise.draw(RATE, 8, torch.Generator().manual_seed(0))
    out = loop(Views.pixels(pictures(8)), noise, phase, feedback_of(loop))
    out.loss.backward()
    assert learning == {
        name
        for name, parameters in loop.branches().items()
        if any(p.grad is not None for p in parameters)
    }
    assert out.signal is None
    heard = loop.listen(Views.pixels(pictures(8)), noise, phase, feedback_of(loop))
    assert (heard is None) is (images < 64)


def test_nothing_is_heard_where_no_rate_is_lowered() -> None:
    config = RATE.with_overrides(["loop.rate_from=0"])
    loop = cast(RateLoop, perturbed(build(config), 0, 0.05))
    noise = StepNoise.draw(config, 8, torch.Generator().manual_seed(0))
    x = Views.pixels(pictures(8))
    assert loop.listen(x, noise, phase_at(config, 1000), feedback_of(loop)) is None


def test_e_sem_begins_as_the_encoder_of_the_vae() -> None:
    loop, x = made(0.3), pictures(32)
    assert loop.vae is not None and loop.semantic is not None
    with torch.no_grad():  # two units that say something, two that do not
        last = loop.vae.encoder.layers[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight[:2] *= 20
        last.bias[4:6] = -3.0
        last.weight[[2, 3, 6, 7]] = 0
        last.bias[[2, 3, 6, 7]] = 0
    before = loop.vae.encode(x)
    nats = kl_to_standard(before).mean(dim=0)
    assert bool((nats[:2] > 0.3).all()) and bool((nats[2:] < 0.3).all())
    loop.enter(TrainingPhase(vae=False, diffusion=True), x)
    after = loop.semantic(x)
    assert torch.equal(after.mean[:, :2], before.mean[:, :2])
    free = after.mean[:, 2:].std(dim=0)
    assert bool((free > 0).all())  # they are not dead,
    assert bool((free < after.mean[:, :2].std(dim=0).max()).all())  # but small
    assert torch.equal(loop.vae.encode(x).mean, before.mean)


def test_only_units_that_the_vae_is_sure_of_are_held() -> None:
    loop, x = made(0.3), pictures(16)
    assert loop.vae is not None and loop.semantic is not None
    noise = StepNoise.draw(RATE, 16, torch.Generator().manual_seed(0))
    out = loop(Views.pixels(x), noise, phase_at(RATE, 64), feedback_of(loop))
    with torch.no_grad():
        q, code = loop.vae.encode(x), loop.semantic(x).mean
    by_hand = sum(
        max(0.0, 1 - float(q.log_variance[i, j].exp())) * float(q.mean[i, j] - code[i, j]) ** 2
        for i in range(16)
        for j in range(4)
    )
    assert float(out.terms["distillation"]) == pytest.approx(by_hand / 16, rel=1e-4)
    assert float(out.loss) == pytest.approx(
        float(out.terms["diffusion"]) + 0.01 * by_hand / 16, rel=1e-5
    )


def test_units_become_standard_and_the_images_stay() -> None:
    """Before and after, the denoiser says the same of the same image; each unit has mean 0 and
    standard deviation 1, and the noise of q_sem is `NOISE`."""
    loop, x = made(0.3), pictures(64)
    assert loop.semantic is not None and loop.denoiser is not None and loop.vae is not None
    x_t, t = pictures(64, seed=1), torch.arange(64) * 10
    with torch.no_grad():
        before = loop.denoiser(x_t, t, loop.semantic(x).mean)
        loop.enter(TrainingPhase(vae=True, diffusion=True, rate=True), x)
        q = loop.semantic(x)
        after = loop.denoiser(x_t, t, q.mean)
    assert torch.allclose(before, after, rtol=1e-3, atol=1e-3)
    assert float(before.std()) > 0.1
    assert torch.allclose(q.mean.mean(dim=0), torch.zeros(4), atol=1e-4)
    assert torch.allclose(q.mean.std(dim=0), torch.ones(4), atol=1e-3)
    assert torch.allclose(q.scale, torch.full((64, 4), NOISE))
    back = loop.vae.encode(x)
    assert torch.equal(back.mean, q.mean) and torch.equal(back.log_variance, q.log_variance)


def test_the_step_that_counts_the_rate_is_its_equation() -> None:
    loop, x = made(0.3), pictures(16)
    assert loop.semantic is not None
    feedback = feedback_of(loop)
    feedback.integral = math.log(2e-3)
    noise = StepNoise.draw(RATE, 16, torch.Generator().manual_seed(0))
    out = loop(Views.pixels(x), noise, phase_at(RATE, 200), feedback)
    with torch.no_grad():
        rate = kl_to_standard(loop.semantic(x)).sum(dim=1).mean()
    assert float(out.terms["rate"]) == pytest.approx(float(rate), rel=1e-5)
    expected = sum(float(out.terms[name]) for name in ("diffusion", "vae_nll", "distillation"))
    assert float(out.loss) == pytest.approx(expected + 2e-3 * float(rate), rel=1e-5)


def sums(feedback: RateFeedback, gain: float) -> torch.Tensor:
    """What `listen` gives where every bin alike gains `gain` and nothing can be read."""
    bins = feedback.config.bins
    meter = [torch.full((bins,), gain), torch.ones(bins), torch.ones(bins)]
    moments = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    return torch.cat([*meter, moments])


def test_the_controller_brings_the_rate_to_the_information() -> None:
    """A code whose rate answers to its price, R = 30 - 4 ln(1 + mu / 1e-5), as a stand-in."""
    feedback = feedback_of(made())
    wanted = 12.0
    gain = 2 * wanted / (feedback.meter.high - feedback.meter.low)  # every bin alike
    rate = 30.0
    seen = []
    for step in range(1, 4001):
        feedback.update(sums(feedback, gain), 16 * step, 16, rate)
        rate = 30 - 4 * math.log(1 + feedback.multiplier / 1e-5)
        seen.append(rate)
    assert feedback.signal == pytest.approx(1.1 * wanted, rel=1e-3)
    assert feedback.capacity == pytest.approx(1.1 * wanted, rel=1e-3)
    assert seen[-1] == pytest.approx(1.1 * wanted, abs=0.1)
    falls = [a - b for a, b in zip(seen[:800], seen[1:801], strict=True)]
    assert max(falls) < 1.0  # in small steps
    assert min(seen) > 1.1 * wanted - 2  # and without overshooting far


def test_before_the_rate_counts_the_feedback_only_listens() -> None:
    feedback = feedback_of(made())
    feedback.capacity = 7.0
    feedback.update(sums(feedback, 2.0), 16, 16)
    assert feedback.capacity == 7.0 and feedback.signal > 0 and feedback.rate == 0
    feedback.update(sums(feedback, 2.0), 32, 16, 30.0)
    assert feedback.capacity == pytest.approx(30.0, abs=0.1)  # C begins at the rate that there is
    again = feedback_of(made())
    again.load_state(feedback.state())
    assert again.state() == feedback.state()
    before = feedback.state()
    feedback.update(sums(feedback, math.nan), 48, 16, 30.0)
    assert feedback.state() == before


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("loop.rate_from=64", "must be above loop.vae_alone 64"),
        ("model.space=a/folder model.latent_pixels=1", "needs model.space=pixels"),
        ("model.vae_width=16", "must equal model.vae_width 16"),
    ],
)
def test_mistakes_in_the_phases(setting: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RATE.with_overrides(setting.split())


def test_unmixed_units_draw_the_same_and_are_those_of_e_sem() -> None:
    config = RATE.with_overrides(["loop.unmix=true"])
    torch.manual_seed(0)
    loop = cast(RateLoop, perturbed(build(config), 0, 0.3))
    assert loop.vae is not None and loop.semantic is not None
    even = torch.rand(1200, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x = even.expand(-1, -1, 16, 16)  # three colours, each with a strength of its own
    last = loop.vae.encoder.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():  # three units that say something, one that does not
        last.weight[:3] *= 4
        last.bias[4:7] = -3.0
        last.weight[[3, 7]] = 0
        last.bias[[3, 7]] = 0
    before = loop.vae.encode(x)
    drawn = loop.vae.decode(before.mean)
    loop.enter(TrainingPhase(vae=False, diffusion=True), x)
    after = loop.vae.encode(x)
    assert not torch.allclose(after.mean[:, :3], before.mean[:, :3], atol=0.1)
    assert torch.equal(after.mean[:, 3], before.mean[:, 3])
    assert torch.allclose(loop.vae.decode(after.mean), drawn, atol=1e-3)
    assert torch.equal(loop.semantic(x).mean[:, :3], after.mean[:, :3])
    whole = after.mean.var(dim=0) + after.log_variance.exp().mean(dim=0)
    assert whole[:3].tolist() == pytest.approx([1, 1, 1], abs=0.01)
