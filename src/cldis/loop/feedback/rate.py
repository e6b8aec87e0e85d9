"""The feedback of the second form: C is the rate that z_sem may have, and mu keeps it there."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from cldis.config import Config
from cldis.diffusion.process import NoiseProcess
from cldis.loop.feedback.base import Denoise, ReverseSample
from cldis.loop.feedback.information import Information

FALL = 1.0  # nats per 1,000 images that C may move, once it is the rate of z_sem
INTEGRAL = 1.25e-3  # change of ln(mu) per image and nat of excess rate
PROPORTIONAL = 0.1  # of ln(mu) per nat
LARGEST = 1.0  # excess in nats that counts at once, so that a far-off C is approached evenly
START, LOWEST, HIGHEST = 1e-5, 1e-6, 3e-3  # of mu; L_diff is a mean over pixels


class RateFeedback(Information):
    """C <- (1 + margin) * I(x; z_sem); mu by a PI controller on the rate (ControlVAE, Shao 2020).

    The information is in its orthogonal form, which is never negative and no difference of two
    large errors:

        I(x; z) = 1/2 * integral of E |x0_hat(x_t) - x0_hat(x_t, z)|^2 dSNR.

    It equals the difference of the two errors where both estimates are conditional means.
    """

    rows = 1  # of each micro-batch: two forward passes of one row

    def __init__(self, config: Config, process: NoiseProcess) -> None:
        super().__init__(config.feedback, process)
        self.margin = config.loop.margin
        self.rate = 0.0  # moving average of R in nats; 0: the rate does not count yet
        self.integral = math.log(START)

    @property
    def multiplier(self) -> float:
        """mu, the price of a nat of rate."""
        excess = max(-LARGEST, min(LARGEST, self.rate - self.capacity)) if self.rate else 0.0
        return math.exp(self._bounded(self.integral + PROPORTIONAL * excess))

    def gain(self, x0: Tensor, hidden: Tensor, shown: Tensor) -> Tensor:
        return (hidden - shown).flatten(1).pow(2).sum(dim=1)

    def observe(self, denoise: Denoise, seen: ReverseSample) -> Tensor:
        """As `Information`, and the sum of the rate with its count; without gradients."""
        with torch.no_grad():
            sums = super().observe(denoise, seen)
        rate = seen.rate.float()
        return torch.cat([sums, torch.stack([rate.sum(), rate.new_tensor(float(len(rate)))])])

    def update(self, sums: Tensor | None, images: int, batch: int, rate: bool = False) -> None:
        """Move C and mu; without `rate` the reverse process is only listened to."""
        if sums is None:
            super().update(None, images, batch)
            return
        if not bool(torch.isfinite(sums).all()):
            return
        self.signal = self.target(sums[:-2], batch)
        if not rate:
            return
        now = float(sums[-2] / sums[-1])
        if not self.rate:
            self.rate = self.capacity = now
        keep = math.exp(-batch / 320)
        self.rate = keep * self.rate + (1 - keep) * now
        step = FALL * batch / 1000
        goal = (1 + self.margin) * self.signal
        self.capacity += min(max(goal - self.capacity, -step), step)
        excess = max(-LARGEST, min(LARGEST, self.rate - self.capacity))
        self.integral = self._bounded(self.integral + INTEGRAL * batch * excess)

    @staticmethod
    def _bounded(logarithm: float) -> float:
        return max(math.log(LOWEST), min(math.log(HIGHEST), logarithm))

    def state(self) -> dict[str, Any]:
        return {**super().state(), "z_rate": self.rate, "integral": self.integral}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.rate, self.integral = float(state["z_rate"]), float(state["integral"])
