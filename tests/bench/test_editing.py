"""The arithmetic of the page of editing quality, from made-up scores."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("editing_page", FOLDER / "editing_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def scores(intended: float | None, draws: list[float | None]) -> dict[str, Any]:
    return {"intended": intended, "draws": [{"intended": draw} for draw in draws]}


def test_seeds_are_averaged_and_draws_too(page: ModuleType) -> None:
    found = page.summary([scores(0.4, [0.3, 0.5]), scores(0.6, [0.5, 0.7])], "intended")
    assert found["mean"] == pytest.approx(0.5) and found["deviation"] == pytest.approx(0.02**0.5)
    assert 0.4 <= found["low"] < 0.5 < found["high"] <= 0.6


def test_one_seed_has_no_spread_and_a_missing_score_no_summary(page: ModuleType) -> None:
    assert page.summary([scores(0.4, [0.4, None])], "intended")["deviation"] is None
    assert page.summary([scores(None, [None])], "intended") is None
    assert page.score(None, 2) == "-"


@pytest.mark.parametrize(
    ("value", "text"), [(0.934, ".93"), (1.0, "1.00"), (-0.02, "-.02"), (10.5, "10.50"), (0, ".00")]
)
def test_numbers_of_the_page(page: ModuleType, value: float, text: str) -> None:
    assert page.number(value) == text


def test_every_method_and_budget_has_its_row(page: ModuleType) -> None:
    one = dict.fromkeys(page.COLUMNS, 0.5)
    amounts = {amount: {**one, "draws": [one, one]} for amount in ("1", "2")}
    sets = {"random": amounts, "units": amounts}
    runs = {
        f"{method}-{images}-s{seed}": {
            "data": "rooms",
            "method": method,
            "images": images,
            "sets": sets,
        }
        for method, images, seed in (
            ("closed", 32_000, 0),
            ("closed", 32_000, 1),
            ("closed", 256_000, 0),
            ("open", 32_000, 0),
        )
    }
    found = page.summaries({"runs": runs}, "rooms")
    table = page.score_table(found, "2").splitlines()
    assert [row.split(" | ")[:4] for row in table[2:]] == [
        [f"| {kind}", method, images, n]
        for kind in ("raw units", "random")
        for method, images, n in (
            ("closed", "32,000", "2"),
            ("closed", "256,000", "1"),
            ("open", "32,000", "1"),
        )
    ]


def test_differences_are_those_of_the_same_draws(page: ModuleType) -> None:
    def at(margin: float, drawn: list[float]) -> dict[str, Any]:
        one = dict.fromkeys(page.COLUMNS)
        return {"2": {**one, "margin": margin, "draws": [{**one, "margin": d} for d in drawn]}}

    runs = {
        "closed-rooms-9-s0": {"units": at(0.3, [0.1, 0.5]), "pca": at(0.2, [0.0, 0.4])},
        "open-rooms-9-s0": {"units": at(0.5, [0.3, 0.7])},
        "alone-rooms-9-s0": {"pca": at(0.5, [0.3, 0.7])},
    }
    result = {
        "runs": {
            name: {
                "data": "rooms",
                "method": name.split("-")[0],
                "images": 9,
                "seed": 0,
                "sets": sets,
            }
            for name, sets in runs.items()
        }
    }
    found = {entry["what"]: entry["margin"] for entry in page.differences(result, "rooms")}
    assert list(found) == [
        "closed, 9, seed 0: PCA - raw units",
        "closed - open, 9, seed 0: raw units",
    ]
    for margin, expected in zip(found.values(), (-0.1, -0.2), strict=True):
        # The draws lie far apart and their differences do not.
        assert [margin[key] for key in ("mean", "low", "high")] == pytest.approx([expected] * 3)
    assert page.difference_table([]) == ""
    assert "| closed, 9, seed 0: PCA - raw units | - | - |" in page.difference_table(
        page.differences(result, "rooms")
    )
