"""Which directions the predictor recognises on held-out images, against chance.

A direction counts as recognised when two things hold, each at 1 % over all directions together
(Bonferroni): the predictor names it more often than 1 / K (binomial test), and it moves something.
The second is needed because a direction that changes nothing is named by just that: no other pair
shows the same picture twice. It moves something when the predictor gives the sign of its shift more
often than 1 / 2 (binomial), or when it gives pairs without a shift this number less often than the
direction's own pairs (Fisher's exact test). Hues need the latter: they go round in a circle and end
where the code ends, so before and after hardly show the sign.
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
    accuracy: list[float]  # share of shifts whose direction the predictor names
    sign: list[float]  # share of shifts whose sign the predictor gives
    change: list[float]  # mean |x' - x| over pixels, images in [-1, 1]
    no_shift_rate: list[float]  # share of as many pairs without a shift that are named k; sum 1

    @property
    def chance(self) -> float:
        return 1 / len(self.accuracy)

    def p_values(self) -> list[tuple[float, float]]:
        """Of being named and of moving something; a lone direction cannot be named wrongly."""
        n = self.shifts
        pairs = []
        for accuracy, signs, rate in zip(self.accuracy, self.sign, self.no_shift_rate, strict=True):
            named, no_shift = round(accuracy * n), round(rate * n)
            number = float(binom.sf(named - 1, n, self.chance)) if self.chance < 1 else 0.0
            sign = float(binom.sf(round(signs * n) - 1, n, 0.5))
            table = [[named, n - named], [no_shift, n - no_shift]]
            apart = float(fisher_exact(table, alternative="greater").pvalue)
            pairs.append((number, min(1.0, 2 * min(sign, apart))))
        return pairs

    def recognised(self) -> list[int]:
        """Numbers of the directions that pass both tests, the best recognised first."""
        limit = LEVEL / len(self.accuracy)
        alive = [k for k, pair in enumerate(self.p_values()) if max(pair) < limit]
        return sorted(alive, key=lambda k: (-self.accuracy[k], -self.sign[k], k))


class RecognitionCounts:
    """Counts over held-out pairs, from which a `Recognition` is made."""

    def __init__(self, directions: int) -> None:
        self.count, self.named, self.signs, self.change, self.no_shift = (
            torch.zeros(directions, dtype=torch.float64) for _ in range(5)
        )

    def add(self, k: Tensor, eps: Tensor, logits: Tensor, amount: Tensor, change: Tensor) -> None:
        """One batch: k, eps, amount, change [n], logits [n, K]."""
        k = k.cpu()
        for sums, values in (
            (self.count, torch.ones(len(k))),
            (self.named, logits.argmax(dim=1).cpu() == k),
            (self.signs, (amount * eps > 0).cpu()),
            (self.change, change.cpu()),
        ):
            sums.index_add_(0, k, values.double())

    def add_no_shift(self, logits: Tensor) -> None:
        """A batch of pairs without a shift, logits [n, K]."""
        named = logits.argmax(dim=1).cpu()
        self.no_shift.index_add_(0, named, torch.ones(len(named), dtype=torch.float64))

    def done(self) -> Recognition:
        shifts = int(self.count[0])
        assert bool((self.count == shifts).all()) and shifts > 0
        assert int(self.no_shift.sum()) == shifts
        sums = (self.named, self.signs, self.change, self.no_shift)
        return Recognition(shifts, *((part / shifts).tolist() for part in sums))


def held_out_rows(directions: int, shifts: int, batch: int) -> Iterator[Tensor]:
    """Every direction `shifts` times, in batches of direction numbers int64 [<= batch]."""
    yield from torch.arange(directions).repeat(shifts).split(batch)
