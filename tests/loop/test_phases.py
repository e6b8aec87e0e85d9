"""The phases: the VAE alone while C rises evenly, both, then the VAE frozen."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cldis.config import DistillationConfig
from cldis.loop.feedback import build_feedback
from cldis.loop.phases import TrainingPhase, distillation_weight, phase_at
from cldis.loop.step import StepNoise
from cldis.networks.space import Views
from loop.small import pictures, small_config, small_loop

FIRST_ALONE = ("loop.vae_alone=64", "feedback.warmup=0", "feedback.rate=10")


@pytest.mark.parametrize(
    ("images", "branches"),
    [
        (0, {"vae"}),
        (63, {"vae"}),
        (64, {"vae", "diffusion"}),
        (95, {"vae", "diffusion"}),
        (96, {"diffusion"}),
        (10_000, {"diffusion"}),
    ],
)
def test_who_has_gradients_in_which_phase(images: int, branches: set[str]) -> None:
    loop = small_loop(*FIRST_ALONE, "distillation.warmup=0", "distillation.end=96")
    feedback = build_feedback(loop.config, loop.process)
    noise = StepNoise.draw(loop.config, 8, torch.Generator().manual_seed(0))
    out = loop(Views.pixels(pictures(8)), noise, phase_at(loop.config, images), feedback)
    out.loss.backward()
    assert branches == {
        name
        for name, parameters in loop.branches().items()
        if any(p.grad is not None for p in parameters)
    }
    both = branches == {"vae", "diffusion"}
    assert (out.signal is not None) is both  # nobody listens while a branch is silent
    assert ("distillation" in out.terms) is both


@pytest.mark.parametrize(
    ("settings", "vae", "diffusion"),
    [
        (("method=vae",), True, False),
        (("method=diffusion",), False, True),
        (("method=open",), True, True),
        (("method=beta_vae",), True, False),
        (("method=encdiff",), False, True),
    ],
)
@given(images=st.integers(0, 10**7))
def test_without_phases_a_method_stays_as_it_is(
    settings: tuple[str, ...], vae: bool, diffusion: bool, images: int
) -> None:
    phase = phase_at(small_config(*settings), images)
    assert (phase.vae, phase.diffusion) == (vae, diffusion)


@pytest.mark.parametrize("settings", [("method=vae",), ("method=beta_vae",)])
def test_a_vae_without_a_student_is_never_frozen(settings: tuple[str, ...]) -> None:
    config = small_config(*settings, "distillation.warmup=0", "distillation.end=96")
    assert phase_at(config, 96) == TrainingPhase(vae=True, diffusion=False)


def test_capacity_rises_evenly_without_a_signal_and_then_hears_one() -> None:
    config = small_config(*FIRST_ALONE)
    feedback = build_feedback(config, small_loop(*FIRST_ALONE).process)
    for step in range(1, 5):
        feedback.update(None, 16 * step, 16)
        assert feedback.capacity == pytest.approx(10 * 16 * step / 1000)
    silent = torch.zeros(2 * config.feedback.bins)  # the decoder noise nothing from z_sem
    feedback.update(silent, 80, 16)
    assert feedback.signal == 0.0
    assert feedback.capacity == pytest.approx(10 * 16 * 3 / 1000)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("loop.vae_alone=64", "method=diffusion"), "is defined with loop.vae_alone=0"),
        (("loop.vae_alone=64", "method=vae"), "is defined with loop.vae_alone=0"),
        (("loop.vae_alone=640", "training.images=640"), "below training.images 640"),
        (
            ("loop.vae_alone=64", "distillation.warmup=0", "distillation.end=64"),
            "above loop.vae_alone 64",
        ),
        (("loop.vae_alone=-1",), "loop.vae_alone"),
    ],
)
def test_a_phase_that_makes_no_sense(settings: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        small_config(*settings)


@given(
    weight=st.floats(0, 10),
    warmup=st.integers(0, 1000),
    lead=st.integers(0, 1000),
    span=st.integers(1, 1000),
    images=st.integers(0, 3000),
)
def test_the_weight_waits_holds_and_lets_go(
    weight: float, warmup: int, lead: int, span: int, images: int
) -> None:
    start = max(warmup, lead)
    holds = DistillationConfig(weight=weight, warmup=warmup)
    assert distillation_weight(holds, lead, images) == (weight if images >= start else 0)

    config = DistillationConfig(weight=weight, warmup=warmup, end=start + span)
    found = distillation_weight(config, lead, images)
    assert 0 <= found <= weight
    if images < start or images >= start + span:
        assert found == 0
    else:
        assert found == pytest.approx(weight * (1 - (images - start) / span))
        assert distillation_weight(config, lead, images + 1) <= found
    assert distillation_weight(config, lead, start) == weight
