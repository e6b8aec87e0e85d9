"""The booster against scikit-learn's, whose recipe it follows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from cldis.metrics.boosted_trees import BINS, fit_boosted_trees
from metrics.known import noise


def problem(classes: int, coarse: bool, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Labels that depend on the sum of two of four units."""
    codes = noise(n, 4)
    codes = np.round(codes * 5) if coarse else codes
    mixed = codes[:, 0] + 0.5 * codes[:, 1]
    return codes, np.searchsorted(np.quantile(mixed, np.arange(1, classes) / classes), mixed)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_few_distinct_values_give_scikit_learns_trees(classes: int) -> None:
    """With fewer values than bins the cuts are the same, and only ties are open."""
    codes, labels = problem(classes, coarse=True)
    ours = fit_boosted_trees(codes, labels, classes)
    theirs = GradientBoostingClassifier(random_state=0).fit(codes, labels)
    np.testing.assert_allclose(ours.importance, theirs.feature_importances_, atol=0.01)
    unseen, _ = problem(classes, coarse=True, n=1000)
    assert np.mean(ours.predict(unseen) == theirs.predict(unseen)) > 0.97
    assert ours.train_accuracy == pytest.approx(theirs.score(codes, labels), abs=0.01)


def test_binned_units_stay_close() -> None:
    codes, labels = problem(4, coarse=False, n=1000)
    ours = fit_boosted_trees(codes, labels, 4)
    theirs = GradientBoostingClassifier(random_state=0).fit(codes, labels)
    np.testing.assert_allclose(ours.importance, theirs.feature_importances_, atol=0.03)


def test_clusters_are_cut_between_each_other() -> None:
    """More values than bins, in tight clusters: a cut inside a cluster would cost accuracy."""
    labels = np.random.default_rng(0).integers(0, 30, 3000)
    codes = np.stack([labels + 0.01 * noise(3000, 1)[:, 0], noise(3000, 1, 9)[:, 0]], axis=1)
    found = fit_boosted_trees(codes, labels, 30, rounds=10)
    assert max(len(edges) for edges in found.edges) == BINS - 1
    assert found.importance[0] > 0.999 and found.train_accuracy == 1


def test_blocks_of_classes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, labels = problem(5, coarse=False)
    whole = fit_boosted_trees(codes, labels, 5, rounds=10)
    monkeypatch.setattr("cldis.metrics.boosted_trees.BLOCK", 2)
    parts = fit_boosted_trees(codes, labels, 5, rounds=10)
    np.testing.assert_array_equal(whole.unit, parts.unit)
    np.testing.assert_allclose(whole.importance, parts.importance)


def test_nothing_to_split_predicts_the_commonest_class() -> None:
    labels = np.repeat([0, 1, 2], [5, 20, 10])
    found = fit_boosted_trees(np.ones((35, 2)), labels, 3, rounds=3)
    assert found.importance.tolist() == [0, 0]
    assert set(found.predict(np.zeros((4, 2)))) == {1}
