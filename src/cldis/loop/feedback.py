"""Diffusion-wise feedback: how the capacity C of the beta-VAE moves.

Each strategy looks at the reverse process (`observe`, no gradients, sums over the rows of this
process) and moves C (`update`, with the sums over all processes). C never rises faster than
`rate` nats per 1,000 images, whatever the signal says, and falls no faster either.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cldis.config import Config, FeedbackConfig
from cldis.diffusion.process import NoiseProcess

Denoise = Callable[..., Tensor]  # (x_t, t, z, drop) -> prediction


@dataclass(frozen=True)
class ReverseSample:
    """What a strategy may look at: rows of one micro-batch, detached."""

    x0: Tensor  # [n, 3, H, W]
    z: Tensor  # [n, d]
    x_t: Tensor  # [n, 3, H, W], noised to t
    t: Tensor  # [n]
    x0_hat: Tensor  # [n, 3, H, W], the model's own estimate from x_t and z
    noise: Tensor  # [n, 3, H, W], fresh
    uniform: Tensor  # [n] in [0, 1), fresh
    rate: Tensor  # [n], KL(q_sem(z|x) || N(0, I)) in nats


class Feedback(ABC):
    """C as a function of training. `signal` is the last target for C, before the rate bound."""

    def __init__(self, config: FeedbackConfig) -> None:
        self.config = config
        self.capacity = 0.0
        self.signal = 0.0

    def observe(self, denoise: Denoise, seen: ReverseSample) -> Tensor:
        """Sums over these rows, a flat float tensor that may be added over processes."""
        return seen.x0.new_zeros(1)

    @abstractmethod
    def target(self, sums: Tensor, batch: int) -> float:
        """Where C should go, in nats, after `batch` more images."""

    def update(self, sums: Tensor | None, images: int, batch: int, rate: bool = False) -> None:
        """Move C towards the target; `images` were seen in all, `batch` of them just now.

        Args:
            sums: of `observe`, over all rows of the batch. None: the VAE trained alone, no reverse
                process ran, and the target is `capacity_max`. Sums that are not finite are left
                out: C and the averages stay as they were.
        """
        if sums is not None and not bool(torch.isfinite(sums).all()):
            return
        self.signal = self.config.capacity_max if sums is None else self.target(sums, batch)
        if images <= self.config.warmup:
            return
        step = self.config.rate * batch / 1000
        goal = min(max(self.signal, 0.0), self.config.capacity_max)
        self.capacity += min(max(goal - self.capacity, -step), step)

    def decay(self, batch: int) -> float:
        """How much of the moving average is left after `batch` images."""
        return math.exp(-batch / self.config.memory)

    def state(self) -> dict[str, Any]:
        return {"capacity": self.capacity, "signal": self.signal}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: it is of another kind of feedback, or of other bins.
        """
        missing = sorted(set(self.state()) - set(state))
        if missing:
            raise ValueError(
                f"the saved feedback lacks {', '.join(missing)}, so it is not of feedback.kind "
                f"{self.config.kind!r}; use the settings it was saved with"
            )
        self.capacity = float(state["capacity"])
        self.signal = float(state["signal"])


class Linear(Feedback):
    """Control without feedback: C rises at `rate` to `capacity_max` (Burgess et al. 2018)."""

    def target(self, sums: Tensor, batch: int) -> float:
        return self.config.capacity_max


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


class Information(Feedback):
    """Our extension: the information in nats that the decoder draws from z_sem, by I-MMSE.

    I(x; z) = 1/2 * integral of (mmse(x | x_t) - mmse(x | x_t, z)) dSNR
            = 1/2 * integral of (...) * SNR dlnSNR          (Guo, Shamai & Verdu 2005).
    A few rows of each batch are noised to a log-SNR drawn evenly from [log SNR at T,
    `log_snr_max`] and denoised twice, with z_sem and with the null condition; the paired
    difference of squared errors is averaged per bin. Information that only resolves above
    `log_snr_max` is not counted, and both terms are upper bounds of a true mmse.
    """

    rows = 4  # of each micro-batch: two extra forward passes of these cost about 3 %

    def __init__(self, config: FeedbackConfig, process: NoiseProcess) -> None:
        super().__init__(config)
        self.process = process
        ends = torch.tensor([len(process.alpha_bar) - 1, 0], device=process.alpha_bar.device)
        low, top = process.log_snr(ends).tolist()
        if not low < config.log_snr_max <= top:
            raise ValueError(
                f"feedback.log_snr_max {config.log_snr_max} must be above {low:.2f} and at most "
                f"{top:.2f}, the log-SNR at T and at 1; -2 suits images of 32 px, -3.4 of 64 px"
            )
        self.low, self.high = low, config.log_snr_max
        self.totals = [0.0] * config.bins
        self.counts = [0.0] * config.bins

    def observe(self, denoise: Denoise, seen: ReverseSample) -> Tensor:
        return self.differences(
            denoise,
            seen.x0[: self.rows],
            seen.z[: self.rows],
            seen.noise[: self.rows],
            seen.uniform[: self.rows],
        )

    def differences(
        self, denoise: Denoise, x0: Tensor, z: Tensor, noise: Tensor, uniform: Tensor
    ) -> Tensor:
        """Per bin: sum of SNR times `gain`, and the count."""
        bins = self.config.bins
        t = self.process.nearest_t(self.low + (self.high - self.low) * uniform)
        x_t = self.process.add_noise(x0, t, noise)
        estimates = []
        for hidden in (True, False):
            drop = torch.full_like(t, hidden, dtype=torch.bool)
            estimates.append(self.process.to_x0(denoise(x_t, t, z, drop).float(), x_t, t))
        gain = self.gain(x0, *estimates) * self.process.log_snr(t).exp()
        where = (uniform * bins).long().clamp(max=bins - 1)
        sums = x0.new_zeros(2, bins, dtype=torch.float32)
        sums[0].index_add_(0, where, gain.float())
        sums[1].index_add_(0, where, torch.ones_like(gain, dtype=torch.float32))
        return sums.flatten()

    def gain(self, x0: Tensor, hidden: Tensor, shown: Tensor) -> Tensor:
        """|x0 - x0_hat(x_t)|^2 - |x0 - x0_hat(x_t, z)|^2, [n]."""
        before = (x0 - hidden).flatten(1).pow(2).sum(dim=1)
        return before - (x0 - shown).flatten(1).pow(2).sum(dim=1)

    def target(self, sums: Tensor, batch: int) -> float:
        keep = self.decay(batch)
        gains, counts = sums.double().cpu().view(2, -1).tolist()
        for i, (gain, count) in enumerate(zip(gains, counts, strict=True)):
            self.totals[i] = keep * self.totals[i] + gain
            self.counts[i] = keep * self.counts[i] + count
        return self.estimate()

    def estimate(self) -> float:
        """I(x; z_sem) in nats from the bins; empty bins count as zero."""
        width = (self.high - self.low) / self.config.bins
        means = [
            total / count if count > 0 else 0.0
            for total, count in zip(self.totals, self.counts, strict=True)
        ]
        return 0.5 * width * sum(means)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "totals": list(self.totals), "counts": list(self.counts)}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if len(state["totals"]) != len(state["counts"]):
            raise ValueError(
                f"the saved feedback has {len(state['totals'])} totals but "
                f"{len(state['counts'])} counts, so it is damaged; use an older checkpoint"
            )
        if len(state["totals"]) != self.config.bins:
            raise ValueError(
                f"the saved feedback has {len(state['totals'])} bins but feedback.bins is "
                f"{self.config.bins}; use feedback.bins={len(state['totals'])}"
            )
        self.totals = [float(value) for value in state["totals"]]
        self.counts = [float(value) for value in state["counts"]]


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
        from cldis.loop.rate_feedback import RateFeedback

        return RateFeedback(config, process)
    return KINDS[config.feedback.kind](config.feedback, process)
