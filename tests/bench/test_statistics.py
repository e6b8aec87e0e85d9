"""Intervals against SciPy, and where a curve reaches a goal."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cldis.bench.statistics import reached, summary

numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=12)


@given(numbers)
def test_the_interval_is_that_of_scipy(values: list[float]) -> None:
    found = summary(values)
    assert found.deviation is not None and found.half is not None
    assert found.n == len(values) and math.isclose(found.mean, np.mean(values), abs_tol=1e-9)
    assert math.isclose(found.deviation, np.std(values, ddof=1), rel_tol=1e-6, abs_tol=1e-9)
    error = stats.sem(values)
    if error > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=error)
        assert math.isclose(found.mean - found.half, low, rel_tol=1e-6, abs_tol=1e-7)
        assert math.isclose(found.mean + found.half, high, rel_tol=1e-6, abs_tol=1e-7)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for values in generator.normal(3.0, 2.0, (2000, 5)):
        found = summary(list(values))
        assert found.half is not None
        hits += abs(found.mean - 3.0) <= found.half
    assert abs(hits / 2000 - 0.95) < 0.015


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    assert summary([0.5]).half is None and summary([0.5]).deviation is None
    for wrong in ([], [0.1, math.nan], [math.inf]):
        with pytest.raises(ValueError, match="finite numbers"):
            summary(wrong)


def test_where_a_curve_reaches_a_goal() -> None:
    assert reached([100, 200], [0.5, 0.7], 0.6) == pytest.approx(150)
    assert reached([100, 200, 300], [0.1, 0.2, 0.6], 0.6) == 300
    assert reached([100, 200], [0.7, 0.8], 0.6) == 100
    assert reached([100, 200], [0.1, 0.5], 0.6) is None
