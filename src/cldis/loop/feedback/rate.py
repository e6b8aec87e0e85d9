"""The feedback of the second form: C is the rate that z_sem may have, and mu keeps it there."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from cldis.config import Config
from cldis.diffusion.information import InformationMeter
from cldis.diffusion.process import NoiseProcess
from cldis.loop.feedback.base import Feedback

FALL = 1.0  # nats per 1,000 images that C may move, once it is the rate of z_sem
INTEGRAL = 1.25e-3  # change of ln(mu) per image and nat of excess rate
PROPORTIONAL = 0.1  # of ln(mu) per nat
LARGEST = 1.0  # excess in nats that counts at once, so that a far-off C is approached evenly
MEMORY = 320  # images in the moving average of the rate
START, LOWEST, HIGHEST = 1e-5, 1e-6, 3e-3  # of mu; L_diff is a mean over pixels


class RateFeedback(Feedback):
    """C <- (1 + margin) * I(x; z_sem); mu by a PI controller on the rate (ControlVAE, Shao 2020).

    While the VAE trains alone C rises evenly, as in `Linear`.
    """

    def __init__(self, config: Config, process: NoiseProcess) -> None:
        super().__init__(config.feedback)
        self.meter = InformationMeter(process, config.model.units, config.feedback.bins)
        self.margin = config.loop.margin
        self.rate = 0.0  # moving average of R in nats; 0: the rate does not count yet
        self.integral = math.log(START)

    def target(self, sums: Tensor, batch: int) -> float:
        self.meter.add(sums, self.decay(batch))
        return (1 + self.margin) * self.meter.nats()

    def update(
        self, sums: Tensor | None, images: int, batch: int, rate: float | None = None
    ) -> None:
        """Move C and mu by the R of the step; without it the meter only listens."""
        if sums is None:
            super().update(None, images, batch)
            return
        if not bool(torch.isfinite(sums).all()):
            return
        self.signal = self.target(sums, batch)
        if rate is None or not math.isfinite(rate):
            return
        if not self.rate:
            self.rate = self.capacity = rate
        keep = math.exp(-batch / MEMORY)
        self.rate = keep * self.rate + (1 - keep) * rate
        step = FALL * batch / 1000
        self.capacity += min(max(self.signal - self.capacity, -step), step)
        self.integral = bounded(self.integral + INTEGRAL * batch * self.excess())

    @property
    def multiplier(self) -> float:
        """mu, the price of a nat of rate."""
        return math.exp(bounded(self.integral + PROPORTIONAL * self.excess()))

    def excess(self) -> float:
        """R - C in nats, at most `LARGEST` either way."""
        return max(-LARGEST, min(LARGEST, self.rate - self.capacity))

    def state(self) -> dict[str, Any]:
        own = {"z_rate": self.rate, "integral": self.integral}
        return {**super().state(), **self.meter.state(), **own}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.meter.load_state(state)
        self.rate, self.integral = float(state["z_rate"]), float(state["integral"])


def bounded(logarithm: float) -> float:
    """ln(mu) between its ends."""
    return max(math.log(LOWEST), min(math.log(HIGHEST), logarithm))
