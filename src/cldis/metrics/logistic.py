"""Logistic regression as the metrics use it, and the area under a ROC curve."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers


def fit(x: Floats, y: Integers, cost: float = 1.0, balanced: bool = False, steps: int = 100) -> Any:
    """scikit-learn's logistic regression on x [n, d], y [n]; `cost` inf means no penalty.

    Stopped after `steps` steps of L-BFGS, as the references do. Where classes can be separated
    there is no optimum without penalty to wait for, so not having converged is no news.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=cost, class_weight="balanced" if balanced else None, max_iter=steps
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)


def standardised(codes: Floats, like: Floats) -> Floats:
    """Codes with the mean and spread of `like` taken out; its constant units become 0."""
    return (codes - like.mean(axis=0)) / spread(like)


def spread(codes: Floats) -> Floats:
    """Standard deviation of each unit of codes [n, d], to divide by: infinite where constant."""
    deviation: Floats = codes.std(axis=0)
    deviation[deviation <= 1e-12 * np.abs(codes).max(axis=0)] = np.inf
    return deviation


def auroc(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Area under the ROC curve of each column, scores [n, d] and positive [n, k] to [d, k].

    Exact (Mann-Whitney); ties count one half. Each column of `positive` must hold both kinds.
    """
    from scipy.stats import rankdata

    hits = positive.sum(axis=0)
    misses = len(positive) - hits
    assert hits.min() > 0 and misses.min() > 0
    ranks = rankdata(scores, axis=0)
    area: Floats = (ranks.T @ positive - hits * (hits + 1) / 2) / (hits * misses)
    return area
