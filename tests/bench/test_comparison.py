"""The page that puts all suites side by side: nothing counted twice, nothing out of date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cldis.bench.suite import Cell
from cldis.bench.suites import SUITES
from support.bench_suite import SMALL, measured, write_made_up
from support.scripts import ROOT, load_script

comparison = load_script("comparison")


def write(results: Path, suite: str, seed: int, value: float, **changes: Any) -> None:
    scores = {"fast": measured(0.0), "standard": measured(value)}
    curve = [{"images": 96, "seconds": 1.0, "codes": {"z_sem": scores}}]
    write_made_up(results, Cell(suite, "closed", "rooms", 96, seed), {}, curve=curve, **changes)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two suites with the same methods; `other` repeats seed 0 of `small` and adds seed 2."""
    for name in list(SUITES):
        monkeypatch.delitem(SUITES, name)
    for name, seeds in (("other", {0: 0.9, 2: 0.7}), ("small", {0: 0.1, 1: 0.2, 3: 0.2})):
        monkeypatch.setitem(SUITES, name, replace(SMALL, name=name, standard=True))
        for seed, value in seeds.items():
            write(tmp_path, name, seed, value)
    return tmp_path


def lines(results: Path) -> list[str]:
    page = comparison.page(comparison.read_all(results))
    return [line for line in page.splitlines() if line.startswith("| closed")]


def test_a_seed_counts_once(results: Path) -> None:
    ((suite, group),) = comparison.merged(comparison.read_all(results))
    assert suite == "small, other"
    found = [(record["suite"], record["seed"]) for record in group.records]
    assert found == [("small", 0), ("small", 1), ("small", 3), ("other", 2)]
    (line,) = lines(results)
    assert line.startswith("| closed | z_sem | – | 96 | 4 | .300 ± .271 [")


def test_other_settings_are_another_row(results: Path) -> None:
    strong = SMALL.config(SMALL.cells()[0]).with_overrides(["vae.beta=9"])
    for path in (results / "other").glob("*.json"):
        path.unlink()
    write(results, "other", 1, 0.4, config=strong.to_dict())
    assert [line.split("|")[7].split()[0] for line in lines(results)] == [
        ".400",
        ".167",
    ]  # best first


def test_the_pages_are_of_the_committed_results() -> None:
    groups = comparison.read_all(ROOT / "results")
    assert (ROOT / "results" / "comparison.md").read_text() == comparison.page(groups)
    table = "\n".join(comparison.short(groups))
    assert table.count("\n") == len(comparison.SHORT) + 1
    assert table in (ROOT / "README.md").read_text("utf-8")
