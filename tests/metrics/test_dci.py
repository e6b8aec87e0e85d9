"""DCI: the two formulas on matrices, and what a result must say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from cldis.metrics.dci import ESTIMATORS, completeness, dci, disentanglement
from metrics.known import aligned, grid_factors, noise


def test_matrices_with_known_scores() -> None:
    assert disentanglement(np.eye(3)) == completeness(np.eye(3)) == pytest.approx(1)
    assert disentanglement(np.ones((4, 3))) == pytest.approx(0)
    split = np.array([[0.5, 0], [0.5, 0], [0, 1]])  # factor 0 in two units
    assert disentanglement(split) == pytest.approx(1)
    assert completeness(split) == pytest.approx((2 - np.log(2) / np.log(3)) / 2)
    assert disentanglement(np.zeros((2, 3))) == 0


@given(arrays(float, (4, 3), elements=st.floats(0, 1)))
def test_the_formulas_of_the_paper(matrix: np.ndarray) -> None:
    """Row by row with SciPy's entropy, as eq. 2-4 are written."""
    if matrix.sum() < 1e-3:
        return
    for found, rows in ((disentanglement(matrix), matrix), (completeness(matrix), matrix.T)):
        held = rows[rows.sum(axis=1) > 0]
        per_row = 1 - entropy(held, base=rows.shape[1], axis=1)
        weights = held.sum(axis=1) / held.sum()
        assert found == pytest.approx(per_row @ weights, abs=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_and_what_a_result_says(estimator: str) -> None:
    factors = grid_factors(450)
    found = dci(aligned(factors, dead=1), factors, estimator=estimator)  # type: ignore[arg-type]
    assert found["disentanglement"] > 0.95 and found["completeness"] > 0.95
    assert found["informativeness"] > 0.97
    assert found["estimator"] == ESTIMATORS[estimator]
    assert (found["train"], found["test"]) == (300, 150)
    assert len(found["accuracy"]) == len(found["chance"]) == 3
    np.testing.assert_allclose(np.sum(found["importance"], axis=0), 1)
    assert np.shape(found["importance"]) == (4, 3)


def test_noise_predicts_no_better_than_chance() -> None:
    found = dci(noise(), grid_factors(), estimator="gbt_30")
    assert np.abs(np.subtract(found["accuracy"], found["chance"])).max() < 0.08


def test_an_unknown_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="no estimator 'lasso'; choose one of gbt, "):
        dci(noise(20), grid_factors(20), estimator="lasso")  # type: ignore[arg-type]


def test_a_value_that_only_the_test_rows_have_counts_as_missed() -> None:
    factors = grid_factors(30)
    factors[:, 0] = np.arange(30) // 2  # fifteen values, two rows each
    found = dci(aligned(factors), factors, estimator="gbt_30")
    assert 0 <= found["accuracy"][0] <= 1
