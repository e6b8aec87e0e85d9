"""Small diagrams as inline SVG in the colours of the page: distributions, curves, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

BINS = 28
LEFT, TOP, RIGHT, BOTTOM = 44, 12, 300, 216  # axes of a chart of curves
DODGE = 2.4  # pixels between the intervals of two curves
LINE = 13  # pixels between two names
LETTERS = 22  # of a name beside a chart
# Colour and dashes of a series: this run's codes, other runs' codes, controls in grey.
Style = tuple[str, str]
OWN: tuple[Style, ...] = (("c1", ""), ("c3", "5 2"))
OTHERS: tuple[Style, ...] = (("c2", ""), ("c4", "6 3"), ("c2", "2 2"), ("c4", "2 2"))
CONTROLS: tuple[Style, ...] = (("soft", ""), ("soft", "5 3"), ("soft", "1.5 3"))
Floats = NDArray[np.floating[Any]]


def histogram(values: Sequence[Floats], words: str, width: int = 300, height: int = 74) -> Markup:
    """One or two distributions over one axis; each is scaled to its own number of images.

    The axis covers all but the outermost .2 % of the values together; those count at its ends.
    """
    together = np.concatenate(list(values))
    low, high = (float(v) for v in np.quantile(together, [0.001, 0.999]))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts = [
        np.histogram(np.clip(part, low, high), bins=BINS, range=(low, high))[0] / len(part)
        for part in values
    ]
    top = max(float(part.max()) for part in counts)
    step, bottom = width / BINS, height - 16
    scale = (bottom - 4) / top
    drawn = []
    for part, (colour, opacity) in zip(counts, (("c1", 0.75), ("c2", 0.6)), strict=False):
        bars = " ".join(
            f"M{k * step + 0.5:.1f} {bottom}v{-share * scale:.1f}h{step - 1:.1f}V{bottom}"
            for k, share in enumerate(part)
            if share > 0
        )
        drawn.append(f'<path class="{colour}" fill="currentColor" opacity="{opacity}" d="{bars}"/>')
    ends = ((0, low, "start"), (width / 2, (low + high) / 2, "middle"), (width, high, "end"))
    ticks = [_text(x, height - 3, short(value), anchor) for x, value, anchor in ends]
    return _svg(width, height, words, [*drawn, _path(f"M0 {bottom}H{width}"), *ticks])


def few_labels(series: Sequence[dict[str, Any]], chance: float, unit: str, words: str) -> Markup:
    """Few-label curves, their 95 % intervals, and the names at their ends.

    Args:
        series: `name`, `style` and `points` of `probes.curves`.
        chance: a dotted line, where above 0.
        unit: of the upright axis.
        words: what is seen, for those who do not see it.
    """
    sizes = sorted({point["labels"] for item in series for point in item["points"]})
    values = [point["score"] for item in series for point in item["points"]]
    ceiling = min(1.0, float(np.ceil(max([*values, chance, 0.1]) * 10 + 0.5)) / 10)

    def x(labels: int) -> float:
        return LEFT + 14 + sizes.index(labels) * (RIGHT - LEFT - 28) / max(1, len(sizes) - 1)

    def y(value: float) -> float:  # R2 below 0 lies on the axis
        return BOTTOM - min(max(value, 0.0), ceiling) / ceiling * (BOTTOM - TOP)

    parts = []
    for tick in np.arange(0, ceiling + 1e-9, 0.2 if ceiling > 0.5 else 0.1):
        at = y(float(tick))
        parts += [
            _path(f"M{LEFT} {at:.1f}H{RIGHT}", opacity=0.25),
            _text(LEFT - 6, at + 4, f"{tick:.1f}", "end"),
        ]
    for size in sizes:
        text = f"all {size:,}" if size == sizes[-1] else f"{size:,}"
        parts.append(_text(x(size), BOTTOM + 16, text))
    parts.append(_text((LEFT + RIGHT) / 2, BOTTOM + 33, "labelled images"))
    middle = (TOP + BOTTOM) / 2
    parts.append(f'<g transform="translate(11 {middle}) rotate(-90)">{_text(0, 0, unit)}</g>')
    ends = []
    if chance > 0:
        parts.append(_path(f"M{LEFT} {y(chance):.1f}H{RIGHT}", dashes="1 3"))
        ends.append((y(chance), "guessing", ("soft", "1 3")))
    for k, item in enumerate(series):
        shift = (k - (len(series) - 1) / 2) * DODGE
        dots = [(x(point["labels"]) + shift, point) for point in item["points"]]
        parts.append(_curve(dots, y, item["style"], 2.2 if k == 0 else 1.5))
        ends.append((y(item["points"][-1]["score"]), item["name"], item["style"]))
    places = spread([end[0] for end in ends], LINE, BOTTOM)
    for (_, name, style), at in zip(sorted(ends), places, strict=True):
        parts.append(_path(f"M{RIGHT + 4} {at:.1f}h16", *style, width=2))
        shown = name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"
        parts.append(_text(RIGHT + 24, at + 4, shown, "start"))
    return _svg(440, BOTTOM + 42, words, parts)


def intervals(rows: Sequence[dict[str, Any]], words: str) -> Markup:
    """Effect sizes and intervals, a line per row of `compare.shifts` with its `unit`."""
    left, right, step = 70, 450, 20
    reach = max([1.0, *(abs(row[key]) for row in rows for key in ("low", "high"))]) * 1.05
    height = step * len(rows) + 34

    def x(value: float) -> float:
        return left + (value + reach) / (2 * reach) * (right - left)

    parts = []
    for level in (-0.8, -0.5, -0.2, 0.0, 0.2, 0.5, 0.8):
        opacity = 0.7 if level == 0 else 0.25
        parts.append(_path(f"M{x(level):.1f} 4V{height - 30}", opacity=opacity))
        if level in (-0.8, 0.0, 0.8):
            parts.append(_text(x(level), height - 18, short(level)))
    parts.append(_text((left + right) / 2, height - 3, "Cohen's d"))
    for k, row in enumerate(rows):
        at = 14 + k * step
        colour, fill = ("c2", "currentColor") if row["shifted"] else ("soft", "none")
        parts += [
            _text(left - 8, at + 4, f"unit {row['unit']}", "end"),
            _path(f"M{x(row['low']):.1f} {at}H{x(row['high']):.1f}", colour, width=2),
            f'<circle class="{colour}" stroke="currentColor" fill="{fill}" cx="{x(row["d"]):.1f}" '
            f'cy="{at}" r="4"/>',
        ]
    return _svg(right + 10, height, words, parts)


def spread(places: Sequence[float], gap: float, bottom: float) -> list[float]:
    """Sorted places moved apart to at least `gap`, the lowest not below `bottom`."""
    found: list[float] = []
    for place in sorted(places):
        found.append(max(place, found[-1] + gap) if found else place)
    limit = bottom
    for k in range(len(found) - 1, -1, -1):
        found[k] = min(found[k], limit)
        limit = found[k] - gap
    return found


def styles(own: int, others: int, controls: int) -> list[Style]:
    """The styles of so many series, in that order."""
    return [
        *(OWN[k] for k in range(own)),
        *(OTHERS[k % len(OTHERS)] for k in range(others)),
        *(CONTROLS[k] for k in range(controls)),
    ]


def short(value: float) -> str:
    """Two digits and a true minus sign."""
    text = f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"
    return text.replace("-", "−")


def _curve(dots: Sequence[tuple[float, dict[str, Any]]], y: Any, style: Style, width: float) -> str:
    line = "M" + "L".join(f"{at:.1f} {y(p['score']):.1f}" for at, p in dots)
    whiskers = "".join(f"M{at:.1f} {y(p['low']):.1f}V{y(p['high']):.1f}" for at, p in dots)
    marks = "".join(f'<circle cx="{at:.1f}" cy="{y(p["score"]):.1f}" r="2.6"/>' for at, p in dots)
    return (
        _path(line, *style, width=width)
        + _path(whiskers, style[0], opacity=0.6)
        + f'<g class="{style[0]}" fill="currentColor">{marks}</g>'
    )


def _path(
    d: str, colour: str = "soft", dashes: str = "", width: float = 1, opacity: float = 1
) -> str:
    return (
        f'<path class="{colour}" stroke="currentColor" fill="none" stroke-width="{width:g}" '
        f'stroke-dasharray="{dashes}" opacity="{opacity:g}" d="{d}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, words: str, parts: Sequence[str]) -> Markup:
    """`parts` are made of numbers and escaped names."""
    head = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}">')
    return head.format(words, f"{width:g}", f"{height:g}", f"{width:g}") + Markup(
        "".join(parts) + "</svg>"
    )
