"""The probes: what they score, that every code is judged alike, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, r2_score

from cldis.pages.analysis import probes
from cldis.pages.analysis.labels import Label


def made(n: int = 400, classes: int = 4, noise: float = 0.2) -> tuple[np.ndarray, Label]:
    """A code in which classes lie apart, and its label."""
    generator = np.random.default_rng(0)
    values = generator.integers(0, classes, n)
    centres = generator.normal(size=(classes, 6))
    code = centres[values] + noise * generator.normal(size=(n, 6))
    return code, Label("kind", "category", values, tuple("abcdefgh"[:classes]))


def test_the_split_is_fixed_and_disjoint() -> None:
    known = np.arange(1000) % 3 > 0
    parts = probes.split(known)
    assert not set(parts.pool) & set(parts.test) and known[parts.images].all()
    assert len(parts.test) == round(0.3 * known.sum()) and len(parts.images) == known.sum()
    np.testing.assert_array_equal(parts.test, probes.split(known).test)
    large = probes.split(np.ones(100_000, bool))
    assert (len(large.pool), len(large.test)) == (probes.MAX_POOL, probes.MAX_TEST)


def test_scores_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    truth, guess = generator.integers(0, 5, (2, 80))
    assert probes.score(guess, truth, True) == pytest.approx(balanced_accuracy_score(truth, guess))
    truth, guess = generator.normal(size=(2, 80))
    assert probes.score(guess, truth, False) == pytest.approx(r2_score(truth, guess))


def test_curves_of_a_good_and_of_a_dead_code() -> None:
    code, label = made()
    parts = probes.split(label.known)
    good = probes.curves(code[parts.images], label, parts)
    for probe in probes.PROBES:
        assert [point["labels"] for point in good[probe]] == [10, 50, 100, len(parts.pool)]
        assert good[probe][-1]["score"] > 0.95 and good[probe][1]["score"] > 0.9
        assert all(point["low"] <= point["score"] <= point["high"] for point in good[probe])
    dead = probes.curves(np.zeros((len(parts.images), 3)), label, parts)
    assert dead["linear"][-1]["score"] == pytest.approx(0.25, abs=0.01)


def test_numbers_are_scored_by_r2() -> None:
    generator = np.random.default_rng(0)
    code = generator.normal(size=(300, 5))
    label = Label("age", "number", code @ np.array([1.0, 2, 0, 0, -1]) + 40)
    label.values[::10] = np.nan
    parts = probes.split(label.known)
    found = probes.curves(code[parts.images], label, parts)
    assert found["linear"][-1]["score"] > 0.999
    assert 0.3 < found["knn"][-1]["score"] < 1


def test_scale_and_place_of_a_code_change_nothing() -> None:
    code, label = made(noise=1.0)
    parts = probes.split(label.known)
    plain = probes.curves(code[parts.images], label, parts)
    moved = probes.curves(1000 * code[parts.images] - 77, label, parts)
    for probe in probes.PROBES:
        for a, b in zip(plain[probe], moved[probe], strict=True):
            assert a["score"] == pytest.approx(b["score"], abs=1e-9)


def test_dead_units_are_not_blown_up() -> None:
    data = np.random.default_rng(0).normal(size=(200, 3)) * np.array([2.0, 1.0, 1e-3])
    spread = probes.rescaled(data, 150)[:150].std(axis=0)
    assert spread[:2] == pytest.approx(1) and spread[2] < 0.01
    shared = probes.rescaled(data, 150, one_scale=True)[:150].std(axis=0)
    assert shared[1] / shared[0] == pytest.approx(data[:150, 1].std() / data[:150, 0].std())
    assert not probes.rescaled(np.ones((4, 2)), 3).any()


@given(st.integers(2, 6), st.integers(0, 1000))
def test_draws_hold_classes_as_equally_as_they_can(classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), generator.integers(0, classes, 60)])
    chosen = probes.drawn(y, 12, np.random.default_rng(seed), True)
    assert len(set(chosen.tolist())) == 12
    taken, there = np.bincount(y[chosen], minlength=classes), np.bincount(y, minlength=classes)
    short = taken < there
    assert taken[short].min(initial=99) >= taken.max() - 1 if short.any() else True


def test_rare_classes_count_as_much_as_frequent_ones() -> None:
    """Nine of ten images are of one class; a probe of overlapping classes still finds both."""
    generator = np.random.default_rng(0)
    values = (generator.random(1500) < 0.1).astype(np.int64)
    code = values[:, None] * 1.5 + generator.normal(size=(1500, 1))
    label = Label("rare", "category", values, ("no", "yes"))
    parts = probes.split(label.known)
    found = probes.curves(code[parts.images], label, parts)
    best = 0.773  # the normal distribution at 0.75: balanced accuracy of the best threshold
    assert found["linear"][-1]["score"] == pytest.approx(best, abs=0.06)
    assert found["knn"][-1]["score"] > 0.6


def test_what_cannot_be_probed() -> None:
    code, label = made(20)
    parts = probes.split(label.known)
    with pytest.raises(ValueError, match="kind: 20 labelled images are too few"):
        probes.curves(code[parts.images], label, parts)
    values = np.zeros(100, np.int64)
    values[probes.split(values >= 0).pool[:5]] = 1
    only = Label("kind", "category", values, ("usual", "odd"))
    parts = probes.split(only.known)
    with pytest.raises(ValueError, match="class odd is too rare"):
        probes.curves(np.zeros((100, 2)), only, parts)
    flat = Label("age", "number", np.where(np.arange(100) == parts.pool[0], 1.0, 2.0))
    with pytest.raises(ValueError, match="same value"):
        probes.curves(np.zeros((100, 2)), flat, parts)
