"""DCI: disentanglement, completeness and informativeness (Eastwood & Williams 2018).

An estimator predicts each factor from all units, and the importances it gives the units make the
matrix R [d, k] that both scores are read from. The score depends strongly on the estimator, which
is therefore part of every result.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.metrics.boosted_trees import fit_boosted_trees
from cldis.metrics.labelled import Labelled, labelled

Estimator = Literal["gbt", "gbt_30", "sklearn_gbt", "extra_trees"]
ESTIMATORS: dict[str, str] = {
    "gbt": "gradient-boosted trees (100 rounds, depth 3, rate .1, 128 bins)",
    "gbt_30": "gradient-boosted trees (30 rounds, depth 3, rate .1, 128 bins)",
    "sklearn_gbt": "scikit-learn GradientBoostingClassifier (100 rounds, depth 3, rate .1)",
    "extra_trees": "extra trees (50, leaf 2, all units at each split)",
}
ROUNDS = {"gbt": 100, "gbt_30": 30}
TREES = 50  # of extra trees


def dci(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    estimator: Estimator = "gbt",
    train: int = 10_000,
    test: int = 5_000,
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, Any]:
    """DCI of codes [n, d] for factors [n, k].

    The field's protocol is that of disentanglement_lib (Locatello et al. 2019): scikit-learn's
    gradient boosting, 10,000 rows to train and 5,000 to test. `gbt` is the same recipe on binned
    units (`cldis.metrics.boosted_trees`). It reads close to the original, and up to about .05 lower
    in disentanglement where factors can hardly be predicted (results/metric_parity.md). Importances
    spread over more units with every round, and over fewer with every row, so both belong to the
    protocol: 30 rounds on 3,000 rows read much as 100 on 10,000 do, which is what `gbt_30` is for.
    `extra_trees` is another estimator whose scores compare only with its own.

    Args:
        train, test: rows at most, drawn at random; fewer rows are shared in the same ratio.
        unit_size: columns per vector-valued unit.

    Returns:
        `disentanglement`, `completeness`, `informativeness` (mean test accuracy) and
        `informativeness_train` in [0, 1]; `accuracy` and `chance` (of the commonest value) per
        factor; `importance` [d, k], each factor's column summing to 1, or to 0 when no unit helped;
        `estimator`, `train`, `test`. A constant unit gets importance 0. With one unit there is
        nothing to be complete over, and completeness is 0; so is disentanglement with one factor.

    Raises:
        ValueError: as `labelled`, an unknown estimator, or a training part that lacks rows for a
            factor to vary.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(
            f"DCI has no estimator {estimator!r}; choose one of {', '.join(ESTIMATORS)}"
        )
    return dci_of(*labelled(codes, factors, unit_size).split(train, test, seed), estimator, seed)


def dci_of(fit_on: Labelled, check_on: Labelled, estimator: Estimator, seed: int) -> dict[str, Any]:
    """`dci` of data that is checked and split."""
    importance, accuracy, train_accuracy = importances(fit_on, check_on, estimator, seed)
    return {
        "estimator": ESTIMATORS[estimator],
        "train": len(fit_on.codes),
        "test": len(check_on.codes),
        "disentanglement": disentanglement(importance),
        "completeness": completeness(importance),
        "informativeness": float(accuracy.mean()),
        "informativeness_train": float(train_accuracy.mean()),
        "accuracy": accuracy.tolist(),
        "chance": [
            float(np.mean(check_on.factors[:, j] == np.bincount(column).argmax()))
            for j, column in enumerate(fit_on.factors.T)
        ],
        "importance": importance.tolist(),
    }


def importances(
    fit_on: Labelled, check_on: Labelled, estimator: str, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Importance [d, k], and test and training accuracy per factor, [k]."""
    columns, accuracy, train_accuracy = [], [], []
    for j, truth in enumerate(fit_on.factors.T):
        values, labels = np.unique(truth, return_inverse=True)
        if len(values) < 2:
            raise ValueError(
                f"factor {j} has one value only in the {len(truth)} rows to train on; "
                f"give more rows"
            )
        unseen = check_on.factors[:, j]
        if estimator in ROUNDS:
            model = fit_boosted_trees(fit_on.codes, labels, len(values), ROUNDS[estimator])
            column, fitted = model.importance, model.train_accuracy
            guess = model.predict(check_on.codes)
        else:
            trees = _trees(estimator, seed).fit(fit_on.codes, labels)
            column, guess = np.abs(trees.feature_importances_), trees.predict(check_on.codes)
            fitted = float(trees.score(fit_on.codes, labels))
        columns.append(column)
        accuracy.append(np.mean(values[guess] == unseen))
        train_accuracy.append(fitted)
    return np.stack(columns, axis=1), np.array(accuracy), np.array(train_accuracy)


def _trees(estimator: str, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return (
        GradientBoostingClassifier(random_state=seed)
        if estimator == "sklearn_gbt"
        else extra_trees(seed)
    )


def extra_trees(seed: int) -> Any:
    """Every split looks at all units: with a random subset a perfect code reads .70."""
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(TREES, min_samples_leaf=2, max_features=None, random_state=seed)


def disentanglement(importance: Floats) -> float:
    """Whether each unit serves one factor: eq. 2-3 of the paper, from R [d, k]."""
    return _concentration(importance)


def completeness(importance: Floats) -> float:
    """Whether each factor is held by one unit: eq. 4 of the paper, from R [d, k]."""
    return _concentration(importance.T)


def _concentration(matrix: NDArray[np.floating]) -> float:
    """Mean over rows of 1 - entropy / log(columns), weighted by the rows' share of the sum."""
    total = matrix.sum()
    if total <= 0 or matrix.shape[1] < 2:
        return 0.0
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
    entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-12)), axis=1)
    return float(np.sum((1 - entropy / np.log(matrix.shape[1])) * matrix.sum(axis=1) / total))
