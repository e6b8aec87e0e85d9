"""The suites as data: order, points, and settings that every cell accepts."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cldis.bench.queue import Queue
from cldis.bench.record import cell_of, read_record
from cldis.bench.suite import CONTROLS, Suite
from cldis.bench.suites import SUITES
from cldis.methods.controls import CONTROLS as BUILT
from support.bench_suite import NAMES, SMALL
from support.scripts import ROOT


def test_the_queue_goes_seed_by_seed() -> None:
    assert [cell.name for cell in SMALL.cells()] == NAMES


@pytest.mark.parametrize("suite", SUITES.values(), ids=list(SUITES))
def test_committed_results_are_those_of_the_cells(suite: Suite, tmp_path: Path) -> None:
    queue = Queue(suite, ROOT / "results", tmp_path)
    for path in (ROOT / "results" / suite.name).glob("*.json"):
        assert queue.stored(cell_of(read_record(path))).state == "done", path


def test_every_control_exists() -> None:
    assert set(CONTROLS) == set(BUILT)


@pytest.mark.parametrize("suite", SUITES.values(), ids=list(SUITES))
def test_every_cell_has_a_valid_configuration_of_its_own(suite: Suite) -> None:
    cells = suite.cells()
    assert len({cell.name for cell in cells}) == len(cells)
    for cell in cells[: len(cells) // len(suite.seeds)]:
        config = suite.config(cell)
        assert config.training.images == cell.images and config.training.seed == cell.seed
        assert config.model.resolution == suite.data[cell.data]


shares = st.lists(
    st.fractions(Fraction(1, 16), Fraction(15, 16), max_denominator=16), max_size=4, unique=True
)


@given(st.integers(1, 200_000), st.sampled_from([1, 8, 32, 64]), shares)
def test_points_are_checkpoints_of_the_engine(
    images: int, batch: int, parts: list[Fraction]
) -> None:
    suite = replace(SMALL, shares=(*sorted(parts), Fraction(1)))
    every, steps = suite.every(images), -(-images // batch)
    points = suite.points(images, batch)
    assert points == sorted(set(points)) and points[-1] == steps * batch
    for point in points[:-1]:
        # The rule of `Trainer.is_due`.
        assert point % batch == 0 and point // every > (point - batch) // every
    wanted = [min(float(share * images), images) for share in suite.shares]
    for goal in wanted:
        nearest = min(abs(point - goal) for point in points)
        assert nearest <= batch + suite.parts()
