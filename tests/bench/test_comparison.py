"""The page that puts all suites side by side: nothing counted twice, nothing out of date."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from bench.grid import SMALL, measured, write_made_up
from cldis.bench.suite import Cell
from cldis.bench.suites import SUITES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def comparison() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "comparison", ROOT / "benchmarks" / "comparison.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two suites with the same methods; `other` repeats seed 0 of `small` and adds seed 1."""
    for name in list(SUITES):
        monkeypatch.delitem(SUITES, name)
    for name, seeds in (("small", {0: 0.2}), ("other", {0: 0.9, 1: 0.4})):
        monkeypatch.setitem(SUITES, name, replace(SMALL, name=name, standard=True))
        for seed, value in seeds.items():
            scores = {"fast": measured(0.0), "standard": measured(value)}
            curve = [{"images": 96, "seconds": 1.0, "codes": {"z_sem": scores}}]
            write_made_up(
                tmp_path, Cell(name, "closed", "rooms", 96, seed), {96: value}, curve=curve
            )
    return tmp_path


def test_a_seed_counts_once(comparison: ModuleType, results: Path) -> None:
    groups = [(name, group) for name in SUITES for group in comparison.finished(name, results)]
    ((suite, group),) = comparison.merged(groups)
    assert suite == "small, other"
    assert [(r["suite"], r["seed"]) for r in group.records] == [("small", 0), ("other", 1)]
    (line,) = [x for x in comparison.page(results).splitlines() if x.startswith("| closed")]
    assert line.startswith("| closed | z_sem | – | 96 | 2 | .300 ± .141 [")


def test_other_settings_are_another_row(comparison: ModuleType, results: Path) -> None:
    cell = Cell("other", "closed", "rooms", 96, 1)
    strong = SMALL.config(cell).with_overrides(["vae.beta=9"])
    for path in (results / "other").glob("*.json"):
        path.unlink()
    scores = {"fast": measured(0.0), "standard": measured(0.4)}
    curve = [{"images": 96, "seconds": 1.0, "codes": {"z_sem": scores}}]
    write_made_up(results, cell, {96: 0.4}, curve=curve, config=strong.to_dict())
    lines = [x for x in comparison.page(results).splitlines() if x.startswith("| closed")]
    assert [line.split("|")[7].strip() for line in lines] == [".400", ".200"]  # best first


def test_the_committed_page_is_of_the_committed_results(comparison: ModuleType) -> None:
    assert (ROOT / "results" / "comparison.md").read_text() == comparison.page(ROOT / "results")


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks.md"])
def test_pages_show_the_short_table_as_it_is(comparison: ModuleType, page: str) -> None:
    table = "\n".join(comparison.short(ROOT / "results"))
    assert table.count("\n") == len(comparison.SHORT) + 1
    assert table in (ROOT / page).read_text("utf-8")
