"""`information`: C follows the nats that the decoder draws from z_sem."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cldis.config import FeedbackConfig
from cldis.diffusion.information import Denoise, two_estimates
from cldis.diffusion.process import NoiseProcess
from cldis.loop.feedback.base import Feedback, ReverseSample


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
        """Per bin: sum of SNR (|x0 - x0_hat(x_t)|^2 - |x0 - x0_hat(x_t, z)|^2), and the count."""
        bins = self.config.bins
        log_snr = self.low + (self.high - self.low) * uniform
        t, *estimates = two_estimates(self.process, denoise, x0, z, noise, log_snr)
        errors = [(x0 - estimate).flatten(1).pow(2).sum(dim=1) for estimate in estimates]
        gain = (errors[0] - errors[1]) * self.process.log_snr(t).exp()
        where = (uniform * bins).long().clamp(max=bins - 1)
        sums = x0.new_zeros(2, bins, dtype=torch.float32)
        sums[0].index_add_(0, where, gain.float())
        sums[1].index_add_(0, where, torch.ones_like(gain, dtype=torch.float32))
        return sums.flatten()

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
