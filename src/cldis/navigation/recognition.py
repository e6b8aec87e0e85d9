"""Which directions the predictor recognises on held-out images, against chance.

A direction counts as recognised when two things hold, each at 1 % over all directions together
(Bonferroni): its number is told more often than 1 / K (binomial test), and it moves something. The
second is needed because a direction that changes nothing is told by just that: no other pair looks
the same twice. It moves something when the sign of its shift is told more often than 1 / 2
(binomial), or when pairs in which nothing was moved are called by its number less often than its
own shifts are (Fisher's exact test). Hues need the latter: they go round in a circle and end where
the code ends, so before and after hardly tell the sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.stats import binom, fisher_exact
from torch import Tensor

LEVEL = 0.01


@dataclass(frozen=True)
class Recognition:
    """What the predictor made of `shifts` held-out shifts per direction; lists are [K]."""

    shifts: int
    accuracy: list[float]  # share of shifts whose direction was told
    sign: list[float]  # share of shifts whose sign was told
    change: list[float]  # mean |x' - x| over pixels, images in [-1, 1]
    still: list[float]  # share of as many pairs with nothing moved that were called k; adds to 1

    @property
    def chance(self) -> float:
        return 1 / len(self.accuracy)

    def p_values(self) -> list[tuple[float, float]]:
        """Of being told and of moving something; a lone direction cannot be told wrongly."""
        n = self.shifts
        found = []
        for share, signs, quiet in zip(self.accuracy, self.sign, self.still, strict=True):
            told, still = round(share * n), round(quiet * n)
            number = float(binom.sf(told - 1, n, self.chance)) if self.chance < 1 else 0.0
            sign = float(binom.sf(round(signs * n) - 1, n, 0.5))
            table = [[told, n - told], [still, n - still]]
            apart = float(fisher_exact(table, alternative="greater").pvalue)
            found.append((number, min(1.0, 2 * min(sign, apart))))
        return found

    def recognised(self) -> list[int]:
        """Numbers of the directions that pass both tests, the best recognised first."""
        limit = LEVEL / len(self.accuracy)
        alive = [k for k, pair in enumerate(self.p_values()) if max(pair) < limit]
        return sorted(alive, key=lambda k: (-self.accuracy[k], -self.sign[k], k))


class Tally:
    """Sums over held-out pairs, from which a `Recognition` is made."""

    def __init__(self, directions: int) -> None:
        self.count, self.told, self.signs, self.change, self.still = (
            torch.zeros(directions, dtype=torch.float64) for _ in range(5)
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

    def add_still(self, logits: Tensor) -> None:
        """A batch of pairs in which nothing was moved, logits [n, K]."""
        called = logits.argmax(dim=1).cpu()
        self.still.index_add_(0, called, torch.ones(len(called), dtype=torch.float64))

    def done(self) -> Recognition:
        shifts = int(self.count[0])
        assert bool((self.count == shifts).all()) and shifts > 0
        assert int(self.still.sum()) == shifts
        sums = (self.told, self.signs, self.change, self.still)
        return Recognition(shifts, *((part / shifts).tolist() for part in sums))


def held_out_rows(directions: int, shifts: int, batch: int) -> Iterator[Tensor]:
    """Every direction `shifts` times, in batches of direction numbers int64 [<= batch]."""
    yield from torch.arange(directions).repeat(shifts).split(batch)
