"""Pictures of a suite: score against images seen and against training time, or at the end."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cldis.bench.results import DCI, FACTOR_VAE, Column, Group, largest
from cldis.bench.statistics import Summary, summary
from cldis.bench.suite import Suite
from cldis.io import write_bytes

# Okabe and Ito's palette, distinct under every common colour blindness. Dashes and markers tell
# methods apart beyond its end, and in grey.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX*<>"
SHOWN = (DCI, FACTOR_VAE)


def write_plots(suite: Suite, groups: Sequence[Group], results: Path) -> list[Path]:
    """One picture per data set, results/SUITE-DATA.png, of each method's largest budget.

    Curves, or a line per method where a suite scores the end of training only.
    """
    draw = draw_curves if len(suite.shares) > 1 else draw_ends
    written = []
    for data in dict.fromkeys(group.data for group in groups):
        own = [group for group in groups if group.data == data]
        shown = [group for group in own if group in largest(own).values()]
        path = results / f"{suite.name}-{data}.png"
        write_bytes(path, draw(suite, shown))
        written.append(path)
    return written


def draw_curves(suite: Suite, groups: Sequence[Group]) -> bytes:
    """PNG: a row per score, images on the left, minutes on the right; bands are 95 % intervals."""
    figure = _figure(suite, groups, height=7.5)
    axes = figure.subplots(len(SHOWN), 2, sharex="col", sharey="row")
    order = [*suite.methods]
    for row, column in zip(axes, SHOWN, strict=True):
        for group in groups:
            place = order.index(group.method) if group.method in order else len(order)
            _draw_curve(row, group, column, place)
        row[0].set_ylabel(column.head)
        row[0].set_ylim(0, min(1.02, row[0].get_ylim()[1]))
        for ax in row:
            ax.grid(alpha=0.3)
    axes[-1][0].set_xlabel("images seen")
    axes[-1][1].set_xlabel("training time (minutes), mean over seeds")
    axes[-1][0].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    return _png(figure)


def draw_ends(suite: Suite, groups: Sequence[Group]) -> bytes:
    """PNG: a row per method and code, each seed a ring, its mean a dot on the 95 % interval."""
    rows = [(group, code) for group in groups for code in group.codes()]
    figure = _figure(suite, groups, height=1.2 + 0.27 * len(rows))
    axes = figure.subplots(1, 2, sharey=True)
    for ax, column in zip(axes, SHOWN, strict=True):
        for y, (group, code) in enumerate(rows):
            values = [*group.values(code, "fast", column).values()]
            seeds, colour = summary(values), COLOURS[code == "z_disen"]
            ax.plot(_interval(seeds), [y, y], color="0.75")
            ax.plot(values, [y] * len(values), "o", markersize=4, mfc="none", color=colour)
            ax.plot(seeds.mean, y, "o", markersize=6, color=colour)
        ax.set_xlabel(column.head)
        ax.set_xlim(0, 1)
        ax.grid(alpha=0.3, axis="x")
    axes[0].set_yticks(range(len(rows)), [f"{group.method} {code}" for group, code in rows])
    axes[0].invert_yaxis()
    return _png(figure)


def _figure(suite: Suite, groups: Sequence[Group], height: float) -> Any:
    """An empty figure with its title."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, height), layout="constrained")
    FigureCanvasAgg(figure)
    group = max(groups, key=lambda group: group.images)
    seeds = max(len(group.records) for group in groups)
    figure.suptitle(
        f"{suite.name} on {group.data}, {group.resolution} px, up to {group.images:,} images, "
        f"{seeds} seed{'s' * (seeds != 1)} (setting fast)"
    )
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _interval(seeds: Summary) -> tuple[float, float]:
    """The 95 % interval, cut to the range of a score."""
    half = seeds.half or 0.0
    return max(0.0, seeds.mean - half), min(1.0, seeds.mean + half)


def _draw_curve(row: Any, group: Group, column: Column, place: int) -> None:
    """One method in both diagrams of a score: the code that conditions its decoder."""
    codes = group.codes()
    if not codes:
        return
    curves = [{point["images"]: point for point in r["curve"]} for r in group.records]
    images = sorted(set.intersection(*map(set, curves)))
    at = [[curve[n] for curve in curves] for n in images]
    levels = [summary([column.of(p["codes"][codes[0]]["fast"]) for p in points]) for points in at]
    minutes = [summary([point["seconds"] / 60 for point in points]).mean for points in at]
    style = {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": DASHES[place // len(COLOURS) % len(DASHES)],
        "label": f"{group.method} {codes[0]}",
    }
    means = [item.mean for item in levels]
    if images == [0]:  # an untrained control: a level
        for ax in row:
            ax.axhline(means[0], linewidth=1, **{**style, "linestyle": ":"})
        return
    low, high = zip(*map(_interval, levels), strict=True)
    for ax, x in zip(row, (images, minutes), strict=True):
        ax.plot(x, means, marker=MARKERS[place % len(MARKERS)], markersize=4, **style)
        ax.fill_between(x, low, high, color=style["color"], alpha=0.12, linewidth=0)
