"""The information that a denoiser draws from its code, in nats, from few rows of every batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cldis.diffusion.process import NoiseProcess

Denoise = Callable[..., Tensor]  # (x_t, t, z, drop) -> prediction
Read = Callable[[Tensor], Tensor]  # images [n, 3, H, W] -> means of the code [n, d]

LOG_SNR_MAX = 1.0  # the code was readable below that in every run that was looked at
READABLE = 0.8  # share of the code's variance: from there on nothing is left to say
STATE = ("totals", "errors", "counts", "moments")


def two_estimates(
    process: NoiseProcess, denoise: Denoise, x0: Tensor, z: Tensor, noise: Tensor, log_snr: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """t [n] nearest to log_snr [n], then x0_hat(x_t) and x0_hat(x_t, z), each as x0."""
    t = process.nearest_t(log_snr)
    x_t = process.add_noise(x0, t, noise)
    hidden, shown = (
        process.to_x0(denoise(x_t, t, z, torch.full_like(t, drop).bool()).float(), x_t, t)
        for drop in (1, 0)
    )
    return t, hidden, shown


class InformationMeter:
    """I(x; z) by the I-MMSE relation, in the orthogonal form (never negative, and no difference of
    two large errors):

        I(x; z) = 1/2 * integral of E |x0_hat(x_t) - x0_hat(x_t, z)|^2 dSNR.

    It equals the integral of mmse(x | x_t) - mmse(x | x_t, z) (Guo, Shamai & Verdu 2005) where both
    estimates are conditional means. The integral ends where the code can be read from the estimate
    that was made without it: 1 - E |E_sem(x0_hat(x_t)) - z|^2 / Var(z) reaches `READABLE`. From
    there on x_t tells what the code tells, and what is left between the two estimates is a fault of
    the network.
    """

    def __init__(self, process: NoiseProcess, units: int, bins: int) -> None:
        self.process, self.bins = process, bins
        last = torch.tensor([len(process.alpha_bar) - 1], device=process.alpha_bar.device)
        self.low, self.high = float(process.log_snr(last)), LOG_SNR_MAX
        self.totals, self.errors, self.counts = ([0.0] * bins for _ in range(3))
        self.moments = [0.0] * (units + 2)  # sums of z per unit, of |z|^2, and the count

    @torch.no_grad()
    def listen(
        self, denoise: Denoise, read: Read, x0: Tensor, z: Tensor, noise: Tensor, uniform: Tensor
    ) -> Tensor:
        """Sums over rows, a flat float tensor that may be added over processes.

        Args:
            x0: images [n, 3, H, W]; z: their codes [n, d], as the denoiser gets them.
            noise: standard normal [n, 3, H, W]; uniform: [n] in [0, 1), the noise level of each.

        Returns:
            Per bin of log SNR: the weighted distance of the two estimates, the error of reading the
            code, the count; then the moments of the code.
        """
        log_snr = self.low + (self.high - self.low) * uniform
        t, hidden, shown = two_estimates(self.process, denoise, x0, z, noise, log_snr)
        distance = (hidden - shown).flatten(1).pow(2).sum(dim=1) * self.process.log_snr(t).exp()
        code = read(x0).float()
        error = (read(hidden.clamp(-1, 1)).float() - code).pow(2).sum(dim=1)
        where = (uniform * self.bins).long().clamp(max=self.bins - 1)
        sums = x0.new_zeros(3, self.bins, dtype=torch.float32)
        for row, value in zip(sums, (distance, error, torch.ones_like(error)), strict=True):
            row.index_add_(0, where, value.float())
        moments = [code.sum(dim=0), code.pow(2).sum()[None], code.new_tensor([float(len(code))])]
        return torch.cat([sums.flatten(), *moments])

    def add(self, sums: Tensor, keep: float = 1.0) -> None:
        """Add what `listen` gave; of what was there before, the share `keep` stays."""
        values = iter(sums.double().cpu().tolist())
        for moving in (self.totals, self.errors, self.counts, self.moments):
            moving[:] = [keep * old + next(values) for old in moving]

    def nats(self) -> float:
        """I(x; z). Bins without rows count as zero."""
        width, found, before = (self.high - self.low) / self.bins, 0.0, 0.0
        for total, error, count in zip(self.totals, self.errors, self.counts, strict=True):
            if not count:
                continue
            readable = self.readable(error / count)
            if readable < READABLE:
                found += 0.5 * width * total / count
                before = max(before, readable)
                continue
            below = (READABLE - before) / (readable - before)  # the part before the crossing
            return found + 0.5 * width * below * total / count
        return found

    def readable(self, error: float) -> float:
        """Share of the code's variance that is explained with a mean error |z_hat - z|^2."""
        *sums, squares, count = self.moments
        variance = squares / count - sum((total / count) ** 2 for total in sums)
        return 1 - error / variance if variance > 1e-12 else 0.0

    def state(self) -> dict[str, Any]:
        return {name: list(getattr(self, name)) for name in STATE}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: it has other bins or units.
        """
        for name in STATE:
            found, own = state[name], getattr(self, name)
            if len(found) != len(own) or not all(map(math.isfinite, found)):
                raise ValueError(
                    f"the saved feedback has {len(found)} {name} but these settings need "
                    f"{len(own)} numbers; use the feedback.bins and model.units it was saved with"
                )
            own[:] = map(float, found)
