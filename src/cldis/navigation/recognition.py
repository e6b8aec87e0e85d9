"""Which directions the predictor recognises on held-out images, against chance.

A direction counts as recognised when two one-sided binomial tests reject chance, each at 1 % over
all directions together (Bonferroni): its number is told more often than 1 / K, and the sign of its
shift more often than 1 / 2. The second is needed because a single direction that changes nothing
is told by just that: no other pair looks the same twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.stats import binom
from torch import Tensor

LEVEL = 0.01


@dataclass(frozen=True)
class Recognition:
    """What the predictor made of `shifts` held-out shifts per direction; lists are [K]."""

    shifts: int
    accuracy: list[float]  # share of shifts whose direction was told
    sign: list[float]  # share of shifts whose sign was told
    change: list[float]  # mean |x' - x| over pixels, images in [-1, 1]

    @property
    def chance(self) -> float:
        return 1 / len(self.accuracy)

    def p_values(self) -> list[tuple[float, float]]:
        """Of direction and of sign, per direction; a lone direction cannot be told wrongly."""
        n = self.shifts
        return [
            (
                float(binom.sf(round(a * n) - 1, n, self.chance)) if self.chance < 1 else 0.0,
                float(binom.sf(round(s * n) - 1, n, 0.5)),
            )
            for a, s in zip(self.accuracy, self.sign, strict=True)
        ]

    def recognised(self) -> list[int]:
        """Numbers of the directions that pass both tests, the best recognised first."""
        limit = LEVEL / len(self.accuracy)
        alive = [k for k, pair in enumerate(self.p_values()) if max(pair) < limit]
        return sorted(alive, key=lambda k: (-self.accuracy[k], -self.sign[k], k))


class Tally:
    """Sums over held-out pairs, from which a `Recognition` is made."""

    def __init__(self, directions: int) -> None:
        self.count, self.told, self.signs, self.change = (
            torch.zeros(directions, dtype=torch.float64) for _ in range(4)
        )

    def add(self, k: Tensor, eps: Tensor, logits: Tensor, amount: Tensor, change: Tensor) -> None:
        """One batch: k, eps, amount, change [n], logits [n, K]."""
        k = k.cpu()
        for sums, values in (
            (self.count, torch.ones(len(k))),
            (self.told, logits.argmax(dim=1).cpu() == k),
            (self.signs, (amount * eps > 0).cpu()),
            (self.change, change.cpu()),
        ):
            sums.index_add_(0, k, values.double())

    def done(self) -> Recognition:
        shifts = int(self.count[0])
        assert bool((self.count == shifts).all()) and shifts > 0
        means = ((sums / shifts).tolist() for sums in (self.told, self.signs, self.change))
        return Recognition(shifts, *means)


def held_out_rows(directions: int, shifts: int, batch: int) -> Iterator[Tensor]:
    """Every direction `shifts` times, in batches of direction numbers int64 [<= batch]."""
    yield from torch.arange(directions).repeat(shifts).split(batch)
