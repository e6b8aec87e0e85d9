"""Modularity and explicitness (Ridgeway & Mozer 2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers
from cldis.metrics.information import BINS, binned_information
from cldis.metrics.labelled import Labelled, labelled
from cldis.metrics.logistic import auroc, fit, standardised


def modularity_explicitness(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    train: int = 10_000,
    test: int = 5_000,
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, Any]:
    """Whether each unit knows of one factor only, and how linearly factors can be read.

    As disentanglement_lib does it: modularity from the mutual information of 20 bins of equal
    width (eq. 2 of the paper; a unit without any counts 0); explicitness as the mean area under
    the ROC curve of a logistic regression (C = 1, standardised units) for each factor value, on
    the test rows. It is not rescaled: chance is .5.

    Args:
        train, test: rows at most, drawn at random; fewer rows are shared in the same ratio.

    Returns:
        `modularity` in [0, 1] (0 with one factor), `explicitness` in [0, 1], `train`, `test`.
        Values that the test rows lack, and values of all of them, are left out of explicitness.

    Raises:
        ValueError: as `labelled`, or a factor of which no value can be tested.
    """
    return modularity_of(*labelled(codes, factors, unit_size).split(train, test, seed))


def modularity_of(fit_on: Labelled, check_on: Labelled) -> dict[str, Any]:
    """`modularity_explicitness` of data that is checked and split."""
    x = standardised(fit_on.codes, fit_on.codes)
    unseen = standardised(check_on.codes, fit_on.codes)
    areas = [
        _explicitness(x, fit_on.factors[:, j], unseen, check_on.factors[:, j], j)
        for j in range(len(fit_on.sizes))
    ]
    return {
        "modularity": modularity(binned_information(fit_on)),
        "explicitness": float(np.mean(areas)),
        "bins": BINS,
        "train": len(fit_on.codes),
        "test": len(check_on.codes),
    }


def modularity(information: Floats) -> float:
    """1 - mean over units of what they know of other factors, from I [d, k]."""
    squares = information**2
    most = squares.max(axis=1)
    if squares.shape[1] < 2:
        return 0.0
    others = (squares.sum(axis=1) - most) / (squares.shape[1] - 1)
    return float(np.mean(np.where(most > 0, 1 - others / np.where(most > 0, most, 1), 0.0)))


def _explicitness(x: Floats, y: Integers, unseen: Floats, truth: Integers, factor: int) -> float:
    """Mean area under the ROC curve over the values of one factor."""
    values = np.unique(y)
    known = truth[:, None] == values
    useful = known.any(axis=0) & ~known.all(axis=0)
    if len(values) < 2 or not useful.any():
        raise ValueError(
            f"factor {factor} has too few rows: the part to train on must hold two of its values "
            f"and the part to test on must mix them; give more rows"
        )
    chances = fit(x, y).predict_proba(unseen)
    return float(np.mean(np.diag(auroc(chances[:, useful], known[:, useful]))))
