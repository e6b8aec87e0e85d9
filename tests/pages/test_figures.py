"""Diagrams: what is drawn can be read back from matplotlib's axes or from the SVG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cldis.pages import figures

SHIFTS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)


def texts(figure: figures.Figure) -> list[str]:
    root = ET.fromstring(figure.svg.decode("utf-8"))
    return [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text")]


def check(figure: figures.Figure) -> list[str]:
    """What must hold for every diagram; its texts."""
    source = figure.svg.decode("utf-8")
    assert figures.INK not in source and "currentColor" in source
    assert "prefers-color-scheme:dark" in source and "nan" not in source.lower().split()
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', source)
    assert box is not None
    assert figure.size == tuple(round(float(side) * 4 / 3) for side in box.groups())
    return texts(figure)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 300), min_size=9, max_size=9), st.floats(0, 2))
def test_a_direction_is_drawn_whatever_it_changes(values: list[float], spread: float) -> None:
    low, high = [v / (1 + spread) for v in values], [v * (1 + spread) for v in values]
    shown = check(figures.direction_curve(SHIFTS, values, low, high))
    assert "shift in standard deviations" in shown
    assert {"−2", "−1", "0", "1", "2"} <= set(shown)


def test_a_histogram_keeps_its_outermost_values() -> None:
    values = np.concatenate([np.linspace(-1, 1, 999), [1e9]])
    figure = figures.histogram([values], "One unit.")
    shown = check(figure)
    low, high = np.quantile(values, [0.001, 0.999])
    assert shown == [figures.short(low), figures.short((low + high) / 2), figures.short(high)]
    assert figure.alt == "One unit."
    assert check(figures.histogram([np.zeros(5), np.zeros(3)], "constant")) == ["−0.5", "0", "0.5"]


def test_curves_of_few_labels_name_every_code() -> None:
    points = [
        {"labels": n, "score": s, "low": s - 0.1, "high": s + 0.1}
        for n, s in ((5, -0.4), (70, 0.5))
    ]
    names = ["this run, z_sem", "a run with a name that is far too long", r"$\bad{x_1}$ & <b>"]
    curves = [
        figures.FewLabelCurve(name, style, points)
        for name, style in zip(names, figures.styles(1, 1, 1), strict=True)
    ]
    shown = check(figures.few_labels(curves, 0.2, "balanced accuracy", "Scores."))
    assert {"guessing", names[0], names[2], "5", "all 70", "balanced accuracy"} <= set(shown)
    assert names[1][: figures.LETTERS - 1] + "…" in shown
    assert "guessing" not in texts(figures.few_labels(curves, 0.0, "R²", "Scores."))


def test_intervals_name_every_unit() -> None:
    rows = [
        {"unit": unit, "d": d, "low": d - 0.2, "high": d + 0.2, "shifted": d > 1}
        for unit, d in ((4, 1.7), (2, -0.1))
    ]
    shown = check(figures.intervals(rows, "Shifts."))
    assert {"unit 4", "unit 2", "Cohen's d"} <= set(shown)


def test_the_same_numbers_give_the_same_bytes() -> None:
    line = [figures.Series("training", [(10.0, 0.5), (4000.0, 0.25)], figures.BLUE)]

    def draw(log: bool) -> figures.Figure:
        return figures.training_curves("Loss", "nats", line, 4000, log=log, level=0.3)

    assert draw(True) == draw(True) and draw(True) != draw(False)
    assert draw(True).alt == "Loss (nats) over 4,000 images: training from 0.5 to 0.25."
    assert "4k" in check(draw(False))


def test_styles_tell_codes_apart() -> None:
    assert len(set(figures.styles(2, 4, 3))) == 9
    with pytest.raises(IndexError):
        figures.styles(3, 0, 0)


@pytest.mark.parametrize("seen", [100, 1290, 2040, 3200, 3504, 5050, 256_000, 1_010_000])
def test_the_labels_of_an_axis_are_inside_the_diagram(seen: int) -> None:
    line = [figures.Series("active", [(0.9 * seen, 8), (seen, 13)], figures.BLUE)]
    source = figures.training_curves("Units", "of 16", line, seen, False, None).svg.decode("utf-8")
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', source)[0])
    middle = r'<text style="[^"]*text-anchor: middle[^"]*" x="([\d.]+)"[^>]*>([^<]+)<'
    labels = [(float(x), text) for x, text in re.findall(middle, source)]
    assert len(labels) >= 4
    assert all(x + 3 * len(text) < width for x, text in labels)  # half a digit is 3.5 points
