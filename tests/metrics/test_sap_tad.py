"""SAP and TAD against their definitions, the area under the ROC curve against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cldis.metrics.labelled import Labelled
from cldis.metrics.logistic import auroc
from cldis.metrics.sap import sap, sap_of
from cldis.metrics.tad import tad
from metrics.known import grid_factors, noise


def test_sap_of_a_binary_factor_that_one_unit_holds() -> None:
    """Its unit tells every row, the other one no more than chance, which is one half."""
    factors = np.random.default_rng(0).integers(0, 2, (3000, 1))
    codes = np.concatenate([2 * factors - 1 + 0.1 * noise(3000, 1), noise(3000, 1, 5)], axis=1)
    found = sap(codes, factors)
    assert found["accuracy"][0] == [1.0]
    assert found["score"] == pytest.approx(0.5, abs=0.03)


def test_sap_of_a_training_part_with_one_value_names_that_value() -> None:
    unit = noise(20, 1)
    fit_on = Labelled(unit, np.ones((20, 1), np.int64), (2,))
    check_on = Labelled(unit, np.arange(20)[:, None] % 2, (2,))
    assert sap_of(fit_on, check_on)["accuracy"] == [[0.5]]


def test_sap_of_two_equal_units_is_zero() -> None:
    factors = grid_factors(600)
    unit = factors[:, :1] + 0.1 * noise(600, 1)
    found = sap(np.concatenate([unit, unit, -2 * unit], axis=1), factors)
    assert found["score"] == pytest.approx(0, abs=0.02)
    assert (found["train"], found["test"]) == (400, 200)
    assert np.shape(found["accuracy"]) == (3, 3)


@given(st.integers(0, 999), st.booleans())
def test_auroc_is_scikit_learns(seed: int, ties: bool) -> None:
    scores = noise(80, 3, seed)
    scores = np.round(scores) if ties else scores
    positive = noise(80, 2, seed + 1) + scores[:, :1] > 0
    if not (positive.any(axis=0) & ~positive.all(axis=0)).all():
        return
    found = auroc(scores, positive)
    for i in range(3):
        for j in range(2):
            assert found[i, j] == pytest.approx(roc_auc_score(positive[:, j], scores[:, i]))


def test_tad_counts_what_each_attribute_has_ahead() -> None:
    """Attribute 0 in one unit, 1 in two alike, 2 in none; 3 repeats 0 and neither is counted."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, (2000, 3))
    codes = np.stack([a[:, 0] + 0.1 * rng.standard_normal(2000), -a[:, 1], 3 * a[:, 1]], axis=1)
    found = tad(codes, a)
    assert found["captured"] == 2 and found["redundant"] == 0
    assert found["score"] == pytest.approx(0.5, abs=0.03)  # attribute 1 is held twice
    assert found["auroc"][0][0] == pytest.approx(1) and found["auroc"][1][1] == 1
    doubled = tad(codes, np.concatenate([a, a[:, :1]], axis=1))
    assert doubled["redundant"] == 2 and doubled["captured"] == 1
    alone = tad(codes[:, :1], a[:, :1])
    assert alone["score"] == pytest.approx(0.5)  # ahead of chance
    with pytest.raises(ValueError, match="attribute 1 has 4 values"):
        tad(noise(), grid_factors()[:, :2].clip(max=[1, 3]))
