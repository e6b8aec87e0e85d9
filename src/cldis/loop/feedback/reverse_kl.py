"""`reverse_kl`: C follows how far the reverse step has come from pure noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cldis.config import FeedbackConfig
from cldis.diffusion.information import Denoise
from cldis.diffusion.process import NoiseProcess
from cldis.loop.feedback.base import Feedback, ReverseSample


class ReverseKL(Feedback):
    """The figure's reading: C follows KL(p_theta(x_{t-1} | x_t, z_sem) || N(0, I)).

    The raw KL is of the order of 10^4 nats. It is normalised by its ends, T (0) and 1 (1), both
    taken from the true x0, averaged over the t of the batch and over time, and times
    `capacity_max`. Known weakness: the variance term dominates, so the share is almost a function
    of t alone, and the estimate of x0 enters only through its norm.
    """

    def __init__(self, config: FeedbackConfig, process: NoiseProcess) -> None:
        super().__init__(config)
        self.process = process
        self.average = 0.0

    def reverse_kl(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """KL of the posterior q(x_{t-1} | x_t, x0) from N(0, I), in nats, [n] (Ho 2020, eq. 6-7).

        The posterior variance at t = 0 is zero; as in DDPM it is clipped to that at t = 1.
        """
        table = self.process.alpha_bar
        alpha_bar = table[t]
        previous = torch.where(t > 0, table[(t - 1).clamp(min=0)], torch.ones_like(alpha_bar))
        beta = 1 - alpha_bar / previous
        floor = (1 - table[0]) / (1 - table[1]) * (1 - table[1] / table[0])
        variance = torch.maximum((1 - previous) / (1 - alpha_bar) * beta, floor)
        to_x0 = previous.sqrt() * beta / (1 - alpha_bar)
        to_xt = (alpha_bar / previous).sqrt() * (1 - previous) / (1 - alpha_bar)
        mean = to_x0.view(-1, 1, 1, 1) * x0 + to_xt.view(-1, 1, 1, 1) * x_t
        square = mean.flatten(1).pow(2).sum(dim=1)
        size = x0[0].numel()
        return 0.5 * (size * (variance - 1 - variance.log()) + square)

    def observe(self, denoise: Denoise, seen: ReverseSample) -> Tensor:
        kl = self.reverse_kl(seen.x0_hat, seen.x_t, seen.t)
        last = torch.full_like(seen.t, len(self.process.alpha_bar) - 1)
        first = torch.zeros_like(seen.t)
        top = self.reverse_kl(seen.x0, self.process.add_noise(seen.x0, first, seen.noise), first)
        low = self.reverse_kl(seen.x0, self.process.add_noise(seen.x0, last, seen.noise), last)
        share = ((kl - low) / (top - low)).clamp(0, 1)
        return torch.stack([share.sum(), share.new_tensor(float(len(share)))])

    def target(self, sums: Tensor, batch: int) -> float:
        mean = float(sums[0] / sums[1].clamp(min=1))
        keep = self.decay(batch)
        self.average = keep * self.average + (1 - keep) * mean
        return self.config.capacity_max * self.average

    def state(self) -> dict[str, Any]:
        return {**super().state(), "average": self.average}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.average = float(state["average"])
