"""A simple probe of factor recovery: extra trees from codes to each factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TREES = 50


def factor_probe(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    names: Sequence[str],
    seed: int = 0,
    train_share: float = 0.5,
) -> dict[str, Any]:
    """Accuracy per factor on held-out codes, and DCI from the trees' importances.

    DCI disentanglement and completeness follow Eastwood & Williams 2018, eq. 2-5, with
    scikit-learn's extra trees (50) as the estimator; every split looks at all units, since with a
    random subset a perfect code reads .70. Scores under other estimators are not comparable.

    Args:
        codes: float [n, d].
        factors: integer [n, k].
        names: of the k factors.

    Returns:
        `estimator`, `train`, `test`, `accuracy` and `chance` by name, `importance` [d][k] (each
        factor's column sums to 1), `dci_disentanglement`, `dci_completeness` in [0, 1].

    Raises:
        ValueError: codes that are not finite, other lengths, or fewer than 10 rows.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    if len(codes) != len(factors) or len(codes) < 10 or factors.shape[1] != len(names):
        raise ValueError(
            f"codes {codes.shape}, factors {factors.shape} and {len(names)} names do not fit; "
            f"expected [n, d], [n, k] and k names with n >= 10"
        )
    if not np.isfinite(codes).all():
        raise ValueError("codes hold NaN or infinity; the encoder that gave them has diverged")
    order = np.random.default_rng(seed).permutation(len(codes))
    cut = int(len(codes) * train_share)
    train, test = order[:cut], order[cut:]
    importance, accuracy, chance = [], {}, {}
    for k, name in enumerate(names):
        trees = ExtraTreesClassifier(
            TREES, min_samples_leaf=2, max_features=None, random_state=seed
        )
        trees.fit(codes[train], factors[train, k])
        accuracy[name] = float(trees.score(codes[test], factors[test, k]))
        values, counts = np.unique(factors[train, k], return_counts=True)
        chance[name] = float(np.mean(factors[test, k] == values[counts.argmax()]))
        importance.append(trees.feature_importances_)
    matrix = np.stack(importance, axis=1)  # [d, k]
    return {
        "estimator": f"extra trees ({TREES}, leaf 2, all units at each split)",
        "train": len(train),
        "test": len(test),
        "accuracy": accuracy,
        "chance": chance,
        "importance": matrix.tolist(),
        "dci_disentanglement": _weighted_concentration(matrix),
        "dci_completeness": _weighted_concentration(matrix.T),
    }


def _weighted_concentration(matrix: NDArray[np.floating]) -> float:
    """Mean over rows of 1 - entropy / log(columns), weighted by the rows' share of the sum."""
    total = matrix.sum()
    if total <= 0 or matrix.shape[1] < 2:
        return 0.0
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
    entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-12)), axis=1)
    return float(np.sum((1 - entropy / np.log(matrix.shape[1])) * matrix.sum(axis=1) / total))
