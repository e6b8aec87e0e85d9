"""The arithmetic of the page of editing quality, from made-up scores."""

from __future__ import annotations

from typing import Any

import pytest

from support.scripts import load_script

page = summary = load_script("editing_page")


def scores(intended: float | None, draws: list[float | None]) -> dict[str, Any]:
    return {"intended": intended, "draws": [{"intended": draw} for draw in draws]}


def test_seeds_are_averaged_and_draws_too() -> None:
    found = summary.summary([scores(0.4, [0.3, 0.5]), scores(0.6, [0.5, 0.7])], "intended")
    assert found["mean"] == pytest.approx(0.5) and found["deviation"] == pytest.approx(0.02**0.5)
    assert 0.4 <= found["low"] < 0.5 < found["high"] <= 0.6


def test_one_seed_has_no_spread_and_a_missing_score_no_summary() -> None:
    assert summary.summary([scores(0.4, [0.4, None])], "intended")["deviation"] is None
    assert summary.summary([scores(None, [None])], "intended") is None
    assert page.score(None, 2) == "-"


def test_every_method_and_budget_has_its_row() -> None:
    one = dict.fromkeys(summary.COLUMNS, 0.5)
    amounts = {amount: {**one, "draws": [one, one]} for amount in ("1", "2")}
    sets = {"random": amounts, "units": amounts}
    trained = [("closed", 32_000, 0), ("closed", 32_000, 1), ("closed", 256_000, 0)]
    trained += [("open", 32_000, 0)]
    runs = {
        f"{method}-{n}-s{seed}": {"data": "rooms", "method": method, "images": n, "sets": sets}
        for method, n, seed in trained
    }
    rows = page.score_rows(summary.summaries({"runs": runs}, "rooms"), "2")
    assert [row[:4] for row in rows[1:]] == [
        [kind, *row]
        for kind in ("raw units", "random")
        for row in (
            ["closed", "32,000", "2"],
            ["closed", "256,000", "1"],
            ["open", "32,000", "1"],
        )
    ]


def test_differences_are_those_of_the_same_draws() -> None:
    def at(margin: float, drawn: list[float]) -> dict[str, Any]:
        one = dict.fromkeys(summary.COLUMNS)
        return {"2": {**one, "margin": margin, "draws": [{**one, "margin": d} for d in drawn]}}

    runs = {
        "closed-rooms-9-s0": {"units": at(0.3, [0.1, 0.5]), "pca": at(0.2, [0.0, 0.4])},
        "open-rooms-9-s0": {"units": at(0.5, [0.3, 0.7])},
        "alone-rooms-9-s0": {"pca": at(0.5, [0.3, 0.7])},
    }
    about = {"data": "rooms", "images": 9, "seed": 0}
    result = {
        "runs": {
            name: {**about, "method": name.split("-")[0], "sets": sets}
            for name, sets in runs.items()
        }
    }
    entries = summary.differences(result, "rooms")
    found = {entry["what"]: entry["margin"] for entry in entries}
    assert list(found) == [
        "closed, 9, seed 0: PCA - raw units",
        "closed - open, 9, seed 0: raw units",
    ]
    for margin, expected in zip(found.values(), (-0.1, -0.2), strict=True):
        # The draws lie far apart and their differences do not.
        assert [margin[key] for key in ("mean", "low", "high")] == pytest.approx([expected] * 3)
    rows = page.difference_rows(entries)
    assert rows[1][:3] == ["closed, 9, seed 0: PCA - raw units", "-", "-"]
