"""Diffusion-wise feedback: how the capacity C of the beta-VAE, or the rate of z_sem, moves."""

from __future__ import annotations

from collections.abc import Callable

from cldis.config import Config, FeedbackConfig
from cldis.diffusion.process import NoiseProcess
from cldis.loop.feedback.base import Feedback, Linear
from cldis.loop.feedback.information import Information
from cldis.loop.feedback.rate import RateFeedback
from cldis.loop.feedback.reverse_kl import ReverseKL

KINDS: dict[str, Callable[[FeedbackConfig, NoiseProcess], Feedback]] = {
    "reverse_kl": ReverseKL,
    "information": Information,
}


def build_feedback(config: Config, process: NoiseProcess) -> Feedback:
    """The strategy of a method: without feedback C rises linearly.

    Raises:
        ValueError: `feedback.log_snr_max` is outside the range of the noise process.
    """
    if not config.uses_feedback:
        return Linear(config.feedback)
    if config.lowers_rate:
        return RateFeedback(config, process)
    return KINDS[config.feedback.kind](config.feedback, process)
