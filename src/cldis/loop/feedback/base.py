"""What every feedback is: a look at the reverse process, and a bounded move of C.

Each strategy looks at the reverse process (`observe`, no gradients, sums over the rows of this
process) and moves C (`update`, with the sums over all processes). C never rises faster than
`rate` nats per 1,000 images, whatever the signal says, and falls no faster either.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cldis.config import FeedbackConfig
from cldis.diffusion.information import Denoise


@dataclass(frozen=True)
class ReverseSample:
    """What a strategy may look at: rows of one micro-batch, detached."""

    x0: Tensor  # [n, c, h, w], in the space that is diffused in
    z: Tensor  # [n, d]
    x_t: Tensor  # [n, c, h, w], noised to t
    t: Tensor  # [n]
    x0_hat: Tensor  # [n, c, h, w], the model's own estimate from x_t and z
    noise: Tensor  # [n, c, h, w], fresh
    uniform: Tensor  # [n] in [0, 1), fresh


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

    def update(
        self, sums: Tensor | None, images: int, batch: int, rate: float | None = None
    ) -> None:
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
