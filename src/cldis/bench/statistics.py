"""Means over seeds with their spread and 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Of n numbers: mean, standard deviation (n - 1), half-width of Student's 95 % interval.

    With one number, spread and half-width are None: one seed says nothing about the next.
    """

    n: int
    mean: float
    deviation: float | None
    half: float | None


def summary(values: Sequence[float]) -> Summary:
    """Student's t-interval of the mean: mean +- t_{.975, n-1} * s / sqrt(n).

    It assumes seeds that are independent and scores that are about normal.

    Raises:
        ValueError: no number, or one that is not finite.
    """
    n = len(values)
    if not n or not all(map(math.isfinite, values)):
        raise ValueError(f"cannot average {list(values)}; give finite numbers, at least one")
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(1, mean, None, None)

    from scipy.stats import t

    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / math.sqrt(n)
    return Summary(n, mean, deviation, half)


def reached(images: Sequence[float], scores: Sequence[float], goal: float) -> float | None:
    """Where a curve first reaches `goal`, on straight lines between its points; None: never.

    `images` ascend. A curve that starts above the goal has reached it at its first point, at the
    latest.
    """
    assert len(images) == len(scores)
    for k, (x, y) in enumerate(zip(images, scores, strict=True)):
        if y >= goal:
            if k == 0:
                return x
            before, low = images[k - 1], scores[k - 1]
            return before + (x - before) * (goal - low) / (y - low)
    return None
