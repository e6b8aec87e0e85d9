"""The monotonicity curve of a direction as lines of an inline SVG, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 10, 38
TINY = 1e-6  # grey levels; less is nothing


@dataclass(frozen=True)
class Chart:
    """Coordinates are those of a view box of `WIDTH` x `HEIGHT`."""

    line: str  # points of the mean over images
    dots: list[tuple[float, float]]
    band: str  # points round the area in which four of five images lie
    x_ticks: list[tuple[float, float]]  # (where, shift)
    y_ticks: list[tuple[float, float]]  # (where, grey levels)
    box: tuple[int, int, int, int]  # left, top, right, bottom of the axes
    alt: str

    @property
    def size(self) -> tuple[int, int]:
        return WIDTH, HEIGHT


def chart(row: dict[str, Any]) -> Chart:
    """Of a row of `directions.facts_of` with `shifts`, `curve`, `curve_low` and `curve_high`."""
    shifts, mean = row["shifts"], row["curve"]
    ticks = nice_ticks(max([*row["curve_high"], *mean]))
    box = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)

    def x(shift: float) -> float:
        return LEFT + (shift - shifts[0]) / (shifts[-1] - shifts[0]) * (box[2] - LEFT)

    def y(value: float) -> float:
        return box[3] - value / ticks[-1] * (box[3] - TOP)

    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        return [(round(x(s), 1), round(y(v), 1)) for s, v in zip(shifts, values, strict=True)]

    def text(pairs: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{a:g},{b:g}" for a, b in pairs)

    around = points(row["curve_high"]) + points(row["curve_low"])[::-1]
    whole = [shift for shift in shifts if float(shift).is_integer()]
    return Chart(
        line=text(points(mean)),
        dots=points(mean),
        band=text(around),
        x_ticks=[(round(x(shift), 1), shift) for shift in whole],
        y_ticks=[(round(y(value), 1), value) for value in ticks],
        box=box,
        alt=f"Change against shift: {mean[0]:.3g} grey levels at {shifts[0]:g}, "
        f"{min(mean):.3g} at the lowest, {mean[-1]:.3g} at {shifts[-1]:+g} standard deviations.",
    )


def nice_ticks(top: float, count: int = 4) -> list[float]:
    """Round values from 0 to at least `top`, at most `count` + 1 of them."""
    if top < TINY:
        return [0.0, 1.0]
    rough = top / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if power * factor >= rough)
    return [round(step * i, 10) for i in range(math.ceil(top / step - 1e-9) + 1)]
