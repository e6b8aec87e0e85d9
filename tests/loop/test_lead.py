"""While the VAE leads: it trains alone, C rises evenly, and then the other branch joins."""

from __future__ import annotations

import pytest
import torch

from cldis.loop.closed_loop import Draws
from cldis.loop.feedback import build_feedback
from loop.small import pictures, small_config, small_loop

LED = ("loop.lead=64", "feedback.warmup=0", "feedback.rate=10")


@pytest.mark.parametrize("leading", [True, False])
def test_only_the_vae_has_gradients_while_it_leads(leading: bool) -> None:
    loop = small_loop(*LED)
    feedback = build_feedback(loop.config.feedback, "closed", loop.process)
    feedback.leading = leading
    draws = Draws.draw(loop.config, 8, torch.Generator().manual_seed(0))
    out = loop(pictures(8), draws, 1.0, feedback)
    out.loss.backward()
    trained = {
        name: any(p.grad is not None for p in parameters)
        for name, parameters in loop.branches().items()
    }
    assert trained == {"vae": True, "diffusion": not leading}
    assert (out.signal is None) is leading
    assert ("distillation" in out.terms) is not leading


def test_capacity_rises_evenly_without_a_signal_and_then_hears_one() -> None:
    config = small_config(*LED)
    feedback = build_feedback(config.feedback, "closed", small_loop(*LED).process)
    feedback.leading = True
    for step in range(1, 5):
        feedback.update(torch.zeros(1), 16 * step, 16)
        assert feedback.capacity == pytest.approx(10 * 16 * step / 1000)
    feedback.leading = False
    silent = torch.zeros(2 * config.feedback.bins)  # the decoder draws nothing from z_sem
    feedback.update(silent, 80, 16)
    assert feedback.signal == 0.0
    assert feedback.capacity == pytest.approx(10 * 16 * 3 / 1000)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("loop.lead=64", "loop.arm=diffae"), "needs a VAE"),
        (("loop.lead=64", "loop.arm=vae"), "needs a VAE"),
        (("loop.lead=640", "training.images=640"), "below training.images 640"),
        (
            ("loop.lead=64", "distillation.warmup=0", "distillation.release=64"),
            "above loop.lead 64",
        ),
        (("loop.lead=-1",), "loop.lead"),
    ],
)
def test_a_lead_that_makes_no_sense(settings: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        small_config(*settings)
