"""Every diagram of the pages: matplotlib to SVG that reads well on light and on dark paper.

A function per kind of diagram, all of one form: numbers in, a `Figure` out. In a template,
`{{ figure|diagram }}` shows it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Okabe and Ito's palette: distinct under every common colour blindness, and on black and white.
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
INK = "#010203"  # stands for the colour of text until the SVG is written
STYLE = (
    "<style>svg{color:#333}@media screen and (prefers-color-scheme:dark){svg{color:#ccc}}</style>"
)
METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
BINS = 28
LETTERS = 22  # of a name beside a diagram
NO_CHANGE = 1e-6  # grey levels; a curve below is drawn on an axis from 0 to 1

# Colour and dashes of a series: codes of this run, codes of other runs, controls.
LineStyle = tuple[str, str]
OWN: tuple[LineStyle, ...] = ((BLUE, "-"), (GREEN, "--"))
OTHERS: tuple[LineStyle, ...] = ((ORANGE, "-"), (PINK, "--"), (ORANGE, ":"), (PINK, ":"))
CONTROLS: tuple[LineStyle, ...] = ((INK, "-"), (INK, "--"), (INK, ":"))
Values = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Figure:
    """A diagram, and what it shows for those who do not see it."""

    svg: bytes
    alt: str
    size: tuple[int, int]  # pixels


@dataclass(frozen=True)
class Series:
    """One line of a diagram of curves."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashes: str = "-"


@dataclass(frozen=True)
class FewLabelCurve:
    """Scores of a probe of one code against the number of labelled images."""

    name: str
    style: LineStyle
    points: Sequence[dict[str, Any]]  # `labels`, `score`, `low` and `high` of `probes.curves`


def training_curves(
    title: str, unit: str, series: Sequence[Series], seen: float, log: bool, level: float | None
) -> Figure:
    """Measurements of a run over the images it has seen, at least one point in each series.

    Args:
        seen: images, the end of the axis.
        log: a logarithmic axis, where every value is above 0.
        level: a dotted line that means something.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    with drawing(title, (4.4, 2.7)) as canvas:
        axes = canvas.axes
        for line in series:
            few = "o" if len(line.points) < 3 else ""
            axes.plot(
                *zip(*line.points, strict=True),
                line.dashes,
                color=line.colour,
                marker=few,
                lw=1.8,
                ms=4,
                label=line.label,
                clip_on=not few,
            )
        if level is not None:
            axes.axhline(level, color=INK, lw=1, ls=":")
        values = [y for line in series for _, y in line.points]
        if log and min(values) > 0:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            low, high = axes.get_ylim()
            axes.set_ylim(*((0.0, 1.0) if not any(values) else (min(0.0, low), high)))
        axes.set(xlim=(0, seen), xlabel="images seen", ylabel=unit)
        thousands = seen >= 2000
        axes.xaxis.set_major_formatter(
            lambda x, _: f"{x / 1000:g}k" if thousands and x else f"{x:g}"
        )
        if len(series) > 1:
            axes.legend(frameon=False, labelcolor=INK, fontsize=10)
    ends = [
        f"{line.label} from {line.points[0][1]:.3g} to {line.points[-1][1]:.3g}" for line in series
    ]
    last = max(line.points[-1][0] for line in series)
    return canvas.figure(f"{title} ({unit}) over {last:,.0f} images: {', '.join(ends)}.")


def direction_curve(
    shifts: Sequence[float], mean: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> Figure:
    """Change against shift: mean over images, and the band in which four of five images lie.

    Args:
        shifts: rising, in standard deviations.
        mean, low, high: per shift, in grey levels of 255.
    """
    with drawing("direction", (3.6, 2.1)) as canvas:
        axes = canvas.axes
        axes.fill_between(shifts, low, high, color=BLUE, alpha=0.2, linewidth=0)
        axes.plot(shifts, mean, "o-", color=BLUE, lw=1.8, ms=4, clip_on=False)
        top = max([*high, *mean])
        axes.set_ylim(0, top * 1.05 if top > NO_CHANGE else 1.0)
        axes.set(xlim=(shifts[0], shifts[-1]), xlabel="shift in standard deviations")
        axes.set_xticks([shift for shift in shifts if float(shift).is_integer()])
    return canvas.figure(
        f"Change against shift: {mean[0]:.3g} grey levels at {shifts[0]:g}, {min(mean):.3g} at the "
        f"lowest, {mean[-1]:.3g} at {shifts[-1]:+g} standard deviations."
    )


def histogram(values: Sequence[Values], alt: str) -> Figure:
    """One or two distributions over one axis; each is scaled to its own number of images.

    The axis covers all but the outermost .2 % of the values together; those count at its ends.
    """
    low, high = (float(v) for v in np.quantile(np.concatenate(list(values)), [0.001, 0.999]))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    with drawing(alt, (3.2, 0.9)) as canvas:
        for part, colour in zip(values, (BLUE, ORANGE), strict=False):
            inside = np.clip(part, low, high)
            weights = np.full(len(part), 1 / len(part))
            style: dict[str, Any] = {"color": colour, "alpha": 0.7, "rwidth": 0.9}
            canvas.axes.hist(inside, BINS, range=(low, high), weights=weights, **style)
        canvas.axes.set(xlim=(low, high), xticks=[low, (low + high) / 2, high], yticks=[])
        canvas.axes.xaxis.set_major_formatter(lambda x, _: short(x))
        canvas.axes.spines["left"].set_visible(False)
    return canvas.figure(alt)


def few_labels(curves: Sequence[FewLabelCurve], chance: float, unit: str, alt: str) -> Figure:
    """Scores against labelled images, with 95 % intervals; scores below 0 lie on the axis.

    Args:
        chance: the score of guessing, a dotted line where above 0.
        unit: of the upright axis.
    """
    sizes = sorted({point["labels"] for curve in curves for point in curve.points})
    with drawing(alt, (5.4, 2.9)) as canvas:
        axes = canvas.axes
        if chance > 0:
            axes.axhline(chance, color=INK, lw=1, ls=(0, (1, 3)), label="guessing")
        for k, curve in enumerate(curves):
            # Beside each other, so that the intervals of two codes stay apart.
            x = [
                sizes.index(p["labels"]) + 0.06 * (k - (len(curves) - 1) / 2) for p in curve.points
            ]
            colour, dashes = curve.style
            score, low, high = (
                np.clip([p[key] for p in curve.points], 0, None) for key in ("score", "low", "high")
            )
            width = 2.2 if k == 0 else 1.4
            name = curve.name if len(curve.name) <= LETTERS else curve.name[: LETTERS - 1] + "…"
            name = name.replace("$", r"\$")  # no formula
            axes.plot(x, score, dashes, color=colour, lw=width, marker="o", ms=4, label=name)
            axes.vlines(x, low, high, color=colour, lw=1, alpha=0.6)
        axes.set(xlabel="labelled images", ylabel=unit)
        axes.set_ylim(0, min(1.0, axes.get_ylim()[1]))
        labels = [f"{size:,}" for size in sizes[:-1]] + [f"all {size:,}" for size in sizes[-1:]]
        axes.set_xticks(range(len(sizes)), labels)
        canvas.artist.legend(loc="outside right upper", frameon=False, labelcolor=INK, fontsize=9)
    return canvas.figure(alt)


def intervals(rows: Sequence[dict[str, Any]], alt: str) -> Figure:
    """Effect sizes with their intervals, a line per row of `compare.shifts` with its `unit`.

    Filled dots are sure, hollow ones may be chance.
    """
    reach = max([1.0, *(abs(row[key]) for row in rows for key in ("low", "high"))]) * 1.05
    with drawing(alt, (5.2, 0.5 + 0.24 * len(rows))) as canvas:
        axes = canvas.axes
        for level in (-0.8, -0.5, -0.2, 0.0, 0.2, 0.5, 0.8):
            axes.axvline(level, color=INK, lw=0.6, alpha=0.7 if level == 0 else 0.25)
        for place, row in enumerate(rows):
            colour = ORANGE if row["shifted"] else INK
            axes.hlines(place, row["low"], row["high"], color=colour, lw=2)
            filled = colour if row["shifted"] else "none"
            axes.plot(row["d"], place, "o", color=colour, mfc=filled, ms=6)
        axes.set_yticks(range(len(rows)), [f"unit {row['unit']}" for row in rows])
        axes.set(xlim=(-reach, reach), xlabel="Cohen's d", ylim=(len(rows) - 0.5, -0.5))
        axes.grid(visible=False)
    return canvas.figure(alt)


def styles(own: int, others: int, controls: int) -> list[LineStyle]:
    """The styles of so many codes of this run, of other runs, and controls, in that order."""
    return [
        *(OWN[k] for k in range(own)),
        *(OTHERS[k % len(OTHERS)] for k in range(others)),
        *(CONTROLS[k] for k in range(controls)),
    ]


def short(value: float) -> str:
    """Two digits and a true minus sign."""
    text = f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"
    return text.replace("-", "−")


class Canvas:
    """Axes in the ink of the page, and their SVG once the drawing is done."""

    def __init__(self, size: tuple[float, float]) -> None:
        from matplotlib.figure import Figure as Artist
        from matplotlib.ticker import MaxNLocator

        self.artist = Artist(figsize=size, layout="constrained")
        self.axes = self.artist.subplots()
        for side, spine in self.axes.spines.items():
            spine.set_color(INK)
            spine.set_visible(side in ("left", "bottom"))
        self.axes.tick_params(which="both", colors=INK)
        # As many ticks whatever the width, so that room is left for all the labels that are drawn.
        self.axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        self.axes.xaxis.label.set_color(INK)
        self.axes.yaxis.label.set_color(INK)
        self.axes.grid(color=INK, alpha=0.15, lw=0.6)
        self.svg = b""

    def figure(self, alt: str) -> Figure:
        width, height = self.artist.get_size_inches() * 72  # SVG of matplotlib is in points
        return Figure(self.svg, alt, (round(width * 4 / 3), round(height * 4 / 3)))


@contextmanager
def drawing(salt: str, size: tuple[float, float]) -> Iterator[Canvas]:
    """Axes to draw on; afterwards the canvas holds them as SVG, the same bytes every time.

    Args:
        salt: of the ids inside the SVG.
        size: in inches.
    """
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none", "font.size": 11}):
        canvas = Canvas(size)
        yield canvas
        buffer = io.BytesIO()
        canvas.artist.savefig(buffer, format="svg", transparent=True, metadata=METADATA)
    text = buffer.getvalue().decode("utf-8").replace(INK, "currentColor")
    head, tag, rest = text.partition("<defs>")
    assert tag, "matplotlib writes <defs> first"
    canvas.svg = (head + STYLE + tag + rest).encode("utf-8")
