"""Pages in `results/` are what the scripts make of the committed numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cldis.bench.results import read_results
from cldis.bench.suites import SUITES
from cldis.bench.table import page_text
from cldis.io import read_json
from support.scripts import ROOT, load_script

RESULTS = ROOT / "results"
Page = Callable[[], str]


def of_json(script: str, name: str, *more: Any) -> Page:
    return lambda: load_script(script).page(read_json(RESULTS / f"{name}.json"), *more)


def of_suite(name: str) -> str:
    groups, damaged = read_results(SUITES[name], RESULTS)
    pictures = dict.fromkeys(f"{name}-{group.data}.png" for group in groups)
    return page_text(SUITES[name], groups, damaged, list(pictures))


PAGES: dict[str, Page] = {
    "editing": of_json("editing_page", "editing", "editing"),
    "editing64": of_json("editing_page", "editing64", "editing64"),
    "metric_parity": of_json("metric_parity", "metric_parity"),
    "metric_speed": of_json("metric_speed", "metric_speed"),
    "photos": lambda: load_script("photos").table(),
    **{name: lambda name=name: of_suite(name) for name in SUITES if (RESULTS / name).is_dir()},
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_of_the_committed_numbers(name: str) -> None:
    assert (RESULTS / f"{name}.md").read_text("utf-8") == PAGES[name]()
